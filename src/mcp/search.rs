//! Finds tools in a catalogue that is too big to be listed: two tools stand for all the others.
//!
//! Tools are ranked by BM25 over the words of their names, titles, descriptions and arguments. That is thirty lines; the
//! crates that have it bring stemmers and stop words of one language, and hash maps that nobody looks after any more.

use std::collections::HashMap;
use std::sync::Arc;

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, Tool as McpTool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::catalog::{CALL_TOOL, FIND_TOOLS};

/// How many tools are found unless the model asks for more.
const USUAL: usize = 5;
/// The most tools that are found at once.
const MOST: usize = 25;
/// How soon more of the same word counts no more, and how much long texts are held back (the usual values of BM25).
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;
/// How often a word of a name counts, beside one of the description.
const NAME: usize = 3;

/// The words of all tools.
pub(super) struct Index {
    /// For each word the tools that have it, and how often.
    words: HashMap<String, Vec<(usize, usize)>>,
    /// How many words each tool has.
    lengths: Vec<usize>,
}

// === impl Index ===

impl Index {
    pub(super) fn new<'t>(tools: impl Iterator<Item = &'t McpTool>) -> Self {
        let mut this = Self { words: HashMap::new(), lengths: Vec::new() };
        for (index, tool) in tools.enumerate() {
            let mut counts: HashMap<String, usize> = HashMap::new();
            let mut add = |text: &str, times: usize| {
                words(text).for_each(|word| *counts.entry(word).or_default() += times);
            };
            add(&tool.name, NAME);
            add(tool.title.as_deref().unwrap_or_default(), NAME);
            add(tool.description.as_deref().unwrap_or_default(), 1);
            for (name, schema) in tool.input_schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                add(name, 1);
                add(schema.get("description").and_then(Value::as_str).unwrap_or_default(), 1);
            }
            this.lengths.push(counts.values().sum());
            for (word, count) in counts {
                this.words.entry(word).or_default().push((index, count));
            }
        }
        this
    }

    /// The tools that fit a question, the best first; all of them, in their order, for a question without words.
    fn ranked(&self, question: &str) -> Vec<usize> {
        let mut asked: Vec<String> = words(question).collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            return (0..self.lengths.len()).collect();
        }
        #[expect(clippy::cast_precision_loss, reason = "catalogues have fewer than 2^52 words")]
        let number = |count: usize| count as f64;
        let all = number(self.lengths.len());
        let average = number(self.lengths.iter().sum()) / all.max(1.0);
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for word in &asked {
            let Some(found) = self.words.get(word) else { continue };
            let rare = (1.0 + (all - number(found.len()) + 0.5) / (number(found.len()) + 0.5)).ln();
            for (index, count) in found {
                let (count, length) = (number(*count), number(self.lengths.get(*index).copied().unwrap_or(0)));
                let weight = count + SATURATION * (1.0 - LENGTH + LENGTH * length / average.max(1.0));
                *scores.entry(*index).or_default() += rare * count * (SATURATION + 1.0) / weight;
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|(one, first), (other, second)| second.total_cmp(first).then(one.cmp(other)));
        ranked.into_iter().map(|(index, _)| index).collect()
    }
}

/// The words of a text in lower case; `getEmployees` and `get_employees` are two words, and `employees` is `employee`.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.chars().chain([' ']) {
        if !c.is_alphanumeric() || (after_lower && c.is_uppercase()) {
            if word.chars().count() > 1 {
                words.push(singular(std::mem::take(&mut word)));
            }
            word.clear();
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    words.into_iter()
}

fn singular(word: String) -> String {
    match word.strip_suffix('s') {
        Some(stem) if word.len() > 3 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word,
    }
}

/// The two tools that are listed in place of all others.
pub(super) fn listed(count: usize) -> [McpTool; 2] {
    let find = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "description": "What you want to do, in a few words. Empty: all tools, in order." },
            "limit": { "type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL },
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let call = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "The name of the tool, as find_tools gave it." },
            "arguments": { "type": "object", "description": "The arguments that its inputSchema asks for." },
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    let tool = |name: &'static str, description: String, schema: Value, reads: bool| {
        let schema = schema.as_object().cloned().unwrap_or_default();
        McpTool::new(name, description, Arc::new(schema))
            .with_annotations(ToolAnnotations::new().read_only(reads).open_world(!reads))
    };
    [
        tool(
            FIND_TOOLS,
            format!(
                "Find the tools for a task, with their arguments. {count} tools are behind it; call what it finds with \
                 {CALL_TOOL}."
            ),
            find,
            true,
        ),
        tool(CALL_TOOL, format!("Call a tool that {FIND_TOOLS} has found."), call, false),
    ]
}

