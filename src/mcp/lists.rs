//! The lists that clients see: made once per snapshot, filtered by what a caller may see, and cut into pages.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::RoleServer;
use rmcp::model::{
    CacheScope, ErrorData, GetSkillRequestParams, GetSkillResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams, Prompt as McpPrompt,
    ReadResourceDirectoryRequestParams, Resource as McpResource, ResourceTemplate as McpResourceTemplate,
    Tool as McpTool,
};
use rmcp::service::RequestContext;
use serde::Serialize;

use super::caller::Scope;
use super::convert::{mcp_prompt, mcp_resource, mcp_template, mcp_tool};
use super::meta::Introduced as _;
use super::search::{self, Index};
use super::shared::{Shared, TTL_MS, in_scope};
use super::skills::Skills;
use crate::catalog::{Catalog, Resource, ResourceContent};
use crate::config::Revision;
use crate::live::Snapshot;

/// The member of a tool's `_meta` with the hash of its definition.
const DEFINITION: &str = "io.tollbridge/definition";

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
    /// The words of the tools; made when the first client searches.
    index: OnceLock<Index>,
    pub(super) skills: Skills,
}

// === impl Lists ===

impl Lists {
    pub(super) fn new(catalog: &Catalog, token_as_argument: bool) -> Self {
        let mut tools: Vec<(usize, McpTool)> = catalog
            .tools
            .values()
            .map(|tool| (tool.bridge, mcp_tool(tool, token_as_argument && tool.needs_identity(catalog))))
            .collect();
        let of = |resource: &Resource| resource.bridge;
        let skills = Skills::new(catalog);
        let resources = catalog.resources.values().map(|it| (of(it), mcp_resource(it)));
        let resources: Vec<_> = resources.chain(skills.resources.iter().cloned()).collect();
        let templates: Vec<_> = catalog.resource_templates.iter().map(|it| (of(it), mcp_template(it))).collect();
        let prompts: Vec<_> = catalog.prompts.values().map(|prompt| (prompt.bridge, mcp_prompt(prompt))).collect();
        let hashes: Vec<String> = tools.iter().map(|(_, tool)| hash(tool)).collect();
        for ((_, tool), hash) in tools.iter_mut().zip(&hashes) {
            // What tells a client that a tool is not the one that it saw before. The audit trail says the same.
            tool.meta.get_or_insert_default().0.insert(DEFINITION.to_owned(), hash.clone().into());
        }
        Self {
            revision: catalog.revision.clone(),
            resource_hashes: self::hashes(&resources).chain(self::hashes(&templates)).collect(),
            prompt_hashes: self::hashes(&prompts).collect(),
            hashes,
            contents: all_resources(catalog).map(|it| (it.uri.as_str().to_owned(), content_mark(it))).collect(),
            tools,
            resources,
            templates,
            prompts,
            hides_tools: catalog.tools.values().any(|tool| tool.access.hides()),
            index: OnceLock::new(),
            skills,
        }
    }

    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self.tools.iter().map(|(_, tool)| tool)))
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

/// A part of a list.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// What to ask for to get the next part; `None` after the last one.
    pub(super) next: Option<String>,
}

/// Cuts a list into pages. A cursor names the last item that was seen, so it survives a reload that keeps that item;
/// after any other it is refused, and the client begins anew.
///
/// # Errors
/// Returns an error for a cursor that is none of this list's.
pub(super) fn page<'i, T: Clone + 'i>(
    kind: &str,
    items: impl Iterator<Item = &'i T>,
    key: impl Fn(&T) -> &str,
    asked: Option<&PaginatedRequestParams>,
    most: usize,
) -> Result<Page<T>, ErrorData> {
    let mut items = items.peekable();
    if let Some(cursor) = asked.and_then(|asked| asked.cursor.as_deref()) {
        let last = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let last = last.as_deref().and_then(|text| text.strip_prefix(kind)?.strip_prefix(' '));
        if last.is_none_or(|last| !items.any(|item| key(item) == last)) {
            let words = "this cursor is not valid here, or not any more; begin the list anew, without a cursor";
            return Err(ErrorData::invalid_params(words, None));
        }
    }
    let page: Vec<T> = items.by_ref().take(most).cloned().collect();
    let more = items.peek().is_some();
    let next = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(format!("{kind} {}", key(last))));
    Ok(Page { items: page, next })
}

