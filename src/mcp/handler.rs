//! The MCP methods. No tool is known here: everything comes from the running snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CompleteRequestParams,
    CompleteResult, ConstString, ContentBlock, DiscoverResult, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetSkillRequestParams, GetSkillResult, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceDirectoryRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SubscribeRequestMethod, SubscribeRequestParams, SubscriptionFilter,
    TASKS_EXTENSION_ID, Tool as McpTool, UnsubscribeRequestParams, UpdateTaskParams,
};
#[expect(deprecated, reason = "clients of older protocols ask for log messages, and their requirements do")]
use rmcp::model::{LoggingLevel, SetLevelRequestMethod, SetLevelRequestParams};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::caller;
use super::meta::{Introduced as _, introduction};
use super::poll::Interest;
use super::search;
use super::shared::{Shared, TTL_MS, in_scope};
use super::tasks::{self, Ticket};
use super::{Scope, complete, listen, lists, reading};
use crate::catalog::{CALL_TOOL, FIND_TOOLS};
use crate::live::Snapshot;

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
        let snapshot = self.shared.live().load();
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

impl Handler {
    /// Refuses what would be forgotten at once.
    fn needs_session<M: ConstString>(&self) -> Result<(), ErrorData> {
        match self.keeps {
            Keeps::Sessions => Ok(()),
            Keeps::Nothing => Err(ErrorData::method_not_found::<M>()),
        }
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
        result.instructions = instructions(&self.shared.live().load(), self.shared.scope(&context.extensions));
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
        let snapshot = self.shared.live().load();
        reading::find_resource(&self.shared, &snapshot, &request.uri, &context)?;
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
        let snapshot = self.shared.live().load();
        let lists = self.shared.lists(&snapshot);
        let index = snapshot.catalog.tools.get_index_of(name)?;
        lists.tools.get(index).map(|(_, tool)| tool.clone())
    }

    async fn list_tools(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        lists::tools(&self.shared, asked.as_ref(), &context).await
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
        match Ticket::new(&self.shared, &self.shared.live().load(), &request.name, &context) {
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
        lists::resources(&self.shared, asked.as_ref(), &context)
    }

    async fn list_resource_templates(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        lists::templates(&self.shared, asked.as_ref(), &context)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        reading::resource(&self.shared, request, &context).await
    }

    async fn list_skills(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        lists::skills(&self.shared, asked.as_ref(), &context)
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        lists::skill(&self.shared, &request, &context)
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        lists::folder(&self.shared, request, &context)
    }

    async fn list_prompts(
        &self,
        asked: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        lists::prompts(&self.shared, asked.as_ref(), &context)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        reading::prompt(&self.shared, request, &context).await
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
                let snapshot = shared.live().load();
                let lists = shared.lists(&snapshot);
                let who = if lists.hides_tools { shared.caller().viewer(&context.extensions).await } else { None };
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