/// What a model asks `find_tools`.
pub(super) struct Wanted {
    query: String,
    limit: usize,
}

impl Wanted {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Returns what is wrong with them, in words for the model.
    pub(super) fn read(arguments: &Map<String, Value>) -> Result<Self, String> {
        let known = ["query", "limit"];
        if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
            let name = crate::json_schema::shorten(name);
            return Err(format!("unexpected argument `{name}`; this tool takes `query`, `limit`"));
        }
        let query = arguments.get("query").ok_or("missing argument `query`")?;
        let query = query.as_str().ok_or("argument `query` is not a string")?.to_owned();
        let limit = match arguments.get("limit") {
            None => USUAL,
            Some(limit) => limit
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| format!("argument `limit` is not a number from 1 to {MOST}"))?,
        };
        Ok(Self { query, limit })
    }

    /// The tools that fit, of those that `is_visible` lets through.
    pub(super) fn find(
        &self,
        index: &Index,
        tools: &[(usize, McpTool)],
        is_visible: impl Fn(&McpTool) -> bool,
    ) -> CallToolResult {
        let ranked = index.ranked(&self.query);
        let mut fitting = ranked.into_iter().filter_map(|index| tools.get(index)).map(|(_, tool)| tool);
        let mut fitting = fitting.by_ref().filter(|tool| is_visible(tool));
        let found: Vec<Value> = fitting
            .by_ref()
            .take(self.limit)
            .map(|tool| {
                let mut shown = json!({ "name": tool.name });
                let mut add = |key: &str, value: Option<Value>| {
                    if let (Some(value), Some(shown)) = (value, shown.as_object_mut()) {
                        shown.insert(key.to_owned(), value);
                    }
                };
                add("title", tool.title.clone().map(Value::from));
                add("description", tool.description.as_deref().map(Value::from));
                add("inputSchema", Some(Value::Object(tool.input_schema.as_ref().clone())));
                add("annotations", serde_json::to_value(&tool.annotations).ok());
                shown
            })
            .collect();
        let more = fitting.count();
        let mut answer = json!({ "tools": found });
        if more > 0
            && let Some(answer) = answer.as_object_mut()
        {
            answer.insert("more".to_owned(), more.into());
        }
        let mut result = CallToolResult::success(vec![ContentBlock::text(answer.to_string())]);
        result.structured_content = Some(answer);
        result
    }
}

/// The call that a call of `call_tool` stands for.
///
/// # Errors
/// Returns what is wrong with the arguments, in words for the model.
pub(super) fn meant(mut request: CallToolRequestParams) -> Result<CallToolRequestParams, String> {
    let mut arguments = request.arguments.take().unwrap_or_default();
    let name = match arguments.remove("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err("argument `name` is not a string".to_owned()),
        None => return Err("missing argument `name`".to_owned()),
    };
    request.arguments = match arguments.remove("arguments") {
        None => None,
        Some(Value::Object(arguments)) => Some(arguments),
        Some(_) => return Err("argument `arguments` is not an object".to_owned()),
    };
    if let Some(name) = arguments.keys().next() {
        let name = crate::json_schema::shorten(name);
        return Err(format!("unexpected argument `{name}`; the tool's own arguments stand in `arguments`"));
    }
    request.name = name.into();
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(tools: &[(&str, &str)]) -> Index {
        let tools: Vec<McpTool> = tools
            .iter()
            .map(|(name, description)| McpTool::new((*name).to_owned(), (*description).to_owned(), Arc::default()))
            .collect();
        Index::new(tools.iter())
    }

    #[test]
    fn the_tool_that_is_named_comes_before_those_that_speak_of_it() {
        let index = index(&[
            ("list_orders", "All orders of a customer."),
            ("get_invoice", "The invoice of an order, as PDF."),
            ("cancelOrder", "Cancel an order that was not shipped."),
        ]);
        assert_eq!(index.ranked("invoices"), [1]);
        assert_eq!(index.ranked("cancel order").first(), Some(&2));
        assert_eq!(index.ranked("???"), [0, 1, 2]);
        assert_eq!(index.ranked("weather"), [0_usize; 0]);
    }

    #[test]
    fn words_are_split_where_names_are() {
        let split = |text: &str| words(text).collect::<Vec<_>>();
        assert_eq!(split("getEmployee_by-id: statuses, boss"), ["get", "employee", "by", "id", "statuse", "boss"]);
    }
}
