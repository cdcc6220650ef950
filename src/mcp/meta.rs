//! Introduces the server: since 2026-07-28 every result says who made it (`io.modelcontextprotocol/serverInfo`).

use std::sync::LazyLock;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, CallToolResult, CompleteResult, GetPromptResult, GetSkillResult, GetTaskResult, Implementation,
    InputRequiredResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, MetaObject, ProtocolVersion, ReadResourceResult,
};
use rmcp::service::RequestContext;
use serde_json::Value;

/// Where the introduction stands under `_meta`.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

static INTRODUCTION: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(introduction()).unwrap_or_default());

/// Name and version.
pub(super) fn introduction() -> Implementation {
    Implementation::new("tollbridge", env!("CARGO_PKG_VERSION"))
}

/// A result that can say who made it.
pub(super) trait Introduced: Sized {
    fn meta(&mut self) -> Option<&mut Option<MetaObject>>;

    /// Says it to clients whose protocol has it.
    fn introduced(mut self, context: &RequestContext<RoleServer>) -> Self {
        let has_it = |version: ProtocolVersion| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str();
        if context.protocol_version().is_some_and(has_it)
            && let Some(meta) = self.meta()
        {
            meta.get_or_insert_default().0.insert(SERVER_INFO.to_owned(), INTRODUCTION.clone());
        }
        self
    }
}

macro_rules! introduced {
    ($($result:ty),*) => {
        $(impl Introduced for $result {
            fn meta(&mut self) -> Option<&mut Option<MetaObject>> {
                Some(&mut self.meta)
            }
        })*
    };
}

introduced!(
    CallToolResult,
    CompleteResult,
    GetPromptResult,
    GetSkillResult,
    GetTaskResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourceTemplatesResult,
    ListResourcesResult,
    ListSkillsResult,
    ListToolsResult,
    ReadResourceResult
);

impl Introduced for CallToolResponse {
    fn meta(&mut self) -> Option<&mut Option<MetaObject>> {
        match self {
            Self::Complete(result) => Some(&mut result.meta),
            Self::InputRequired(result) => Some(&mut result.meta),
            Self::Task(result) => Some(&mut result.meta),
            _ => None,
        }
    }
}
