//! The API of a bridge: its base URL, its headers, how calls sign in, and what holds calls back.

use std::path::Path;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;

use super::{Compiler, TIMEOUT};
use crate::catalog::{BreakerDef, Credential, GrantDef, OnBehalf, ProofDef, TlsDef, UpstreamDef};
use crate::config::bridge::{
    ApiKeySpec, BreakerSpec, CallerTokenSpec, ClientCredentialsSpec, CredentialKind, CredentialSpec, CredentialWord,
    TlsSpec, TokenExchangeSpec, UpstreamSpec,
};
use crate::config::client::{ClientAuthSpec, ClientSpec};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, Span};
use crate::secret::Text;

/// The largest answer accepted unless `max_response_bytes` says otherwise.
const MAX_RESPONSE: usize = 1 << 20;
/// When an API is left alone unless `circuit_breaker` says otherwise.
const BREAKER: BreakerDef = BreakerDef { failures: 10, pause: Duration::from_secs(10) };

/// Headers that describe the connection or the message itself; what a call says must not contradict what is sent.
pub(super) const RESERVED_HEADERS: [&str; 16] = [
    "authorization",
    "proxy-authorization",
    "host",
    "cookie",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn upstream(&mut self, at: &Cursor<'_>, spec: &UpstreamSpec, directory: &Path) -> Option<UpstreamDef> {
        let url_at = at.get("url");
        let url = self.text(&url_at, &spec.url, directory);
        if let Some(written) = url.as_ref().and_then(Text::as_plain) {
            match base_url(written) {
                Ok(url) => {
                    let credential_at = at.get("credentials");
                    if let Err(finding) = check_plain_http(&url, &spec.credentials, &credential_at, url_at.span()) {
                        self.push(finding);
                    }
                }
                Err(why) => self.push(url_at.error(Code::InvalidUrl, format!("`url` {why}"), "this URL")),
            }
        }
        let headers = self.headers(&at.get("headers"), &spec.headers, directory);
        let timeout = self.timeout(&at.get("timeout"), spec.timeout.as_deref()).unwrap_or(TIMEOUT);
        let max_response_bytes =
            self.size(&at.get("max_response_bytes"), spec.max_response_bytes.as_deref()).unwrap_or(MAX_RESPONSE);
        let breaker = self.breaker(&at.get("circuit_breaker"), spec.circuit_breaker.as_ref());
        let tls = self.tls(&at.get("tls"), spec.tls.as_ref(), directory);
        let credential = self.credential(&at.get("credentials"), &spec.credentials, directory)?;
        Some(UpstreamDef {
            url: url?,
            url_span: url_at.span(),
            headers,
            credential,
            credential_span: at.get("credentials").span(),
            timeout,
            max_response_bytes,
            attempts: spec.retry.as_ref().map_or(1, |retry| retry.attempts),
            max_concurrency: spec.max_concurrency.and_then(|slots| usize::try_from(slots).ok()),
            breaker,
            tls,
        })
    }

    fn headers(
        &mut self,
        at: &Cursor<'_>,
        written: &IndexMap<String, String>,
        directory: &Path,
    ) -> Vec<(HeaderName, Text, Span)> {
        let mut headers = Vec::new();
        for (name, value) in written {
            let at = at.get(name);
            let Some(header) = self.header_name(&at, name) else { continue };
            let Some(text) = self.text(&at, value, directory) else { continue };
            if text.as_plain().is_some_and(|value| HeaderValue::from_str(value).is_err() || !value.is_ascii()) {
                self.push(at.error(
                    Code::InvalidHeader,
                    format!("the value of header `{name}` can't be sent"),
                    "a header holds visible ASCII characters and spaces",
                ));
            }
            headers.push((header, text, at.span()));
        }
        headers
    }

    /// A header that a bridge may set; `accept` may be set by `headers`, so that an API can be asked for a format.
    pub(super) fn header_name(&mut self, at: &Cursor<'_>, name: &str) -> Option<HeaderName> {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            self.push(at.key_error(
                Code::InvalidHeader,
                format!("`{name}` can't be the name of a header"),
                "letters, digits and `-`",
            ));
            return None;
        };
        // Some servers read `_` as `-`, so both spellings are the same header.
        let folded = header.as_str().replace('_', "-");
        if RESERVED_HEADERS.contains(&folded.as_str()) || folded.starts_with("proxy-") || folded.starts_with("mcp-") {
            let help = match folded.as_str() {
                "authorization" => "use `credentials:` to sign in at the API",
                "cookie" => "use a parameter with `in: cookie`",
                "content-type" => "the kind of `body:` sets it",
                _ => "the HTTP client sets it",
            };
            self.push(
                at.key_error(
                    Code::ReservedHeader,
                    format!("header `{name}` can't be set by a bridge"),
                    "reserved header",
                )
                .help(help),
            );
            return None;
        }
        Some(header)
    }

    fn credential(&mut self, at: &Cursor<'_>, spec: &CredentialSpec, directory: &Path) -> Option<Credential> {
        match spec {
            CredentialSpec::Word(CredentialWord::None) => Some(Credential::None),
            CredentialSpec::Word(CredentialWord::CallerToken) => {
                self.caller_token(at);
                Some(Credential::CallerToken { audience: None })
            }
            CredentialSpec::Kind(kind) => self.credential_kind(at, kind, directory),
        }
    }

    fn credential_kind(&mut self, at: &Cursor<'_>, kind: &CredentialKind, directory: &Path) -> Option<Credential> {
        match kind {
            CredentialKind::CallerToken(CallerTokenSpec { audience }) => {
                self.caller_token(&at.get("caller_token"));
                if audience.trim().is_empty() {
                    self.push(at.get("caller_token").get("audience").error(
                        Code::InvalidValue,
                        "`audience` names nothing",
                        "the `aud` of the tokens that this API accepts",
                    ));
                }
                Some(Credential::CallerToken { audience: Some(audience.clone()) })
            }
            CredentialKind::Bearer(token) => {
                Some(Credential::Bearer(self.text(&at.get("bearer"), token, directory)?))
            }
            CredentialKind::Basic(basic) => {
                let at = at.get("basic");
                let username = self.text(&at.get("username"), &basic.username, directory);
                let password = self.text(&at.get("password"), &basic.password, directory);
                Some(Credential::Basic { username: username?, password: password? })
            }
            CredentialKind::ApiKey(key) => self.api_key(&at.get("api_key"), key, directory),
            CredentialKind::ClientCredentials(spec) => {
                let at = at.get("client_credentials");
                let ClientCredentialsSpec { token_url, scope, audience, client } = spec;
                let token_url = self.token_url(&at.get("token_url"), token_url, directory);
                let (client_id, proof) = self.client(&at, client, directory)?;
                Some(Credential::Grant(Box::new(GrantDef {
                    on_behalf: OnBehalf::Ourselves,
                    token_url: Some(token_url?),
                    client_id,
                    proof,
                    scope: scope.clone(),
                    audience: audience.clone(),
                })))
            }
            CredentialKind::TokenExchange(spec) => {
                let at = at.get("token_exchange");
                let TokenExchangeSpec { token_url, audience, scope, client } = spec;
                let token_url = match token_url {
                    Some(written) => Some(self.token_url(&at.get("token_url"), written, directory)?),
                    None => None,
                };
                if audience.is_none() && scope.is_none() {
                    self.push(at.error(
                        Code::MissingKey,
                        "the exchange asks for nothing",
                        "needs `audience`, `scope` or both: what the new token is for",
                    ));
                }
                let (client_id, proof) = self.client(&at, client, directory)?;
                Some(Credential::Grant(Box::new(GrantDef {
                    on_behalf: OnBehalf::Caller,
                    token_url,
                    client_id,
                    proof,
                    scope: scope.clone(),
                    audience: audience.clone(),
                })))
            }
        }
    }

    fn token_url(&mut self, at: &Cursor<'_>, written: &str, directory: &Path) -> Option<Text> {
        let url = self.text(at, written, directory)?;
        if let Some(plain) = url.as_plain()
            && let Err(why) = token_url(plain)
        {
            self.push(at.error(Code::InvalidUrl, format!("`token_url` {why}"), "this URL"));
        }
        Some(url)
    }

    /// Our own client: a secret or a private key, and not both.
    fn client(&mut self, at: &Cursor<'_>, spec: &ClientSpec, directory: &Path) -> Option<(Text, ProofDef)> {
        let ClientSpec { client_id, client_secret, private_key, key_id, client_auth } = spec;
        let Some(client_id) = client_id else {
            self.push(at.key_error(Code::MissingKey, "missing key `client_id`", "needs the id of our own client"));
            return None;
        };
        let id = self.text(&at.get("client_id"), client_id, directory);
        let proof = match (client_secret, private_key) {
            (Some(secret), None) => {
                let secret = self.text(&at.get("client_secret"), secret, directory)?;
                match client_auth {
                    Some(ClientAuthSpec::ClientSecretPost) => ProofDef::Post(secret),
                    Some(ClientAuthSpec::ClientSecretBasic) | None => ProofDef::Basic(secret),
                }
            }
            (None, Some(key)) => ProofDef::Key(self.text(&at.get("private_key"), key, directory)?, key_id.clone()),
            (Some(_), Some(_)) => {
                self.push(at.get("private_key").key_error(
                    Code::ConflictingKeys,
                    "a client has either `client_secret` or `private_key`",
                    "one too many",
                ));
                return None;
            }
            (None, None) => {
                self.push(at.key_error(
                    Code::MissingSecret,
                    "missing `client_secret` or `private_key`",
                    "how does our own client prove who it is?",
                ));
                return None;
            }
        };
        Some((id?, proof))
    }

    fn caller_token(&mut self, at: &Cursor<'_>) {
        self.push(
            at.error(
                Code::CallerToken,
                "the caller's own access token is forwarded to this API".to_owned(),
                "every call of this bridge carries the caller's token",
            )
            .help("right only when the API is within the audience of that token; else exchange it for one of the API with `credentials: { token_exchange: … }`"),
        );
    }

    fn breaker(&mut self, at: &Cursor<'_>, spec: Option<&BreakerSpec>) -> Option<BreakerDef> {
        let limits = match spec {
            None | Some(BreakerSpec::Switch(true)) => return Some(BREAKER),
            Some(BreakerSpec::Switch(false)) => return None,
            Some(BreakerSpec::Limits(limits)) => limits,
        };
        let pause = self.timeout(&at.get("pause"), limits.pause.as_deref()).unwrap_or(BREAKER.pause);
        Some(BreakerDef { failures: limits.failures.unwrap_or(BREAKER.failures), pause })
    }

    fn tls(&mut self, at: &Cursor<'_>, spec: Option<&TlsSpec>, directory: &Path) -> TlsDef {
        let Some(TlsSpec { ca, cert, key }) = spec else { return TlsDef::default() };
        let mut text = |name: &str, written: &Option<String>| {
            written.as_ref().and_then(|written| self.text(&at.get(name), written, directory))
        };
        let (ca, certificate, private_key) = (text("ca", ca), text("cert", cert), text("key", key));
        let client = certificate.zip(private_key);
        if cert.is_some() != key.is_some() {
            self.push(at.key_error(
                Code::MissingKey,
                "a client certificate needs its private key",
                "write both `cert` and `key`, or neither",
            ));
        }
        TlsDef { ca, client, span: Some(at.key_span()) }
    }

    fn api_key(&mut self, at: &Cursor<'_>, key: &ApiKeySpec, directory: &Path) -> Option<Credential> {
        let value = self.text(&at.get("value"), &key.value, directory);
        match (&key.header, &key.query) {
            (Some(header), None) => {
                let header_at = at.get("header");
                let Ok(name) = HeaderName::from_bytes(header.as_bytes()) else {
                    self.push(header_at.error(
                        Code::InvalidHeader,
                        format!("`{header}` can't be the name of a header"),
                        "letters, digits and `-`",
                    ));
                    return None;
                };
                Some(Credential::KeyHeader(name, value?))
            }
            (None, Some(query)) => Some(Credential::KeyQuery(query.clone(), value?)),
            (Some(_), Some(_)) | (None, None) => {
                self.push(at.key_error(
                    Code::ConflictingKeys,
                    "an API key goes into a header or into the query",
                    "write exactly one of `header` and `query`",
                ));
                None
            }
        }
    }
}

