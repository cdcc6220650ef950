//! A message whose handling panics is answered all the same: its client would wait for ever, since rmcp handles each in a task
//! of its own.

#[expect(deprecated, reason = "clients of older protocols ask for log messages")]
use rmcp::model::SetLevelRequestParams;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, DiscoverResult,
    ErrorData, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult, GetTaskParams,
    GetTaskResult, InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams, ReadResourceDirectoryRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SubscribeRequestParams, SubscriptionFilter,
    Tool as McpTool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

use super::handler::Handler;
use crate::call::CallError;
use crate::mishap::caught;

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

/// A handler that answers even when it panics.
pub struct Guarded(pub(super) Handler);

/// Methods that are passed on, with a panic made an internal error.
macro_rules! guarded {
    ($($name:ident($params:ty) -> $result:ty;)*) => {
        $(async fn $name(
            &self,
            request: $params,
            context: RequestContext<RoleServer>,
        ) -> Result<$result, ErrorData> {
            answered(stringify!($name), self.0.$name(request, context)).await
        })*
    };
}

// === impl Guarded ===

#[expect(deprecated, reason = "clients of older protocols subscribe and ask for log messages")]
impl ServerHandler for Guarded {
    guarded! {
        initialize(InitializeRequestParams) -> InitializeResult;
        set_level(SetLevelRequestParams) -> ();
        subscribe(SubscribeRequestParams) -> ();
        unsubscribe(UnsubscribeRequestParams) -> ();
        complete(CompleteRequestParams) -> CompleteResult;
        list_tools(Option<PaginatedRequestParams>) -> ListToolsResult;
        call_tool(CallToolRequestParams) -> CallToolResponse;
        get_task(GetTaskParams) -> GetTaskResult;
        update_task(UpdateTaskParams) -> ();
        cancel_task(CancelTaskParams) -> ();
        list_resources(Option<PaginatedRequestParams>) -> ListResourcesResult;
        list_resource_templates(Option<PaginatedRequestParams>) -> ListResourceTemplatesResult;
        read_resource(ReadResourceRequestParams) -> ReadResourceResponse;
        list_skills(Option<PaginatedRequestParams>) -> ListSkillsResult;
        get_skill(GetSkillRequestParams) -> GetSkillResult;
        read_resource_directory(ReadResourceDirectoryRequestParams) -> ListResourcesResult;
        list_prompts(Option<PaginatedRequestParams>) -> ListPromptsResult;
        get_prompt(GetPromptRequestParams) -> GetPromptResponse;
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        answered("discover", self.0.discover(context)).await
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        answered("listen", self.0.listen(context)).await
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.0.on_initialized(context).await;
    }

    fn get_info(&self) -> ServerConfig {
        self.0.get_info()
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.0.accepted_subscription_filter(requested)
    }

    fn get_tool(&self, name: &str) -> Option<McpTool> {
        self.0.get_tool(name)
    }
}

async fn answered<T>(method: &str, handled: impl Future<Output = Result<T, ErrorData>>) -> Result<T, ErrorData> {
    caught(handled).await.unwrap_or_else(|panicked| {
        let error = CallError::internal(panicked.to_string());
        error.log(method);
        Err(ErrorData::internal_error(error.to_string(), None))
    })
}
