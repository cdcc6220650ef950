//! The MCP methods. No tool is known here: everything comes from the running snapshot.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CompleteRequestParams,
    CompleteResult, ConstString, ContentBlock, DiscoverResult, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetSkillRequestParams, GetSkillResult, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceDirectoryRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ServerCapabilities, ServerConfig, SubscribeRequestMethod, SubscribeRequestParams,
    SubscriptionFilter, TASKS_EXTENSION_ID, Tool as McpTool, UnsubscribeRequestParams, UpdateTaskParams,
};
#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
use rmcp::model::{LoggingLevel, SetLevelRequestMethod, SetLevelRequestParams};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, info_span};

use super::ask::{About, Interview, Said, Seal, Stop};
use super::caller::{self, Caller};
use super::convert;
use super::lists::{Lists, page};
use super::meta::{Introduced as _, introduction};
use super::poll::{Interest, Polls};
use super::run::{Instead, Run};
use super::search;
use super::slots::Slots;
use super::tasks::{self, Tasks, Ticket};
use super::{Options, Scope, complete, listen, skills};
use crate::audit::{Audit, Entry};
use crate::call::{self, CallError, Standing};
use crate::catalog::{Bridge, CALL_TOOL, FIND_TOOLS, Prompt, Resource, Tool};
use crate::config::server::DiscoverySpec;
use crate::live::{Live, Snapshot};
use crate::metrics::{CallRecord, Metrics};
use crate::principal::Principal;
use crate::quantity::show_duration;
use crate::shape::Outcome;
use crate::trace::{self, TraceContext};

/// How long a client may keep a list or a resource, in milliseconds: short, because definitions change while running.
const TTL_MS: u64 = 5_000;

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
    usual: Scope,
    /// The sets of tools that are served; empty for all tools.
    toolsets: Vec<String>,
    /// The most entries of a list at a time.
    page: usize,
    pub(super) tasks: Arc<Tasks>,
    stopping: CancellationToken,
    /// Knows of calls that are running.
    running: TaskTracker,
    /// Makes callers anonymous in the list of latest calls.
    hashing: RandomState,
}

/// What is kept between the messages of a client that speaks an older protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Its session.
    Sessions,
    /// Nothing: what needs a session is not offered.
    Nothing,
}

/// Handles the messages of one session, or one stateless request.
pub struct Handler {
    shared: Arc<Shared>,
    keeps: Keeps,
    /// A second `initialize` would confuse rmcp about the era of the session, so it is refused.
    initialized: AtomicBool,
    /// How much the session wants to be told.
    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    level: Mutex<Option<LoggingLevel>>,
    /// The resources that the session wants to hear of.
    followed: Arc<Mutex<BTreeMap<String, Arc<Interest>>>>,
    /// Is cancelled when the session ends and its handler goes.
    ended: DropGuard,
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

// === impl Handler ===

impl Handler {
    pub(super) fn new(shared: &Arc<Shared>, keeps: Keeps) -> Self {
        Self {
            shared: Arc::clone(shared),
            keeps,
            initialized: AtomicBool::new(false),
            level: Mutex::default(),
            followed: Arc::default(),
            ended: CancellationToken::new().drop_guard(),
        }
    }

