//! `caller_token`: the caller's own access token goes to the API that it was issued for too.

use http::header;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{BoxFuture, CredentialProvider, SignIn, sensitive};
use crate::call::CallError;
use crate::principal::Principal;

/// Forwards the verified token of whoever is calling.
pub(super) struct Forward {
    /// The audience that the token must name, if one is asked for.
    pub(super) audience: Option<String>,
}

// === impl Forward ===

impl Forward {
    pub(super) fn header(&self, who: &Principal) -> Result<SignIn, CallError> {
        let denied = |why: &str| CallError::Denied(format!("Access denied: {why}"));
        if let Some(audience) = &self.audience
            && !names_audience(who, audience)
        {
            return Err(denied("the caller's token is not meant for the API of this tool"));
        }
        who.token()
            .and_then(|token| sensitive(&format!("Bearer {}", token.expose_secret())).ok())
            .map(|value| SignIn::Header(header::AUTHORIZATION, value))
            .ok_or_else(|| denied("this tool calls the API with the caller's own token, and there is none"))
    }
}

impl CredentialProvider for Forward {
    fn sign_in<'a>(&'a self, who: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        Box::pin(std::future::ready(self.header(who)))
    }
}

/// RFC 7519 section 4.1.3: `aud` is one audience or a list of them.
fn names_audience(who: &Principal, audience: &str) -> bool {
    match who.claims().as_map().get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => false,
    }
}
