//! Between our types and rmcp's.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    Annotations as McpAnnotations, AudioContent, CallToolResult, ContentBlock, ErrorData, GetPromptResult,
    Icon as McpIcon, IconTheme, MetaObject, Prompt as McpPrompt, PromptArgument as McpPromptArgument, PromptMessage,
    Resource as McpResource, ResourceContents, ResourceTemplate as McpResourceTemplate, Role as McpRole,
    Tool as McpTool, ToolAnnotations,
};
use serde_json::{Map, Value, json};

use super::caller::TOKEN_ARGUMENT;
use crate::call::CallError;
use crate::catalog::{Annotations, Catalog, Icon, Look, Prompt, Resource, ResourceAnnotations, Role, Tool};
use crate::live::ResourceBody;
use crate::shape::{Content, Embedded, Outcome};

pub(super) fn mcp_tool(tool: &Tool, with_token: bool) -> McpTool {
    let mut schema = tool.input.schema().clone();
    if with_token {
        add_token(&mut schema);
    }
    let mut converted =
        McpTool::new_with_raw(tool.name.clone(), tool.description.clone().map(Cow::from), Arc::new(schema));
    converted.title.clone_from(&tool.title);
    converted.output_schema = tool.output.clone().map(Arc::new);
    (converted.icons, converted.meta) = mcp_look(&tool.look);
    converted.with_annotations(mcp_annotations(tool.annotations))
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

pub(super) fn mcp_resource(resource: &Resource) -> McpResource {
    let mut converted = McpResource::new(resource.uri.as_str(), resource.name.clone());
    converted.mime_type.clone_from(&resource.mime_type);
    converted.annotations = mcp_resource_annotations(&resource.annotations);
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    (converted.icons, converted.meta) = mcp_look(&resource.look);
    converted
}

pub(super) fn mcp_template(resource: &Resource) -> McpResourceTemplate {
    let mut converted = McpResourceTemplate::new(resource.uri.as_str(), resource.name.clone());
    converted.mime_type.clone_from(&resource.mime_type);
    converted.annotations = mcp_resource_annotations(&resource.annotations);
    converted.title.clone_from(&resource.title);
    converted.description.clone_from(&resource.description);
    (converted.icons, converted.meta) = mcp_look(&resource.look);
    converted
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

pub(super) fn contents(uri: &str, mime_type: Option<String>, body: Embedded) -> ResourceContents {
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

pub(super) fn mcp_prompt(prompt: &Prompt) -> McpPrompt {
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
    (converted.icons, converted.meta) = mcp_look(&prompt.look);
    converted
}

fn mcp_look(look: &Look) -> (Option<Vec<McpIcon>>, Option<MetaObject>) {
    let icons: Vec<McpIcon> = look.icons.iter().map(mcp_icon).collect();
    let meta = (!look.meta.is_empty()).then(|| MetaObject(look.meta.clone()));
    (Some(icons).filter(|icons| !icons.is_empty()), meta)
}

fn mcp_icon(icon: &Icon) -> McpIcon {
    let Icon { src, mime_type, sizes, dark } = icon;
    let mut converted = McpIcon::new(src.clone());
    converted.mime_type.clone_from(mime_type);
    converted.sizes = (!sizes.is_empty()).then(|| sizes.clone());
    converted.theme = dark.map(|dark| if dark { IconTheme::Dark } else { IconTheme::Light });
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
