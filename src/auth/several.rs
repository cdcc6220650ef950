//! Authenticators made of others: all of them must agree, or one is chosen by the issuer of the token.

use std::sync::Arc;

use secrecy::SecretString;

use crate::auth::{AuthError, Authenticator, BoxFuture, KeysStatus, Rejection, jwt};
use crate::principal::Principal;

/// First the keys, which cost nothing, then the question whether the token is still good.
pub(super) struct Both {
    pub(super) keys: Arc<dyn Authenticator>,
    pub(super) live: Arc<dyn Authenticator>,
}

/// Several issuers. A token goes to the one that it names and to no other; one that names none goes to the first issuer
/// that takes tokens of any form, so that no issuer sees the tokens of another.
pub(super) struct ByIssuer {
    pub(super) issuers: Vec<(String, Arc<dyn Authenticator>)>,
    /// The index of the issuer for tokens that name none.
    pub(super) opaque: Option<usize>,
}

// === impl Both ===

impl Authenticator for Both {
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        Box::pin(async move {
            self.keys.authenticate(token).await?;
            self.live.authenticate(token).await
        })
    }

    fn authorization_servers(&self) -> Vec<String> {
        self.live.authorization_servers()
    }

    fn keys(&self) -> Vec<KeysStatus> {
        self.keys.keys()
    }

    fn prepare(&self) -> BoxFuture<'_, ()> {
        self.keys.prepare()
    }
}

// === impl ByIssuer ===

impl ByIssuer {
    fn of(&self, token: &SecretString) -> Option<&Arc<dyn Authenticator>> {
        match jwt::claimed_issuer(token) {
            Some(issuer) => self.issuers.iter().find(|(known, _)| *known == issuer).map(|(_, found)| found),
            None => self.opaque.and_then(|index| self.issuers.get(index)).map(|(_, found)| found),
        }
    }
}

impl Authenticator for ByIssuer {
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        match self.of(token) {
            Some(authenticator) => authenticator.authenticate(token),
            None => Box::pin(std::future::ready(Err(AuthError::Rejected { reason: Rejection::WrongIssuer }))),
        }
    }

    fn authorization_servers(&self) -> Vec<String> {
        self.issuers.iter().flat_map(|(_, it)| it.authorization_servers()).collect()
    }

    fn keys(&self) -> Vec<KeysStatus> {
        self.issuers.iter().flat_map(|(_, it)| it.keys()).collect()
    }

    fn prepare(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for (_, authenticator) in &self.issuers {
                authenticator.prepare().await;
            }
        })
    }
}
