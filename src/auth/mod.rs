//! Plug 1: from a token to a [`Principal`]. This module may not know what the caller wants to do.
//!
//! A new kind of authenticator is one file here, one variant of [`AuthSettings`] and one arm of [`build`].

pub mod introspection;
pub mod jwt;
mod kept;
mod keys;
pub mod metadata;
pub mod probe;
mod settings;
mod several;
pub mod token;
mod verdict;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use secrecy::SecretString;

use crate::auth::introspection::Introspection;
use crate::auth::jwt::Jwt;
use crate::auth::kept::Kept;
use crate::auth::metadata::ChallengeError;
use crate::auth::several::{Both, ByIssuer};
use crate::metrics::Meter;
use crate::principal::Principal;

pub use crate::auth::kept::MAX_AGE as MAX_KEEP;
pub use crate::auth::settings::{
    AuthSettings, IntrospectionSettings, IssuerSettings, JwtSettings, Method, OktaUrls, SettingsError, TermsSettings,
    UrlKey, endpoint, issuer, keys as keys_url, okta,
};
pub use crate::oauth::Trouble;

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

    /// The keys that tokens are checked by, issuer by issuer, as far as there are any.
    fn keys(&self) -> Vec<KeysStatus> {
        Vec::new()
    }

    /// Gets ready before the first caller comes: opens what has to be opened. To fail is no harm.
    fn prepare(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The keys of an issuer, for whoever operates this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysStatus {
    /// The issuer.
    pub issuer: String,
    /// The names of its keys; none before the first fetch.
    pub ids: Vec<String>,
    /// How old they are; `None` before the first fetch.
    pub age: Option<Duration>,
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
    /// Not a JWT, where only JWTs can be checked.
    #[error("the token is no JWT, and only JWTs can be checked by keys; use `introspection` for opaque tokens")]
    NotJwt,
    /// A token of Okta's org authorization server, whose keys are not for others.
    #[error(
        "the token is from Okta's org authorization server; only introspection can check it, or use a custom authorization server"
    )]
    OrgServerToken,
    /// Signed with a key that the issuer does not list.
    #[error("the token is signed with a key that its issuer does not list")]
    UnknownKey,
    /// Signed in a way that its key is not for, or not at all.
    #[error("the signature algorithm of the token is not one that its key is for")]
    WrongAlgorithm,
    /// The signature is not that of the key.
    #[error("the signature of the token is wrong")]
    BadSignature,
    /// The header asks for something to be understood that we don't know.
    #[error("the token has a critical extension in its header")]
    CriticalHeader,
    /// Longer than any token we are willing to ask about.
    #[error("the token is too long")]
    TooLong,
}

/// Lets everybody in. It is only for loopback, and only asked by a caller who presents a token anyway.
#[derive(Clone, Copy, Debug)]
struct Anybody;

/// Builds the authenticator that the settings describe, with its questions counted. Opens no connection.
///
/// # Errors
///
/// Everything that is wrong with the settings.
pub fn build(settings: AuthSettings, meter: &Meter) -> Result<Arc<dyn Authenticator>, Vec<SettingsError>> {
    match settings {
        AuthSettings::None => Ok(Arc::new(Anybody)),
        AuthSettings::Issuers(issuers) => {
            let mut built = Vec::new();
            let mut faults = Vec::new();
            let several = issuers.len() > 1;
            let opaque = issuers.iter().position(|issuer| matches!(issuer.method, Method::Introspection(_)));
            for settings in issuers {
                let name = settings.issuer().map(str::to_owned);
                match &name {
                    None if several => faults.push(SettingsError::NoIssuer),
                    Some(name) if built.iter().any(|(known, _)| known == name) => {
                        faults.push(SettingsError::SameIssuer(name.clone()));
                    }
                    _ => {}
                }
                match build_one(settings, meter) {
                    Ok(authenticator) => built.push((name.unwrap_or_default(), authenticator)),
                    Err(errors) => faults.extend(errors),
                }
            }
            match (faults.is_empty(), several, built.pop()) {
                (false, ..) => Err(faults),
                (true, false, Some((_, only))) => Ok(only),
                (true, _, last) => {
                    built.extend(last);
                    Ok(Arc::new(ByIssuer { issuers: built, opaque }))
                }
            }
        }
    }
}

fn build_one(settings: IssuerSettings, meter: &Meter) -> Result<Arc<dyn Authenticator>, Vec<SettingsError>> {
    let authenticator: Arc<dyn Authenticator> = match settings.method {
        Method::Introspection(settings) => Arc::new(Introspection::new(settings, meter)?),
        Method::Jwt(settings) => Arc::new(Jwt::new(settings, meter)?),
        Method::Both(both) => {
            let (keys, live) = *both;
            Arc::new(Both { keys: Arc::new(Jwt::new(keys, meter)?), live: Arc::new(Introspection::new(live, meter)?) })
        }
    };
    Ok(match settings.keep {
        Some(max_age) => Arc::new(Kept::new(authenticator, max_age)),
        None => authenticator,
    })
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
