//! Between our types and rmcp's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    Annotations as McpAnnotations, AudioContent, CallToolResult, CompleteResult, CompletionInfo, ContentBlock,
    ErrorData, GetPromptResult, Prompt as McpPrompt, PromptArgument as McpPromptArgument, PromptMessage,
    Resource as McpResource, ResourceContents, ResourceTemplate as McpResourceTemplate, Role as McpRole,
    Tool as McpTool, ToolAnnotations,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::caller::TOKEN_ARGUMENT;
use crate::call::CallError;
use crate::catalog::{Annotations, Catalog, Prompt, Resource, ResourceAnnotations, ResourceContent, Role, Tool};
use crate::config::Revision;
use crate::live::ResourceBody;
use crate::shape::{Content, Embedded, Outcome};

/// The lists of a snapshot as clients see them, made once per snapshot.
pub(super) struct Lists {
    pub(super) revision: Revision,
    /// Each with the index of its bridge.
    pub(super) tools: Vec<(usize, McpTool)>,
    pub(super) resources: Vec<(usize, McpResource)>,
    pub(super) templates: Vec<(usize, McpResourceTemplate)>,
    pub(super) prompts: Vec<(usize, McpPrompt)>,
    /// Whether some tools are hidden from some callers.
    pub(super) hides_tools: bool,
    /// The hash of each tool as it is listed, in the same order.
    pub(super) hashes: Vec<String>,
    /// The same of resources and their templates, each with the index of its bridge.
    pub(super) resource_hashes: Vec<(usize, String)>,
    /// The same of prompts.
    pub(super) prompt_hashes: Vec<(usize, String)>,
    /// What changes with the content of each resource and template, by URI.
    pub(super) contents: HashMap<String, u64>,
}

// === impl Lists ===

impl Lists {
    pub(super) fn new(catalog: &Catalog, token_as_argument: bool) -> Self {
        let tools: Vec<(usize, McpTool)> = catalog
            .tools
            .values()
            .map(|tool| (tool.bridge, mcp_tool(tool, token_as_argument && tool.needs_identity(catalog))))
            .collect();
        let of = |resource: &Resource| resource.bridge;
        let resources: Vec<_> = catalog.resources.values().map(|it| (of(it), mcp_resource(it))).collect();
        let templates: Vec<_> = catalog.resource_templates.iter().map(|it| (of(it), mcp_template(it))).collect();
        let prompts: Vec<_> = catalog.prompts.values().map(|prompt| (prompt.bridge, mcp_prompt(prompt))).collect();
        Self {
            revision: catalog.revision.clone(),
            hashes: tools.iter().map(|(_, tool)| hash(tool)).collect(),
            resource_hashes: hashes(&resources).chain(hashes(&templates)).collect(),
            prompt_hashes: hashes(&prompts).collect(),
            contents: all_resources(catalog).map(|it| (it.uri.as_str().to_owned(), content_mark(it))).collect(),
            tools,
            resources,
            templates,
            prompts,
            hides_tools: catalog.tools.values().any(|tool| tool.access.hides()),
        }
    }
}

fn all_resources(catalog: &Catalog) -> impl Iterator<Item = &Resource> {
    catalog.resources.values().chain(&catalog.resource_templates)
}

fn content_mark(resource: &Resource) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &resource.content {
        ResourceContent::Fixed(text) => text.hash(&mut hasher),
        ResourceContent::Blob(bytes) => bytes.hash(&mut hasher),
        ResourceContent::Json(_) | ResourceContent::Text(_) | ResourceContent::Endpoint(_) => {}
    }
    format!("{:?}", resource.written).hash(&mut hasher);
    hasher.finish()
}

fn mcp_tool(tool: &Tool, with_token: bool) -> McpTool {
    let mut schema = tool.input.schema().clone();
    if with_token {
        add_token(&mut schema);
    }
    let mut converted =
        McpTool::new_with_raw(tool.name.clone(), tool.description.clone().map(Cow::from), Arc::new(schema));
    converted.title.clone_from(&tool.title);
    converted.output_schema = tool.output.clone().map(Arc::new);
    converted.with_annotations(mcp_annotations(tool.annotations))
}

