//! Plug 1: from a token to a [`Principal`]. This module may not know what the caller wants to do.
//!
//! A new kind of authenticator is one file here, one variant of [`AuthSettings`] and one arm of [`build`].

pub mod introspection;
pub mod metadata;
pub mod probe;
mod settings;
pub mod token;
mod unique;
mod verdict;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::StatusCode;
use secrecy::SecretString;

use crate::auth::introspection::Introspection;
use crate::auth::metadata::ChallengeError;
use crate::principal::Principal;

pub use crate::auth::settings::{AuthSettings, IntrospectionSettings, OktaUrls, SettingsError, UrlKey, endpoint, okta};

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns a token into the caller it was issued to, or refuses it.
pub trait Authenticator: Send + Sync {
    /// Proves who presents this token. Called for every request; whatever cannot be proven is refused.
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>>;

    /// The issuers to name in the RFC 9728 metadata, so that a client knows where to get a token.
    fn authorization_servers(&self) -> Vec<String>;
}

/// Why a caller is not let in. `Display` is the text for the client and gives no reason away; the reason is for
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// No `Authorization` header, or not exactly one bearer token in it.
    Missing,
    /// The token is not good here.
    Rejected {
        /// What is wrong with it.
        reason: Rejection,
    },
    /// Nobody can say whether the token is good, so nobody is let in. It is no reason to sign in again.
    Unavailable {
        /// What went wrong.
        reason: Trouble,
    },
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// The identity provider did not answer with `active: true`.
    #[error("the token is not active")]
    NotActive,
    /// `iss` is missing or not the configured issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// `aud` is missing or does not contain the configured audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A refresh or ID token, or an answer that names neither issuer nor audience, as for a refresh token of Okta.
    #[error("the token is not an access token")]
    NotAccessToken,
    /// The client is not on the list of `client_ids`, or `client_id` and `cid` name two clients.
    #[error("the token was issued to a client that is not allowed")]
    WrongClient,
    /// The token is bound to a key (`DPoP`, mutual TLS), so presenting it as a bearer token proves nothing.
    #[error("the token is bound to a key and is no bearer token")]
    SenderConstrained,
    /// A time claim is missing or no plausible number, or the token has characters that no token has.
    #[error("the token or its claims are malformed")]
    Malformed,
    /// Longer than any token we are willing to ask about.
    #[error("the token is too long")]
    TooLong,
}

/// Why the identity provider could not check a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Trouble {
    /// No complete answer in time, or no turn to ask.
    #[error("the identity provider did not answer in time")]
    Timeout,
    /// No connection could be made.
    #[error("the identity provider cannot be reached")]
    Unreachable,
    /// No secure connection could be made.
    #[error("no secure connection to the identity provider could be made")]
    Tls,
    /// The connection broke, or the answer was not HTTP.
    #[error("the connection to the identity provider broke")]
    Broken,
    /// The identity provider refused our own client id and secret.
    #[error("the identity provider refused our own client_id and client_secret (401)")]
    Refused401,
    /// The identity provider is busy.
    #[error("the identity provider limits our requests (429)")]
    RateLimited,
    /// Some other status than 200.
    #[error("the identity provider answered with status {0}")]
    Status(u16),
    /// The answer is not one JSON object with unique names.
    #[error("the identity provider's answer is not a JSON object")]
    NotJson,
    /// The answer is longer than any introspection answer.
    #[error("the identity provider's answer is too large")]
    TooLarge,
}

/// Lets everybody in. It is only for loopback, and only asked by a caller who presents a token anyway.
#[derive(Clone, Copy, Debug)]
struct Anybody;

/// Builds the authenticator that the settings describe. Opens no connection.
///
/// # Errors
///
/// Everything that is wrong with the settings.
pub fn build(settings: AuthSettings) -> Result<Arc<dyn Authenticator>, Vec<SettingsError>> {
    match settings {
        AuthSettings::Introspection(settings) => Ok(Arc::new(Introspection::new(settings)?)),
        AuthSettings::None => Ok(Arc::new(Anybody)),
    }
}

// === impl AuthError ===

impl AuthError {
    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Rejected { .. } => StatusCode::UNAUTHORIZED,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The text for the client.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::Missing => "Access denied: Missing or invalid Bearer token",
            Self::Rejected { .. } => "Access denied: Invalid or expired token",
            Self::Unavailable { .. } => "The identity provider can't check tokens right now; try again shortly",
        }
    }

    /// The reason, for the log and never for the client.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Missing => "no bearer token".to_owned(),
            Self::Rejected { reason } => reason.to_string(),
            Self::Unavailable { reason } => reason.to_string(),
        }
    }

    /// What the `WWW-Authenticate` challenge of a 401 says is wrong: nothing when no token was presented.
    #[must_use]
    pub fn challenge_error(&self) -> Option<ChallengeError> {
        match self {
            Self::Missing | Self::Unavailable { .. } => None,
            Self::Rejected { .. } => Some(ChallengeError::InvalidToken),
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for AuthError {}

// === impl Anybody ===

impl Authenticator for Anybody {
    fn authenticate<'a>(&'a self, _: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        Box::pin(std::future::ready(Ok(Principal::anonymous())))
    }

    fn authorization_servers(&self) -> Vec<String> {
        Vec::new()
    }
}
