//! The one place where a request to an API is made.

mod base;
mod cache;
mod canned;
pub mod jobs;
pub mod pages;
mod rate;
mod recorder;
mod retry;
mod send;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::call::{CallError, Request};
use crate::catalog::compile::{base_url, insecure_url, keeps_secrets};
use crate::catalog::{TlsDef, UpstreamDef};
use crate::credential::{self, BoxFuture, CredentialError, CredentialProvider};
use crate::diag::{Code, Diagnostic};
use crate::metrics::Meter;
use crate::net::{Client, ClientSettings, Egress, Unreached};
use crate::principal::Principal;
use crate::secret::{Secrets, Text};
use crate::shape::Reply;

use base::Base;
use retry::Retry;

pub use cache::{Key, ReplyCache};
pub use canned::{Canned, CannedReply, Replies, Sent};
pub use rate::RateGate;
pub use recorder::Recorder;
pub use shared::{SharedStore, SharedUrl};

/// An API that can be called.
pub trait Upstream: Send + Sync {
    /// Sends a request on behalf of a caller and reads the whole answer.
    ///
    /// # Errors
    /// Returns [`CallError::Denied`] when the caller can't sign in, and [`CallError::Upstream`] when there is no
    /// complete answer. An answer with an error status is an answer.
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>>;

    /// The request for the page at a URL that the API gave.
    ///
    /// # Errors
    /// Returns [`CallError::Upstream`] when the URL leads out of the API's base URL.
    fn follow(&self, request: &Request, written: &str) -> Result<Request, CallError>;

    /// What time it is, and how to let some pass; a rehearsal does not wait.
    fn now(&self) -> Instant;

    /// Waits.
    fn rest(&self, pause: Duration) -> BoxFuture<'_, ()>;

    /// The largest answer accepted, in bytes.
    fn max_response_bytes(&self) -> usize;

    /// Takes secrets, the caller's token and the API's address out of a text that goes to a model.
    fn scrub(&self, text: &str, who: &Principal) -> String;
}

/// An API over HTTP, with its own pool of connections.
pub struct HttpUpstream {
    client: Client,
    base: Base,
    headers: HeaderMap,
    credential: Arc<dyn CredentialProvider>,
    secrets: Arc<Secrets>,
    max_response_bytes: usize,
    /// What the client was made with, to tell whether it can be lent.
    certificates: Certificates,
    guard: Arc<Guard>,
}

/// What holds calls back. A reload that does not change it keeps its counters.
struct Guard {
    retry: Retry,
    breaker: Option<Breaker>,
    slots: Option<(usize, Semaphore)>,
}

/// Certificates with their secrets filled in; never shown.
#[derive(Clone, Default)]
struct Certificates {
    ca: Option<String>,
    identity: Option<SecretString>,
}

// === impl HttpUpstream ===

