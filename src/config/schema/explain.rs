//! What a JSON Schema refuses, in plain words and with a place.

use std::collections::HashSet;

use serde_json::Value;

use super::{ValidationError, ValidationErrorKind as Refused};
use crate::{
    config::yaml::{Cursor, Kind, MAX_PROBLEMS, Node, meant},
    diag::{Code, Diagnostic, Report, listed, quoted, suggest},
    quantity,
};

/// Turns the errors of a validator into findings.
pub(super) struct Explainer<'a> {
    schema: &'a Value,
    root: &'a Node,
    report: &'a mut Report,
    /// Keys that are missing only because they are misspelt: where, and which.
    misspelt: HashSet<(String, String)>,
}

/// What would be accepted at some place, gathered from all alternatives of a schema.
#[derive(Default)]
struct Accepted {
    words: Vec<String>,
    kinds: Vec<&'static str>,
    /// Keys of which a map must have one.
    keys: Vec<String>,
}

/// One alternative of an `anyOf` or `oneOf`, with what it says against the value.
struct Branch<'e> {
    schema: &'e Value,
    errors: &'e [ValidationError<'static>],
}

impl<'a> Explainer<'a> {
    pub(super) fn new(schema: &'a Value, root: &'a Node, report: &'a mut Report) -> Self {
        Self { schema, root, report, misspelt: HashSet::new() }
    }

