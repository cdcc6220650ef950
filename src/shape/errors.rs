//! The wording of errors that the API answers with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Reply;
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

/// Words for error statuses, as written under `response.errors`.
#[derive(Debug, Default)]
pub struct Errors(BTreeMap<u16, Leaf>);

// === impl Errors ===

impl Errors {
    /// Collects the words, each for one status.
    #[must_use]
    pub fn new(words: BTreeMap<u16, Leaf>) -> Self {
        Self(words)
    }

    /// The words for a reply that is not a success.
    pub(super) fn words(&self, reply: &Reply, templates: &Templates, scope: &dyn Fn() -> Scope) -> String {
        self.0
            .get(&reply.status)
            // Words that need a field which this answer lacks give way to the standard ones.
            .and_then(|leaf| templates.text(leaf, &scope()).ok())
            .unwrap_or_else(|| standard(reply))
    }
}

fn standard(reply: &Reply) -> String {
    let words = match reply.status {
        401 => "Token rejected by API".to_owned(),
        403 => "Access denied by API".to_owned(),
        404 => "Resource not found".to_owned(),
        status => format!("API error: {status}"),
    };
    match reply.json().as_ref().and_then(message) {
        Some(message) => format!("{words}: {message}"),
        None => words,
    }
}

/// The API's own message, in one line of bounded length.
fn message(body: &Value) -> Option<String> {
    let found = MESSAGE_FIELDS.iter().find_map(|pointer| body.pointer(pointer).and_then(Value::as_str))?;
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
