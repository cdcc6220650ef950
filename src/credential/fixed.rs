//! Credentials that are the same for every caller: bearer token, basic, API key, or none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, header};
use secrecy::SecretString;

use super::{BoxFuture, CredentialProvider, SignIn, Unsendable, sensitive};
use crate::call::CallError;
use crate::principal::Principal;

/// A credential made once, at load time.
pub(super) struct Fixed {
    sign_in: SignIn,
    /// What of it is secret, as it is sent.
    held: Option<SecretString>,
}

// === impl Fixed ===

impl Fixed {
    pub(super) fn nothing() -> Self {
        Self { sign_in: SignIn::Nothing, held: None }
    }

    pub(super) fn bearer(token: &str) -> Result<Self, Unsendable> {
        if token.trim().is_empty() {
            return Err(Unsendable);
        }
        Self::authorization("Bearer", token)
    }

    /// RFC 7617, in UTF-8.
    pub(super) fn basic(username: &str, password: &str) -> Result<Self, Unsendable> {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        Self::authorization("Basic", &pair)
    }

    fn authorization(scheme: &str, credential: &str) -> Result<Self, Unsendable> {
        let whole = Self::header(&header::AUTHORIZATION, &format!("{scheme} {credential}"))?;
        Ok(Self { held: Some(credential.into()), ..whole })
    }

    pub(super) fn header(name: &HeaderName, value: &str) -> Result<Self, Unsendable> {
        Ok(Self { sign_in: SignIn::Header(name.clone(), sensitive(value)?), held: Some(value.into()) })
    }

    pub(super) fn query(name: &str, value: &str) -> Self {
        Self { sign_in: SignIn::Query(name.to_owned(), value.to_owned()), held: Some(value.into()) }
    }
}

impl CredentialProvider for Fixed {
    fn sign_in<'a>(&'a self, _: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        let sign_in = match &self.sign_in {
            SignIn::Nothing => SignIn::Nothing,
            SignIn::Header(name, value) => SignIn::Header(name.clone(), value.clone()),
            SignIn::Query(name, value) => SignIn::Query(name.clone(), value.clone()),
        };
        Box::pin(std::future::ready(Ok(sign_in)))
    }

    fn held(&self, _: &Principal) -> Option<SecretString> {
        self.held.clone()
    }
}