/// Reads and checks a base URL.
///
/// # Errors
/// Returns what is wrong with it, in words that follow "`url`".
pub fn base_url(written: &str) -> Result<url::Url, &'static str> {
    if written.contains("{{") || written.contains("{%") {
        return Err("can't hold a template; only `${NAME}` is filled in, at load time");
    }
    let url = url::Url::parse(written).map_err(|_| "is not a URL such as `https://api.example.com/v2`")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `https://` (or `http://`)");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    // A host in braces is a name that nobody has; with `${…}` it is not filled in yet.
    if url.host_str().is_some_and(|host| host.contains('{') && !host.contains("${")) {
        return Err("can't hold a parameter; only `${NAME}` is filled in, at load time");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("can't hold a user name or password; use `credentials:`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("can't hold a query or fragment; write parameters with `value:`");
    }
    Ok(url)
}

/// Whether a URL stays on this machine.
#[must_use]
pub fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads the URL of a token endpoint.
///
/// # Errors
/// Returns what is wrong with it, as the rest of a sentence.
pub fn token_url(written: &str) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(written).map_err(|_| "is not a URL; write it in full, beginning with `https://`")?;
    if !keeps_secrets(&url) {
        return Err("must begin with `https://`; `http://` is for loopback");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("can't hold a user name or password; write `client_id` and `client_secret`");
    }
    Ok(url)
}

/// Whether credentials may be sent to a URL: over https, or without leaving this machine.
#[must_use]
pub fn keeps_secrets(url: &url::Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

fn check_plain_http(
    url: &url::Url,
    credentials: &CredentialSpec,
    at: &Cursor<'_>,
    url_span: Span,
) -> Result<(), Diagnostic> {
    if matches!(credentials, CredentialSpec::Word(CredentialWord::None)) || keeps_secrets(url) {
        return Ok(());
    }
    Err(insecure_url(url_span).also(at.span(), "these credentials would travel in the clear"))
}

/// The finding about credentials that would be sent over plain http.
#[must_use]
pub fn insecure_url(span: Span) -> Diagnostic {
    Diagnostic::new(Code::InsecureUrl, "credentials can't be sent over plain http")
        .at(span, "use `https://`; `http://` is for loopback and for `credentials: none`")
}