pub(super) async fn tools(
    shared: &Shared,
    asked: Option<&PaginatedRequestParams>,
    context: &RequestContext<RoleServer>,
) -> Result<ListToolsResult, ErrorData> {
    let snapshot = shared.live().load();
    let lists = shared.lists(&snapshot);
    let scope = shared.scope(&context.extensions);
    let who = if lists.hides_tools { shared.caller().viewer(&context.extensions).await } else { None };
    let tools = lists.tools.iter().filter(|(_, tool)| shared.shows(&snapshot, &tool.name, scope, who.as_ref()));
    let tools = tools.map(|(_, tool)| tool);
    let mut result = if shared.searches(scope) {
        ListToolsResult::with_all_items(search::listed(tools.count()).to_vec())
    } else {
        let page = page("tools", tools, |tool| &tool.name, asked, shared.page)?;
        let mut result = ListToolsResult::with_all_items(page.items);
        result.next_cursor = page.next;
        result
    };
    result.ttl_ms = Some(TTL_MS);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result.introduced(context))
}

/// The lists that hide nothing but what is out of scope.
macro_rules! listing {
    ($name:ident: $result:ty, $($field:ident).+ by $key:ident) => {
        pub(super) fn $name(
            shared: &Shared,
            asked: Option<&PaginatedRequestParams>,
            context: &RequestContext<RoleServer>,
        ) -> Result<$result, ErrorData> {
            let snapshot = shared.live().load();
            let lists = shared.lists(&snapshot);
            let items = visible(&snapshot, &lists.$($field).+, shared.scope(&context.extensions));
            let page = page(stringify!($name), items, |it| &it.$key, asked, shared.page)?;
            let mut result = <$result>::with_all_items(page.items).with_ttl_ms(TTL_MS);
            result.cache_scope = Some(CacheScope::Private);
            result.next_cursor = page.next;
            Ok(result.introduced(context))
        }
    };
}

listing!(resources: ListResourcesResult, resources by uri);
listing!(templates: ListResourceTemplatesResult, templates by uri_template);
listing!(skills: ListSkillsResult, skills.listed by uri);
listing!(prompts: ListPromptsResult, prompts by name);

pub(super) fn skill(
    shared: &Shared,
    request: &GetSkillRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetSkillResult, ErrorData> {
    let snapshot = shared.live().load();
    let lists = shared.lists(&snapshot);
    let mut items = visible(&snapshot, &lists.skills.listed, shared.scope(&context.extensions));
    let found = items.find(|skill| skill.uri == request.uri).cloned();
    let unknown = || ErrorData::invalid_params(format!("no such skill: {}", request.uri), None);
    Ok(GetSkillResult::new(found.ok_or_else(unknown)?).introduced(context))
}

pub(super) fn folder(
    shared: &Shared,
    request: ReadResourceDirectoryRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<ListResourcesResult, ErrorData> {
    let snapshot = shared.live().load();
    let lists = shared.lists(&snapshot);
    let scope = shared.scope(&context.extensions);
    let found = lists.skills.folder(&request.uri).filter(|(bridge, _)| in_scope(&snapshot, *bridge, scope));
    let unknown = || ErrorData::invalid_params(format!("no such folder: {}", request.uri), None);
    let (_, items) = found.ok_or_else(unknown)?;
    let asked = request.cursor.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
    let page = page("folder", items.iter(), |it| &it.uri, asked.as_ref(), shared.page)?;
    let mut result = ListResourcesResult::with_all_items(page.items).with_ttl_ms(TTL_MS);
    result.cache_scope = Some(CacheScope::Private);
    result.next_cursor = page.next;
    Ok(result.introduced(context))
}

fn visible<'l, T>(snapshot: &Snapshot, items: &'l [(usize, T)], scope: &Scope) -> impl Iterator<Item = &'l T> {
    items.iter().filter(|(bridge, _)| in_scope(snapshot, *bridge, scope)).map(|(_, item)| item)
}
