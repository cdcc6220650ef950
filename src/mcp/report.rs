//! Tells a client how far its call has come: as progress when it gave a token for that, and as log messages when it asked
//! for those, which the protocol has deprecated.

use rmcp::RoleServer;
#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use serde_json::json;
use tokio::sync::mpsc;

use crate::progress::{self, Step};

/// All of it, in percent.
const WHOLE: f64 = 100.0;
/// What is added for a step of which nobody says how much it is.
const A_LITTLE: f64 = 0.001;

/// Whoever waits for one call.
pub(super) struct Reporter {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    logs: bool,
    /// How far the call has come: in steps, or in percent once the API has told them. It only grows, as the protocol asks.
    come: f64,
    in_percent: bool,
}

// === impl Reporter ===

#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
impl Reporter {
    /// `level` is what the session asked for; a request of the newer protocol says it itself. `None` when nobody listens.
    pub(super) fn of(context: &RequestContext<RoleServer>, level: Option<LoggingLevel>) -> Option<Self> {
        let token = context.meta.get_progress_token();
        let level = context.meta.log_level().or(level);
        let logs = matches!(level, Some(LoggingLevel::Debug | LoggingLevel::Info));
        (token.is_some() || logs).then(|| Self {
            peer: context.peer.clone(),
            token,
            logs,
            come: 0.0,
            in_percent: false,
        })
    }

    /// Runs a call and tells of its steps, each before the next, and all of them before the result.
    pub(super) async fn follow<T>(mut self, call: impl Future<Output = T>) -> T {
        let (tell, mut told) = mpsc::unbounded_channel();
        self.step("Started".to_owned(), None).await;
        let call = progress::within(tell, call);
        tokio::pin!(call);
        let ended = loop {
            tokio::select! {
                biased;
                Some(step) = told.recv() => self.told(step).await,
                ended = &mut call => break ended,
            }
        };
        while let Ok(step) = told.try_recv() {
            self.told(step).await;
        }
        self.step("Done".to_owned(), self.in_percent.then_some(WHOLE)).await;
        ended
    }

    async fn told(&mut self, step: Step) {
        match step {
            Step::Said(words) => self.step(words, None).await,
            // The whole is what is told at the end.
            Step::Waits(words, percent) => self.step(words, percent.map(|percent| percent.min(WHOLE - 1.0))).await,
        }
    }

    async fn step(&mut self, words: String, percent: Option<f64>) {
        self.in_percent |= percent.is_some();
        let least = self.come + if self.in_percent { A_LITTLE } else { 1.0 };
        self.come = percent.unwrap_or(least).max(least);
        // A client that has gone has no use for it.
        if self.logs {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(words));
            let _ = self.peer.notify_logging_message(message.with_logger("tollbridge")).await;
        }
        if let Some(token) = &self.token {
            let step = ProgressNotificationParam::new(token.clone(), self.come).with_message(words);
            let step = if self.in_percent { step.with_total(WHOLE) } else { step };
            let _ = self.peer.notify_progress(step).await;
        }
    }
}