    /// Name, version and capabilities, with the instructions of the bridges in scope.
    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    fn info(&self, scope: &Scope) -> ServerConfig {
        let snapshot = self.shared.live.load();
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging();
        let mut bridges = snapshot.catalog.bridges.iter().enumerate();
        let has_skills = bridges.any(|(index, it)| !it.skills.is_empty() && in_scope(&snapshot, index, scope));
        let capabilities =
            if has_skills { capabilities.enable_skills_with_directory_read().build() } else { capabilities.build() };
        let mut info = ServerConfig::new(capabilities).with_server_info(introduction());
        info.instructions = instructions(&snapshot, scope);
        // Who has a task can fetch it, even if no new one can be made since a reload.
        if tasks::are_offered(&snapshot, scope) || !self.shared.tasks.is_empty() {
            let tasks = BTreeMap::from([(TASKS_EXTENSION_ID.to_owned(), JsonObject::new())]);
            info.capabilities.extensions.get_or_insert_default().extend(tasks);
        }
        info
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
        let mut outcome = run.outcome().await;
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

impl Handler {
    /// Refuses what would be forgotten at once.
    fn needs_session<M: ConstString>(&self) -> Result<(), ErrorData> {
        match self.keeps {
            Keeps::Sessions => Ok(()),
            Keeps::Nothing => Err(ErrorData::method_not_found::<M>()),
        }
    }

    /// Records that public data was handed out.
    fn audit_read(
        &self,
        method: &str,
        bridge: usize,
        snapshot: &Snapshot,
        subject: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let Some(audit) = &self.shared.audit else { return Ok(()) };
        let entry = Entry {
            request_id: &caller::request_id(&context.extensions),
            method,
            bridge: snapshot.catalog.bridge(bridge).map(|bridge| bridge.name.as_str()),
            subject: Some(subject),
            who: caller::principal(&context.extensions),
            decision: "allowed",
            ..Entry::default()
        };
        audit.record(&entry).map_err(|unwritten| ErrorData::internal_error(unwritten.to_string(), None))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        self.info(&self.shared.usual)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if self.initialized.swap(true, Ordering::SeqCst) {
            return Err(ErrorData::invalid_request("this session is already initialized", None));
        }
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        result.instructions = instructions(&self.shared.live.load(), self.shared.scope(&context.extensions));
        // Extensions are none of the older protocols'.
        result.capabilities.extensions = None;
        if self.keeps == Keeps::Nothing {
            without_session(&mut result.capabilities);
        }
        Ok(result)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let NotificationContext { peer, extensions, .. } = context;
        let ended = self.ended.token().clone();
        listen::session(Arc::clone(&self.shared), peer, extensions, ended, Arc::clone(&self.followed));
    }

    #[expect(deprecated, reason = "clients of older protocols ask for log messages")]
    async fn set_level(&self, request: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.needs_session::<SetLevelRequestMethod>()?;
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.level);
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.needs_session::<SubscribeRequestMethod>()?;
        let snapshot = self.shared.live.load();
        resource(&self.shared, &snapshot, &request.uri, &context)?;
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.len() >= listen::MOST_FOLLOWED && !followed.contains_key(&request.uri) {
            let most = listen::MOST_FOLLOWED;
            return Err(ErrorData::invalid_params(format!("a session follows {most} resources at most"), None));
        }
        let interest = self.shared.polls.follow(&self.shared, &request.uri);
        followed.insert(request.uri, interest);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.uri);
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        complete::complete(&self.shared, request, &context).await.map(|result| result.introduced(&context))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(listen::accept(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        listen::subscription(Arc::clone(&self.shared), context).await;
        Ok(())
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let info = self.info(self.shared.scope(&context.extensions));
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), info)
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<McpTool> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let index = snapshot.catalog.tools.get_index_of(name)?;
        lists.tools.get(index).map(|(_, tool)| tool.clone())
    }

