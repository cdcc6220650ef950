//! What the model reads: descriptions, and characters that a reviewer can't see.

use std::collections::HashMap;

use crate::config::bridge::ToolSpec;
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, Report, SourceMap, Span, is_trick, joins, listed, quoted};

/// The most characters that a description should have.
const LONGEST: usize = 1024;

/// Looks at the descriptions of a tool and of its parameters.
pub(super) fn of_tool(at: &Cursor<'_>, name: &str, spec: &ToolSpec, report: &mut Report) {
    too_long(&at.get("description"), &format!("tool `{name}`"), spec.description.as_deref(), report);
    for (parameter, written) in &spec.parameters {
        let at = at.get("parameters").get(parameter).get("description");
        too_long(&at, &format!("parameter {}", quoted(parameter)), written.description.as_deref(), report);
    }
}

/// Parameters of a tool that the model has to guess at.
pub(super) fn undescribed(at: &Cursor<'_>, name: &str, spec: &ToolSpec, report: &mut Report) {
    let mut bare = Vec::new();
    for (parameter, written) in &spec.parameters {
        let is_supplied = written.claim.is_none() && written.value.is_none();
        if is_supplied && written.description.as_deref().is_none_or(|it| it.trim().is_empty()) {
            bare.push((parameter.as_str(), at.get("parameters").get(parameter).key_span()));
        }
    }
    if let Some((_, first)) = bare.first() {
        let (plural, has) = if bare.len() == 1 { ("", "has") } else { ("s", "have") };
        let names = listed(bare.iter().map(|(name, _)| *name), "and");
        report.push(
            Diagnostic::new(
                Code::UndescribedParameter,
                format!("parameter{plural} {names} of tool `{name}` {has} no description"),
            )
            .at(*first, "the model knows only its name and type"),
        );
    }
}

/// Tools between which a model can't choose.
pub(super) fn same_descriptions(tools: &[(&str, Cursor<'_>)], report: &mut Report) {
    let mut seen: HashMap<String, (&str, Span)> = HashMap::new();
    for (name, at) in tools {
        let at = at.get("description");
        let Some(text) = at.text() else { continue };
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        if plain.is_empty() {
            continue;
        }
        let (first, span) = *seen.entry(plain).or_insert((name, at.key_span()));
        if first != *name {
            report.push(
                at.key_error(
                    Code::SameDescription,
                    format!("tools `{first}` and `{name}` have the same description"),
                    "a model can't tell them apart; say what this one does differently",
                )
                .also(span, "the other"),
            );
        }
    }
}

/// Characters in names, titles and descriptions that the model reads and a reviewer can't see.
pub(super) fn hidden(root: &Cursor<'_>, sources: &SourceMap, report: &mut Report) {
    let mut eye = Eye { sources, report };
    eye.texts(root, &["title", "instructions"]);
    for (name, _) in root.get("claims").entries() {
        eye.name(&root.get("claims").get(name), name);
    }
    for (name, tool) in root.get("tools").entries() {
        eye.name(&tool, name);
        eye.texts(&tool, &["title", "description"]);
        for (name, parameter) in tool.get("parameters").entries() {
            eye.name(&parameter, name);
            eye.schema(&parameter);
        }
    }
    for (uri, resource) in root.get("resources").entries() {
        eye.name(&resource, uri);
        eye.texts(&resource, &["name", "title", "description"]);
    }
}

fn too_long(at: &Cursor<'_>, whose: &str, text: Option<&str>, report: &mut Report) {
    let length = text.map_or(0, |it| it.chars().count());
    if length > LONGEST {
        report.push(at.key_error(
            Code::LongDescription,
            format!("the description of {whose} has {length} characters"),
            format!("the model reads it in every conversation; {LONGEST} should be enough"),
        ));
    }
}

/// Sees what people don't.
struct Eye<'a> {
    sources: &'a SourceMap,
    report: &'a mut Report,
}

// === impl Eye ===

impl Eye<'_> {
    fn texts(&mut self, at: &Cursor<'_>, keys: &[&str]) {
        for key in keys {
            let at = at.get(key);
            if let Some(text) = at.text() {
                self.look(&format!("`{key}`"), at.span(), text);
            }
        }
    }

    fn name(&mut self, at: &Cursor<'_>, name: &str) {
        self.look("this name", at.key_span(), name);
    }

    /// A JSON Schema, whose data (`enum`, `default`) is not for us to judge.
    fn schema(&mut self, at: &Cursor<'_>) {
        self.texts(at, &["title", "description"]);
        for (key, member) in at.entries() {
            match key {
                "properties" | "patternProperties" | "$defs" | "definitions" => {
                    for (name, member) in member.entries() {
                        self.name(&member, name);
                        self.schema(&member);
                    }
                }
                "value" | "default" | "const" | "enum" | "examples" => {}
                _ => {
                    self.schema(&member);
                    member.items().for_each(|item| self.schema(&item));
                }
            }
        }
    }

    fn look(&mut self, what: &str, span: Span, text: &str) {
        let mut unseen: Vec<char> = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for (at, it) in characters.iter().enumerate() {
            let near = |at: Option<usize>| at.and_then(|at| characters.get(at)).copied();
            let is_joiner = joins(near(at.checked_sub(1)), *it, near(at.checked_add(1)));
            if is_trick(*it) && !matches!(it, '\n' | '\r' | '\t') && !is_joiner && !unseen.contains(it) {
                unseen.push(*it);
            }
        }
        let Some(first) = unseen.first() else { return };
        let ids: Vec<String> = unseen.iter().map(|it| format!("U+{:04X}", u32::from(*it))).collect();
        // One that is written as an escape does not stand in the file itself.
        let place = match self.sources.slice(span).find(*first) {
            Some(at) => Span::new(span.file, span.start + at, span.start + at + first.len_utf8()),
            None => span,
        };
        self.report.push(
            Diagnostic::new(
                Code::HiddenCharacter,
                format!("{what} holds what can't be seen: {}", listed(ids.iter().map(String::as_str), "and")),
            )
            .at(place, "a model reads it, a reviewer does not; remove it"),
        );
    }
}