    /// Explains errors until there are so many that the rest does not help.
    pub(super) fn all<'e>(&mut self, errors: impl Iterator<Item = ValidationError<'e>>) {
        let mut errors: Vec<_> = errors.take(MAX_PROBLEMS + 1).collect();
        let is_cut = errors.len() > MAX_PROBLEMS;
        errors.truncate(MAX_PROBLEMS);
        self.several(&errors);
        if is_cut {
            let finding = Diagnostic::new(Code::YamlBudget, "too many problems; the rest of the file is not looked at");
            self.report.push(finding.in_file(self.root.span.file));
        }
    }

    fn several(&mut self, errors: &[ValidationError<'_>]) {
        let is_missing = |it: &&ValidationError<'_>| matches!(it.kind(), Refused::Required { .. });
        for error in errors.iter().filter(|it| !is_missing(it)) {
            self.one(error);
        }
        // Whether a key is missing or misspelt is known only now.
        for error in errors.iter().filter(is_missing) {
            self.one(error);
        }
    }

    fn one(&mut self, error: &ValidationError<'_>) {
        match error.kind() {
            Refused::AdditionalProperties { unexpected } | Refused::UnevaluatedProperties { unexpected } => {
                let known = self.siblings_of(error).map(keys_of).unwrap_or_default();
                for key in unexpected.iter().take(MAX_PROBLEMS) {
                    self.unknown_key(error.instance_path().as_str(), key, &known);
                }
            }
            Refused::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                self.missing_key(error, key);
            }
            Refused::AnyOf { context } | Refused::OneOfNotValid { context } => self.none_fits(error, context),
            Refused::PropertyNames { error: inner } => {
                let key = inner.instance().as_str().unwrap_or_default().to_owned();
                let at = self.at(error.instance_path().as_str()).get(&key);
                let why = wanted(inner.kind()).unwrap_or_else(|| "not allowed here".to_owned());
                self.report.push(at.key_error(
                    Code::InvalidName,
                    format!("{} can't be a name here", quoted(&key)),
                    why,
                ));
            }
            Refused::Type { .. } | Refused::Constant { .. } | Refused::Enum { .. } => {
                let mut accepted = Accepted::default();
                if let Some(schema) = self.siblings_of(error) {
                    accepted.add(self.schema, schema);
                }
                self.not_accepted(error, &accepted);
            }
            _ => self.not_as_wanted(error),
        }
    }

    /// A value of the right kind that is too large, of the wrong form and the like.
    fn not_as_wanted(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        let at = self.at(pointer);
        let subject = self.subject(pointer);
        let finding = match (error.kind(), wanted(error.kind())) {
            (Refused::Pattern { .. } | Refused::Format { .. }, Some(why)) => {
                let text = quoted(at.text().unwrap_or_default());
                at.error(Code::InvalidValue, format!("{subject} can't be {text}"), why)
            }
            (_, Some(wanted)) => at.error(Code::InvalidValue, format!("{subject} {wanted}"), ""),
            (_, None) => at.error(Code::InvalidValue, format!("{subject} is not allowed"), "not allowed here"),
        };
        let description = self.siblings_of(error).and_then(|it| it.get("description")?.as_str());
        self.report.push(match description {
            Some(description) => finding.help(description),
            None => finding,
        });
    }

    fn unknown_key(&mut self, pointer: &str, key: &str, known: &[&str]) {
        let hint = suggest(key, known.iter().copied());
        let label = match hint {
            Some(hint) => format!("not known here; did you mean `{hint}`?"),
            None => "not known here".to_owned(),
        };
        let at = self.at(pointer).get(key);
        let finding = at.key_error(Code::UnknownKey, format!("unknown key {}", quoted(key)), label);
        self.report.push(match hint {
            Some(hint) => {
                self.misspelt.insert((pointer.to_owned(), hint.to_owned()));
                finding
            }
            None if known.is_empty() => finding,
            None => finding.help(format!("known keys: {}", listed(known.iter().copied(), "and"))),
        });
    }

    fn missing_key(&mut self, error: &ValidationError<'_>, key: &str) {
        let pointer = error.instance_path().as_str();
        if self.misspelt.contains(&(pointer.to_owned(), key.to_owned())) {
            return;
        }
        let at = self.at(pointer);
        let label = match pointer {
            "" => format!("the file needs `{key}`"),
            _ => format!("needs `{key}`"),
        };
        let finding = at.key_error(Code::MissingKey, format!("missing key `{key}`"), label);
        let described =
            self.siblings_of(error).and_then(|it| it.get("properties")?.get(key)?.get("description")?.as_str());
        self.report.push(match described {
            Some(text) => finding.help(format!("`{key}`: {}", first_sentence(text))),
            None => finding,
        });
    }

    /// Explains an `anyOf` or `oneOf` by the alternative that was most likely meant.
    fn none_fits(&mut self, error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>]) {
        let schemas = self.schema.pointer(error.schema_path().as_str()).and_then(Value::as_array);
        let branches: Vec<_> = schemas
            .into_iter()
            .flatten()
            .zip(context)
            .map(|(schema, errors)| Branch { schema: resolved(self.schema, schema), errors })
            .collect();
        let here = error.instance_path().as_str();
        let fitting: Vec<_> = branches.iter().filter(|it| it.is_of_the_kind(here)).collect();
        let Some(best) = fitting.iter().map(|it| it.wrong_keys(here)).min() else {
            let mut accepted = Accepted::default();
            for branch in &branches {
                accepted.add(self.schema, branch.schema);
            }
            return self.not_accepted(error, &accepted);
        };
        let mut nearest = fitting.iter().filter(|it| it.wrong_keys(here) == best);
        let first = nearest.next();
        let is_clear = best == 0 || nearest.next().is_none();
        if !is_clear && self.wrong_choice(here, &fitting) {
            return;
        }
        if let Some(first) = first {
            self.several(first.errors);
        }
    }

    /// Several alternatives are told apart by a key, and it is unknown, missing, or there twice.
    fn wrong_choice(&mut self, pointer: &str, branches: &[&Branch<'_>]) -> bool {
        let known: Vec<_> = branches.iter().flat_map(|it| keys_of(it.schema)).collect();
        let at = self.at(pointer);
        let given: Vec<_> = at.entries().collect();
        let subject = self.subject(pointer);
        let mut unknown = given.iter().filter(|(key, _)| !known.contains(key)).peekable();
        if unknown.peek().is_some() {
            for (key, _) in unknown.take(MAX_PROBLEMS) {
                self.unknown_key(pointer, key, &known);
            }
            return true;
        }
        let finding = match given.as_slice() {
            [] => at.error(
                Code::MissingKey,
                format!("{subject} says nothing"),
                format!("expected one of {}", listed(known, "and")),
            ),
            [(one, first), (two, second), ..] => second
                .key_error(Code::ConflictingKeys, format!("{subject} takes either `{one}` or `{two}`"), "one too many")
                .also(first.key_span(), "given here already"),
            [_] => return false,
        };
        self.report.push(finding);
        true
    }

    /// A value of the wrong kind, or none of the words that can stand there.
    fn not_accepted(&mut self, error: &ValidationError<'_>, accepted: &Accepted) {
        let pointer = error.instance_path().as_str();
        let at = self.at(pointer);
        let subject = self.subject(pointer);
        let expected = accepted.listed();
        let words = || accepted.words.iter().map(String::as_str);
        let wrong_word = at.text().filter(|it| !accepted.words.is_empty() && words().all(|word| word != *it));
        if let Some(wrong) = wrong_word {
            let label = match suggest(wrong, words()) {
                Some(hint) => format!("did you mean `{hint}`?"),
                None => "not one of the values allowed here".to_owned(),
            };
            let finding = at.error(Code::InvalidValue, format!("{subject} can't be {}", quoted(wrong)), label);
            let finding = finding.help(format!("expected {expected}"));
            let takes_truth = words().any(|word| word == "true");
            self.report.push(match meant(wrong) {
                Some(instead) if takes_truth => finding.help(instead),
                _ => finding,
            });
            return;
        }
        let kind = at.node().map_or(&Kind::Null, |it| &it.kind);
        let got = match kind {
            Kind::Null => "nothing is here".to_owned(),
            Kind::Bool(value) => format!("this is `{value}`"),
            kind => format!("this is {}", kind.name()),
        };
        let finding = at.error(Code::InvalidValue, format!("{subject} must be {expected}"), got);
        let wants_text = accepted.kinds.contains(&STRING);
        self.report.push(match kind {
            Kind::Number(number) if wants_text && let Some(example) = self.example_with_unit(error) => {
                let unit = example.trim_start_matches(|it: char| it.is_ascii_digit());
                finding.help(format!("write it with its unit, such as `{number}{unit}`"))
            }
            Kind::Number(_) | Kind::Bool(_) if wants_text => finding.help("put quotes around it to make it text"),
            Kind::String(text) if !wants_text && let Some(instead) = meant(text) => finding.help(instead),
            Kind::String(text) if words().any(|word| word == text) => finding.help("write it without quotes"),
            Kind::String(text) if pointer.is_empty() && text.contains(':') => {
                finding.help("a blank must follow the `:` after a key")
            }
            _ => finding,
        });
    }

    /// The example of a key that takes a duration or a size.
    fn example_with_unit(&self, error: &ValidationError<'_>) -> Option<&'a str> {
        let example = self.siblings_of(error)?.get("examples")?.get(0)?.as_str()?;
        (quantity::duration(example).is_some() || quantity::size(example).is_some()).then_some(example)
    }

    /// What a pointer leads to, as the grammatical subject of a sentence.
    fn subject(&self, pointer: &str) -> String {
        let Some((parent, _)) = pointer.rsplit_once('/') else {
            return "the file".to_owned();
        };
        let last = last_segment(pointer);
        let in_list = self.root.pointer(parent).is_some_and(|it| matches!(it.kind, Kind::List(_)));
        match last.parse::<usize>() {
            Ok(index) if in_list => format!("item {} of {}", index + 1, quoted(&last_segment(parent))),
            _ => quoted(&last),
        }
    }

    fn at(&self, pointer: &str) -> Cursor<'a> {
        let mut at = Cursor::root(self.root);
        for segment in pointer.split('/').skip(1) {
            let segment = unescaped(segment);
            let is_list = at.node().is_some_and(|it| matches!(it.kind, Kind::List(_)));
            at = match segment.parse() {
                Ok(index) if is_list => at.index(index),
                _ => at.get(&segment),
            };
        }
        at
    }

    /// The schema object that holds the keyword which refused.
    fn siblings_of(&self, error: &ValidationError<'_>) -> Option<&'a Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }
}

