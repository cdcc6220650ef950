//! Credentials that are the same for every caller: bearer token, basic, API key, or none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, header};

use super::{BoxFuture, CredentialProvider, SignIn, Unsendable, sensitive};
use crate::call::CallError;
use crate::principal::Principal;

/// A credential made once, at load time.
pub(super) struct Fixed(SignIn);

// === impl Fixed ===

impl Fixed {
    pub(super) fn nothing() -> Self {
        Self(SignIn::Nothing)
    }

    pub(super) fn bearer(token: &str) -> Result<Self, Unsendable> {
        if token.trim().is_empty() {
            return Err(Unsendable);
        }
        Self::header(&header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// RFC 7617, in UTF-8.
    pub(super) fn basic(username: &str, password: &str) -> Result<Self, Unsendable> {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        Self::header(&header::AUTHORIZATION, &format!("Basic {pair}"))
    }

    pub(super) fn header(name: &HeaderName, value: &str) -> Result<Self, Unsendable> {
        Ok(Self(SignIn::Header(name.clone(), sensitive(value)?)))
    }

    pub(super) fn query(name: &str, value: &str) -> Self {
        Self(SignIn::Query(name.to_owned(), value.to_owned()))
    }
}

impl CredentialProvider for Fixed {
    fn sign_in<'a>(&'a self, _: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        let sign_in = match &self.0 {
            SignIn::Nothing => SignIn::Nothing,
            SignIn::Header(name, value) => SignIn::Header(name.clone(), value.clone()),
            SignIn::Query(name, value) => SignIn::Query(name.clone(), value.clone()),
        };
        Box::pin(std::future::ready(Ok(sign_in)))
    }
}
