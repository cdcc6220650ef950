//! The one place where a request to an API is made.

mod send;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::call::{CallError, Request};
use crate::catalog::UpstreamDef;
use crate::catalog::compile::{base_url, insecure_url, keeps_secrets};
use crate::credential::{self, BoxFuture, CredentialProvider};
use crate::diag::{Code, Diagnostic};
use crate::net::{Client, ClientSettings};
use crate::principal::Principal;
use crate::secret::Secrets;
use crate::shape::Reply;

/// An API that can be called.
pub trait Upstream: Send + Sync {
    /// Sends a request on behalf of a caller and reads the whole answer.
    ///
    /// # Errors
    /// Returns [`CallError::Denied`] when the caller can't sign in, and [`CallError::Upstream`] when there is no
    /// complete answer. An answer with an error status is an answer.
    fn send<'a>(&'a self, request: &'a Request, who: &'a Principal) -> BoxFuture<'a, Result<Reply, CallError>>;

    /// Takes secrets, the caller's token and the API's address out of a text that goes to a model.
    fn scrub(&self, text: &str, who: &Principal) -> String;
}

/// An API over HTTP, with its own pool of connections.
pub struct HttpUpstream {
    client: Client,
    base: Url,
    /// The path of the base URL, without a slash at the end.
    base_path: String,
    headers: HeaderMap,
    credential: Arc<dyn CredentialProvider>,
    secrets: Arc<Secrets>,
    max_response_bytes: usize,
}

// === impl HttpUpstream ===

impl HttpUpstream {
    /// Makes an upstream whose secrets are known. Opens no connection; `previous` lends its pool when it is for the same
    /// base URL, so that a reload does not cost connections.
    ///
    /// # Errors
    /// Returns a finding, at its place in the bridge file, for a URL, header or credential that can't be used.
    pub fn new(def: &UpstreamDef, secrets: &Arc<Secrets>, previous: &[Arc<Self>]) -> Result<Self, Diagnostic> {
        let UpstreamDef { url, url_span, headers, credential, credential_span, timeout: _, max_response_bytes } = def;
        let base = base_url(&url.fill(secrets)).map_err(|why| {
            Diagnostic::new(Code::InvalidUrl, format!("`url` {why}")).at(*url_span, "once `${…}` is filled in")
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
        let credential = credential::build(credential, secrets).map_err(|why| {
            Diagnostic::new(Code::InvalidHeader, why.to_string()).at(*credential_span, "this credential")
        })?;
        let lent = previous.iter().find(|other| other.base == base).map(|other| other.client.clone());
        let client = match lent {
            Some(client) => client,
            None => Client::new(&ClientSettings::default()).map_err(|why| {
                Diagnostic::new(
                    Code::InvalidUrl,
                    format!("no HTTP client can be made: {why}; does this machine have CA certificates?"),
                )
                .at(*url_span, "for this API")
            })?,
        };
        Ok(Self {
            client,
            base_path: base.path().trim_end_matches('/').to_owned(),
            base,
            headers: map,
            credential,
            secrets: Arc::clone(secrets),
            max_response_bytes: *max_response_bytes,
        })
    }
}
