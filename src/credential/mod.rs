//! Plug 2: how we sign in upstream. A new kind is one file here, one variant of `CredentialSpec` and one arm of [`build`].

mod fixed;
mod forward;

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::call::CallError;
use crate::catalog::Credential;
use crate::principal::Principal;
use crate::secret::Secrets;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives what a request needs to sign in at the API.
pub trait CredentialProvider: Send + Sync {
    /// Signs in for one request of this caller.
    ///
    /// # Errors
    /// Returns [`CallError::Denied`] when the caller has nothing to sign in with; there is no fallback.
    fn sign_in<'a>(&'a self, who: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>>;
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

/// Makes the provider of a credential whose secrets are known.
///
/// # Errors
/// Returns [`Unsendable`] when the value of a secret does not fit a header.
pub fn build(credential: &Credential, secrets: &Secrets) -> Result<Arc<dyn CredentialProvider>, Unsendable> {
    Ok(match credential {
        Credential::None => Arc::new(fixed::Fixed::nothing()),
        Credential::CallerToken { audience } => Arc::new(forward::Forward { audience: audience.clone() }),
        Credential::Bearer(token) => Arc::new(fixed::Fixed::bearer(&token.fill(secrets))?),
        Credential::Basic { username, password } => {
            Arc::new(fixed::Fixed::basic(&username.fill(secrets), &password.fill(secrets))?)
        }
        Credential::KeyHeader(name, value) => Arc::new(fixed::Fixed::header(name, &value.fill(secrets))?),
        Credential::KeyQuery(name, value) => Arc::new(fixed::Fixed::query(name, &value.fill(secrets))),
    })
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
