//! Tokens from a token endpoint (RFC 6749, section 4.4; RFC 8693; RFC 8628).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{OauthClient, Trouble};
use crate::diag::tame;
use crate::net::Client;
use crate::secret::without;

/// How long a token may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The most that is shown of what the server says about an error.
const MAX_WORDS: usize = 200;
/// The fields whose values nobody may see.
const SECRET_FIELDS: [&str; 7] =
    ["client_secret", "client_assertion", "subject_token", "refresh_token", "code", "code_verifier", "device_code"];

/// What is asked for: the fields of the form, the client's proof aside.
pub type Grant<'a> = &'a [(&'a str, &'a str)];

/// A token that was issued.
#[derive(Clone)]
pub struct Token {
    /// The access token.
    pub access_token: SecretString,
    /// What goes on with it: `Bearer`, or another word.
    pub token_type: String,
    /// How long it is good, when the server says so.
    pub expires_in: Option<Duration>,
    /// Everything else that was said, such as `refresh_token` and `scope`.
    pub rest: Map<String, Value>,
}

/// Why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The server said no (RFC 6749, section 5.2).
    #[error("{code}{}", if description.is_empty() { String::new() } else { format!(": {description}") })]
    Refused {
        /// Such as `invalid_grant`.
        code: String,
        /// Its words.
        description: String,
    },
    /// It gave no answer that could be used.
    #[error("{0}")]
    Trouble(Trouble),
}

/// Asks for a token.
///
/// # Errors
/// [`GrantError`] says who refused; no token and no secret stands in it.
pub async fn grant(client: &Client, endpoint: &Url, who: &OauthClient, fields: Grant<'_>) -> Result<Token, GrantError> {
    let request = who.request(endpoint, fields);
    let held = held(&request);
    let answer = client.send(request, DEADLINE, MAX_BYTES).await.map_err(|error| GrantError::Trouble(error.into()))?;
    let body = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(body)) => body,
        _ if answer.status == StatusCode::OK => return Err(GrantError::Trouble(Trouble::NotJson)),
        _ => return Err(GrantError::Trouble(Trouble::of_status(answer.status))),
    };
    if answer.status != StatusCode::OK {
        return Err(refusal(&body, &held).unwrap_or(GrantError::Trouble(Trouble::of_status(answer.status))));
    }
    read(body).ok_or(GrantError::Trouble(Trouble::Incomplete))
}

/// What a request holds that nobody may say again: secrets, tokens and codes, as they are and as they were sent.
fn held(request: &reqwest::Request) -> Vec<String> {
    let mut held = Vec::new();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    for pair in body.split(|byte| *byte == b'&') {
        for (name, value) in form_urlencoded::parse(pair).filter(|(name, _)| SECRET_FIELDS.contains(&name.as_ref())) {
            held.push(String::from_utf8_lossy(pair).chars().skip(name.len() + 1).collect());
            held.push(value.into_owned());
        }
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(pair) = header.and_then(|header| header.strip_prefix("Basic ")) {
        held.push(pair.to_owned());
        let plain = STANDARD.decode(pair).ok().and_then(|plain| String::from_utf8(plain).ok()).unwrap_or_default();
        if let Some((_, secret)) = plain.split_once(':') {
            held.push(secret.to_owned());
            held.extend(form_urlencoded::parse(secret.as_bytes()).map(|(secret, _)| secret.into_owned()));
        }
    }
    held
}

fn refusal(body: &Map<String, Value>, held: &[String]) -> Option<GrantError> {
    let words = |name: &str| {
        let text = body.get(name).and_then(Value::as_str)?;
        let text = without(text, held.iter().map(String::as_str));
        Some(tame(&text.chars().take(MAX_WORDS).collect::<String>()))
    };
    Some(GrantError::Refused { code: words("error")?, description: words("error_description").unwrap_or_default() })
}

fn read(mut body: Map<String, Value>) -> Option<Token> {
    let Some(Value::String(access_token)) = body.remove("access_token") else { return None };
    let token_type = body.remove("token_type").and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default();
    // Some servers write a number as text.
    let seconds = |value: Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let expires_in = body.remove("expires_in").and_then(seconds).map(Duration::from_secs);
    let is_sendable = !access_token.is_empty() && access_token.bytes().all(|byte| byte.is_ascii_graphic());
    is_sendable.then(|| Token { access_token: access_token.into(), token_type, expires_in, rest: body })
}
