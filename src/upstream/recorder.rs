//! An API whose answers are kept, for those who make a test of a real call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{BoxFuture, HttpUpstream, Upstream};
use crate::call::{CallError, Request};
use crate::principal::Principal;
use crate::shape::Reply;

/// A real API, and what was asked of it and answered.
pub struct Recorder {
    api: Arc<HttpUpstream>,
    exchanges: Mutex<Vec<(Request, Reply)>>,
}

// === impl Recorder ===

impl Recorder {
    /// Keeps what goes to and comes from an API.
    #[must_use]
    pub fn new(api: Arc<HttpUpstream>) -> Self {
        Self { api, exchanges: Mutex::default() }
    }

    /// What was asked and answered so far; of attempts that were repeated, the last.
    #[must_use]
    pub fn exchanges(&self) -> Vec<(Request, Reply)> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Recorder {
    /// A text without secrets and without where the API is: its own URLs become paths.
    #[must_use]
    pub fn anonymous(&self, text: &str, who: &Principal) -> String {
        let origin = self.api.base.url().origin().ascii_serialization();
        self.api.scrub(&text.replace(&origin, ""), who)
    }
}

impl Upstream for Recorder {
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let reply = self.api.send(request, who).await?;
            let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            exchanges.push((request.clone(), reply.clone()));
            Ok(reply)
        })
    }

    fn follow(&self, request: &Request, written: &str) -> Result<Request, CallError> {
        self.api.follow(request, written)
    }

    fn now(&self) -> Instant {
        self.api.now()
    }

    fn rest(&self, pause: Duration) -> BoxFuture<'_, ()> {
        self.api.rest(pause)
    }

    fn max_response_bytes(&self) -> usize {
        self.api.max_response_bytes()
    }

    fn scrub(&self, text: &str, who: &Principal) -> String {
        self.api.scrub(text, who)
    }
}
