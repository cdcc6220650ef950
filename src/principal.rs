//! Who is calling. This module says nothing about how we know: `auth` does the knowing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value};

/// The caller of one request, as proven by an authenticator.
///
/// Cloning is cheap. The token is kept so that `credentials: caller_token` can forward it; it never
/// appears in `Debug` output.
#[derive(Clone)]
pub struct Principal {
    inner: Arc<Inner>,
}

struct Inner {
    claims: Claims,
    scopes: BTreeSet<String>,
    token: Option<SecretString>,
}

/// The verified claims of a token, or no claims for an anonymous caller.
#[derive(Clone, Debug, Default)]
pub struct Claims(Map<String, Value>);

/// Where a claim stands in a token: a top-level name, or an RFC 6901 JSON Pointer when written with a leading `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath(String);

// === impl Principal ===

impl Principal {
    /// Returns a caller whose token was verified and carried these claims.
    #[must_use]
    pub fn verified(claims: Map<String, Value>, token: SecretString) -> Self {
        let scopes = scopes_of(&claims);
        Self { inner: Arc::new(Inner { claims: Claims(claims), scopes, token: Some(token) }) }
    }

    /// Returns the caller of a server that runs without authentication: no claims, no scopes, no token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { inner: Arc::new(Inner { claims: Claims::default(), scopes: BTreeSet::new(), token: None }) }
    }

    /// The verified claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.inner.claims
    }

    /// The scopes the token was granted (`scope` as a string, or `scp` as Okta's list).
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<String> {
        &self.inner.scopes
    }

    /// The caller's own access token; `None` for an anonymous caller.
    #[must_use]
    pub fn token(&self) -> Option<&SecretString> {
        self.inner.token.as_ref()
    }

    /// When the token expires (`exp`), in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> Option<f64> {
        self.inner.claims.0.get("exp").and_then(Value::as_f64)
    }

    /// The `sub` claim.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.inner.claims.text("sub")
    }

    /// A string that is the same for every token of one user at one issuer and client, used to bind a
    /// session to the user who opened it. Not a secret, but not meant to be shown either.
    #[must_use]
    pub fn identity(&self) -> String {
        let claims = &self.inner.claims;
        let part = |name| claims.text(name).unwrap_or_default();
        // Length prefixes keep ("a", "bc") and ("ab", "c") apart.
        let parts = [part("iss"), part("sub"), claims.client_id().unwrap_or_default()];
        parts.map(|text| format!("{}:{text};", text.len())).concat()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Principal").field("subject", &self.subject()).finish_non_exhaustive()
    }
}

// === impl Claims ===

impl Claims {
    /// Finds a claim. A claim that is null or an empty string counts as not there, so that the next
    /// name of a fallback list is tried.
    #[must_use]
    pub fn get(&self, path: &ClaimPath) -> Option<&Value> {
        let found = if path.0.starts_with('/') {
            let (first, rest) = match path.0[1..].split_once('/') {
                Some((first, rest)) => (first, format!("/{rest}")),
                None => (&path.0[1..], String::new()),
            };
            let first = first.replace("~1", "/").replace("~0", "~");
            self.0.get(&first)?.pointer(&rest)
        } else {
            self.0.get(&path.0)
        };
        found.filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// All claims as one JSON object.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn client_id(&self) -> Option<&str> {
        self.text("client_id").or_else(|| self.text("cid"))
    }
}

// === impl ClaimPath ===

impl ClaimPath {
    /// Reads a claim path as written under `claims:`.
    #[must_use]
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 7662 has `scope` as a space-separated string; an Okta JWT has `scp` as a list.
fn scopes_of(claims: &Map<String, Value>) -> BTreeSet<String> {
    ["scope", "scp"]
        .iter()
        .filter_map(|name| claims.get(*name))
        .flat_map(|value| match value {
            Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> Claims {
        Claims(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn a_pointer_reaches_into_nested_claims_and_escapes() {
        let claims = claims(&json!({"tenant": {"id": "t1"}, "a/b": 1, "empty": "", "nothing": null}));
        let get = |path: &str| claims.get(&ClaimPath::new(path)).cloned();
        assert_eq!(get("/tenant/id"), Some(json!("t1")));
        assert_eq!(get("/a~1b"), Some(json!(1)));
        assert_eq!(get("tenant"), Some(json!({"id": "t1"})));
        assert_eq!(get("empty"), None);
        assert_eq!(get("nothing"), None);
        assert_eq!(get("/tenant/none"), None);
        assert_eq!(get("/"), None);
    }

    #[test]
    fn scopes_are_read_from_both_spellings() {
        let both = json!({"scope": "a b", "scp": ["b", "c"]});
        let scopes = scopes_of(both.as_object().unwrap());
        assert_eq!(scopes.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn identity_keeps_fields_apart_and_debug_keeps_the_token_in() {
        let who = |iss: &str, sub: &str| {
            let claims = json!({"iss": iss, "sub": sub, "cid": "c"});
            Principal::verified(claims.as_object().cloned().unwrap(), "t0ps3cret".to_owned().into())
        };
        assert_ne!(who("a", "bc").identity(), who("ab", "c").identity());
        assert!(!format!("{:?}", who("a", "b")).contains("t0ps3cret"));
    }
}
