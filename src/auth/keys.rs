//! The public keys of an issuer (RFC 7517): fetched when needed, renewed behind the scenes, kept when renewal fails.
//!
//! A token can name any key it likes, so an unknown name leads to a fetch at most once in a while, whatever comes in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Request;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};
use url::Url;

use crate::auth::{AuthError, KeysStatus, Rejection};
use crate::net::Client;
use crate::oauth::{Trouble, discover, max_age};

/// How long a set of keys may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// The largest set, in bytes and in keys.
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// How long keys are fresh: what `Cache-Control` says, within bounds.
const FRESH: Duration = Duration::from_mins(10);
const FRESH_AT_LEAST: Duration = Duration::from_mins(1);
const FRESH_AT_MOST: Duration = Duration::from_hours(24);
/// How long keys are used that can't be renewed. A key is taken back by not being listed any more.
const STALE_AT_MOST: Duration = Duration::from_hours(24);
/// How long it is from one attempt to the next: for a name that is unknown, and while there are no keys at all.
const PAUSE: Duration = Duration::from_secs(30);
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// The keys of one issuer.
pub(super) struct Keys {
    client: Client,
    issuer: String,
    /// Where they are; found by discovery unless it is known.
    url: Option<Url>,
    current: ArcSwap<KeySet>,
    last: Mutex<Option<Attempt>>,
}

/// What came of the last fetch, claimed before it begins.
#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    trouble: Option<Trouble>,
}

/// A set of keys, as fetched.
pub(super) struct KeySet {
    named: HashMap<String, Vec<Key>>,
    unnamed: Vec<Key>,
    fetched: Instant,
    fresh_for: Duration,
}