fn hashes<T: Serialize>(items: &[(usize, T)]) -> impl Iterator<Item = (usize, String)> {
    items.iter().map(|(bridge, item)| (*bridge, hash(item)))
}

/// The beginning of the SHA-256 of something as it is listed.
fn hash(item: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(item).unwrap_or_default();
    let whole = digest(&SHA256, &bytes);
    let mut text = String::new();
    for byte in whole.as_ref().iter().take(8) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A tool as `tools/list` shows it.
#[must_use]
pub fn tool_as_listed(tool: &Tool) -> Value {
    serde_json::to_value(mcp_tool(tool, false)).unwrap_or_default()
}

/// A result as `tools/call` gives it.
#[must_use]
pub fn result_as_sent(tool: &str, outcome: Outcome) -> Value {
    call_result(tool, Ok(outcome)).ok().and_then(|result| serde_json::to_value(result).ok()).unwrap_or_default()
}

/// What a resource holds as `resources/read` gives it.
#[must_use]
pub fn contents_as_sent(uri: &str, body: ResourceBody) -> Value {
    serde_json::to_value(resource_contents(uri, body)).unwrap_or_default()
}

/// The messages of a prompt as `prompts/get` gives them.
#[must_use]
pub fn messages_as_sent(prompt: &Prompt, messages: Vec<(Role, Content)>) -> Value {
    serde_json::to_value(prompt_result(prompt, messages).messages).unwrap_or_default()
}

/// All of a bridge that clients see in lists; kinds that it has nothing of are left out.
#[must_use]
pub fn bridge_as_listed(catalog: &Catalog, index: usize) -> Value {
    fn of<'v, T: 'v>(
        items: impl Iterator<Item = &'v T>,
        owner: fn(&T) -> usize,
        index: usize,
        show: impl Fn(&T) -> Value,
    ) -> Vec<Value> {
        items.filter(|item| owner(item) == index).map(show).collect()
    }
    let written = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    let bridge = catalog.bridge(index);
    let mut listed = Map::new();
    let mut add = |name: &str, items: Vec<Value>| {
        if !items.is_empty() {
            listed.insert(name.to_owned(), items.into());
        }
    };
    add("tools", of(catalog.tools.values(), |tool| tool.bridge, index, tool_as_listed));
    add(
        "resources",
        of(catalog.resources.values(), |it| it.bridge, index, |it| written(serde_json::to_value(mcp_resource(it)))),
    );
    let templates = catalog.resource_templates.iter();
    add(
        "resourceTemplates",
        of(templates, |it| it.bridge, index, |it| written(serde_json::to_value(mcp_template(it)))),
    );
    add(
        "prompts",
        of(catalog.prompts.values(), |it| it.bridge, index, |it| written(serde_json::to_value(mcp_prompt(it)))),
    );
    if let Some(instructions) = bridge.and_then(|bridge| bridge.instructions.clone()) {
        listed.shift_insert(0, "instructions".to_owned(), instructions.into());
    }
    listed.into()
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
    let mut converted = McpResource::new(resource.uri.as_str(), resource.name.clone());
    converted.mime_type.clone_from(&resource.mime_type);
    converted.annotations = mcp_resource_annotations(&resource.annotations);
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    converted
}

fn mcp_template(resource: &Resource) -> McpResourceTemplate {
    let mut converted = McpResourceTemplate::new(resource.uri.as_str(), resource.name.clone());
    converted.mime_type.clone_from(&resource.mime_type);
    converted.annotations = mcp_resource_annotations(&resource.annotations);
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    converted
}

/// Those of the known values that begin as the user has begun to type.
pub(super) fn completion(known: &[String], begun: &str) -> CompleteResult {
    let begun = begun.to_lowercase();
    let fitting: Vec<&String> = known.iter().filter(|value| value.to_lowercase().starts_with(&begun)).collect();
    let mut completion = CompletionInfo::default();
    completion.total = u32::try_from(fitting.len()).ok();
    completion.has_more = Some(fitting.len() > CompletionInfo::MAX_VALUES);
    completion.values = fitting.into_iter().take(CompletionInfo::MAX_VALUES).cloned().collect();
    CompleteResult::new(completion)
}

/// The result of a call. What the model can learn from is a result with `isError`; only our own failures are protocol
/// errors.
pub(super) fn call_result(tool: &str, outcome: Result<Outcome, CallError>) -> Result<CallToolResult, ErrorData> {
    match outcome {
        Ok(outcome) => {
            let Outcome { content, structured, is_error, status: _ } = outcome;
            let content = content.into_iter().map(|content| block(tool, content)).collect();
            let mut result = if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
            result.structured_content = structured;
            Ok(result)
        }
        Err(
            error @ (CallError::Argument(_)
            | CallError::Denied(_)
            | CallError::Unanswered(_)
            | CallError::Declined(_)
            | CallError::Incapable(_)
            | CallError::Limited(_)
            | CallError::Upstream(_)),
        ) => Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())])),
        Err(error @ CallError::Unknown(_)) => Err(ErrorData::invalid_params(error.to_string(), None)),
        Err(error @ CallError::Internal { .. }) => {
            error.log(tool);
            Err(ErrorData::internal_error(error.to_string(), None))
        }
    }
}

