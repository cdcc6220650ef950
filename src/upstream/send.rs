//! From a [`Request`] to bytes on the wire and back.

use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

use super::{HttpUpstream, Upstream};
use crate::call::{CallError, Pair, Request, RequestBody};
use crate::catalog::encode_segment;
use crate::catalog::quantity::{show_duration, show_size};
use crate::credential::{BoxFuture, SignIn};
use crate::net::NetError;
use crate::principal::Principal;
use crate::secret::Secrets;
use crate::shape::Reply;

/// Texts shorter than this are not scrubbed: they would take ordinary words apart.
const SCRUBBED_FROM: usize = 4;

impl Upstream for HttpUpstream {
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let sign_in = self.credential.sign_in(who).await?;
            let outgoing = self.outgoing(request, sign_in)?;
            let answer = self
                .client
                .send(outgoing, request.timeout, self.max_response_bytes)
                .await
                .map_err(|error| CallError::Upstream(words(&error)))?;
            Ok(Reply { status: answer.status.as_u16(), headers: answer.headers, body: answer.body })
        })
    }

    fn scrub(&self, text: &str, who: &Principal) -> String {
        let authority = self.base.authority();
        let token = who.token().map(ExposeSecret::expose_secret);
        let mut clean = text.to_owned();
        for secret in self.secrets.values().chain(token).chain([authority]) {
            if secret.len() >= SCRUBBED_FROM && clean.contains(secret) {
                clean = clean.replace(secret, "[hidden]");
            }
        }
        clean
    }
}

// === impl HttpUpstream ===

impl HttpUpstream {
    fn outgoing(&self, request: &Request, sign_in: SignIn) -> Result<reqwest::Request, CallError> {
        let mut query: Vec<(String, String)> = filled(&request.query, &self.secrets);
        let mut headers = self.headers.clone();
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json, */*;q=0.8"));
        for (name, text, _) in &request.headers {
            headers.insert(name, header_value(&text.fill(&self.secrets))?);
        }
        if !request.cookies.is_empty() {
            headers.insert(header::COOKIE, cookies(&filled(&request.cookies, &self.secrets))?);
        }
        match sign_in {
            SignIn::Nothing => {}
            SignIn::Header(name, value) => {
                headers.insert(name, value);
            }
            SignIn::Query(name, value) => query.push((name, value)),
        }
        let body = self.body(&request.body, &mut headers)?;
        let mut outgoing = reqwest::Request::new(request.method.clone(), self.url(&request.wire_path(), &query)?);
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = body.map(Into::into);
        Ok(outgoing)
    }

    /// Joins base URL, path and query. The `url` crate collapses `.` and `..`, even percent-encoded; the path can't hold
    /// them, and what comes out must be what was put in.
    fn url(&self, path: &str, query: &[(String, String)]) -> Result<Url, CallError> {
        let mut url = self.base.clone();
        let whole = format!("{}{path}", self.base_path);
        url.set_path(&whole);
        if url.path() != whole {
            return Err(CallError::internal("", "the path of a request would change on the wire"));
        }
        if !query.is_empty() {
            url.set_query(Some(&form(query)));
        }
        Ok(url)
    }

    fn body(&self, body: &RequestBody, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, CallError> {
        let (media_type, bytes) = match body {
            RequestBody::None => return Ok(None),
            RequestBody::Members(members) => {
                let object: Map<String, Value> =
                    members.iter().map(|(name, value, _)| (name.clone(), value.fill(&self.secrets))).collect();
                ("application/json", json(&Value::Object(object))?)
            }
            RequestBody::Json(value) => ("application/json", json(&value.fill(&self.secrets))?),
            RequestBody::Form(pairs) => {
                ("application/x-www-form-urlencoded", form(&filled(pairs, &self.secrets)).into_bytes())
            }
            RequestBody::Text(text) => ("text/plain; charset=utf-8", text.fill(&self.secrets).into_bytes()),
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Ok(Some(bytes))
    }
}

fn filled(pairs: &[Pair], secrets: &Secrets) -> Vec<(String, String)> {
    pairs.iter().map(|pair| (pair.name.clone(), pair.value.fill(secrets))).collect()
}

/// Names and values with everything but unreserved characters percent-encoded, so neither can end early.
fn form(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode_segment(name), encode_segment(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// RFC 6265 section 4.2.1, values percent-encoded.
fn cookies(pairs: &[(String, String)]) -> Result<HeaderValue, CallError> {
    let text =
        pairs.iter().map(|(name, value)| format!("{name}={}", encode_segment(value))).collect::<Vec<_>>().join("; ");
    header_value(&text)
}

fn header_value(text: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(text).map_err(|_| CallError::internal("", "a secret does not fit the header it is meant for"))
}

fn json(value: &Value) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|_| CallError::internal("", "a body can't be written as JSON"))
}

/// What the model is told when there is no answer.
fn words(error: &NetError) -> String {
    match error {
        NetError::Timeout(limit) => format!("The API did not answer within {}", show_duration(*limit)),
        NetError::Unreachable => "The API can't be reached".to_owned(),
        NetError::Tls => "No secure connection to the API can be made".to_owned(),
        NetError::TooLarge { limit } => format!("The API's answer is larger than {}; ask for less", show_size(*limit)),
        NetError::Broken => "The connection to the API broke".to_owned(),
    }
}