impl HttpUpstream {
    /// Makes an upstream whose secrets are known, with its requests counted by `meter`. Opens no connection; `previous` lends its pool when it is for the same
    /// base URL, so that a reload does not cost connections.
    ///
    /// # Errors
    /// Returns a finding, at its place in the bridge file, for a URL, header or credential that can't be used.
    pub fn new(
        def: &UpstreamDef,
        secrets: &Arc<Secrets>,
        previous: &[Arc<Self>],
        meter: &Meter,
        egress: &Egress,
    ) -> Result<Self, Diagnostic> {
        let UpstreamDef {
            url,
            url_span,
            headers,
            credential,
            credential_span,
            timeout: _,
            max_response_bytes,
            attempts,
            max_concurrency,
            breaker,
            tls,
        } = def;
        let base = base_url(&url.fill(secrets)).map_err(|why| {
            Diagnostic::new(Code::InvalidUrl, format!("`url` {why}")).at(*url_span, "once `${…}` is filled in")
        })?;
        egress.check(&base).map_err(|_| {
            Diagnostic::new(Code::InvalidUrl, "`url` leads to an address that is never called").at(
                *url_span,
                "link-local and metadata addresses never are, others if `network` of the server file says so",
            )
        })?;
        if *credential != crate::catalog::Credential::None && !keeps_secrets(&base) {
            return Err(insecure_url(*url_span));
        }
        let mut map = HeaderMap::new();
        for (name, text, span) in headers {
            let filled = text.fill(secrets);
            let mut value = HeaderValue::from_str(&filled).ok().filter(|_| filled.is_ascii()).ok_or_else(|| {
                Diagnostic::new(Code::InvalidHeader, format!("the value of header `{name}` can't be sent"))
                    .at(*span, "once `${…}` is filled in, a header holds visible ASCII characters and spaces")
            })?;
            value.set_sensitive(text.has_secret());
            map.append(name, value);
        }
        let lenders = previous.iter().map(|other| &other.credential);
        let credential = credential::build(credential, secrets, lenders, meter, egress).map_err(|why| {
            let code = match why {
                CredentialError::Unsendable(_) => Code::InvalidHeader,
                CredentialError::TokenUrl(_) => Code::InvalidUrl,
                CredentialError::Empty(_) => Code::MissingSecret,
                CredentialError::PrivateKey | CredentialError::Net(_) => Code::InvalidCertificate,
            };
            Diagnostic::new(code, why.to_string()).at(*credential_span, "once `${…}` is filled in")
        })?;
        let certificates = Certificates::new(tls, secrets);
        let lender = previous.iter().find(|other| *other.base.url() == base && other.certificates.same(&certificates));
        let client = if let Some(lender) = lender {
            lender.client.clone()
        } else {
            let Certificates { ca, identity } = certificates.clone();
            let settings = ClientSettings { ca, identity, egress: egress.clone(), ..ClientSettings::default() };
            Client::new(&settings).map_err(|why| {
                Diagnostic::new(Code::InvalidCertificate, format!("no HTTP client can be made: {why}"))
                    .at(tls.span.unwrap_or(*url_span), "for this API")
            })?
        };
        let guard = Guard {
            retry: Retry::new(*attempts),
            breaker: breaker.map(Breaker::new),
            slots: max_concurrency.map(|slots| (slots, Semaphore::new(slots))),
        };
        let lent = previous.iter().find(|other| *other.base.url() == base && other.guard.same(&guard));
        let guard = lent.map_or_else(|| Arc::new(guard), |lender| Arc::clone(&lender.guard));
        Ok(Self {
            client: client.metered(meter.clone()),
            base: Base::new(base),
            headers: map,
            credential,
            secrets: Arc::clone(secrets),
            max_response_bytes: *max_response_bytes,
            certificates,
            guard,
        })
    }

    /// Whether the API is left alone because it has not answered lately.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        self.guard.breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// The same, signing in by something else.
    #[cfg(test)]
    pub(crate) fn sign_in_by(&mut self, credential: Arc<dyn CredentialProvider>) {
        self.credential = credential;
    }

    /// Goes the way to the API and asks for nothing.
    ///
    /// # Errors
    /// Returns the first step that fails.
    pub async fn reach(&self, deadline: Duration) -> Result<(), Unreached> {
        self.client.reach(self.base.url(), deadline).await
    }
}

// === impl Guard ===

impl Guard {
    /// Whether another one has the same limits.
    fn same(&self, other: &Self) -> bool {
        let limits = |guard: &Self| {
            (
                guard.retry.attempts(),
                guard.breaker.as_ref().map(Breaker::def),
                guard.slots.as_ref().map(|(slots, _)| *slots),
            )
        };
        limits(self) == limits(other)
    }
}

// === impl Certificates ===

impl Certificates {
    fn new(def: &TlsDef, secrets: &Secrets) -> Self {
        let pem = |(certificate, key): &(Text, Text)| {
            SecretString::from(format!("{}\n{}", certificate.fill(secrets), key.fill(secrets)))
        };
        Self { ca: def.ca.as_ref().map(|ca| ca.fill(secrets)), identity: def.client.as_ref().map(pem) }
    }

    fn same(&self, other: &Self) -> bool {
        let identity = |it: &Self| it.identity.as_ref().map(|secret| secret.expose_secret().to_owned());
        self.ca == other.ca && identity(self) == identity(other)
    }
}
