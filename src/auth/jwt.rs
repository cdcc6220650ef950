//! RFC 9068 and its looser relatives: a token that is a JWT is checked by the issuer's keys, without asking anybody.
//!
//! A revoked token stays good until it expires; `introspection` is for those who can't have that.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use crate::auth::keys::Keys;
use crate::auth::verdict::Terms;
use crate::auth::{AuthError, Authenticator, BoxFuture, JwtSettings, KeysStatus, Rejection, SettingsError};
use crate::config::server::AlgorithmSpec;
use crate::metrics::{Meter, Purpose};
use crate::net::{Client, ClientSettings};
use crate::principal::Principal;
use crate::unique::Unique;

/// The longest header of a token, encoded.
const MAX_HEADER: usize = 4096;
/// The longest name of a key.
const MAX_NAME: usize = 256;

/// Checks tokens by the keys of their issuer.
pub struct Jwt {
    keys: Arc<Keys>,
    terms: Terms,
    algorithms: Option<Vec<Algorithm>>,
}

/// What the header of a token says, as far as it may say anything.
#[derive(Debug)]
struct Head {
    algorithm: Algorithm,
    key: Option<String>,
}

// === impl Jwt ===

impl Jwt {
    /// Builds the authenticator, with its own pool of connections. Opens none.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    pub fn new(settings: JwtSettings, meter: &Meter) -> Result<Self, Vec<SettingsError>> {
        let mut faults = settings.terms.faults();
        if settings.algorithms.as_ref().is_some_and(Vec::is_empty) {
            faults.push(SettingsError::NoAlgorithms);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let client = Client::new(&ClientSettings::default()).map_err(|error| vec![SettingsError::Net(error)])?;
        let client = client.metered(meter.meant_for(Purpose::Keys));
        let JwtSettings { issuer, keys, terms, algorithms } = settings;
        let terms = Terms { issuer: Some(issuer.clone()), ..terms.into() };
        let algorithms = algorithms.map(|listed| listed.into_iter().map(algorithm).collect());
        Ok(Self { keys: Arc::new(Keys::new(client, issuer, keys)), terms, algorithms })
    }

    async fn check(&self, token: &SecretString) -> Result<Principal, AuthError> {
        let rejected = |reason| AuthError::Rejected { reason };
        let text = token.expose_secret();
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| rejected(Rejection::NotJwt))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| rejected(Rejection::NotJwt))?;
        let head = Head::read(header).map_err(rejected)?;
        if self.algorithms.as_ref().is_some_and(|allowed| !allowed.contains(&head.algorithm)) {
            return Err(rejected(Rejection::WrongAlgorithm));
        }
        let keys = self.keys.with(head.key.as_deref()).await?;
        let mut fits = keys.named(head.key.as_deref()).iter().filter(|key| key.algorithms.contains(&head.algorithm));
        let is_signed = |key: &jsonwebtoken::DecodingKey| {
            jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, head.algorithm).unwrap_or(false)
        };
        let mut fitting = fits.by_ref().peekable();
        if fitting.peek().is_none() {
            return Err(rejected(Rejection::WrongAlgorithm));
        }
        if !fitting.any(|key| is_signed(&key.decoding)) {
            return Err(rejected(Rejection::BadSignature));
        }
        // Only now is anything in it worth reading.
        let claims = object(payload).ok_or_else(|| rejected(Rejection::Malformed))?;
        let claims = self.terms.judge_claims(claims, now()).map_err(rejected)?;
        Ok(Principal::verified(claims, token.clone()))
    }
}

impl Authenticator for Jwt {
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        Box::pin(self.check(token))
    }

    fn authorization_servers(&self) -> Vec<String> {
        self.terms.issuer.clone().into_iter().collect()
    }

    fn keys(&self) -> Vec<KeysStatus> {
        vec![self.keys.status()]
    }

    fn prepare(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.keys.renew())
    }
}

// === impl Head ===

impl Head {
    fn read(encoded: &str) -> Result<Self, Rejection> {
        if encoded.len() > MAX_HEADER {
            return Err(Rejection::Malformed);
        }
        let header = object(encoded).ok_or(Rejection::NotJwt)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        // RFC 7515, section 4.1.11: an extension that must be understood, and we understand none.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Rejection::CriticalHeader);
        }
        match header.get("typ").map(|typ| typ.as_str().map(str::to_ascii_lowercase)) {
            None => {}
            Some(Some(typ)) => match typ.strip_prefix("application/").unwrap_or(&typ) {
                "jwt" | "at+jwt" => {}
                "okta-internal-at+jwt" => return Err(Rejection::OrgServerToken),
                _ => return Err(Rejection::NotAccessToken),
            },
            Some(None) => return Err(Rejection::Malformed),
        }
        let algorithm: Algorithm = text("alg").and_then(|alg| alg.parse().ok()).ok_or(Rejection::WrongAlgorithm)?;
        if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            // A public key is no shared secret.
            return Err(Rejection::WrongAlgorithm);
        }
        let key = match header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if name.len() <= MAX_NAME => Some(name.clone()),
            Some(_) => return Err(Rejection::Malformed),
        };
        Ok(Self { algorithm, key })
    }
}

/// What a token says about itself, proven by nothing: for people who wonder why theirs is refused.
#[must_use]
pub fn peek(token: &SecretString) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = token.expose_secret().split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    Some((object(header)?, object(payload)?))
}

/// The issuer that a token claims to be from. Nothing is proven by it; it only says whom to ask.
pub(super) fn claimed_issuer(token: &SecretString) -> Option<String> {
    peek(token)?.1.get("iss").and_then(Value::as_str).map(str::to_owned)
}

/// A part of a token: base64url without padding, and in it one JSON object without a name twice.
fn object(encoded: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(Unique(Value::Object(members))) => Some(members),
        _ => None,
    }
}

/// A clock that stands before 1970 lets no token be in time.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::INFINITY, |elapsed| elapsed.as_secs_f64())
}

fn algorithm(spec: AlgorithmSpec) -> Algorithm {
    match spec {
        AlgorithmSpec::RS256 => Algorithm::RS256,
        AlgorithmSpec::RS384 => Algorithm::RS384,
        AlgorithmSpec::RS512 => Algorithm::RS512,
        AlgorithmSpec::PS256 => Algorithm::PS256,
        AlgorithmSpec::PS384 => Algorithm::PS384,
        AlgorithmSpec::PS512 => Algorithm::PS512,
        AlgorithmSpec::ES256 => Algorithm::ES256,
        AlgorithmSpec::ES384 => Algorithm::ES384,
        AlgorithmSpec::EdDSA => Algorithm::EdDSA,
    }
}
