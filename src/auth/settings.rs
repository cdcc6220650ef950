//! What an authenticator needs to know, and where Okta keeps its endpoints. Nothing here opens a connection.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use url::Url;

use crate::catalog::compile::keeps_secrets;
use crate::config::server::AlgorithmSpec;
use crate::net::BuildError;
use crate::oauth::{ClientAuth, OauthClient};

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

/// How callers are authenticated, with every `${NAME}` resolved. [`build`](crate::auth::build) proves it.
#[derive(Clone, Debug)]
pub enum AuthSettings {
    /// Tokens of these issuers; there is at least one.
    Issuers(Vec<IssuerSettings>),
    /// Let everybody in as the anonymous caller.
    None,
}

/// One issuer of tokens.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// How its tokens are checked.
    pub method: Method,
    /// How long the verdict on a good token is kept. `None`: every request is checked.
    pub keep: Option<Duration>,
}

/// How tokens are checked.
#[derive(Clone, Debug)]
pub enum Method {
    /// Ask an RFC 7662 endpoint about every token.
    Introspection(IntrospectionSettings),
    /// By the keys of the issuer.
    Jwt(JwtSettings),
    /// By its keys, and then by asking.
    Both(Box<(JwtSettings, IntrospectionSettings)>),
}

/// What must hold of a good token.
#[derive(Clone, Debug)]
pub struct TermsSettings {
    /// Its exact `iss`. `None` leaves `iss` unchecked.
    pub issuer: Option<String>,
    /// What its `aud` must contain.
    pub audience: String,
    /// The clients whose tokens are good. `None` means any.
    pub client_ids: Option<Vec<String>>,
}

/// An RFC 7662 endpoint and what must hold of the tokens it vouches for.
#[derive(Clone, Debug)]
pub struct IntrospectionSettings {
    /// Where to ask; see [`endpoint`] and [`okta`].
    pub endpoint: Url,
    /// The client that may introspect.
    pub client: OauthClient,
    /// What must hold of a token.
    pub terms: TermsSettings,
}

/// An issuer whose keys can be read.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The exact `iss` of a good token; its discovery document says where the keys are.
    pub issuer: String,
    /// Where the keys are, when it need not be found out.
    pub keys: Option<Url>,
    /// What must hold of a token.
    pub terms: TermsSettings,
    /// The signature algorithms that are accepted. `None` means all that are not symmetric.
    pub algorithms: Option<Vec<AlgorithmSpec>>,
}

/// Okta's URLs for one authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OktaUrls {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Where it introspects them.
    pub endpoint: Url,
}

/// What is wrong with the settings of an authenticator. [`SettingsError::key`] says which one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an absolute URL.
    #[error("this is not a URL; write it in full, beginning with `https://`")]
    NotUrl(UrlKey),
    /// Tokens and the client secret would travel in clear.
    #[error("the identity provider must be called over https; http is only for loopback, as in tests")]
    NotHttps(UrlKey),
    /// A user name or password in the URL.
    #[error("a URL with a user name or password is refused; write `client_id` and `client_secret` instead")]
    UserInfo(UrlKey),
    /// A fragment in the introspection URL.
    #[error("an introspection URL has no `#` part")]
    Fragment,
    /// A path or query after the Okta domain.
    #[error(
        "only the domain stands here, such as `{domain}`; name a custom authorization server as `authorization_server`"
    )]
    NotOnlyDomain {
        /// The part that is right.
        domain: String,
    },
    /// The address of Okta's administration console.
    #[error("this is the address of the admin console; drop `-admin` and write `{domain}`")]
    AdminDomain {
        /// The same domain without `-admin`.
        domain: String,
    },
    /// Not the bare id of an authorization server.
    #[error(
        "this is the id of a custom authorization server, such as `default`; leave it out for the org authorization server"
    )]
    NotServerId,
    /// A setting that must say something is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// An allow-list that allows nobody.
    #[error("`client_ids` lists no client, so every token would be refused; leave it out to accept any client")]
    NoClients,
    /// Several issuers, and one of them has no name to choose it by.
    #[error("with several issuers each needs its `issuer`: a token is checked by the issuer that it names")]
    NoIssuer,
    /// Two issuers of one name.
    #[error("the issuer `{0}` is there twice")]
    SameIssuer(String),
    /// An allow-list of algorithms that allows none.
    #[error("`algorithms` lists none; leave it out to accept all that are not symmetric")]
    NoAlgorithms,
    /// No HTTP client could be built.
    #[error("no HTTP client could be built ({0}); does this machine have CA certificates?")]
    Net(BuildError),
}

/// Which setting holds a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlKey {
    /// `domain` of `okta`.
    Domain,
    /// `url` of `introspection`.
    Url,
    /// `issuer` of `jwt`.
    Issuer,
    /// `jwks_url` of `jwt`.
    Keys,
}

/// Reads the URL of an introspection endpoint.
///
/// # Errors
///
/// Not a URL, not https (or http on loopback), or more than a URL should say.
pub fn endpoint(written: &str) -> Result<Url, SettingsError> {
    let url = parse(written, UrlKey::Url)?;
    if url.fragment().is_some() {
        return Err(SettingsError::Fragment);
    }
    Ok(url)
}

