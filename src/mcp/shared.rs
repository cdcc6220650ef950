//! What all sessions and requests share: what is running, who calls, and how a tool is called.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use rmcp::RoleServer;
#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
use rmcp::model::LoggingLevel;
use rmcp::model::{CallToolRequestParams, CallToolResponse, ErrorData};
use rmcp::service::RequestContext;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, info_span};

use super::ask::{Said, Seal};
use super::caller::{self, Caller};
use super::convert;
use super::lists::Lists;
use super::meta::Introduced as _;
use super::poll::Polls;
use super::run::{Instead, Run};
use super::slots::Slots;
use super::tasks::Tasks;
use super::{Options, Scope};
use crate::audit::{Audit, Entry};
use crate::call::{self, CallError, Standing};
use crate::catalog::{Bridge, Tool};
use crate::config::server::DiscoverySpec;
use crate::live::{Live, Snapshot};
use crate::metrics::{CallRecord, Metrics};
use crate::mishap::caught;
use crate::principal::Principal;
use crate::shape::Outcome;
use crate::trace::{self, TraceContext};

/// How long a client may keep a list or a resource, in milliseconds: short, because definitions change while running.
pub(super) const TTL_MS: u64 = 5_000;

/// What all sessions and requests share.
pub struct Shared {
    live: Arc<Live>,
    caller: Caller,
    pub(super) call_timeout: Duration,
    pub(super) seal: Seal,
    lists: ArcSwapOption<Lists>,
    pub(super) audit: Option<Arc<Audit>>,
    metrics: Arc<Metrics>,
    pub(super) slots: Arc<Slots>,
    pub(super) polls: Polls,
    /// The part of the catalogue that a request is for when it does not say.
    pub(super) usual: Scope,
    /// The sets of tools that are served; empty for all tools.
    toolsets: Vec<String>,
    /// The most entries of a list at a time.
    pub(super) page: usize,
    pub(super) tasks: Arc<Tasks>,
    stopping: CancellationToken,
    /// Knows of calls that are running.
    running: TaskTracker,
    /// Makes callers anonymous in the list of latest calls.
    hashing: RandomState,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(live: Arc<Live>, caller: Caller, options: Options) -> Self {
        let Options { call_timeout, audit, metrics, calls_per_caller, stopping, shared, toolsets, discovery, page } =
            options;
        Self {
            live,
            caller,
            call_timeout,
            seal: Seal::new(shared),
            lists: ArcSwapOption::empty(),
            audit,
            metrics,
            slots: Slots::new(calls_per_caller),
            polls: Polls::new(),
            usual: Scope { discovery: Some(discovery), ..Scope::default() },
            toolsets,
            page,
            tasks: Arc::default(),
            stopping,
            running: TaskTracker::new(),
            hashing: RandomState::new(),
        }
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Whether no call is running.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until no call is running.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Counts a call that has ended.
    fn called(
        &self,
        tool: &str,
        id: &str,
        who: Option<&Principal>,
        outcome: &Result<Outcome, CallError>,
        elapsed: Duration,
    ) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let caller = who.filter(|who| who.token().is_some()).map(|who| self.hashing.hash_one(who.identity()));
        self.metrics.called(CallRecord {
            request_id: id.to_owned(),
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            tool: tool.to_owned(),
            caller: caller.map_or_else(|| "-".to_owned(), |hash| format!("{:08x}", hash >> 32)),
            outcome: word(outcome),
            upstream_status: outcome.as_ref().ok().and_then(|outcome| outcome.status),
            elapsed_ms: elapsed.as_secs_f64() * 1000.0,
        });
    }

    /// The part of the catalogue that a request is for.
    pub(super) fn scope<'s>(&'s self, extensions: &'s rmcp::model::Extensions) -> &'s Scope {
        caller::scope(extensions).unwrap_or(&self.usual)
    }

    /// Whether tools are searched and not listed.
    pub(super) fn searches(&self, scope: &Scope) -> bool {
        scope.discovery.or(self.usual.discovery) == Some(DiscoverySpec::Search)
    }

