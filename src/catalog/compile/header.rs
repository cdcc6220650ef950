//! `x-mcp-header`: arguments that clients repeat in a header, so that proxies can route by them (MCP 2026-07-28, SEP-2243).
//! Clients drop a tool whose annotation they can't follow, so it is refused here.

use std::collections::BTreeMap;

use http::HeaderName;
use serde_json::Value;

use super::Compiler;
use crate::catalog::input::InputProperty;
use crate::config::yaml::Cursor;
use crate::diag::Code;

/// The keyword.
const KEYWORD: &str = "x-mcp-header";
/// The types whose values fit a header.
const TYPES: [&str; 3] = ["string", "integer", "boolean"];

// === impl Compiler ===

impl Compiler<'_> {
    /// Checks the annotations of a tool's arguments; `at` is where its parameters are.
    pub(super) fn mcp_headers(&mut self, at: &Cursor<'_>, properties: &[InputProperty]) {
        let mut names = BTreeMap::new();
        for property in properties {
            let at = at.get(&property.name);
            self.annotated(&at, &property.schema, &property.name, true, &mut names);
        }
    }

    fn annotated(
        &mut self,
        at: &Cursor<'_>,
        schema: &Value,
        argument: &str,
        is_reached: bool,
        names: &mut BTreeMap<String, String>,
    ) {
        let Some(members) = schema.as_object() else { return };
        if let Some(header) = members.get(KEYWORD) {
            let kind = members.get("type").and_then(Value::as_str);
            let name = header.as_str().filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
            let why = match (name, kind) {
                (None, _) => {
                    Some("the name of a header, such as `Region`; clients send it as `Mcp-Param-Region`".to_owned())
                }
                (Some(_), _) if !is_reached => {
                    Some("only arguments and their members under `properties` can have one".to_owned())
                }
                (Some(_), kind) if !kind.is_some_and(|kind| TYPES.contains(&kind)) => {
                    Some("only for `type: string`, `integer` or `boolean`".to_owned())
                }
                (Some(name), _) => names
                    .insert(name.to_ascii_lowercase(), argument.to_owned())
                    .map(|other| format!("argument `{other}` has this header already")),
            };
            if let Some(why) = why {
                let words = format!("`{KEYWORD}` of argument `{argument}` can't be used");
                self.push(at.get(KEYWORD).error(Code::InvalidSchema, words, why));
            }
        }
        for (key, value) in members {
            // What stands in these is data, not schema.
            if matches!(key.as_str(), "const" | "enum" | "default" | "examples") {
                continue;
            }
            let at = at.get(key);
            match value {
                Value::Object(members) if key == "properties" => {
                    for (name, schema) in members {
                        self.annotated(&at.get(name), schema, argument, is_reached, names);
                    }
                }
                Value::Object(members)
                    if matches!(key.as_str(), "$defs" | "patternProperties" | "dependentSchemas") =>
                {
                    for (name, schema) in members {
                        self.annotated(&at.get(name), schema, argument, false, names);
                    }
                }
                Value::Object(_) => self.annotated(&at, value, argument, false, names),
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.annotated(&at.index(index), item, argument, false, names);
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
}
