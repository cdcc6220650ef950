//! Tells a client how far its call has come: as progress when it gave a token for that, and as log messages when it asked
//! for those, which the protocol has deprecated.

use rmcp::RoleServer;
#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use serde_json::json;
use tokio::sync::mpsc;

use crate::progress;

/// Whoever waits for one call.
pub(super) struct Reporter {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    logs: bool,
    steps: u32,
}

// === impl Reporter ===

#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
impl Reporter {
    /// `level` is what the session asked for; a request of the newer protocol says it itself. `None` when nobody listens.
    pub(super) fn of(context: &RequestContext<RoleServer>, level: Option<LoggingLevel>) -> Option<Self> {
        let token = context.meta.get_progress_token();
        let level = context.meta.log_level().or(level);
        let logs = matches!(level, Some(LoggingLevel::Debug | LoggingLevel::Info));
        (token.is_some() || logs).then(|| Self { peer: context.peer.clone(), token, logs, steps: 0 })
    }

    /// Runs a call and tells of its steps, each before the next, and all of them before the result.
    pub(super) async fn follow<T>(mut self, call: impl Future<Output = T>) -> T {
        let (tell, mut told) = mpsc::unbounded_channel();
        self.step("Started".to_owned()).await;
        let call = progress::within(tell, call);
        tokio::pin!(call);
        let ended = loop {
            tokio::select! {
                biased;
                Some(words) = told.recv() => self.step(words).await,
                ended = &mut call => break ended,
            }
        };
        while let Ok(words) = told.try_recv() {
            self.step(words).await;
        }
        self.step("Done".to_owned()).await;
        ended
    }

    async fn step(&mut self, words: String) {
        self.steps += 1;
        // A client that has gone has no use for it.
        if self.logs {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(words));
            let _ = self.peer.notify_logging_message(message.with_logger("tollbridge")).await;
        }
        if let Some(token) = &self.token {
            let step = ProgressNotificationParam::new(token.clone(), f64::from(self.steps)).with_message(words);
            let _ = self.peer.notify_progress(step).await;
        }
    }
}