    /// Whether a tool is part of what a request is for.
    pub(super) fn offers(&self, snapshot: &Snapshot, tool: &Tool, scope: &Scope) -> bool {
        let is_in = |sets: &[String]| sets.is_empty() || tool.toolsets.iter().any(|set| sets.contains(set));
        in_scope(snapshot, tool.bridge, scope) && is_in(&self.toolsets) && is_in(&scope.toolsets)
    }

    /// Whether a tool is listed for a caller; `None` when it is not known who that is.
    pub(super) fn shows(&self, snapshot: &Snapshot, name: &str, scope: &Scope, who: Option<&Principal>) -> bool {
        snapshot.catalog.tools.get(name).is_some_and(|tool| {
            self.offers(snapshot, tool, scope) && who.is_none_or(|who| is_visible(snapshot, tool, who))
        })
    }

    /// The lists of a snapshot; made by the first who asks after a reload.
    pub(super) fn lists(&self, snapshot: &Snapshot) -> Arc<Lists> {
        if let Some(lists) = self.lists.load_full()
            && lists.revision == snapshot.catalog.revision
        {
            return lists;
        }
        let lists = Arc::new(Lists::new(&snapshot.catalog, self.caller.takes_argument()));
        self.lists.store(Some(Arc::clone(&lists)));
        lists
    }
}

impl Shared {
    /// Calls a tool, and tells a collector of traces.
    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    pub(super) async fn traced_call(
        self: &Arc<Self>,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        level: Option<LoggingLevel>,
    ) -> Result<CallToolResponse, ErrorData> {
        let id = caller::request_id(&context.extensions);
        let span = info_span!(parent: None, "request", id);
        let from = trace_context(context);
        let name = request.name.clone();
        let traced = trace::Span::asked("tools/call", &name, &id, from.as_ref());
        let call = self.call(request, context, level);
        let answered = trace::within(traced.context().or(from), call).instrument(span).await;
        let failed = match &answered {
            Ok(CallToolResponse::Complete(result)) => result.is_error.unwrap_or_default().then_some("tool_error"),
            Ok(_) => None,
            Err(_) => Some("refused"),
        };
        traced.end(None, failed);
        answered.map(|answered| answered.introduced(context))
    }

    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    async fn call(
        self: &Arc<Self>,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        level: Option<LoggingLevel>,
    ) -> Result<CallToolResponse, ErrorData> {
        let started = Instant::now();
        let _running = (self.running.token(), self.metrics.running());
        let id = caller::request_id(&context.extensions);
        let snapshot = self.live.load();
        let name = request.name.as_ref();
        let tool = snapshot
            .catalog
            .tools
            .get(name)
            .filter(|tool| self.offers(&snapshot, tool, self.scope(&context.extensions)))
            .ok_or_else(|| ErrorData::invalid_params(CallError::Unknown(name.to_owned()).to_string(), None))?;
        let lists = self.lists(&snapshot);
        let index = snapshot.catalog.tools.get_index_of(name);
        let definition = index.and_then(|index| lists.hashes.get(index)).map_or("", String::as_str);
        let mut run = Run {
            shared: self,
            snapshot: &snapshot,
            tool,
            definition,
            context,
            arguments: request.arguments.unwrap_or_default(),
            said: Said::new(request.input_responses, request.request_state),
            who: None,
            audited: None,
            level,
            instead: None,
        };
        // A panic is an outcome, too: it is recorded and counted.
        let outcome = caught(Box::pin(run.outcome())).await;
        let mut outcome = outcome.unwrap_or_else(|panicked| Err(CallError::internal(panicked.to_string())));
        let Run { who, audited, instead, .. } = run;
        if let Some(audit) = &self.audit {
            let bridge = snapshot.catalog.bridge(tool.bridge);
            let entry = Entry {
                request_id: &id,
                method: "tools/call",
                bridge: bridge.map(|bridge| bridge.name.as_str()),
                subject: Some(name),
                definition: Some(definition),
                who: who.as_ref(),
                claims: bridge
                    .zip(who.as_ref())
                    .map(|(bridge, who)| used_claims(bridge, tool, who))
                    .unwrap_or_default(),
                arguments: audited.as_ref(),
                decision: decision(&outcome),
                reason: outcome.as_ref().err().map(ToString::to_string),
                upstream_status: outcome.as_ref().ok().and_then(|outcome| outcome.status),
                elapsed_ms: started.elapsed().as_millis(),
            };
            if let Err(unwritten) = audit.record(&entry) {
                // What can't be recorded is not handed out.
                outcome = Err(CallError::Upstream(unwritten.to_string()));
            }
        }
        let elapsed = started.elapsed();
        self.called(name, &id, who.as_ref(), &outcome, elapsed);
        info!(tool = name, outcome = word(&outcome), elapsed_ms = elapsed.as_millis(), "Call.");
        match instead {
            Some(Instead::Ask(asked)) => Ok((*asked).into()),
            Some(Instead::Refuse(refusal)) => Err(refusal),
            None => convert::call_result(name, outcome).map(Into::into),
        }
    }
}

