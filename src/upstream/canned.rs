//! An API that is not there: its answers are made up, and what it is asked is kept. For tests of definitions; everything
//! around it is what serves.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use url::Url;

use super::base::Base;
use super::retry::Retry;
use super::{BoxFuture, Upstream};
use crate::call::{CallError, Request, Shown};
use crate::catalog::compile::base_url;
use crate::catalog::{Catalog, Credential, UpstreamDef};
use crate::credential;
use crate::net::NetError;
use crate::principal::Principal;
use crate::secret::{Secrets, without};
use crate::shape::Reply;

/// Where an API is whose URL is known only where it is served.
const SOMEWHERE: &str = "https://upstream.test";

/// An API with made-up answers.
pub struct Canned {
    base: Base,
    credential: Credential,
    retry: Retry,
    max_response_bytes: usize,
    replies: Mutex<Replies>,
    sent: Mutex<Vec<Sent>>,
    /// When it was made, by the clock of this machine.
    made: Instant,
    /// What has passed since then, by the clock of the test.
    passed: Mutex<Duration>,
}

/// A request as it would have gone out.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The request.
    pub request: Request,
    /// The path on the wire, after that of the base URL.
    pub path: String,
    /// The query on the wire, without that of the credentials.
    pub query: String,
}

/// The made-up answers of an API.
#[derive(Clone, Debug)]
pub enum Replies {
    /// The same to every request.
    Always(CannedReply),
    /// One after the other; a request after the last one fails.
    InTurn(VecDeque<CannedReply>),
}

/// A made-up answer, or what comes instead of one.
#[derive(Clone, Debug)]
pub enum CannedReply {
    /// An answer, after some time. Nobody waits; only a time that is over is felt.
    Reply(Reply, Duration),
    /// Nothing listens at the address.
    Unreachable,
    /// The answer does not come in time.
    Timeout,
    /// The connection ends in the middle of the answer.
    Broken,
}

// === impl Canned ===

impl Canned {
    /// Makes the API of a bridge.
    #[must_use]
    pub fn new(def: &UpstreamDef, catalog: &Catalog, replies: Replies) -> Self {
        Self {
            base: Base::new(somewhere(def, catalog)),
            credential: def.credential.clone(),
            retry: Retry::new(def.attempts),
            max_response_bytes: def.max_response_bytes,
            replies: Mutex::new(replies),
            sent: Mutex::default(),
            made: Instant::now(),
            passed: Mutex::default(),
        }
    }

    /// The requests that were sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        locked(&self.sent).clone()
    }

    /// The answers that nobody asked for.
    #[must_use]
    pub fn left(&self) -> usize {
        match &*locked(&self.replies) {
            Replies::Always(_) => 0,
            Replies::InTurn(left) => left.len(),
        }
    }

    fn once(&self, request: &Request, who: &Principal) -> Result<Result<Reply, NetError>, CallError> {
        credential::rehearse(&self.credential, who)?;
        let url = self.base.of(request, &Shown)?;
        let query = match &request.page {
            Some(page) => page.query().unwrap_or_default().to_owned(),
            None => request.wire_query(&Shown).unwrap_or_default(),
        };
        locked(&self.sent).push(Sent { request: request.clone(), path: self.base.without(&url).to_owned(), query });
        let reply = match &mut *locked(&self.replies) {
            Replies::Always(reply) => Some(reply.clone()),
            Replies::InTurn(left) => left.pop_front(),
        };
        let reply = reply.ok_or_else(|| {
            let sent = locked(&self.sent).len();
            CallError::internal(format!("request {sent} was sent, and `upstream` of the test has no answer left"))
        })?;
        let limit = self.max_response_bytes;
        *locked(&self.passed) += match &reply {
            CannedReply::Reply(_, delay) => (*delay).min(request.timeout),
            CannedReply::Timeout => request.timeout,
            CannedReply::Unreachable | CannedReply::Broken => Duration::ZERO,
        };
        Ok(match reply {
            CannedReply::Reply(_, delay) if delay >= request.timeout => Err(NetError::Timeout(request.timeout)),
            CannedReply::Reply(reply, _) if reply.body.len() > limit => Err(NetError::TooLarge { limit }),
            CannedReply::Reply(reply, _) => Ok(reply),
            CannedReply::Unreachable => Err(NetError::Unreachable),
            CannedReply::Timeout => Err(NetError::Timeout(request.timeout)),
            CannedReply::Broken => Err(NetError::Broken),
        })
    }
}

impl Upstream for Canned {
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(self.retry.run(&request.method, move || ready(self.once(request, who)), |_| ready(())))
    }

    fn follow(&self, request: &Request, written: &str) -> Result<Request, CallError> {
        self.base.follow(request, written, &Shown)
    }

    fn now(&self) -> Instant {
        self.made + *locked(&self.passed)
    }

    fn rest(&self, pause: Duration) -> BoxFuture<'_, ()> {
        *locked(&self.passed) += pause;
        Box::pin(ready(()))
    }

    fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    fn scrub(&self, text: &str, who: &Principal) -> String {
        let token = who.token().map(secrecy::SecretString::expose_secret);
        without(text, token.into_iter().chain([self.base.url().authority()]))
    }
}

/// The base URL with its defaults; what has none reads as a host of no network.
fn somewhere(def: &UpstreamDef, catalog: &Catalog) -> Url {
    let filled = |instead: &str| {
        let value = |default: Option<&str>| default.unwrap_or(instead).to_owned().into();
        let values = catalog.variables.iter().map(|used| value(used.variable.default()));
        base_url(&def.url.fill(&Secrets::new(values.collect()))).ok()
    };
    let written = filled(SOMEWHERE).or_else(|| filled("upstream.test"));
    #[expect(clippy::expect_used, reason = "the constant is a URL")]
    written.unwrap_or_else(|| Url::parse(SOMEWHERE).expect("a URL"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
