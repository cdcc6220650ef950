//! `cache`: answers kept for a while, for the same request of the same caller.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use http::header;
use moka::sync::Cache;
use secrecy::ExposeSecret as _;

use crate::call::{Request, Shown};
use crate::principal::Principal;
use crate::shape::Reply;

/// How much the answers of one tool may take, in bytes.
const CAPACITY: u64 = 16 << 20;
/// What an answer takes besides its body, about.
const OVERHEAD: usize = 1024;

/// The answers of one tool.
pub struct ReplyCache(Cache<Key, Reply>);

/// A hash of the caller's token and the whole request. The token, and not only the user, because two tokens of one user
/// may be allowed different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

// === impl ReplyCache ===

impl ReplyCache {
    /// Keeps answers for so long.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        let weight = |_: &Key, reply: &Reply| u32::try_from(reply.body.len() + OVERHEAD).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(CAPACITY).weigher(weight).time_to_live(keep).build())
    }

    /// The answer that is kept for a request.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Reply> {
        self.0.get(key)
    }

    /// Keeps an answer, unless it is an error or the API forbids it (RFC 9111 section 5.2.2.5).
    pub fn keep(&self, key: Key, reply: &Reply) {
        let forbidden = reply
            .headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|text| text.to_ascii_lowercase().contains("no-store"));
        if (200..300).contains(&reply.status) && !forbidden {
            self.0.insert(key, reply.clone());
        }
    }
}

impl fmt::Debug for ReplyCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReplyCache(…)")
    }
}

// === impl Key ===

impl Key {
    /// The key of a request. Secrets count by their names: they are the same for every call.
    #[must_use]
    pub fn new(request: &Request, who: &Principal) -> Self {
        let mut digest = Context::new(&SHA256);
        // Lengths keep ("a", "bc") and ("ab", "c") apart.
        let mut add = |text: &str| {
            digest.update(&text.len().to_be_bytes());
            digest.update(text.as_bytes());
        };
        match who.token() {
            Some(token) => add(token.expose_secret()),
            None => add(&who.identity()),
        }
        add(request.method.as_str());
        add(&request.wire_path());
        add(&request.wire_query(&Shown).unwrap_or_default());
        add(&request.wire_cookies(&Shown).unwrap_or_default());
        for (name, text, _) in &request.headers {
            add(name.as_str());
            add(&text.to_string());
        }
        let hash = digest.finish();
        let mut key = [0; 32];
        key.iter_mut().zip(hash.as_ref()).for_each(|(key, hash)| *key = *hash);
        Self(key)
    }
}
