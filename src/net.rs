//! The guarded door out: the only builder of HTTP clients, and the only reader of HTTP answers.
//!
//! Every exchange has a deadline and a cap on its size, follows no redirect and uses no proxy. Nothing
//! here may put an address, a URL or a header into an error: errors travel to callers, addresses must not.

mod egress;

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Request;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout};
use tracing::debug;
use url::Url;

use crate::metrics::Meter;
use crate::trace::Span;

use egress::Gate;
pub use egress::{Egress, Forbidden, Range};

#[cfg(test)]
#[path = "net_forged.rs"]
pub(crate) mod forged;
#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;

/// How a client reaches out. What is not listed here is the same for every client.
#[derive(Clone)]
pub struct ClientSettings {
    /// How long a connection may take to open, TLS included.
    pub connect_timeout: Duration,
    /// Authorities trusted besides those of the machine, in PEM.
    pub ca: Option<String>,
    /// The client certificate with its chain and its private key, in PEM.
    pub identity: Option<SecretString>,
    /// Which addresses may be connected to.
    pub egress: Egress,
}

/// An HTTP client with its own pool of connections. Cloning shares the pool.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    egress: Egress,
    meter: Meter,
}

/// A complete answer: its body has been read to the end and decoded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line's code.
    pub status: StatusCode,
    /// The headers, as received. `Content-Encoding` and `Content-Length` are gone when the body was decoded.
    pub headers: HeaderMap,
    /// The decoded body.
    pub body: Bytes,
}

/// Why there is no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// This machine has no certificates to trust.
    #[error("no certificates of this machine can be loaded; is the package `ca-certificates` installed?")]
    Trust,
    /// The given authorities are not certificates in PEM.
    #[error("`ca` holds no certificate in PEM")]
    Authority,
    /// The given client certificate and key can't be used.
    #[error("`cert` and `key` are not a certificate and its private key in PEM")]
    Identity,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The exchange, headers and body together, took longer than this.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// The name did not resolve or no connection came about. Nothing was sent.
    #[error("no connection could be made")]
    Unreachable,
    /// The name leads where no connection may be made to. Nothing was sent.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The connection could not be secured, or this machine has no trusted certificates. Nothing was sent.
    #[error("no secure connection could be made")]
    Tls,
    /// The decoded body is larger than the caller accepts.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The largest body the caller accepts, in bytes.
        limit: usize,
    },
    /// The connection died, or what came over it was not HTTP or not the encoding it claimed.
    #[error("the connection broke or the answer was malformed")]
    Broken,
}

/// How far the way to a server goes, for whoever sets things up. Not for callers: the words may name what they must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The step that failed.
    pub step: Step,
    /// Why, in the words of the system.
    pub why: String,
}

/// The steps to a server, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The name resolves.
    Name,
    /// A connection comes about, and HTTP is spoken over it.
    Connection,
    /// It is secure, and the server's certificate is trusted.
    Tls,
}

// === impl ClientSettings ===

impl Default for ClientSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), ca: None, identity: None, egress: Egress::default() }
    }
}

// === impl Client ===

