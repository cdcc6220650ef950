//! What a client is told about where to get a token: the RFC 9728 document and the `WWW-Authenticate` challenge.
//! Both are read by anybody, so nothing secret may get in.

use std::fmt::Write as _;

use http::HeaderValue;
use serde_json::{Map, Value, json};

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;

/// What a challenge says is wrong with the token that was presented (RFC 6750, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// The token is not good here. Goes with a 401.
    InvalidToken,
    /// The token is good but lacks scopes. Goes with a 403.
    InsufficientScope,
}

/// Builds the protected-resource document of RFC 9728.
///
/// Lists that would be empty are left out, as the RFC asks.
#[must_use]
pub fn protected_resource(resource: &str, authorization_servers: &[String], scopes: &[String]) -> Value {
    let mut document = Map::new();
    document.insert("resource".to_owned(), json!(resource));
    if !authorization_servers.is_empty() {
        document.insert("authorization_servers".to_owned(), json!(authorization_servers));
    }
    let scopes = requestable(scopes).collect::<Vec<_>>();
    if !scopes.is_empty() {
        document.insert("scopes_supported".to_owned(), json!(scopes));
    }
    document.insert("bearer_methods_supported".to_owned(), json!(["header"]));
    Value::Object(document)
}

/// Builds the `WWW-Authenticate` header of a 401 or 403.
///
/// `error` is `None` when no token was presented. `scopes` are all the scopes the request needs, not only the missing
/// ones, so that one new token is enough.
#[must_use]
pub fn challenge(error: Option<ChallengeError>, resource_metadata_url: &str, scopes: &[String]) -> HeaderValue {
    let mut parts = Vec::new();
    if let Some(error) = error {
        parts.push(format!("error={}", quoted(error.code())));
        parts.push(format!("error_description={}", quoted(error.description())));
    }
    let scopes = requestable(scopes).collect::<Vec<_>>();
    if !scopes.is_empty() {
        parts.push(format!("scope={}", quoted(&scopes.join(" "))));
    }
    parts.push(format!("resource_metadata={}", quoted(resource_metadata_url)));
    // `quoted` leaves nothing that a header may not hold.
    HeaderValue::try_from(format!("Bearer {}", parts.join(", "))).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

// === impl ChallengeError ===

impl ChallengeError {
    fn code(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::InvalidToken => "The access token is invalid or expired",
            Self::InsufficientScope => "The access token lacks a scope this request needs",
        }
    }
}

/// The scopes a client may be told to ask for. MCP forbids `offline_access` here; what is not a scope token of
/// RFC 6749 could not be asked for.
fn requestable(scopes: &[String]) -> impl Iterator<Item = &str> {
    scopes.iter().map(String::as_str).filter(|scope| {
        *scope != "offline_access"
            && !scope.is_empty()
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    })
}

/// A quoted-string of RFC 9110. What cannot stand in a header is percent-encoded, as it would be in a URL.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "%{byte:02X}");
            }
        }
    }
    quoted.push('"');
    quoted
}
