//! Verdicts that are kept for a while, when an admin asks for that: a revoked token stays good for as long.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::{AuthError, Authenticator, BoxFuture, KeysStatus, jwt};
use crate::principal::Principal;

/// However long is asked for, no verdict is kept longer.
pub const MAX_AGE: Duration = Duration::from_mins(5);
/// The most verdicts kept.
const MAX_ENTRIES: u64 = 16_384;

/// Keeps what another authenticator has said about good tokens. What it says about others is not kept.
pub(super) struct Kept {
    inner: Arc<dyn Authenticator>,
    verdicts: Cache<[u8; SHA256_OUTPUT_LEN], Principal>,
}

// === impl Kept ===

impl Kept {
    pub(super) fn new(inner: Arc<dyn Authenticator>, max_age: Duration) -> Self {
        let kept = Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(max_age.min(MAX_AGE));
        Self { inner, verdicts: kept.build() }
    }
}

impl Authenticator for Kept {
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        Box::pin(async move {
            // The table holds no tokens.
            let mut key = [0; SHA256_OUTPUT_LEN];
            key.copy_from_slice(digest(&SHA256, token.expose_secret().as_bytes()).as_ref());
            // The token may expire before the verdict does.
            if let Some(who) =
                self.verdicts.get(&key).filter(|who| who.expires_at().is_some_and(|end| end > jwt::now()))
            {
                return Ok(who);
            }
            let who = self.inner.authenticate(token).await?;
            self.verdicts.insert(key, who.clone());
            Ok(who)
        })
    }

    fn authorization_servers(&self) -> Vec<String> {
        self.inner.authorization_servers()
    }

    fn keys(&self) -> Vec<KeysStatus> {
        self.inner.keys()
    }

    fn prepare(&self) -> BoxFuture<'_, ()> {
        self.inner.prepare()
    }
}
