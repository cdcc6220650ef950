//! Between our types and rmcp's.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    AudioContent, CallToolResult, ContentBlock, ErrorData, Resource as McpResource, ResourceContents,
    ResourceTemplate as McpResourceTemplate, Tool as McpTool, ToolAnnotations,
};
use serde_json::{Map, Value, json};

use super::caller::TOKEN_ARGUMENT;
use crate::call::CallError;
use crate::catalog::{Annotations, Catalog, Resource, Tool};
use crate::config::Revision;
use crate::live::ResourceBody;
use crate::shape::{Content, Outcome};

/// The lists of a snapshot as clients see them, made once per snapshot.
pub(super) struct Lists {
    pub(super) revision: Revision,
    /// Each with the index of its bridge.
    pub(super) tools: Vec<(usize, McpTool)>,
    pub(super) resources: Vec<(usize, McpResource)>,
    pub(super) templates: Vec<(usize, McpResourceTemplate)>,
}

// === impl Lists ===

impl Lists {
    pub(super) fn new(catalog: &Catalog, token_as_argument: bool) -> Self {
        Self {
            revision: catalog.revision.clone(),
            tools: catalog
                .tools
                .values()
                .map(|tool| (tool.bridge, mcp_tool(tool, token_as_argument && tool.needs_identity(catalog))))
                .collect(),
            resources: catalog.resources.values().map(|resource| (resource.bridge, mcp_resource(resource))).collect(),
            templates: catalog
                .resource_templates
                .iter()
                .map(|resource| (resource.bridge, mcp_template(resource)))
                .collect(),
        }
    }
}

fn mcp_tool(tool: &Tool, with_token: bool) -> McpTool {
    let mut schema = tool.input.schema().clone();
    if with_token {
        add_token(&mut schema);
    }
    let mut converted =
        McpTool::new_with_raw(tool.name.clone(), tool.description.clone().map(Cow::from), Arc::new(schema));
    converted.title.clone_from(&tool.title);
    converted.with_annotations(mcp_annotations(tool.annotations))
}

/// The engine's own argument for the caller's token; bridge files can't declare it.
fn add_token(schema: &mut Map<String, Value>) {
    let token = json!({
        "type": "string",
        "description": "Your own Okta access token (an OAuth 2.0 access token, not an Okta API token).",
        "writeOnly": true,
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(TOKEN_ARGUMENT.to_owned(), token);
    }
    let required = schema.entry("required").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(required) = required.as_array_mut() {
        required.push(TOKEN_ARGUMENT.into());
    }
}

fn mcp_annotations(annotations: Annotations) -> ToolAnnotations {
    let Annotations { read_only, idempotent, destructive, open_world } = annotations;
    ToolAnnotations::new().read_only(read_only).idempotent(idempotent).destructive(destructive).open_world(open_world)
}

fn mcp_resource(resource: &Resource) -> McpResource {
    let mut converted =
        McpResource::new(resource.uri.as_str(), resource.name.clone()).with_mime_type(resource.mime_type.clone());
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    converted
}

fn mcp_template(resource: &Resource) -> McpResourceTemplate {
    let mut converted = McpResourceTemplate::new(resource.uri.as_str(), resource.name.clone())
        .with_mime_type(resource.mime_type.clone());
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    converted
}

/// The result of a call. What the model can learn from is a result with `isError`; only our own failures are protocol
/// errors.
pub(super) fn call_result(tool: &str, outcome: Result<Outcome, CallError>) -> Result<CallToolResult, ErrorData> {
    match outcome {
        Ok(outcome) => {
            let Outcome { content, is_error } = outcome;
            let content = content.into_iter().map(|content| block(tool, content)).collect();
            Ok(if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) })
        }
        Err(error @ (CallError::Argument(_) | CallError::Denied(_) | CallError::Upstream(_))) => {
            Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())]))
        }
        Err(error @ CallError::Internal { .. }) => Err(ErrorData::internal_error(error.to_string(), None)),
    }
}

fn block(tool: &str, content: Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image { mime_type, data } => ContentBlock::image(STANDARD.encode(data), mime_type),
        Content::Audio { mime_type, data } => ContentBlock::Audio(AudioContent::new(STANDARD.encode(data), mime_type)),
        Content::Blob { mime_type, data } => ContentBlock::resource(
            ResourceContents::blob(STANDARD.encode(data), format!("tollbridge://result/{tool}"))
                .with_mime_type(mime_type),
        ),
    }
}

/// The content of a resource.
pub(super) fn resource_contents(uri: &str, mime_type: &str, body: ResourceBody) -> ResourceContents {
    match body {
        ResourceBody::Text(text) => ResourceContents::text(text, uri),
        ResourceBody::Blob(bytes) => ResourceContents::blob(STANDARD.encode(bytes), uri),
    }
    .with_mime_type(mime_type)
}
