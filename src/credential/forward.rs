//! `caller_token`: the caller's own access token goes to the API that it was issued for too.

use http::header;
use secrecy::ExposeSecret as _;

use super::{BoxFuture, CredentialProvider, SignIn, sensitive};
use crate::call::CallError;
use crate::principal::Principal;

/// Forwards the verified token of whoever is calling.
pub(super) struct Forward;

impl CredentialProvider for Forward {
    fn sign_in<'a>(&'a self, who: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        let sign_in = who
            .token()
            .and_then(|token| sensitive(&format!("Bearer {}", token.expose_secret())).ok())
            .map(|value| SignIn::Header(header::AUTHORIZATION, value))
            .ok_or_else(|| {
                CallError::Denied(
                    "Access denied: this tool calls the API with the caller's own token, and there is none".to_owned(),
                )
            });
        Box::pin(std::future::ready(sign_in))
    }
}