// === impl Branch ===

impl Branch<'_> {
    /// Whether the value is at least a map, a word and so on, as this alternative wants it.
    fn is_of_the_kind(&self, here: &str) -> bool {
        !self.errors.iter().any(|it| {
            it.instance_path().as_str() == here
                && matches!(it.kind(), Refused::Type { .. } | Refused::Constant { .. } | Refused::Enum { .. })
        })
    }

    /// How many keys of the value itself are too many or missing.
    fn wrong_keys(&self, here: &str) -> usize {
        let errors = self.errors.iter().filter(|it| it.instance_path().as_str() == here);
        errors
            .map(|it| match it.kind() {
                Refused::AdditionalProperties { unexpected } => unexpected.len(),
                _ => 1,
            })
            .sum()
    }
}

// === impl Accepted ===

const STRING: &str = "a string";

impl Accepted {
    fn add(&mut self, root: &Value, schema: &Value) {
        let schema = resolved(root, schema);
        if let Some(value) = schema.get("const") {
            self.words.push(word(value));
        } else if let Some(Value::Array(values)) = schema.get("enum") {
            self.words.extend(values.iter().map(word));
        } else if let Some(Value::Array(branches)) = schema.get("oneOf").or_else(|| schema.get("anyOf")) {
            for branch in branches {
                self.add(root, branch);
            }
        } else if let Some(key) = distinguishing_key(schema) {
            self.keys.push(key.to_owned());
        } else {
            let types =
                schema.get("type").map_or(&[][..], |it| it.as_array().map_or(std::slice::from_ref(it), Vec::as_slice));
            for name in types.iter().filter_map(Value::as_str) {
                match kind_name(name) {
                    // These two can as well be written out.
                    None if name == "boolean" => self.words.extend(["true".to_owned(), "false".to_owned()]),
                    Some(name) if !self.kinds.contains(&name) => self.kinds.push(name),
                    _ => {}
                }
            }
        }
    }

