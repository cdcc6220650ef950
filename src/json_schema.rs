//! JSON Schema 2020-12 as tollbridge reads it: no reference is ever fetched, and patterns run in linear time.

use std::fmt;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};

/// The longest text of one fault, in characters.
const MAX_WORDS: usize = 300;
/// How many faults of one value are told.
const MAX_FAULTS: usize = 5;

/// A schema that values are checked against.
pub struct Checker(Validator);

/// A part of a schema that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPart {
    /// The JSON Pointer of the part.
    pub pointer: String,
    /// What is wrong with it.
    pub why: String,
}

// === impl Checker ===

impl Checker {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Returns the part at fault when the schema is not valid, or refers to something outside itself.
    pub fn compile(schema: &Value) -> Result<Self, InvalidPart> {
        validator(schema).map(Self).map_err(|error| InvalidPart {
            pointer: error.instance_path().to_string(),
            why: shorten(&error.to_string()),
        })
    }

    /// What is wrong with a value: nothing, or a few faults, each with its place.
    #[must_use]
    pub fn faults(&self, value: &Value) -> Vec<String> {
        self.0
            .iter_errors(value)
            .take(MAX_FAULTS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let words = shorten(&error.to_string());
                if place.is_empty() { words } else { format!("{place}: {words}") }
            })
            .collect()
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Checker(…)")
    }
}

/// Compiles a schema for whoever explains its errors themselves.
pub(crate) fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let dialect = json!("https://json-schema.org/draft/2020-12/schema");
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), dialect);
    }
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
}

/// Cuts a text that quotes what somebody sent to a length that can be read.
#[must_use]
pub fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_WORDS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
