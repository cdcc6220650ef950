//! JSON Schemas of our files: generated from the `Spec` types, for editors, and checked here.
//!
//! One of two places that name jsonschema (its child uses what is imported here). A schema says
//! what a file looks like; what it means is for `catalog::compile`.

mod editor;
mod explain;

use std::sync::LazyLock;

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

use self::explain::Explainer;
use super::{bridge::BridgeSpec, case::TestFileSpec, server::ServerSpec, yaml, yaml::Node};
use crate::diag::{Code, Diagnostic, Findings, Report};

/// Which version of JSON Schema to write.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Draft {
    /// Draft 7, which every editor understands.
    #[default]
    Draft07,
    /// Draft 2020-12, the current one.
    Draft202012,
}

/// A compiled schema that finds the place of everything it refuses.
#[derive(Debug)]
pub struct Checker {
    schema: Value,
    validator: Result<Validator, String>,
}

/// The JSON Schema of a bridge file, for editors.
#[must_use]
pub fn bridge_schema(draft: Draft) -> Value {
    for_editors::<BridgeSpec>(draft)
}

/// The JSON Schema of the server file, for editors.
#[must_use]
pub fn server_schema(draft: Draft) -> Value {
    for_editors::<ServerSpec>(draft)
}

/// The JSON Schema of a file of config tests, for editors.
#[must_use]
pub fn test_schema(draft: Draft) -> Value {
    for_editors::<TestFileSpec>(draft)
}

/// The JSON Schema of a type, with unknown keys refused, except those that begin with `x-`.
#[must_use]
pub fn generate<T: JsonSchema>(draft: Draft) -> Value {
    written::<T>(settings(draft))
}

/// Checks a file against a schema; everything it refuses becomes a finding with a place.
pub fn check(checker: &Checker, node: &Node, report: &mut Report) {
    match &checker.validator {
        Ok(validator) => {
            let value = node.to_json();
            Explainer::new(&checker.schema, node, report).all(validator.iter_errors(&value));
        }
        Err(why) => report.push(
            Diagnostic::new(Code::InvalidSchema, "the schema of tollbridge itself is invalid; please report this")
                .help(why.clone()),
        ),
    }
}

// === impl Checker ===

impl Checker {
    /// The checker for bridge files.
    #[must_use]
    pub fn bridge() -> &'static Self {
        static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::of::<BridgeSpec>);
        &CHECKER
    }

    /// The checker for the server file.
    #[must_use]
    pub fn server() -> &'static Self {
        static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::of::<ServerSpec>);
        &CHECKER
    }

    /// The checker for files of config tests.
    #[must_use]
    pub fn tests() -> &'static Self {
        static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::of::<TestFileSpec>);
        &CHECKER
    }

    /// The checker for files of some other type.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        let schema = generate::<T>(Draft::Draft202012);
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            // Linear in the text, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| error.to_string());
        Self { schema, validator }
    }
}

// === generation ===

fn for_editors<T: JsonSchema>(draft: Draft) -> Value {
    let mut settings = settings(draft);
    editor::settle(&mut settings);
    written::<T>(settings)
}

fn settings(draft: Draft) -> SchemaSettings {
    let mut settings = match draft {
        Draft::Draft07 => SchemaSettings::draft07(),
        Draft::Draft202012 => SchemaSettings::draft2020_12(),
    };
    // Before the draft's own transforms, which rewrite what stands beside a `$ref`.
    settings.transforms.insert(0, Box::new(RecursiveTransform(no_null)));
    settings.transforms.push(Box::new(RecursiveTransform(no_unknown_keys)));
    settings.transforms.push(Box::new(RecursiveTransform(describe_choices)));
    settings.transforms.push(Box::new(RecursiveTransform(examples)));
    settings
}

fn written<T: JsonSchema>(settings: SchemaSettings) -> Value {
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => Value::Object(in_reading_order(schema)),
        schema => schema,
    }
}

// === transforms ===

/// What the schema is comes first, the definitions it refers to last.
fn in_reading_order(mut schema: Map<String, Value>) -> Map<String, Value> {
    let mut take = |keyword: &str| Some((keyword.to_owned(), schema.shift_remove(keyword)?));
    let first: Vec<_> = ["$schema", "title", "description"].into_iter().filter_map(&mut take).collect();
    let last: Vec<_> = ["definitions", "$defs"].into_iter().filter_map(&mut take).collect();
    first.into_iter().chain(schema).chain(last).collect()
}

/// A key without a value is a slip, not a wish for the default: `title:` is refused.
fn no_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.get("default").is_some_and(Value::is_null) {
        object.shift_remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|it| *it != json!({ "type": "null" }));
        if let [Value::Object(only)] = branches.as_mut_slice() {
            let only = std::mem::take(only);
            object.shift_remove("anyOf");
            for (keyword, value) in only {
                object.entry(keyword).or_insert(value);
            }
        }
    }
}

fn no_unknown_keys(schema: &mut Schema) {
    let is_open = ["additionalProperties", "unevaluatedProperties", "patternProperties"]
        .iter()
        .all(|it| schema.get(*it).is_none());
    if is_open && schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
        schema.insert("patternProperties".to_owned(), json!({ "^x-": true }));
    }
}

/// An editor shows what stands at a key, so the words for one kind of an enum go to the key that chooses it.
fn describe_choices(schema: &mut Schema) {
    let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    for choice in choices {
        let Some(words) = choice.get("description").cloned() else { continue };
        let Some(properties) = choice.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        for property in properties.values_mut() {
            if *property == Value::Bool(true) {
                *property = json!({});
            }
            if let Some(property) = property.as_object_mut() {
                property.entry("description").or_insert_with(|| words.clone());
            }
        }
    }
}

/// What ends a doc comment as "Example: `…`", where each `…` is YAML, becomes `examples`; wrapped lines become one.
fn examples(schema: &mut Schema) {
    let Some(text) = schema.get("description").and_then(Value::as_str) else { return };
    let text = text.replace("\n\n", "\0").replace('\n', " ").replace('\0', "\n\n");
    let (said, shown) = text.split_once("Example: `").unwrap_or((&text, ""));
    // What was split off began with a backtick: every other piece is between two.
    let shown: Vec<_> = shown.split('`').step_by(2).filter(|it| !it.is_empty()).map(example).collect();
    schema.insert("description".to_owned(), said.trim_end().into());
    if !shown.is_empty() {
        schema.insert("examples".to_owned(), shown.into());
    }
}

fn example(text: &str) -> Value {
    let mut findings = Findings::default();
    let file = findings.sources.add("example", text);
    match yaml::parse(file, text, &mut findings.report) {
        Some(node) if !findings.report.has_errors() => node.to_json(),
        _ => text.into(),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