    /// All of it, for a sentence.
    fn listed(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.words.iter().map(|it| quoted(it)));
        parts.extend(self.kinds.iter().map(|it| (*it).to_owned()));
        if !self.keys.is_empty() {
            parts.push(format!("a map with {}", listed(self.keys.iter().map(String::as_str), "or")));
        }
        match parts.split_last() {
            None => "something else".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

// === reading schemas ===

/// Follows `$ref`, and an `allOf` of one, to where a schema says something itself.
fn resolved<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // A reference may lead in circles.
    for _ in 0..16 {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
        let next = match (target, schema.get("allOf").and_then(Value::as_array)) {
            (Some(target), _) => root.pointer(target),
            (None, Some(all)) if schema.get("properties").is_none() => all.first(),
            (None, _) => None,
        };
        match next {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The one key that a map must have and that says which alternative it is.
fn distinguishing_key(schema: &Value) -> Option<&str> {
    match schema.get("required").and_then(Value::as_array).map(Vec::as_slice) {
        Some([key]) if keys_of(schema).len() == 1 => key.as_str(),
        _ => None,
    }
}

fn keys_of(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn kind_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" => "nothing",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => STRING,
        "array" => "a list",
        "object" => "a map",
        _ => return None,
    })
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How a value must be, as the rest of a sentence.
fn wanted(kind: &Refused) -> Option<String> {
    let count = |limit: &u64, what: &str| format!("{limit} {what}{}", if *limit == 1 { "" } else { "s" });
    Some(match kind {
        Refused::Minimum { limit } => format!("must be at least {limit}"),
        Refused::Maximum { limit } => format!("must be at most {limit}"),
        Refused::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Refused::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Refused::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Refused::MinLength { limit } => format!("must have at least {}", count(limit, "character")),
        Refused::MaxLength { limit } => format!("must have at most {}", count(limit, "character")),
        Refused::MinItems { limit } => format!("must have at least {}", count(limit, "item")),
        Refused::MaxItems { limit } => format!("must have at most {}", count(limit, "item")),
        Refused::MinProperties { limit } => format!("must have at least {}", count(limit, "key")),
        Refused::MaxProperties { limit } => format!("must have at most {}", count(limit, "key")),
        Refused::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Refused::UniqueItems => "has the same item twice".to_owned(),
        Refused::Pattern { pattern } => format!("does not match {}", quoted(pattern)),
        Refused::Format { format } => format!("not a valid {format}"),
        Refused::OneOfMultipleValid { .. } => "fits more than one of the kinds allowed here".to_owned(),
        _ => return None,
    })
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").map_or(text.len(), |it| it + 1);
    let line = text.find("\n\n").unwrap_or(text.len());
    text.get(..end.min(line)).unwrap_or(text)
}

fn last_segment(pointer: &str) -> String {
    pointer.rsplit_once('/').map_or_else(|| "the file".to_owned(), |(_, last)| unescaped(last))
}

fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
