//! `response` and `paginate`: what becomes of the API's answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Compiler;
use super::text::{Members, Names};
use crate::config::bridge::{ContentKindSpec, ContentSpec, ErrorsSpec, HiddenSpec, PaginateSpec, ResponseSpec};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, suggest};
use crate::json_schema::{Checker, InvalidPart};
use crate::shape::{ContentRule, Errors, Hidden, Next, Pages, Redact, Select, Shape, StatusRange};

/// How many pages are asked for unless `max_pages` says otherwise.
const MAX_PAGES: usize = 5;
/// `next` of an API that says it in a header.
const LINK_HEADER: &str = "link_header";

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn shape(
        &mut self,
        at: &Cursor<'_>,
        spec: &ResponseSpec,
        names: Names,
        has_reply: bool,
        claims: &mut BTreeSet<String>,
    ) -> Option<Shape> {
        let ResponseSpec { select, schema, text, redact, max_bytes, hidden, content, errors } = spec;
        if !has_reply {
            self.only_with_reply(at, spec);
        }
        let select = match select {
            None => None,
            Some(written) => Some(self.select(&at.get("select"), written)?),
        };
        let output = match schema {
            None => None,
            Some(schema) => Some(self.output(&at.get("schema"), schema, select.as_ref())?),
        };
        let names = if has_reply {
            let result = match known_result(select.as_ref(), schema.as_ref()) {
                Some(keys) => Members::Known(keys),
                None => Members::Any,
            };
            names
                .with("status", Members::Any)
                .with("headers", Members::Any)
                .with("body", Members::Any)
                .with("result", result)
        } else {
            names
        };
        let redact = Redact::compile(redact).unwrap_or_else(|index| {
            self.push(at.get("redact").index(index).error(
                Code::InvalidValue,
                "this can't be hidden",
                "the name of a member, such as `ssn`, `employee.ssn` or `*.salary`",
            ));
            Redact::default()
        });
        let text = match text {
            None => None,
            Some(text) => Some(self.leaf(&at.get("text"), text, &names, claims)?),
        };
        let content = self.content_rule(&at.get("content"), content.as_ref(), text.is_some(), &names, claims)?;
        let max_bytes = self.size(&at.get("max_bytes"), max_bytes.as_deref());
        let errors = self.errors(&at.get("errors"), errors, &names, claims);
        let hidden = match hidden.unwrap_or_default() {
            HiddenSpec::Strip => Hidden::Strip,
            HiddenSpec::Flag => Hidden::Flag,
        };
        Some(Shape { redact, select, output, text, content, max_bytes, narrow_by: Vec::new(), errors, hidden })
    }

    /// A tool without an endpoint has nothing to take apart.
    fn only_with_reply(&mut self, at: &Cursor<'_>, spec: &ResponseSpec) {
        let written = [
            ("select", spec.select.is_some()),
            ("schema", spec.schema.is_some()),
            ("redact", !spec.redact.is_empty()),
            ("hidden", spec.hidden.is_some()),
            ("errors", !spec.errors.words.is_empty() || spec.errors.detail.is_some()),
        ];
        for (key, _) in written.into_iter().filter(|(_, is_written)| *is_written) {
            self.push(at.get(key).key_error(
                Code::ConflictingKeys,
                format!("`{key}` is about the answer of an API, but the tool has no `endpoint`"),
                "drop it, or write the `endpoint`",
            ));
        }
    }

    pub(super) fn select(&mut self, at: &Cursor<'_>, written: &str) -> Option<Select> {
        match Select::compile(written) {
            Ok(select) => Some(select),
            Err(error) => {
                let span = at.find(self.sources, &error.text);
                self.push(Diagnostic::new(Code::InvalidSelect, "this JMESPath can't be read").at(span, error.why));
                None
            }
        }
    }

    fn output(&mut self, at: &Cursor<'_>, schema: &Map<String, Value>, select: Option<&Select>) -> Option<Checker> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            self.push(
                at.get("type")
                    .error(
                        Code::InvalidSchema,
                        "the result of a tool with a schema is an object",
                        "write `type: object` at the top of the schema",
                    )
                    .help("`select: \"{items: data}\"` makes a list a member of an object"),
            );
            return None;
        }
        let whole = Value::Object(schema.clone());
        match Checker::compile(&whole) {
            Ok(checker) => {
                self.selected_keys(at, schema, select);
                Some(checker)
            }
            Err(InvalidPart { pointer, why }) => {
                let at = super::parameter::descend(at, &pointer);
                self.push(at.error(Code::InvalidSchema, "the schema of the result is not valid", why));
                None
            }
        }
    }

    /// What the schema asks for, `select` must give.
    fn selected_keys(&mut self, at: &Cursor<'_>, schema: &Map<String, Value>, select: Option<&Select>) {
        let Some(given) = select.and_then(Select::keys) else { return };
        let required = schema.get("required").and_then(Value::as_array);
        for (index, name) in required.into_iter().flatten().enumerate() {
            let Some(name) = name.as_str().filter(|name| !given.iter().any(|key| key == name)) else { continue };
            let known = given.iter().map(String::as_str);
            let label = match suggest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`select` gives {}", crate::diag::listed(given.iter().map(String::as_str), "and")),
            };
            self.push(at.get("required").index(index).error(
                Code::UnknownField,
                format!("the schema asks for `{name}`, which `select` never gives"),
                label,
            ));
        }
    }

    fn content_rule(
        &mut self,
        at: &Cursor<'_>,
        spec: Option<&ContentSpec>,
        has_text: bool,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<ContentRule> {
        let kind = match spec {
            None => return Some(ContentRule::Auto),
            Some(ContentSpec::Kind(kind)) => *kind,
            Some(ContentSpec::Parts(parts)) => {
                if has_text {
                    self.push(at.key_error(
                        Code::ConflictingKeys,
                        "`text` and a list under `content` both say what the model gets",
                        "make the text a part of the list",
                    ));
                }
                let parts: Vec<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(index, part)| self.content_part(&at.index(index), part, names, claims))
                    .collect();
                return Some(ContentRule::Parts(parts.into_iter().collect::<Option<_>>()?));
            }
        };
        if has_text && !matches!(kind, ContentKindSpec::Auto | ContentKindSpec::Text) {
            self.push(at.error(Code::ConflictingKeys, "`text` makes the content a text", "drop one of the two"));
        }
        Some(match kind {
            ContentKindSpec::Auto => ContentRule::Auto,
            ContentKindSpec::Json => ContentRule::Json,
            ContentKindSpec::Text => ContentRule::Text,
            ContentKindSpec::Image => ContentRule::Image,
            ContentKindSpec::Audio => ContentRule::Audio,
            ContentKindSpec::Blob => ContentRule::Blob,
        })
    }

    fn errors(&mut self, at: &Cursor<'_>, spec: &ErrorsSpec, names: &Names, claims: &mut BTreeSet<String>) -> Errors {
        let mut errors = Errors::default();
        for (status, text) in &spec.words {
            let at = at.get(status);
            if status.starts_with("x-") {
                continue;
            }
            match StatusRange::read(status) {
                Some(range) => {
                    if let Some(leaf) = self.leaf(&at, text, names, claims) {
                        errors.words.insert(range, leaf);
                    }
                }
                None => self.push(at.key_error(
                    Code::InvalidValue,
                    format!("`{status}` is not an error status"),
                    "a number from 300 to 599, or `4xx` or `5xx`",
                )),
            }
        }
        errors.detail = spec
            .detail
            .as_ref()
            .map(|fields| fields.iter().map(|field| field.split('.').map(str::to_owned).collect()).collect());
        errors
    }

    pub(super) fn pages(&mut self, at: &Cursor<'_>, spec: &PaginateSpec) -> Option<Pages> {
        let PaginateSpec { next, wire_name, items, max_pages } = spec;
        let next = match (next.as_str(), wire_name) {
            (LINK_HEADER, None) => Next::LinkHeader,
            (LINK_HEADER, Some(_)) => {
                self.push(at.get("as").key_error(
                    Code::ConflictingKeys,
                    "a `Link` header holds a whole URL, not a cursor",
                    "drop `as`",
                ));
                return None;
            }
            (written, None) => Next::Url(self.select(&at.get("next"), written)?),
            (written, Some(name)) => Next::Cursor(self.select(&at.get("next"), written)?, name.clone()),
        };
        let items = match items {
            None => Vec::new(),
            Some(written) => {
                let at = at.get("items");
                let Some(names) = self.select(&at, written)?.chain() else {
                    self.push(at.error(
                        Code::InvalidSelect,
                        "`items` is the place of a list",
                        "a chain of names, such as `data.items`; use `response.select` for the rest",
                    ));
                    return None;
                };
                names
            }
        };
        let max_pages = max_pages.and_then(|pages| usize::try_from(pages).ok()).unwrap_or(MAX_PAGES);
        Some(Pages { next, items, max_pages })
    }
}

/// The members of the result, where the files say so.
fn known_result(select: Option<&Select>, schema: Option<&Map<String, Value>>) -> Option<Vec<String>> {
    if let Some(select) = select {
        return select.keys();
    }
    let schema = schema?;
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let properties = schema.get("properties").and_then(Value::as_object).filter(|_| is_closed)?;
    Some(properties.keys().cloned().collect())
}
