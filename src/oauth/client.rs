//! How our own client proves who it is at an authorization server (`OpenID` Connect Core, section 9).

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::{Url, form_urlencoded};

/// How long a proof by key is good, in seconds: long enough for clocks that differ, short enough to be of no use later.
const ASSERTION_LIFE: u64 = 60;
/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Our own client at an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthClient {
    /// Its id.
    pub id: String,
    /// How it proves who it is.
    pub auth: ClientAuth,
}

/// How a client proves who it is.
#[derive(Clone)]
pub enum ClientAuth {
    /// It doesn't: a public client, which says its id alone.
    None,
    /// `client_secret_basic`: the secret in the `Authorization` header.
    Basic(SecretString),
    /// `client_secret_post`: the secret in the body.
    Post(SecretString),
    /// `private_key_jwt`: a signature, so that no secret travels.
    PrivateKey(SigningKey),
}

/// A private key and what is signed with it.
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<EncodingKey>,
    algorithm: Algorithm,
    id: Option<String>,
}

// === impl OauthClient ===

impl OauthClient {
    /// A POST of a form to an endpoint of the authorization server, with the proof of who is asking.
    #[must_use]
    pub fn request(&self, endpoint: &Url, fields: &[(&str, &str)]) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, value);
        }
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        match &self.auth {
            ClientAuth::None => {
                form.append_pair("client_id", &self.id);
            }
            ClientAuth::Basic(secret) => {
                headers.insert(AUTHORIZATION, basic(&self.id, secret));
            }
            ClientAuth::Post(secret) => {
                form.append_pair("client_id", &self.id).append_pair("client_secret", secret.expose_secret());
            }
            ClientAuth::PrivateKey(key) => {
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                if let Some(assertion) = key.assertion(&self.id, endpoint) {
                    form.append_pair("client_assertion", &assertion);
                }
            }
        }
        let mut request = Request::new(Method::POST, endpoint.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(form.finish().into());
        request
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// Reads a private key in PEM: RSA (signs RS256) or EC (ES256, ES384). `None` when it is none of these.
    #[must_use]
    pub fn read(pem: &SecretString, id: Option<String>) -> Option<Self> {
        let pem = pem.expose_secret().as_bytes();
        let rsa = EncodingKey::from_rsa_pem(pem).map(|key| (key, vec![Algorithm::RS256]));
        let ec = || EncodingKey::from_ec_pem(pem).map(|key| (key, vec![Algorithm::ES256, Algorithm::ES384]));
        let (key, algorithms) = rsa.or_else(|_| ec()).ok()?;
        // A key that can't sign is found now and not at the first call.
        let signs = |algorithm: &Algorithm| encode(&Header::new(*algorithm), &json!({}), &key).is_ok();
        let algorithm = algorithms.into_iter().find(signs)?;
        Some(Self { key: Arc::new(key), algorithm, id })
    }

    /// RFC 7523, section 3. Okta wants the endpoint as the audience.
    fn assertion(&self, client_id: &str, endpoint: &Url) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.id);
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": endpoint.as_str(),
            "iat": now,
            "exp": now + ASSERTION_LIFE,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        encode(&header, &claims, &self.key).ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

// === impl ClientAuth ===

impl fmt::Debug for ClientAuth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Basic(_) => "Basic",
            Self::Post(_) => "Post",
            Self::PrivateKey(_) => "PrivateKey",
        })
    }
}

/// Whether two settings are the same, to tell whether tokens may be kept over a reload.
impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Basic(one), Self::Basic(other)) | (Self::Post(one), Self::Post(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::PrivateKey(one), Self::PrivateKey(other)) => {
                one.key.as_bytes() == other.key.as_bytes() && one.id == other.id
            }
            _ => false,
        }
    }
}

impl Eq for ClientAuth {}

/// RFC 6749, section 2.3.1, form-encodes both parts before joining them.
fn basic(client_id: &str, client_secret: &SecretString) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(client_secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}
