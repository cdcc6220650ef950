//! Whether the claims that an identity provider vouches for make a token good here. Pure: no clock, no network.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::auth::{Rejection, TermsSettings};

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;

/// What must hold of a token.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: String,
    pub(crate) client_ids: Option<BTreeSet<String>>,
}

/// What a claim says about the kind of token it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    Other,
    Unsaid,
}

/// The last second of the year 9999. A later time is a mistake, such as milliseconds.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// How far our clock may be behind the one that wrote `nbf` and `iat`. There is none for `exp`.
const LEEWAY_SECONDS: f64 = 60.0;

// === impl Terms ===

impl From<TermsSettings> for Terms {
    fn from(settings: TermsSettings) -> Self {
        let TermsSettings { issuer, audience, client_ids } = settings;
        Self { issuer, audience, client_ids: client_ids.map(|ids| ids.into_iter().collect()) }
    }
}

impl Terms {
    /// Judges an introspection answer at a time in seconds since 1970, and gives back the claims.
    ///
    /// `active: true` is only the beginning: Okta says it of refresh tokens, ID tokens and device secrets, and of
    /// tokens for any other audience.
    pub(crate) fn judge(&self, mut answer: Map<String, Value>, now: f64) -> Result<Map<String, Value>, Rejection> {
        if answer.remove("active") != Some(Value::Bool(true)) {
            return Err(Rejection::NotActive);
        }
        self.judge_claims(answer, now)
    }

    /// Judges claims that the issuer has vouched for, by its answer or by its signature, and gives them back.
    pub(crate) fn judge_claims(&self, claims: Map<String, Value>, now: f64) -> Result<Map<String, Value>, Rejection> {
        is_bearer(&claims)?;
        is_access_token(&claims)?;
        self.issuer_is_right(&claims)?;
        self.audience_is_right(&claims)?;
        is_in_time(&claims, now)?;
        self.client_is_right(&claims)?;
        Ok(claims)
    }

    fn issuer_is_right(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        match &self.issuer {
            Some(issuer) if text(claims, "iss") == Some(issuer) => Ok(()),
            Some(_) => Err(Rejection::WrongIssuer),
            None => Ok(()),
        }
    }

    fn audience_is_right(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        if audiences(claims).any(|audience| audience == self.audience) { Ok(()) } else { Err(Rejection::WrongAudience) }
    }

    fn client_is_right(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        let client = match (given(claims, "client_id"), given(claims, "cid")) {
            (Some(one), Some(other)) if one != other => return Err(Rejection::WrongClient),
            (Some(client), _) | (None, Some(client)) => client.as_str(),
            (None, None) => None,
        };
        match (&self.client_ids, client) {
            (None, _) => Ok(()),
            (Some(allowed), Some(client)) if allowed.contains(client) => Ok(()),
            (Some(_), _) => Err(Rejection::WrongClient),
        }
    }
}

/// Refuses a token that is bound to a key. Whoever presents it has not shown the key, so it may be stolen.
fn is_bearer(claims: &Map<String, Value>) -> Result<(), Rejection> {
    if given(claims, "cnf").is_some() {
        return Err(Rejection::SenderConstrained);
    }
    let Some(written) = given(claims, "token_type") else {
        return Ok(());
    };
    match written.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("bearer") => Ok(()),
        Some("dpop" | "pop" | "mac") => Err(Rejection::SenderConstrained),
        Some(_) | None => Err(Rejection::NotAccessToken),
    }
}

/// Refuses refresh tokens and ID tokens by everything that gives them away.
fn is_access_token(claims: &Map<String, Value>) -> Result<(), Rejection> {
    let kinds = ["typ", "token_use"].map(|name| text(claims, name).map_or(Kind::Unsaid, Kind::read));
    if kinds.contains(&Kind::Other) {
        return Err(Rejection::NotAccessToken);
    }
    // OpenID Connect writes these hashes into ID tokens only.
    if ["at_hash", "c_hash", "s_hash"].iter().any(|name| given(claims, name).is_some()) {
        return Err(Rejection::NotAccessToken);
    }
    // Keycloak before 25 repeats `nonce` in access tokens, but says `typ: Bearer` there.
    let said = kinds.contains(&Kind::Access);
    if !said && (given(claims, "nonce").is_some() || is_for_its_own_client(claims)) {
        return Err(Rejection::NotAccessToken);
    }
    // Okta's answer for a refresh token looks like one for an access token, but names neither.
    if given(claims, "iss").is_none() && given(claims, "aud").is_none() {
        return Err(Rejection::NotAccessToken);
    }
    Ok(())
}

/// An ID token is for its client and nobody else; it tells when the user signed in, or at least grants no scope.
fn is_for_its_own_client(claims: &Map<String, Value>) -> bool {
    let client = text(claims, "client_id").or_else(|| text(claims, "cid"));
    let mut audiences = audiences(claims);
    let only_audience = client.is_some() && audiences.next() == client && audiences.next().is_none();
    let grants_nothing = ["scope", "scp"].iter().all(|name| given(claims, name).is_none());
    only_audience && (grants_nothing || given(claims, "auth_time").is_some())
}

fn is_in_time(claims: &Map<String, Value>, now: f64) -> Result<(), Rejection> {
    // A token without an end cannot be told from one whose end was lost.
    let exp = given(claims, "exp").and_then(seconds).ok_or(Rejection::Malformed)?;
    if exp <= now {
        return Err(Rejection::Expired);
    }
    if let Some(nbf) = given(claims, "nbf") {
        let nbf = seconds(nbf).ok_or(Rejection::Malformed)?;
        if nbf > now + LEEWAY_SECONDS {
            return Err(Rejection::NotYetValid);
        }
    }
    if let Some(iat) = given(claims, "iat") {
        let iat = seconds(iat).ok_or(Rejection::Malformed)?;
        if iat > now + LEEWAY_SECONDS {
            return Err(Rejection::NotYetValid);
        }
    }
    Ok(())
}

/// Times must be numbers: a string that looks like one was skipped by many a verifier.
fn seconds(value: &Value) -> Option<f64> {
    value.as_f64().filter(|seconds| *seconds <= LAST_SECOND)
}

/// The audiences of a token: `aud` as one string or as a list.
fn audiences(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let aud = claims.get("aud");
    let one = aud.and_then(Value::as_str);
    let many = aud.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

/// A claim that is there. Some servers write `null` for what they have nothing to say about.
fn given<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

// === impl Kind ===

impl Kind {
    /// Reads the words that Keycloak (`typ`), Cognito and Hydra (`token_use`) and RFC 8693 use.
    fn read(written: &str) -> Self {
        let word = written.to_ascii_lowercase();
        match word.strip_prefix("urn:ietf:params:oauth:token-type:").unwrap_or(&word) {
            "bearer" | "access" | "access_token" | "at+jwt" | "application/at+jwt" => Self::Access,
            "id" | "id_token" | "refresh" | "refresh_token" | "offline" | "logout" | "logout+jwt" => Self::Other,
            _ => Self::Unsaid,
        }
    }
}
