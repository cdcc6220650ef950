//! What we ask of an authorization server, whoever asks: proving who our own client is, discovery, and tokens.
//!
//! Nobody's token and no secret stands in an error of this room.

mod client;
mod discovery;
mod grant;
mod login;

use http::StatusCode;

use crate::net::{Answer, NetError};

pub use client::{ClientAuth, OauthClient, SigningKey};
pub use discovery::{Metadata, discover, find};
pub use grant::{Grant, GrantError, Token, grant};
pub use login::{DeviceCode, Pkce};

/// Why an identity provider gave no answer that could be used.
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
    /// The identity provider refused our own client.
    #[error("the identity provider refused our own client (401): are client_id and its secret or key right?")]
    Refused401,
    /// The identity provider is busy.
    #[error("the identity provider limits our requests (429)")]
    RateLimited,
    /// The identity provider has not answered lately, so it is left alone for a moment.
    #[error("the identity provider has not answered lately")]
    Paused,
    /// Some other status than 200.
    #[error("the identity provider answered with status {0}")]
    Status(u16),
    /// The answer is not one JSON object with unique names.
    #[error("the identity provider's answer is not a JSON object")]
    NotJson,
    /// The answer is longer than any such answer.
    #[error("the identity provider's answer is too large")]
    TooLarge,
    /// The answer lacks what it must have.
    #[error("the identity provider's answer lacks what it must have")]
    Incomplete,
    /// The discovery document is of another issuer.
    #[error("the discovery document names another issuer")]
    OtherIssuer,
}

// === impl Trouble ===

impl Trouble {
    /// What an HTTP status other than 200 means.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Refused401,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            status => Self::Status(status.as_u16()),
        }
    }

    /// Whether nobody answered at all, so that asking again at once is of no use.
    #[must_use]
    pub fn is_silence(self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable | Self::Tls | Self::Broken)
    }
}

impl From<NetError> for Trouble {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout(_) => Self::Timeout,
            NetError::Unreachable | NetError::Forbidden(_) => Self::Unreachable,
            NetError::Tls => Self::Tls,
            NetError::TooLarge { limit: _ } => Self::TooLarge,
            NetError::Broken => Self::Broken,
        }
    }
}

/// How long an answer may be kept by its `Cache-Control`, in seconds.
#[must_use]
pub fn max_age(answer: &Answer) -> Option<u64> {
    let value = answer.headers.get(http::header::CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
    let age = value.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
    age.trim_matches('"').parse().ok()
}
