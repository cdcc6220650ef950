//! One call of a tool: who calls, what has to be asked, and what comes of it.

use std::time::Duration;

use rmcp::RoleServer;
#[expect(deprecated, reason = "clients of older protocols ask for log messages")]
use rmcp::model::LoggingLevel;
use rmcp::model::{ErrorData, InputRequiredResult};
use rmcp::service::RequestContext;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::ask::{About, Interview, Said, Stop};
use super::report::Reporter;
use super::shared::{Shared, is_visible};
use super::tasks::Ticket;
use crate::call::{self, CallError};
use crate::catalog::{Answers, Tool};
use crate::live::Snapshot;
use crate::principal::Principal;
use crate::progress;
use crate::quantity::show_duration;
use crate::shape::Outcome;

/// How long a call that has to end may take to say so to the API.
const LAST_WORDS: Duration = Duration::from_secs(6);

/// A call on its way.
pub(super) struct Run<'a> {
    pub(super) shared: &'a Shared,
    pub(super) snapshot: &'a Snapshot,
    pub(super) tool: &'a Tool,
    /// The hash of the tool's definition.
    pub(super) definition: &'a str,
    pub(super) context: &'a RequestContext<RoleServer>,
    pub(super) arguments: Map<String, Value>,
    /// What the client says about earlier questions.
    pub(super) said: Said,
    /// Who calls, once that is known.
    pub(super) who: Option<Principal>,
    /// The arguments, where they stand in the audit trail.
    pub(super) audited: Option<Map<String, Value>>,
    /// How much the session wants to be told.
    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    pub(super) level: Option<LoggingLevel>,
    /// What the client gets instead of a result.
    pub(super) instead: Option<Instead>,
}

/// What a client gets instead of a result.
pub(super) enum Instead {
    /// Questions.
    Ask(Box<InputRequiredResult>),
    /// An error of the protocol.
    Refuse(ErrorData),
}

// === impl Run ===

impl Run<'_> {
    pub(super) async fn outcome(&mut self) -> Result<Outcome, CallError> {
        let mut arguments = std::mem::take(&mut self.arguments);
        let who = self.bounded(self.identified(&mut arguments)).await?;
        self.arguments = arguments;
        let who = self.who.insert(who).clone();
        self.audited = self.tool.audits_arguments.then(|| self.arguments.clone());
        if self.tool.questions.is_empty() && self.tool.requires.is_empty() {
            let arguments = std::mem::take(&mut self.arguments);
            return self.send(&who, arguments, &Answers::default()).await;
        }
        match self.interviewed(&who).await {
            Ok(outcome) => outcome,
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Ask(asked, pending)) => {
                self.instead = Some(Instead::Ask(asked));
                Err(CallError::Unanswered(pending))
            }
            Err(Stop::Refuse(refusal, why)) => {
                self.instead = Some(Instead::Refuse(*refusal));
                Err(why)
            }
        }
    }

    /// Who calls. What says so is taken out of the arguments.
    async fn identified(&self, arguments: &mut Map<String, Value>) -> Result<Principal, CallError> {
        if let Some(audit) = &self.shared.audit {
            audit.ready().map_err(|unwritten| CallError::Upstream(unwritten.to_string()))?;
        }
        let needs_identity = self.tool.needs_identity(&self.snapshot.catalog);
        self.shared.caller().of(&self.context.extensions, arguments, needs_identity).await
    }

    /// Asks until all is known, and then sends.
    async fn interviewed(&self, who: &Principal) -> Result<Result<Outcome, CallError>, Stop> {
        let (tool, catalog) = (self.tool, &self.snapshot.catalog);
        let about = About {
            method: "tools/call",
            name: &tool.name,
            definition: self.definition,
            arguments: &self.arguments,
            caller: who.identity(),
        };
        let mut interview =
            Interview::begin(&self.shared.seal, &tool.questions, about, &self.said, self.context).await?;
        // Whoever may not know of the tool learns nothing of what it needs.
        if is_visible(self.snapshot, tool, who) {
            interview.require(&tool.requires)?;
        }
        loop {
            match call::plan(catalog, tool, self.arguments.clone(), &interview.answers, who) {
                Err(CallError::Unanswered(pending)) => interview.ask(pending).await?,
                Err(error) => return Ok(Err(error)),
                Ok(_) => {
                    if interview.may_go_on().await {
                        return Ok(self.send(who, self.arguments.clone(), &interview.answers).await);
                    }
                }
            }
        }
    }

    async fn send(
        &self,
        who: &Principal,
        arguments: Map<String, Value>,
        answers: &Answers,
    ) -> Result<Outcome, CallError> {
        // On the heap: it is the largest part of a call, and would be moved more than once.
        let work = Box::pin(async {
            let _slot = self.shared.slots.take(who)?;
            self.snapshot.call(self.tool, arguments, answers, who).await
        });
        let waits = self.tool.operation.as_ref().is_some_and(|operation| operation.job.is_some());
        let call = async { if waits { self.patient(work).await } else { self.bounded(work).await } };
        if let Some(ticket) = Ticket::of(self.context) {
            return ticket.follow(call).await;
        }
        match Reporter::of(self.context, self.level) {
            Some(reporter) => reporter.follow(call).await,
            None => call.await,
        }
    }

    /// Ends with the client, or with the server. In what time, the work knows itself; it is told, so that it can tell the API.
    async fn patient<T>(&self, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let (caller, server) = (&self.context.ct, self.shared.stopping());
        let work = progress::until(caller.clone(), server.clone(), work);
        tokio::pin!(work);
        tokio::select! {
            ended = &mut work => return ended,
            () = caller.cancelled() => {}
            () = server.cancelled() => {}
        }
        let cancelled = |_| Err(CallError::Upstream("the call was cancelled".to_owned()));
        timeout(LAST_WORDS, work).await.unwrap_or_else(cancelled)
    }

    /// Ends with the client, and in time. What a user takes to answer does not count.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let limit = self.shared.call_timeout;
        tokio::select! {
            // The client has gone or has cancelled: the request to the API is dropped with the future.
            () = self.context.ct.cancelled() => Err(CallError::Upstream("the call was cancelled".to_owned())),
            ended = timeout(limit, work) => ended.unwrap_or_else(|_| {
                Err(CallError::Upstream(format!("The call did not end within {}", show_duration(limit))))
            }),
        }
    }
}
