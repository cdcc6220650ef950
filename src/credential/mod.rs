//! Plug 2: how we sign in upstream. A new kind is one file here, one variant of `CredentialSpec` and one arm of [`build`].

mod fixed;
mod forward;
mod issued;

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::call::CallError;
use crate::catalog::{Credential, OnBehalf};
use crate::metrics::Meter;
use crate::net::{BuildError, Egress};
use crate::principal::Principal;
use crate::secret::Secrets;

pub use issued::IssuedSettings;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives what a request needs to sign in at the API.
pub trait CredentialProvider: Send + Sync {
    /// Signs in for one request of this caller.
    ///
    /// # Errors
    /// Returns [`CallError::Denied`] when the caller has nothing to sign in with; there is no fallback.
    fn sign_in<'a>(&'a self, who: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>>;

    /// The API did not accept what this caller signed in with: the next call signs in anew.
    fn rejected(&self, _: &Principal) {}

    /// What this caller signs in with, as it is sent, so that it can be taken out of texts.
    fn held(&self, _: &Principal) -> Option<SecretString> {
        None
    }

    /// What decides which token is issued, for those who ask for tokens.
    fn settings(&self) -> Option<&IssuedSettings> {
        None
    }
}

/// What is added to a request. Never shown, never logged.
pub enum SignIn {
    /// Nothing.
    Nothing,
    /// A header, marked as sensitive.
    Header(HeaderName, HeaderValue),
    /// A query parameter.
    Query(String, String),
}

/// Why a credential can't be used: words for the admin that don't hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value of this credential can't be sent in a header: it is empty or holds a line break or another control character"
)]
pub struct Unsendable;

/// Why a credential can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It does not fit a header.
    #[error("{0}")]
    Unsendable(#[from] Unsendable),
    /// The URL of the token endpoint is none.
    #[error("`token_url` {0}")]
    TokenUrl(&'static str),
    /// Something that must say something is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// The private key is none.
    #[error("`private_key` is no RSA or EC private key in PEM")]
    PrivateKey,
    /// No HTTP client can be made.
    #[error("no HTTP client can be made: {0}")]
    Net(BuildError),
}

/// Makes the provider of a credential whose secrets are known. One of `previous` that asks for the same tokens is used
/// again, with the tokens that it has.
///
/// # Errors
/// Returns what can't be used.
pub fn build<'p>(
    credential: &Credential,
    secrets: &Secrets,
    previous: impl IntoIterator<Item = &'p Arc<dyn CredentialProvider>>,
    meter: &Meter,
    egress: &Egress,
) -> Result<Arc<dyn CredentialProvider>, CredentialError> {
    Ok(match credential {
        Credential::None => Arc::new(fixed::Fixed::nothing()),
        Credential::CallerToken { audience } => Arc::new(forward::Forward { audience: audience.clone() }),
        Credential::Bearer(token) => Arc::new(fixed::Fixed::bearer(&token.fill(secrets))?),
        Credential::Basic { username, password } => {
            Arc::new(fixed::Fixed::basic(&username.fill(secrets), &password.fill(secrets))?)
        }
        Credential::KeyHeader(name, value) => Arc::new(fixed::Fixed::header(name, &value.fill(secrets))?),
        Credential::KeyQuery(name, value) => Arc::new(fixed::Fixed::query(name, &value.fill(secrets))),
        Credential::Grant(def) => {
            let settings = IssuedSettings::read(def, secrets)?;
            match previous.into_iter().find(|other| other.settings() == Some(&settings)) {
                Some(lender) => Arc::clone(lender),
                None => Arc::new(issued::Issued::new(settings, meter, egress)?),
            }
        }
    })
}

/// Whether a caller could sign in, as far as that can be told without asking anybody and without a secret.
///
/// # Errors
/// Returns [`CallError::Denied`] when the caller's token is not there or not meant for the API.
pub fn rehearse(credential: &Credential, who: &Principal) -> Result<(), CallError> {
    match credential {
        Credential::CallerToken { audience } => forward::Forward { audience: audience.clone() }.header(who).map(drop),
        Credential::Grant(grant) if grant.on_behalf == OnBehalf::Caller => issued::subject(who).map(drop),
        Credential::None
        | Credential::Bearer(_)
        | Credential::Basic { .. }
        | Credential::KeyHeader(..)
        | Credential::KeyQuery(..)
        | Credential::Grant(_) => Ok(()),
    }
}

/// A header value that no log shows.
fn sensitive(text: &str) -> Result<HeaderValue, Unsendable> {
    if text.trim().is_empty() || !text.is_ascii() {
        return Err(Unsendable);
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}
