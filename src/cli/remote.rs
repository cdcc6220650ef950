//! A running server, asked over Streamable HTTP as the 2026-07-28 protocol has it: each request stands alone.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::call::DEADLINE;
use crate::catalog::compile::keeps_secrets;
use crate::net::{Client, ClientSettings, NetError};

/// The version of the protocol that is spoken.
const VERSION: &str = "2026-07-28";
/// The largest answer accepted, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A server.
pub(super) struct Server {
    client: Client,
    url: Url,
    token: Option<HeaderValue>,
}

/// Why there is no result.
pub(super) struct Failure {
    /// In words.
    pub(super) words: String,
    /// Whether nobody answered.
    pub(super) is_unreached: bool,
}

// === impl Server ===

impl Server {
    /// Gets ready to ask a server as the holder of a token.
    ///
    /// # Errors
    /// Returns in words why that can't be done.
    pub(super) fn new(url: &Url, token: Option<&SecretString>) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{url} is no http or https URL"));
        }
        if token.is_some() && !keeps_secrets(url) {
            return Err("a token is sent over https only, except to this machine".to_owned());
        }
        let bearer = |token: &SecretString| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| "the token holds characters that no token has".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        let client = Client::new(&ClientSettings::default()).map_err(|error| error.to_string())?;
        Ok(Self { client, url: url.clone(), token: token.map(bearer).transpose()? })
    }

    /// Asks for the result of a method.
    ///
    /// # Errors
    /// Returns why there is none.
    pub(super) async fn ask(&self, method: &str, mut params: Value) -> Result<Value, Failure> {
        let name = params.get("name").and_then(Value::as_str).map(str::to_owned);
        if let Some(params) = params.as_object_mut() {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": VERSION,
                "io.modelcontextprotocol/clientInfo": { "name": "tollbridge", "version": env!("CARGO_PKG_VERSION") },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            params.insert("_meta".to_owned(), meta);
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(VERSION));
        let own = [("mcp-method", Some(method.to_owned())), ("mcp-name", name)];
        for (name, value) in own {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        *request.body_mut() = Some(body.to_string().into());
        let answer = self.client.send(request, DEADLINE, MAX_BYTES).await.map_err(Failure::from)?;
        let message = message(&answer.body);
        if let Some(result) = message.as_ref().and_then(|message| message.get("result")) {
            return Ok(result.clone());
        }
        let said = message.as_ref().and_then(|message| message.pointer("/error/message")).and_then(Value::as_str);
        let said =
            said.map_or_else(|| format!("the server answered with status {}", answer.status.as_u16()), str::to_owned);
        let challenge = answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let words = match (answer.status, challenge) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(challenge)) => format!("{said}\n{challenge}"),
            _ => said,
        };
        Err(Failure { words, is_unreached: false })
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let is_unreached = matches!(error, NetError::Unreachable | NetError::Tls | NetError::Timeout(_));
        Self { words: format!("the server can't be asked: {error}"), is_unreached }
    }
}

/// The message of an answer: JSON, or the last event of a stream.
fn message(body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    let last = || text.lines().rev().find_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok());
    serde_json::from_str(text).ok().or_else(last)
}