pub(super) fn in_scope(snapshot: &Snapshot, bridge: usize, scope: &Scope) -> bool {
    let is_it = |name: &String| snapshot.catalog.bridge(bridge).is_some_and(|bridge| bridge.name == *name);
    scope.bridge.as_ref().is_none_or(is_it)
}

/// Whether a tool exists for a caller.
pub(super) fn is_visible(snapshot: &Snapshot, tool: &Tool, who: &Principal) -> bool {
    let bridge = snapshot.catalog.bridge(tool.bridge);
    bridge.is_some_and(|bridge| call::standing(&snapshot.catalog, tool, bridge, who) != Standing::Hidden)
}

/// The trace that a call is part of: `_meta` says it, or the headers do.
fn trace_context(context: &RequestContext<RoleServer>) -> Option<TraceContext> {
    let meta = |name: &str| context.meta.get(name).and_then(Value::as_str).map(str::to_owned);
    let header = |name: &str| caller::header(&context.extensions, name).map(str::to_owned);
    match meta("traceparent") {
        Some(parent) => TraceContext::read(&parent, meta("tracestate").as_deref()),
        None => TraceContext::read(&header("traceparent")?, header("tracestate").as_deref()),
    }
}

/// The claims that a call was made from, as the bridge names them.
fn used_claims<'a>(bridge: &'a Bridge, tool: &'a Tool, who: &'a Principal) -> Vec<(&'a str, &'a Value)> {
    let names = bridge.claims.keys().filter(|name| tool.uses_claim(name));
    names.filter_map(|name| Some((name.as_str(), call::prepare::claim_value(bridge, name, who)?))).collect()
}

/// What was decided, in the words of the audit trail.
fn decision(outcome: &Result<Outcome, CallError>) -> &'static str {
    match outcome {
        Ok(_) => "allowed",
        Err(CallError::Argument(_)) => "refused",
        Err(CallError::Unanswered(_)) => "asked",
        Err(CallError::Denied(_) | CallError::Unknown(_) | CallError::Declined(_) | CallError::Incapable(_)) => {
            "denied"
        }
        Err(CallError::Limited(_)) => "limited",
        Err(CallError::Upstream(_) | CallError::Internal { .. }) => "failed",
    }
}

fn word(outcome: &Result<Outcome, CallError>) -> &'static str {
    match outcome {
        Ok(outcome) if outcome.is_error => "api_error",
        Ok(_) => "ok",
        Err(CallError::Unanswered(_)) => "asked",
        Err(CallError::Declined(_)) => "declined",
        Err(CallError::Incapable(_)) => "incapable_client",
        Err(CallError::Argument(_)) => "argument_error",
        Err(CallError::Denied(_)) => "denied",
        Err(CallError::Unknown(_)) => "unknown_tool",
        Err(CallError::Limited(_)) => "limited",
        Err(CallError::Upstream(_)) => "upstream_error",
        Err(CallError::Internal { .. }) => "internal_error",
    }
}