fn block(tool: &str, content: Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image { mime_type, data } => ContentBlock::image(STANDARD.encode(data), mime_type),
        Content::Audio { mime_type, data } => ContentBlock::Audio(AudioContent::new(STANDARD.encode(data), mime_type)),
        Content::Resource { uri, mime_type, body } => {
            let uri = uri.unwrap_or_else(|| format!("tollbridge://result/{tool}"));
            ContentBlock::resource(contents(&uri, mime_type, body))
        }
        Content::Link { uri, name, description, mime_type } => {
            let mut link = McpResource::new(uri, name);
            link.description = description;
            link.mime_type = mime_type;
            ContentBlock::resource_link(link)
        }
    }
}

/// The content of a resource.
pub(super) fn resource_contents(uri: &str, body: ResourceBody) -> ResourceContents {
    contents(uri, body.mime_type, body.content)
}

fn contents(uri: &str, mime_type: Option<String>, body: Embedded) -> ResourceContents {
    let contents = match body {
        Embedded::Text(text) => ResourceContents::text(text, uri),
        Embedded::Blob(bytes) => ResourceContents::blob(STANDARD.encode(bytes), uri),
    };
    match mime_type {
        Some(mime_type) => contents.with_mime_type(mime_type),
        None => contents,
    }
}

fn mcp_resource_annotations(annotations: &ResourceAnnotations) -> Option<McpAnnotations> {
    if *annotations == ResourceAnnotations::default() {
        return None;
    }
    let ResourceAnnotations { audience, priority, last_modified } = annotations;
    let mut converted = McpAnnotations::default();
    converted.audience = (!audience.is_empty()).then(|| audience.iter().map(|role| mcp_role(*role)).collect());
    converted.priority = *priority;
    converted.last_modified = last_modified.as_ref().and_then(|text| text.parse().ok());
    Some(converted)
}

fn mcp_role(role: Role) -> McpRole {
    match role {
        Role::User => McpRole::User,
        Role::Assistant => McpRole::Assistant,
    }
}

fn mcp_prompt(prompt: &Prompt) -> McpPrompt {
    let arguments: Vec<McpPromptArgument> = prompt
        .arguments
        .iter()
        .map(|argument| {
            let mut converted = McpPromptArgument::new(argument.name.clone()).with_required(argument.required);
            converted.title.clone_from(&argument.title);
            converted.description.clone_from(&argument.description);
            converted
        })
        .collect();
    let arguments = (!arguments.is_empty()).then_some(arguments);
    let mut converted = McpPrompt::new(prompt.name.clone(), prompt.description.clone(), arguments);
    converted.title.clone_from(&prompt.title);
    converted
}

/// The messages of a prompt.
pub(super) fn prompt_result(prompt: &Prompt, messages: Vec<(Role, Content)>) -> GetPromptResult {
    let messages =
        messages.into_iter().map(|(role, content)| PromptMessage::new(mcp_role(role), block(&prompt.name, content)));
    let mut result = GetPromptResult::new(messages.collect::<Vec<_>>());
    result.description.clone_from(&prompt.description);
    result
}