/// Checks the issuer of JWTs, which is also where its discovery document is. It is kept as it is written: `iss` must be
/// the same, character for character.
///
/// # Errors
///
/// As [`endpoint`].
pub fn issuer(written: &str) -> Result<(), SettingsError> {
    parse(written, UrlKey::Issuer).map(drop)
}

/// Reads the URL of a key set.
///
/// # Errors
///
/// As [`endpoint`].
pub fn keys(written: &str) -> Result<Url, SettingsError> {
    parse(written, UrlKey::Keys)
}

/// Gives the URLs of an Okta authorization server: a custom one by its id, or the org's own.
///
/// # Errors
///
/// The domain or the id cannot be right.
pub fn okta(domain: &str, authorization_server: Option<&str>) -> Result<OktaUrls, SettingsError> {
    let org = okta_org(domain)?;
    let issuer = match authorization_server {
        Some(id) if is_server_id(id) => format!("{org}/oauth2/{id}"),
        Some(_) => return Err(SettingsError::NotServerId),
        None => org.clone(),
    };
    let base = match authorization_server {
        Some(_) => issuer.clone(),
        None => format!("{org}/oauth2"),
    };
    let endpoint = endpoint(&format!("{base}/v1/introspect"))?;
    Ok(OktaUrls { issuer, endpoint })
}

// === impl IssuerSettings ===

impl IssuerSettings {
    /// The `iss` of its tokens, when it is known.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.method {
            Method::Introspection(settings) => settings.terms.issuer.as_deref(),
            Method::Jwt(settings) => Some(&settings.issuer),
            Method::Both(both) => Some(&both.0.issuer),
        }
    }
}

// === impl TermsSettings ===

impl TermsSettings {
    pub(super) fn faults(&self) -> Vec<SettingsError> {
        let Self { issuer, audience, client_ids } = self;
        let said = [("issuer", issuer.as_deref()), ("audience", Some(audience.as_str()))];
        let mut faults: Vec<SettingsError> = said
            .into_iter()
            .filter(|(_, text)| *text == Some(""))
            .map(|(name, _)| SettingsError::Empty(name))
            .collect();
        if client_ids.as_ref().is_some_and(Vec::is_empty) {
            faults.push(SettingsError::NoClients);
        }
        faults
    }
}

// === impl IntrospectionSettings ===

impl IntrospectionSettings {
    pub(super) fn faults(&self) -> Vec<SettingsError> {
        let mut faults: Vec<SettingsError> = endpoint(self.endpoint.as_str()).err().into_iter().collect();
        let secret = match &self.client.auth {
            ClientAuth::Basic(secret) | ClientAuth::Post(secret) => Some(secret.expose_secret()),
            ClientAuth::None | ClientAuth::PrivateKey(_) => None,
        };
        let said = [("client_id", Some(self.client.id.as_str())), ("client_secret", secret)];
        faults
            .extend(said.into_iter().filter(|(_, text)| *text == Some("")).map(|(name, _)| SettingsError::Empty(name)));
        faults.extend(self.terms.faults());
        faults
    }
}

// === impl SettingsError ===

impl SettingsError {
    /// The key to blame, as it is written in the server file; `None` when no key is wrong.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::NotUrl(key) | Self::NotHttps(key) | Self::UserInfo(key) => Some(match key {
                UrlKey::Domain => "domain",
                UrlKey::Url => "url",
                UrlKey::Issuer => "issuer",
                UrlKey::Keys => "jwks_url",
            }),
            Self::Fragment => Some("url"),
            Self::NotOnlyDomain { .. } | Self::AdminDomain { .. } => Some("domain"),
            Self::NotServerId => Some("authorization_server"),
            Self::Empty(key) => Some(key),
            Self::NoClients => Some("client_ids"),
            Self::NoAlgorithms => Some("algorithms"),
            Self::NoIssuer | Self::SameIssuer(_) | Self::Net(_) => None,
        }
    }
}

/// `https://host[:port]` of an Okta org, as its tokens spell it in `iss`.
fn okta_org(domain: &str) -> Result<String, SettingsError> {
    let url = parse(domain, UrlKey::Domain)?;
    let org = url.origin().ascii_serialization();
    if let Some(domain) = without_admin(&url) {
        return Err(SettingsError::AdminDomain { domain });
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::NotOnlyDomain { domain: org });
    }
    Ok(org)
}

/// People copy the address of the page they are on: `https://your-org-admin.okta.com`.
fn without_admin(url: &Url) -> Option<String> {
    let (label, rest) = url.host_str()?.split_once('.')?;
    let org = label.strip_suffix("-admin")?;
    rest.starts_with("okta").then(|| format!("https://{org}.{rest}"))
}

fn is_server_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn parse(written: &str, key: UrlKey) -> Result<Url, SettingsError> {
    let url = Url::parse(written).map_err(|_| SettingsError::NotUrl(key))?;
    if url.host().is_none() {
        return Err(SettingsError::NotUrl(key));
    }
    if !matches!(url.scheme(), "http" | "https") || !keeps_secrets(&url) {
        return Err(SettingsError::NotHttps(key));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::UserInfo(key));
    }
    Ok(url)
}
