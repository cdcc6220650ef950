//! Tokens that an authorization server issues: to our own client, or in exchange for the caller's.
//!
//! They are kept until shortly before they expire. Those of callers are kept by the token that they came with, so nobody
//! ever gets another's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use http::header;
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{error, warn};
use url::Url;

use super::{BoxFuture, CredentialError, CredentialProvider, SignIn, sensitive};
use crate::call::CallError;
use crate::catalog::compile::token_url;
use crate::catalog::{GrantDef, OnBehalf, ProofDef};
use crate::metrics::{Meter, Purpose};
use crate::net::{Client, ClientSettings, Egress};
use crate::oauth::{ClientAuth, GrantError, OauthClient, SigningKey, Token, Trouble, discover, grant};
use crate::principal::Principal;
use crate::secret::Secrets;

/// The most callers whose tokens are kept.
const MAX_CALLERS: u64 = 8192;
/// How long a token is kept whose server does not say how long it is good.
const UNSAID_LIFE: Duration = Duration::from_mins(1);
/// How long before its end a token is no longer used; of a short-lived one, a tenth of its life.
const MARGIN: Duration = Duration::from_secs(15);
/// However long a token is good, a new one is asked for after this.
const MAX_LIFE: Duration = Duration::from_hours(1);

/// Everything that decides which token is issued. Equal settings may share tokens over a reload.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedSettings {
    on_behalf: OnBehalf,
    endpoint: Option<Url>,
    client: OauthClient,
    scope: Option<String>,
    audience: Option<String>,
}

/// Signs in with a token that an authorization server issues.
pub(super) struct Issued {
    settings: IssuedSettings,
    client: Client,
    tokens: Cache<Key, Arc<Mutex<Option<Held>>>>,
}

/// Whose token it is: the hash of the one they came with, so that no table holds tokens. Our own has none.
type Key = Option<[u8; SHA256_OUTPUT_LEN]>;

/// A token at hand.
#[derive(Clone)]
struct Held {
    token: SecretString,
    until: Instant,
}

// === impl IssuedSettings ===

impl IssuedSettings {
    /// Fills in the secrets.
    ///
    /// # Errors
    /// Returns what can't be used.
    pub(super) fn read(def: &GrantDef, secrets: &Secrets) -> Result<Self, CredentialError> {
        let GrantDef { on_behalf, token_url: written, client_id, proof, scope, audience } = def;
        let endpoint = match written {
            Some(written) => Some(token_url(&written.fill(secrets)).map_err(CredentialError::TokenUrl)?),
            None => None,
        };
        let secret = |text: &crate::secret::Text| -> Result<SecretString, CredentialError> {
            let filled = text.fill(secrets);
            if filled.trim().is_empty() { Err(CredentialError::Empty("client_secret")) } else { Ok(filled.into()) }
        };
        let auth = match proof {
            ProofDef::Basic(text) => ClientAuth::Basic(secret(text)?),
            ProofDef::Post(text) => ClientAuth::Post(secret(text)?),
            ProofDef::Key(text, id) => {
                let key = SigningKey::read(&text.fill(secrets).into(), id.clone());
                ClientAuth::PrivateKey(key.ok_or(CredentialError::PrivateKey)?)
            }
        };
        let id = client_id.fill(secrets);
        if id.trim().is_empty() {
            return Err(CredentialError::Empty("client_id"));
        }
        let client = OauthClient { id, auth };
        Ok(Self { on_behalf: *on_behalf, endpoint, client, scope: scope.clone(), audience: audience.clone() })
    }
}

// === impl Issued ===

impl Issued {
    pub(super) fn new(settings: IssuedSettings, meter: &Meter, egress: &Egress) -> Result<Self, CredentialError> {
        let client = Client::new(&ClientSettings { egress: egress.clone(), ..ClientSettings::default() })
            .map_err(CredentialError::Net)?
            .metered(meter.meant_for(Purpose::Token));
        let tokens = Cache::builder().max_capacity(MAX_CALLERS).time_to_idle(MAX_LIFE).build();
        Ok(Self { settings, client, tokens })
    }

    async fn header(&self, who: &Principal) -> Result<SignIn, CallError> {
        let token = self.token(who).await?;
        sensitive(&format!("Bearer {}", token.expose_secret()))
            .map(|value| SignIn::Header(header::AUTHORIZATION, value))
            .map_err(|_| CallError::Upstream("The identity provider issued a token that can't be sent".to_owned()))
    }

