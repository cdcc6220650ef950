//! From a [`Request`] to bytes on the wire and back.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use url::Url;

use super::{Guard, HttpUpstream, Upstream};
use crate::breaker::Breaker;
use crate::call::{ACCEPT, CallError, Request, WireBody};
use crate::catalog::encode_segment;
use crate::credential::{BoxFuture, SignIn};
use crate::net::NetError;
use crate::principal::Principal;
use crate::quantity::{show_duration, show_size};
use crate::secret::without;
use crate::shape::Reply;
use crate::trace;

impl Upstream for HttpUpstream {
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(self.guard.retry.run(&request.method, || self.once(request, who), tokio::time::sleep))
    }

    fn follow(&self, request: &Request, written: &str) -> Result<Request, CallError> {
        self.base.follow(request, written, self.secrets.as_ref())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn rest(&self, pause: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(pause))
    }

    fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    fn scrub(&self, text: &str, who: &Principal) -> String {
        let token = who.token().map(ExposeSecret::expose_secret);
        let held = self.credential.held(who);
        let held = held.as_ref().map(ExposeSecret::expose_secret);
        let secrets: Vec<&str> = self.secrets.values().chain(token).chain(held).collect();
        // As it stands in a URL, an API may say it again, too.
        let encoded: Vec<String> = secrets.iter().map(|secret| encode_segment(secret)).collect();
        let encoded = encoded.iter().map(String::as_str);
        without(text, secrets.iter().copied().chain(encoded).chain([self.base.url().authority()]))
    }
}

// === impl HttpUpstream ===

impl HttpUpstream {
    /// Sends a request once, if the API is not being left alone and there is a slot for it.
    async fn once(&self, request: &Request, who: &Principal) -> Result<Result<Reply, NetError>, CallError> {
        let Guard { breaker, slots, .. } = self.guard.as_ref();
        let pass = breaker.as_ref().map(Breaker::admit).transpose().map_err(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let seconds = show_duration(Duration::from_secs(seconds));
            CallError::Upstream(format!("The API has not answered lately; the next try is in {seconds}"))
        })?;
        let _slot = match slots {
            None => None,
            Some((_, slots)) => {
                let slot = tokio::time::timeout(request.timeout, slots.acquire()).await;
                Some(slot.map_err(|_| CallError::Upstream("The API is busy with other calls; try again".to_owned()))?)
            }
        };
        let sign_in = self.credential.sign_in(who).await?;
        let outgoing = self.outgoing(request, sign_in)?;
        let came = self.client.send(outgoing, request.timeout, self.max_response_bytes).await;
        match (pass, &came) {
            (None, _) => {}
            (Some(pass), Ok(_) | Err(NetError::TooLarge { .. })) => pass.answered(),
            (Some(pass), Err(_)) => pass.failed(),
        }
        if came.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED) {
            self.credential.rejected(who);
        }
        Ok(came.map(|answer| Reply {
            status: answer.status.as_u16(),
            headers: answer.headers,
            body: answer.body,
            pages_left_out: None,
        }))
    }

    fn outgoing(&self, request: &Request, sign_in: SignIn) -> Result<reqwest::Request, CallError> {
        let secrets = self.secrets.as_ref();
        let mut url = self.base.of(request, secrets)?;
        let mut headers = self.headers.clone();
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static(ACCEPT));
        trace::send_on(&mut headers);
        for (name, text, _) in &request.headers {
            headers.insert(name, header_value(&text.fill(secrets))?);
        }
        if let Some(cookies) = request.wire_cookies(secrets) {
            headers.insert(header::COOKIE, header_value(&cookies)?);
        }
        match sign_in {
            SignIn::Nothing => {}
            SignIn::Header(name, value) => {
                headers.insert(name, value);
            }
            SignIn::Query(name, value) => add_key(&mut url, &name, &value),
        }
        let body = request.body.wire(secrets);
        if let Some(WireBody { media_type, .. }) = &body {
            headers.insert(header::CONTENT_TYPE, header_value(media_type)?);
        }
        let mut outgoing = reqwest::Request::new(request.method.clone(), url);
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = body.map(|body| body.bytes.into());
        Ok(outgoing)
    }
}

/// Puts an API key into the query. The URL of a next page may hold it already.
fn add_key(url: &mut Url, name: &str, value: &str) {
    let pair = format!("{}={}", encode_segment(name), encode_segment(value));
    let held = url.query().unwrap_or_default().split('&').any(|other| other == pair);
    if !held {
        let query = url.query().map_or_else(|| pair.clone(), |query| format!("{query}&{pair}"));
        url.set_query(Some(&query));
    }
}

fn header_value(text: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(text).map_err(|_| CallError::internal("a secret does not fit the header it is meant for"))
}

/// What the model is told when there is no answer.
pub(super) fn words(error: &NetError) -> String {
    match error {
        NetError::Timeout(limit) => format!("The API did not answer within {}", show_duration(*limit)),
        NetError::Unreachable => "The API can't be reached".to_owned(),
        NetError::Forbidden(_) => "The API can't be reached: its address may not be connected to".to_owned(),
        NetError::Tls => "No secure connection to the API can be made".to_owned(),
        NetError::TooLarge { limit } => format!("The API's answer is larger than {}; ask for less", show_size(*limit)),
        NetError::Broken => "The connection to the API broke".to_owned(),
    }
}
