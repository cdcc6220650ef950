//! How a person gets a token: authorization code with PKCE (RFC 7636, RFC 8252), or a code for a device (RFC 8628).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{GrantError, OauthClient, Token, Trouble, grant};
use crate::diag::tame;
use crate::net::Client;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// What ties a code to whoever asked for it.
pub struct Pkce {
    verifier: SecretString,
    state: String,
}

/// A code that a person enters on another device.
#[derive(Debug)]
pub struct DeviceCode {
    code: SecretString,
    /// What to enter.
    pub user_code: String,
    /// Where to enter it.
    pub verification_uri: String,
    /// Where it is entered already.
    pub complete_uri: Option<String>,
    expires_in: Duration,
    interval: Duration,
}

// === impl Pkce ===

impl Pkce {
    /// Makes fresh secrets; `None` when the system gives no random bytes.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self { verifier: random()?.into(), state: random()? })
    }

    /// Where a person signs in.
    #[must_use]
    pub fn url(&self, endpoint: &Url, client_id: &str, redirect_uri: &str, scope: &str) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose_secret().as_bytes()));
        let mut url = endpoint.clone();
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", scope)
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Whether an answer is to our own question.
    #[must_use]
    pub fn is_ours(&self, state: &str) -> bool {
        state == self.state
    }

    /// Trades the code for a token.
    ///
    /// # Errors
    /// As [`grant`].
    pub async fn redeem(
        &self,
        client: &Client,
        endpoint: &Url,
        who: &OauthClient,
        redirect_uri: &str,
        code: &str,
    ) -> Result<Token, GrantError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", self.verifier.expose_secret()),
        ];
        grant(client, endpoint, who, &fields).await
    }
}

// === impl DeviceCode ===

impl DeviceCode {
    /// Asks for a code.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(client: &Client, endpoint: &Url, who: &OauthClient, scope: &str) -> Result<Self, GrantError> {
        let trouble = GrantError::Trouble;
        let request = who.request(endpoint, &[("scope", scope)]);
        let answer = client.send(request, DEADLINE, MAX_BYTES).await.map_err(|error| trouble(error.into()))?;
        let body: Value = serde_json::from_slice(&answer.body).map_err(|_| trouble(Trouble::NotJson))?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(tame);
        if answer.status != StatusCode::OK {
            return Err(match text("error") {
                Some(code) => GrantError::Refused { code, description: text("error_description").unwrap_or_default() },
                None => trouble(Trouble::of_status(answer.status)),
            });
        }
        let seconds =
            |name: &str, default| Duration::from_secs(body.get(name).and_then(Value::as_u64).unwrap_or(default));
        let incomplete = || trouble(Trouble::Incomplete);
        Ok(Self {
            code: text("device_code").ok_or_else(incomplete)?.into(),
            user_code: text("user_code").ok_or_else(incomplete)?,
            verification_uri: text("verification_uri").ok_or_else(incomplete)?,
            complete_uri: text("verification_uri_complete"),
            expires_in: seconds("expires_in", 600),
            interval: seconds("interval", 5),
        })
    }

    /// Asks from time to time until the person is done.
    ///
    /// # Errors
    /// When the person says no, or the code expires.
    pub async fn wait(&self, client: &Client, endpoint: &Url, who: &OauthClient) -> Result<Token, GrantError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.code.expose_secret()),
        ];
        let end = Instant::now() + self.expires_in;
        let mut interval = self.interval;
        loop {
            sleep(interval).await;
            match grant(client, endpoint, who, &fields).await {
                Err(GrantError::Refused { code, .. }) if code == "authorization_pending" && Instant::now() < end => {}
                // RFC 8628, section 3.5.
                Err(GrantError::Refused { code, .. }) if code == "slow_down" => interval += Duration::from_secs(5),
                result => return result,
            }
        }
    }
}

/// 256 bits as text that can stand in a URL.
fn random() -> Option<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