    async fn token(&self, who: &Principal) -> Result<SecretString, CallError> {
        let slot = self.tokens.get_with(self.key(who)?, Arc::default);
        // Whoever waits here waits for one question, which all of them share.
        let mut held = slot.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return Ok(held.token.clone());
        }
        *held = None;
        let issued = self.ask(who).await.map_err(|error| self.explain(&error))?;
        let life = issued.expires_in.unwrap_or(UNSAID_LIFE).min(MAX_LIFE);
        let until = Instant::now() + life.saturating_sub(MARGIN.min(life / 10));
        *held = Some(Held { token: issued.access_token.clone(), until });
        Ok(issued.access_token)
    }

    fn key(&self, who: &Principal) -> Result<Key, CallError> {
        match self.settings.on_behalf {
            OnBehalf::Ourselves => Ok(None),
            OnBehalf::Caller => {
                let token = subject(who)?;
                let mut key = [0; SHA256_OUTPUT_LEN];
                key.copy_from_slice(digest(&SHA256, token.expose_secret().as_bytes()).as_ref());
                Ok(Some(key))
            }
        }
    }

    async fn ask(&self, who: &Principal) -> Result<Token, GrantError> {
        let IssuedSettings { on_behalf, endpoint, client, scope, audience } = &self.settings;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.endpoint_of(who).await.map_err(GrantError::Trouble)?,
        };
        let mut fields = Vec::new();
        let subject = who.token().map(ExposeSecret::expose_secret).unwrap_or_default();
        match on_behalf {
            OnBehalf::Ourselves => fields.push(("grant_type", "client_credentials")),
            OnBehalf::Caller => fields.extend([
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token", subject),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ]),
        }
        fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
        fields.extend(audience.as_deref().map(|audience| ("audience", audience)));
        let token = grant(&self.client, &endpoint, client, &fields).await?;
        // A token that is bound to a key, or is none for an API at all.
        if token.token_type.eq_ignore_ascii_case("bearer") {
            Ok(token)
        } else {
            Err(GrantError::Trouble(Trouble::Incomplete))
        }
    }

    /// The token endpoint of the issuer of the caller's token, which `auth` has verified.
    async fn endpoint_of(&self, who: &Principal) -> Result<Url, Trouble> {
        let issuer = who.claims().as_map().get("iss").and_then(serde_json::Value::as_str).ok_or(Trouble::Incomplete)?;
        discover(&self.client, issuer).await?.token_endpoint.ok_or(Trouble::Incomplete)
    }

    /// The model learns who refused; the log learns why.
    fn explain(&self, error: &GrantError) -> CallError {
        let what = match self.settings.on_behalf {
            OnBehalf::Ourselves => "issue a token for the API",
            OnBehalf::Caller => "exchange the caller's token for one of the API",
        };
        match error {
            GrantError::Refused { code, .. } => {
                error!(%error, "The identity provider refused to {what}.");
                match (self.settings.on_behalf, code.as_str()) {
                    // Ours to mend, not the caller's.
                    (OnBehalf::Ourselves, _) | (_, "invalid_client" | "unauthorized_client") => {
                        CallError::Upstream("This tool can't sign in at the API: its own client was refused".to_owned())
                    }
                    (OnBehalf::Caller, code) => {
                        CallError::Denied(format!("Access denied: the identity provider did not {what} ({code})"))
                    }
                }
            }
            GrantError::Trouble(trouble) => {
                warn!(%trouble, "The identity provider did not {what}.");
                CallError::Upstream(format!("The identity provider can't {what} right now; try again shortly"))
            }
        }
    }
}

/// The token that is exchanged.
pub(super) fn subject(who: &Principal) -> Result<&SecretString, CallError> {
    let none = "Access denied: this tool exchanges the caller's own token, and there is none";
    who.token().ok_or_else(|| CallError::Denied(none.to_owned()))
}

impl CredentialProvider for Issued {
    fn sign_in<'a>(&'a self, who: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        Box::pin(self.header(who))
    }

    fn rejected(&self, who: &Principal) {
        if let Ok(key) = self.key(who) {
            self.tokens.invalidate(&key);
        }
    }

    fn held(&self, who: &Principal) -> Option<SecretString> {
        let slot = self.tokens.get(&self.key(who).ok()?)?;
        let held = slot.try_lock().ok()?;
        held.as_ref().map(|held| held.token.clone())
    }

    fn settings(&self) -> Option<&IssuedSettings> {
        Some(&self.settings)
    }
}

impl fmt::Debug for IssuedSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IssuedSettings").field("on_behalf", &self.on_behalf).finish_non_exhaustive()
    }
}