impl Client {
    /// Builds a client with an empty pool.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when this machine's trusted certificates cannot be loaded, or the given ones are not PEM.
    #[expect(clippy::disallowed_methods, reason = "this is the place where clients are built")]
    pub fn new(settings: &ClientSettings) -> Result<Self, BuildError> {
        let ClientSettings { connect_timeout, ca, identity, egress } = settings;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tollbridge/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(*connect_timeout)
            .pool_idle_timeout(Duration::from_secs(90))
            // A redirect is an answer. To follow one would carry a credential to a place nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(Gate::new(egress.clone())))
            .gzip(true);
        if let Some(ca) = ca {
            let authorities =
                reqwest::Certificate::from_pem_bundle(ca.as_bytes()).map_err(|_| BuildError::Authority)?;
            if authorities.is_empty() {
                return Err(BuildError::Authority);
            }
            builder = builder.tls_certs_merge(authorities);
        }
        if let Some(identity) = identity {
            let identity = reqwest::Identity::from_pem(identity.expose_secret().as_bytes());
            builder = builder.identity(identity.map_err(|_| BuildError::Identity)?);
        }
        builder.build().map(|inner| Self { inner, egress: egress.clone(), meter: Meter::default() }).map_err(|error| {
            debug!(error = describe(error), "No HTTP client could be built.");
            // A key that does not belong to its certificate shows only here.
            if identity.is_some() { BuildError::Identity } else { BuildError::Trust }
        })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// `deadline` spans the exchange from the first lookup to the last byte. `max_bytes` bounds the body
    /// after decoding, so a small compressed answer cannot unfold into a large one.
    ///
    /// # Errors
    ///
    /// [`NetError`] says what went wrong, and never where.
    pub async fn send(&self, mut request: Request, deadline: Duration, max_bytes: usize) -> Result<Answer, NetError> {
        let started = Instant::now();
        let method = request.method().clone();
        let span = Span::request(self.meter.purpose(), &method, request.headers_mut());
        let came = timeout(deadline, self.exchange(request, max_bytes)).await;
        let came = came.unwrap_or(Err(NetError::Timeout(deadline)));
        let ended = came.as_ref().map(|answer| answer.status.as_u16()).map_err(NetError::word);
        // A client's span is an error from 400 on (semantic conventions for HTTP).
        let wrong = ended.err().or_else(|| ended.is_ok_and(|status| status >= 400).then_some("status"));
        span.end(ended.ok(), wrong);
        self.meter.exchanged(started.elapsed(), ended);
        came
    }

    /// The same pool, with what goes through it counted here.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Goes the way to a server step by step and asks for nothing: a HEAD of this URL, without a credential. Every
    /// answer is good.
    ///
    /// # Errors
    ///
    /// The first step that fails.
    pub async fn reach(&self, url: &Url, deadline: Duration) -> Result<(), Unreached> {
        let unreached = |step, why: String| Unreached { step, why };
        let late = |_| unreached(Step::Connection, format!("no answer within {deadline:?}"));
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(0);
        let found = timeout(deadline, tokio::net::lookup_host((host, port))).await;
        match found {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(unreached(Step::Name, error.to_string())),
            Err(_) => return Err(unreached(Step::Name, format!("no answer within {deadline:?}"))),
        }
        self.egress.check(url).map_err(|why| unreached(Step::Connection, why.to_string()))?;
        let request = Request::new(Method::HEAD, url.clone());
        match timeout(deadline, self.inner.execute(request)).await.map_err(late)? {
            Ok(_) => Ok(()),
            Err(error) => {
                let why = innermost_words(&error);
                let step = if classify(error) == NetError::Tls { Step::Tls } else { Step::Connection };
                Err(unreached(step, why))
            }
        }
    }

    async fn exchange(&self, request: Request, limit: usize) -> Result<Answer, NetError> {
        // An address is not resolved, so the resolver does not see it.
        self.egress.check(request.url())?;
        let mut response = self.inner.execute(request).await.map_err(classify)?;

        // Known only for a body that is not compressed; then there is no need to begin reading.
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(NetError::TooLarge { limit });
        }

        let mut body = BytesMut::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if chunk.len() > limit.saturating_sub(body.len()) {
                return Err(NetError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }

        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body: body.freeze() })
    }
}

// === impl NetError ===

impl NetError {
    /// The kind of failure in a word, as metrics name it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Unreachable => "unreachable",
            Self::Forbidden(_) => "forbidden",
            Self::Tls => "tls",
            Self::TooLarge { .. } => "too_large",
            Self::Broken => "broken",
        }
    }
}

/// Sorts a failure into what a caller may know. The rest goes to the debug log, without the URL, whose query
/// may hold a key.
fn classify(error: reqwest::Error) -> NetError {
    let kind = if error.is_connect() {
        if is_forbidden(&error) {
            NetError::Forbidden(Forbidden)
        } else if handshake_failed(&error) {
            NetError::Tls
        } else {
            NetError::Unreachable
        }
    } else {
        NetError::Broken
    };
    debug!(error = describe(error), %kind, "An HTTP exchange failed.");
    kind
}

/// Whether the resolver has refused.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<Forbidden>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// A failed handshake is an I/O error inside another; a TCP or DNS failure is of none of these kinds.
fn handshake_failed(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return matches!(
                innermost(error).kind(),
                // What came was not TLS or not trusted; the other side hung up; it hung up rudely.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            );
        }
        source = cause.source();
    }
    false
}

/// An I/O error that wraps another hides it from `source`.
fn innermost(mut error: &io::Error) -> &io::Error {
    while let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        error = inner;
    }
    error
}

/// What the last of the causes says.
fn innermost_words(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    match last.downcast_ref::<io::Error>() {
        Some(error) => innermost(error).to_string(),
        None => last.to_string(),
    }
}

fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