    async fn list_tools(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let scope = self.shared.scope(&context.extensions);
        let who = if lists.hides_tools { self.shared.caller.viewer(&context.extensions).await } else { None };
        let tools =
            lists.tools.iter().filter(|(_, tool)| self.shared.shows(&snapshot, &tool.name, scope, who.as_ref()));
        let tools = tools.map(|(_, tool)| tool);
        let mut result = if self.shared.searches(scope) {
            ListToolsResult::with_all_items(search::listed(tools.count()).to_vec())
        } else {
            let page = page("tools", tools, |tool| &tool.name, asked.as_ref(), self.shared.page)?;
            let mut result = ListToolsResult::with_all_items(page.items);
            result.next_cursor = page.next;
            result
        };
        result.ttl_ms = Some(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        Ok(result.introduced(&context))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let request = match self.searched(request, &context).await? {
            Searched::Call(request) => *request,
            Searched::Found(found) => return Ok((*found).introduced(&context).into()),
        };
        let level = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        match Ticket::new(&self.shared, &self.shared.live.load(), &request.name, &context) {
            Some(ticket) => tasks::run(&self.shared, ticket, request, context, level).await,
            None => self.shared.traced_call(request, &context, level).await,
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get(&request.task_id, &context).map(|result| result.introduced(&context))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update(&request.task_id, request.input_responses, &context)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel(&request.task_id, &context)
    }

    async fn list_resources(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let items = visible(&snapshot, &lists.resources, self.shared.scope(&context.extensions));
        let page = page("resources", items, |it| &it.uri, asked.as_ref(), self.shared.page)?;
        let mut result = ListResourcesResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        result.next_cursor = page.next;
        Ok(result.introduced(&context))
    }

    async fn list_resource_templates(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let items = visible(&snapshot, &lists.templates, self.shared.scope(&context.extensions));
        let page = page("templates", items, |it| &it.uri_template, asked.as_ref(), self.shared.page)?;
        let mut result = ListResourceTemplatesResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        result.next_cursor = page.next;
        Ok(result.introduced(&context))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let snapshot = self.shared.live.load();
        let uri = request.uri;
        if let Some((bridge, contents)) = skills::read(&snapshot.catalog, &uri)
            && in_scope(&snapshot, bridge, self.shared.scope(&context.extensions))
        {
            self.audit_read("resources/read", bridge, &snapshot, &uri, &context)?;
            let result = ReadResourceResult::new(vec![contents]);
            return Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private).introduced(&context).into());
        }
        let (found, variables) = resource(&self.shared, &snapshot, &uri, &context)?;
        let limit = self.shared.call_timeout;
        let run = async {
            snapshot.read(found, &variables).await.map_err(|error| {
                error.log(&uri);
                match error {
                    CallError::Argument(_) => {
                        ErrorData::resource_not_found(error.to_string(), Some(json!({ "uri": uri })))
                    }
                    _ => ErrorData::internal_error(error.to_string(), None),
                }
            })
        };
        let body = tokio::select! {
            () = context.ct.cancelled() => Err(ErrorData::internal_error("the request was cancelled", None)),
            ended = timeout(limit, run) => ended.unwrap_or_else(|_| {
                let words = format!("The API did not answer within {}", show_duration(limit));
                Err(ErrorData::internal_error(words, None))
            }),
        }?;
        self.audit_read("resources/read", found.bridge, &snapshot, &uri, &context)?;
        let contents = convert::resource_contents(&uri, body);
        let result = ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
        Ok(result.introduced(&context).into())
    }

    async fn list_skills(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let items = visible(&snapshot, &lists.skills.listed, self.shared.scope(&context.extensions));
        let page = page("skills", items, |it| &it.uri, asked.as_ref(), self.shared.page)?;
        let mut result = ListSkillsResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        result.next_cursor = page.next;
        Ok(result.introduced(&context))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let mut items = visible(&snapshot, &lists.skills.listed, self.shared.scope(&context.extensions));
        let found = items.find(|skill| skill.uri == request.uri).cloned();
        let unknown = || ErrorData::invalid_params(format!("no such skill: {}", request.uri), None);
        Ok(GetSkillResult::new(found.ok_or_else(unknown)?).introduced(&context))
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let scope = self.shared.scope(&context.extensions);
        let found = lists.skills.folder(&request.uri).filter(|(bridge, _)| in_scope(&snapshot, *bridge, scope));
        let unknown = || ErrorData::invalid_params(format!("no such folder: {}", request.uri), None);
        let (_, items) = found.ok_or_else(unknown)?;
        let asked = request.cursor.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let page = page("folder", items.iter(), |it| &it.uri, asked.as_ref(), self.shared.page)?;
        let mut result = ListResourcesResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        result.next_cursor = page.next;
        Ok(result.introduced(&context))
    }

