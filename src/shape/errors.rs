//! The wording of errors that the API answers with.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::template::{Leaf, Scope, Templates};

/// The longest message of an API that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// Where APIs put their message, tried in this order (RFC 9457 `detail` and `title`, RFC 6749 `error_description`,
/// Okta's `errorSummary`, and what most others do).
const MESSAGE_FIELDS: [&str; 9] = [
    "/message",
    "/detail",
    "/error_description",
    "/error/message",
    "/errorSummary",
    "/errors/0/message",
    "/errors/0/detail",
    "/title",
    "/error",
];

/// What the model reads about error statuses, as written under `response.errors`.
#[derive(Debug, Default)]
pub struct Errors {
    /// Words by status.
    pub words: BTreeMap<StatusRange, Leaf>,
    /// The fields of an error answer that may be shown, by their names; `None` for the usual places of a message.
    pub detail: Option<Vec<Vec<String>>>,
}

/// One status, or all of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusRange {
    /// Such as `404`.
    One(u16),
    /// Such as `4xx`: its first digit.
    Kind(u16),
}

// === impl StatusRange ===

impl StatusRange {
    /// Reads `404` or `4xx`.
    #[must_use]
    pub fn read(written: &str) -> Option<Self> {
        if let Some(digit) = written.strip_suffix("xx").and_then(|digit| digit.parse().ok()) {
            return (3..=5).contains(&digit).then_some(Self::Kind(digit));
        }
        written.parse().ok().filter(|status| (300..=599).contains(status)).map(Self::One)
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(formatter, "{status}"),
            Self::Kind(digit) => write!(formatter, "{digit}xx"),
        }
    }
}

// === impl Errors ===

impl Errors {
    /// Which of the written statuses an error status falls under.
    #[must_use]
    pub fn mapping(&self, status: u16) -> Option<StatusRange> {
        let ranges = [StatusRange::One(status), StatusRange::Kind(status / 100)];
        ranges.into_iter().find(|range| self.words.contains_key(range))
    }

    /// The words for an answer with an error status and this JSON, if it is JSON.
    pub(super) fn words(
        &self,
        status: u16,
        body: Option<&Value>,
        templates: &Templates,
        scope: &dyn Fn() -> Scope,
    ) -> String {
        self.mapping(status)
            .and_then(|range| self.words.get(&range))
            // Words that need a field which this answer lacks give way to the standard ones.
            .and_then(|leaf| templates.text(leaf, &scope()).ok())
            .unwrap_or_else(|| self.standard(status, body))
    }

    fn standard(&self, status: u16, body: Option<&Value>) -> String {
        let words = match status {
            401 => "Token rejected by API".to_owned(),
            403 => "Access denied by API".to_owned(),
            404 => "Resource not found".to_owned(),
            status => format!("API error: {status}"),
        };
        self.with_detail(&words, body)
    }

    /// The words for a job that has failed.
    pub(super) fn failed(&self, body: Option<&Value>) -> String {
        self.with_detail("The API could not do it", body)
    }

    fn with_detail(&self, words: &str, body: Option<&Value>) -> String {
        let said = body.and_then(|body| match &self.detail {
            None => message(body),
            Some(fields) => details(body, fields),
        });
        match said {
            Some(said) => format!("{words}: {said}"),
            None => words.to_owned(),
        }
    }
}

/// The API's own message, in one line of bounded length.
fn message(body: &Value) -> Option<String> {
    line(MESSAGE_FIELDS.iter().find_map(|pointer| body.pointer(pointer).and_then(Value::as_str))?)
}

/// The fields that may be shown: one speaks for itself, several are named.
fn details(body: &Value, fields: &[Vec<String>]) -> Option<String> {
    let shown: Vec<(&String, String)> = fields
        .iter()
        .filter_map(|names| {
            let found = names.iter().try_fold(body, |value, name| match name.parse::<usize>() {
                Ok(index) if value.is_array() => value.get(index),
                _ => value.get(name),
            })?;
            let text = match found {
                Value::String(text) => text.clone(),
                Value::Null => return None,
                other => other.to_string(),
            };
            Some((names.last()?, line(&text)?))
        })
        .collect();
    match shown.as_slice() {
        [] => None,
        [(_, only)] => Some(only.clone()),
        [(_, first), rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|(name, text)| format!("{name}: {text}")).collect();
            Some(format!("{first} ({})", rest.join(", ")))
        }
    }
}

fn line(found: &str) -> Option<String> {
    let line: String = found.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return None;
    }
    let mut short: String = line.chars().take(MAX_MESSAGE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    Some(short)
}