/// A key and what it may be used for.
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(client: Client, issuer: String, url: Option<Url>) -> Self {
        let none =
            KeySet { named: HashMap::new(), unnamed: Vec::new(), fetched: Instant::now(), fresh_for: Duration::ZERO };
        Self { client, issuer, url, current: ArcSwap::from_pointee(none), last: Mutex::new(None) }
    }

    /// What there is, for whoever operates this.
    pub(super) fn status(&self) -> KeysStatus {
        let keys = self.current.load();
        let mut ids: Vec<String> = keys.named.keys().cloned().collect();
        ids.sort_unstable();
        let is_fetched = !keys.named.is_empty() || !keys.unnamed.is_empty();
        KeysStatus { issuer: self.issuer.clone(), ids, age: is_fetched.then(|| keys.fetched.elapsed()) }
    }

    /// A set of keys that has the one of this name.
    pub(super) async fn with(self: &Arc<Self>, name: Option<&str>) -> Result<Arc<KeySet>, AuthError> {
        let keys = self.current.load_full();
        if keys.has(name) && keys.fetched.elapsed() < keys.fresh_for + STALE_AT_MOST {
            if keys.fetched.elapsed() >= keys.fresh_for {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.renew().await });
            }
            return Ok(keys);
        }
        // A task of its own: a caller who leaves must not take the fetch along that others wait for.
        let (this, name) = (Arc::clone(self), name.map(str::to_owned));
        let looked = tokio::spawn(async move { this.look(name.as_deref()).await }).await;
        looked.unwrap_or(Err(AuthError::Unavailable { reason: Trouble::Broken }))
    }

    /// The way to a key that is not at hand.
    async fn look(&self, name: Option<&str>) -> Result<Arc<KeySet>, AuthError> {
        // Whoever waits here waits for one fetch, which all of them share.
        let mut last = self.last.lock().await;
        let keys = self.current.load_full();
        if keys.has(name) && keys.fetched.elapsed() < keys.fresh_for + STALE_AT_MOST {
            return Ok(keys);
        }
        let pause = if keys.is_empty() { PAUSE_WITHOUT_KEYS } else { PAUSE };
        let trouble = match *last {
            Some(attempt) if attempt.at.elapsed() < pause => attempt.trouble,
            _ => self.fetch(&mut last).await,
        };
        let keys = self.current.load_full();
        match trouble {
            _ if keys.has(name) => Ok(keys),
            Some(reason) => Err(AuthError::Unavailable { reason }),
            None => Err(AuthError::Rejected { reason: Rejection::UnknownKey }),
        }
    }

    /// Fetches keys that are no longer fresh, unless that is being done or was tried just now.
    pub(super) async fn renew(&self) {
        let Ok(mut last) = self.last.try_lock() else { return };
        let keys = self.current.load();
        let is_due = keys.is_empty() || keys.fetched.elapsed() >= keys.fresh_for;
        if is_due && last.is_none_or(|attempt| attempt.at.elapsed() >= PAUSE) {
            self.fetch(&mut last).await;
        }
    }

    /// Claims the attempt before it begins, so that no outcome of it lets the next one begin early.
    async fn fetch(&self, last: &mut Option<Attempt>) -> Option<Trouble> {
        *last = Some(Attempt { at: Instant::now(), trouble: Some(Trouble::Timeout) });
        let fetched = tokio::time::timeout(DEADLINE, self.fetch_set()).await.unwrap_or(Err(Trouble::Timeout));
        let trouble = match fetched {
            Ok(keys) => {
                info!(keys = keys.count(), fresh_s = keys.fresh_for.as_secs(), "Fetched the identity provider's keys.");
                self.current.store(Arc::new(keys));
                None
            }
            Err(reason) => {
                warn!(%reason, "The identity provider's keys can't be fetched; those at hand are kept.");
                Some(reason)
            }
        };
        // The pause begins when the attempt has ended, so that those who waited for it don't begin another.
        *last = Some(Attempt { at: Instant::now(), trouble });
        trouble
    }

    async fn fetch_set(&self) -> Result<KeySet, Trouble> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => discover(&self.client, &self.issuer).await?.jwks_uri.ok_or(Trouble::Incomplete)?,
        };
        let answer = self.client.send(Request::new(Method::GET, url), DEADLINE, MAX_BYTES).await?;
        if answer.status != StatusCode::OK {
            return Err(Trouble::of_status(answer.status));
        }
        let fresh_for = max_age(&answer).map_or(FRESH, Duration::from_secs).clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
        let document: Value = serde_json::from_slice(&answer.body).map_err(|_| Trouble::NotJson)?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(Trouble::Incomplete)?;
        let mut keys = KeySet { named: HashMap::new(), unnamed: Vec::new(), fetched: Instant::now(), fresh_for };
        for written in listed.iter().take(MAX_KEYS) {
            // A key of a kind that we don't know is none of our business.
            let Some((name, key)) = Key::read(written) else { continue };
            match name {
                Some(name) => keys.named.entry(name).or_default().push(key),
                None => keys.unnamed.push(key),
            }
        }
        // An empty set is a mistake, not a wish that everybody be refused.
        if keys.is_empty() { Err(Trouble::Incomplete) } else { Ok(keys) }
    }
}

// === impl KeySet ===

impl KeySet {
    /// The keys that a token may have been signed with: those of the name, or all if neither names one.
    pub(super) fn named(&self, name: Option<&str>) -> &[Key] {
        match name {
            Some(name) => self.named.get(name).map_or(&[], Vec::as_slice),
            None if self.unnamed.is_empty() && self.named.len() == 1 => {
                self.named.values().next().map_or(&[], Vec::as_slice)
            }
            None => &self.unnamed,
        }
    }

    fn has(&self, name: Option<&str>) -> bool {
        !self.named(name).is_empty()
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_empty()
    }

    fn count(&self) -> usize {
        self.unnamed.len() + self.named.values().map(Vec::len).sum::<usize>()
    }
}

// === impl Key ===

impl Key {
    /// Reads a public key that is for signatures, with its name. What the key says about itself decides how it is used,
    /// never what a token says.
    fn read(written: &Value) -> Option<(Option<String>, Self)> {
        let jwk: Jwk = serde_json::from_value(written.clone()).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let fitting: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            _ => return None,
        };
        let algorithms: Vec<Algorithm> = match jwk.common.key_algorithm {
            None => fitting.to_vec(),
            Some(said) => {
                let said: Algorithm = said.to_string().parse().ok()?;
                fitting.iter().copied().filter(|algorithm| *algorithm == said).collect()
            }
        };
        if algorithms.is_empty() {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some((jwk.common.key_id, Self { decoding, algorithms }))
    }
}