    async fn list_prompts(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let snapshot = self.shared.live.load();
        let lists = self.shared.lists(&snapshot);
        let items = visible(&snapshot, &lists.prompts, self.shared.scope(&context.extensions));
        let page = page("prompts", items, |it| &it.name, asked.as_ref(), self.shared.page)?;
        let mut result = ListPromptsResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
        result.cache_scope = Some(CacheScope::Private);
        result.next_cursor = page.next;
        Ok(result.introduced(&context))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let snapshot = self.shared.live.load();
        let prompt = prompt(&self.shared, &snapshot, &request.name, &context)?;
        let arguments = request.arguments.unwrap_or_default();
        let lists = self.shared.lists(&snapshot);
        let definition = snapshot.catalog.prompts.get_index_of(&prompt.name);
        let about = About {
            method: "prompts/get",
            name: &prompt.name,
            definition: definition.and_then(|index| lists.prompt_hashes.get(index)).map_or("", |(_, hash)| hash),
            arguments: &arguments,
            caller: caller::principal(&context.extensions).map(Principal::identity).unwrap_or_default(),
        };
        let said = Said::new(request.input_responses, request.request_state);
        let refused = |error: CallError| {
            error.log(&prompt.name);
            match error {
                CallError::Internal { .. } => ErrorData::internal_error(error.to_string(), None),
                _ => ErrorData::invalid_params(error.to_string(), None),
            }
        };
        let made = async {
            let mut interview = Interview::begin(&self.shared.seal, &prompt.questions, about, &said, &context).await?;
            loop {
                match snapshot.prompt(prompt, &arguments, &interview.answers) {
                    Err(CallError::Unanswered(pending)) => interview.ask(pending).await?,
                    Err(error) => return Err(Stop::Failed(error)),
                    Ok(messages) => {
                        if interview.may_go_on().await {
                            return Ok(messages);
                        }
                    }
                }
            }
        };
        let messages = match made.await {
            Ok(messages) => messages,
            Err(Stop::Ask(asked, _)) => return Ok((*asked).introduced(&context).into()),
            Err(Stop::Refuse(refusal, _)) => return Err(*refusal),
            Err(Stop::Failed(error)) => return Err(refused(error)),
        };
        self.audit_read("prompts/get", prompt.bridge, &snapshot, &prompt.name, &context)?;
        Ok(convert::prompt_result(prompt, messages).introduced(&context).into())
    }
}

/// What becomes of a call where tools are searched.
enum Searched {
    /// It is a call, perhaps of another tool than the request names.
    Call(Box<CallToolRequestParams>),
    /// It was a search, or can't be understood.
    Found(Box<CallToolResult>),
}

impl Handler {
    /// Answers `find_tools`, and puts the tool that is meant in the place of `call_tool`.
    async fn searched(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Searched, ErrorData> {
        let shared = &self.shared;
        let scope = shared.scope(&context.extensions);
        let unfit = |why: String| Searched::Found(Box::new(CallToolResult::error(vec![ContentBlock::text(why)])));
        match request.name.as_ref() {
            FIND_TOOLS if shared.searches(scope) => {
                if !caller::is_admitted(&context.extensions) {
                    return Err(ErrorData::invalid_request("Access denied: Missing or invalid Bearer token", None));
                }
                let wanted = match search::Wanted::read(&request.arguments.unwrap_or_default()) {
                    Ok(wanted) => wanted,
                    Err(why) => return Ok(unfit(why)),
                };
                let snapshot = shared.live.load();
                let lists = shared.lists(&snapshot);
                let who = if lists.hides_tools { shared.caller.viewer(&context.extensions).await } else { None };
                let shows = |tool: &McpTool| shared.shows(&snapshot, &tool.name, scope, who.as_ref());
                Ok(Searched::Found(Box::new(wanted.find(lists.index(), &lists.tools, shows))))
            }
            CALL_TOOL if shared.searches(scope) => match search::meant(request) {
                Ok(request) => Ok(Searched::Call(Box::new(request))),
                Err(why) => Ok(unfit(why)),
            },
            _ => Ok(Searched::Call(Box::new(request))),
        }
    }
}

/// Takes back what the server can do only for a client that it knows again.
fn without_session(capabilities: &mut ServerCapabilities) {
    capabilities.logging = None;
    if let Some(tools) = &mut capabilities.tools {
        tools.list_changed = None;
    }
    if let Some(resources) = &mut capabilities.resources {
        resources.list_changed = None;
        resources.subscribe = None;
    }
    if let Some(prompts) = &mut capabilities.prompts {
        prompts.list_changed = None;
    }
}

/// A resource, and the values of the variables of its URI.
type Found<'s> = (&'s Resource, Vec<(String, String)>);

fn resource<'s>(
    shared: &Shared,
    snapshot: &'s Snapshot,
    uri: &str,
    context: &RequestContext<RoleServer>,
) -> Result<Found<'s>, ErrorData> {
    let found = snapshot.catalog.resource(uri);
    found
        .filter(|(resource, _)| in_scope(snapshot, resource.bridge, shared.scope(&context.extensions)))
        .ok_or_else(|| ErrorData::resource_not_found(format!("no such resource: {uri}"), Some(json!({ "uri": uri }))))
}

pub(super) fn prompt<'s>(
    shared: &Shared,
    snapshot: &'s Snapshot,
    name: &str,
    context: &RequestContext<RoleServer>,
) -> Result<&'s Prompt, ErrorData> {
    let found = snapshot.catalog.prompts.get(name);
    found
        .filter(|prompt| in_scope(snapshot, prompt.bridge, shared.scope(&context.extensions)))
        .ok_or_else(|| ErrorData::invalid_params(format!("no such prompt: {name}"), None))
}

pub(super) fn in_scope(snapshot: &Snapshot, bridge: usize, scope: &Scope) -> bool {
    let is_it = |name: &String| snapshot.catalog.bridge(bridge).is_some_and(|bridge| bridge.name == *name);
    scope.bridge.as_ref().is_none_or(is_it)
}

fn visible<'l, T>(snapshot: &Snapshot, items: &'l [(usize, T)], scope: &Scope) -> impl Iterator<Item = &'l T> {
    items.iter().filter(|(bridge, _)| in_scope(snapshot, *bridge, scope)).map(|(_, item)| item)
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

/// Whether a tool exists for a caller.
pub(super) fn is_visible(snapshot: &Snapshot, tool: &Tool, who: &Principal) -> bool {
    let bridge = snapshot.catalog.bridge(tool.bridge);
    bridge.is_some_and(|bridge| call::standing(&snapshot.catalog, tool, bridge, who) != Standing::Hidden)
}

/// The instructions of the bridges in scope, each under its title when there are several.
fn instructions(snapshot: &Snapshot, scope: &Scope) -> Option<String> {
    let said: Vec<(&str, &str)> = snapshot
        .catalog
        .bridges
        .iter()
        .filter(|bridge| scope.bridge.as_ref().is_none_or(|name| bridge.name == *name))
        .filter_map(|bridge| {
            let title = bridge.title.as_deref().unwrap_or(&bridge.name);
            Some((title, bridge.instructions.as_deref()?))
        })
        .collect();
    match said.as_slice() {
        [] => None,
        [(_, only)] => Some((*only).to_owned()),
        several => {
            Some(several.iter().map(|(title, text)| format!("{title}: {text}")).collect::<Vec<_>>().join("\n\n"))
        }
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
