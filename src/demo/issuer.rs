//! A development token issuer with the URLs and answers of an Okta custom authorization server named `default`.
//!
//! Tokens are RS256 JWTs that can be introspected (RFC 7662), revoked (RFC 7009), and checked against the published key.
//! Everything is in memory. For development only: it has no login, and whoever can reach it is on this machine.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The path of the authorization server below its origin.
const SERVER: &str = "/oauth2/default";
/// How long a token of the client-credentials grant is valid, in seconds.
const SERVICE_LIFE: u64 = 3600;
/// The name of the one key.
const KEY_ID: &str = "demo-1";

/// The issuer; cloning shares its state.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    origin: String,
    audience: String,
    client_id: String,
    client_secret: String,
    signing: EncodingKey,
    checking: DecodingKey,
    jwk: Value,
    revoked: Mutex<HashSet<String>>,
}

// === impl Issuer ===

impl Issuer {
    /// Makes an issuer with a fresh key and a fresh client secret; `None` when no key could be made.
    pub fn new(origin: &str, audience: &str) -> Option<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
        let private: Pkcs8V1Der<'static> = key.as_der().ok()?;
        let public = key.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero();
        let exponent = public.exponent().big_endian_without_leading_zero();
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        Some(Self(Arc::new(Inner {
            origin: origin.to_owned(),
            audience: audience.to_owned(),
            client_id: "demo-bridge".to_owned(),
            client_secret: Uuid::new_v4().simple().to_string(),
            signing: EncodingKey::from_rsa_pem(pem(private.as_ref()).as_bytes()).ok()?,
            checking: DecodingKey::from_rsa_components(&n, &e).ok()?,
            jwk: json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": n, "e": e}),
            revoked: Mutex::default(),
        })))
    }

    /// The origin, as `auth.okta.domain` wants it.
    pub fn domain(&self) -> &str {
        &self.0.origin
    }

    /// The client that may introspect and that the client-credentials grant is for.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Its secret, fresh for every start.
    pub fn client_secret(&self) -> &str {
        &self.0.client_secret
    }

    fn issuer(&self) -> String {
        format!("{}{SERVER}", self.0.origin)
    }

    /// Mints an access token for a person of the demo, valid for `life` seconds.
    pub fn mint(&self, login: &str, life: u64) -> Option<String> {
        let mut claims = person(login)?;
        claims.insert("sub".to_owned(), format!("{login}@example.com").into());
        claims.insert("uid".to_owned(), format!("00u{login}").into());
        self.sign(claims, life, &["hr.read", "hr.write"], "demo-app")
    }

    fn sign(&self, mut claims: Map<String, Value>, life: u64, scopes: &[&str], client: &str) -> Option<String> {
        let now = now();
        let standard = json!({
            "ver": 1, "jti": format!("AT.{}", Uuid::new_v4()), "iss": self.issuer(), "aud": self.0.audience,
            "iat": now, "exp": now + life, "cid": client, "scp": scopes,
        });
        claims.extend(standard.as_object().cloned()?);
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::RS256) };
        encode(&header, &claims, &self.0.signing).ok()
    }

    /// The claims of a token that is good right now.
    pub fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.0.audience]);
        validation.set_issuer(&[self.issuer()]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.leeway = 0;
        let claims = decode::<Map<String, Value>>(token, &self.0.checking, &validation).ok()?.claims;
        let id = claims.get("jti")?.as_str()?;
        let revoked = self.0.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        (!revoked.contains(id)).then_some(claims)
    }

    fn is_client(&self, headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
        let basic = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
        let given = match (&basic, form.get("client_id"), form.get("client_secret")) {
            (Some(pair), _, _) => pair.split_once(':'),
            (None, Some(id), Some(secret)) => Some((id.as_str(), secret.as_str())),
            (None, _, _) => None,
        };
        given == Some((self.client_id(), self.client_secret()))
    }
}

/// The routes of the issuer.
pub fn router(issuer: Issuer) -> Router {
    Router::new()
        .route("/oauth2/default/v1/introspect", post(introspect))
        .route("/oauth2/default/v1/token", post(token))
        .route("/oauth2/default/v1/revoke", post(revoke))
        .route("/oauth2/default/v1/keys", get(keys))
        .route("/oauth2/default/.well-known/openid-configuration", get(discovery))
        .route("/oauth2/default/.well-known/oauth-authorization-server", get(discovery))
        .route("/.well-known/oauth-authorization-server/oauth2/default", get(discovery))
        .with_state(issuer)
}

type FormMap = Form<HashMap<String, String>>;

async fn introspect(State(issuer): State<Issuer>, headers: HeaderMap, Form(form): FormMap) -> Response {
    if !issuer.is_client(&headers, &form) {
        return invalid_client();
    }
    let Some(token) = form.get("token") else { return oauth_error(StatusCode::BAD_REQUEST, "invalid_request") };
    let Some(mut claims) = issuer.verify(token) else { return Json(json!({"active": false})).into_response() };
    // Okta's introspection says the same as its JWTs in the words of RFC 7662.
    let scopes = claims.remove("scp").unwrap_or_default();
    let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let username = claims.get("sub").cloned().unwrap_or_default();
    let client = claims.remove("cid").unwrap_or_default();
    claims.remove("ver");
    claims.insert("active".to_owned(), true.into());
    claims.insert("token_type".to_owned(), "Bearer".into());
    claims.insert("scope".to_owned(), scopes.join(" ").into());
    claims.insert("client_id".to_owned(), client);
    claims.insert("username".to_owned(), username);
    Json(claims).into_response()
}

async fn token(State(issuer): State<Issuer>, headers: HeaderMap, Form(form): FormMap) -> Response {
    if !issuer.is_client(&headers, &form) {
        return invalid_client();
    }
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let claims = Map::from_iter([("sub".to_owned(), issuer.client_id().into())]);
    match issuer.sign(claims, SERVICE_LIFE, &["hr.read"], issuer.client_id()) {
        Some(token) => {
            let answer =
                json!({"access_token": token, "token_type": "Bearer", "expires_in": SERVICE_LIFE, "scope": "hr.read"});
            ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
        }
        None => oauth_error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

async fn revoke(State(issuer): State<Issuer>, headers: HeaderMap, Form(form): FormMap) -> Response {
    if !issuer.is_client(&headers, &form) {
        return invalid_client();
    }
    let claims = form.get("token").and_then(|token| issuer.verify(token));
    if let Some(id) = claims.and_then(|claims| Some(claims.get("jti")?.as_str()?.to_owned())) {
        issuer.0.revoked.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
    StatusCode::OK.into_response()
}

async fn keys(State(issuer): State<Issuer>) -> Response {
    Json(json!({"keys": [issuer.0.jwk]})).into_response()
}

async fn discovery(State(issuer): State<Issuer>) -> Response {
    let base = issuer.issuer();
    Json(json!({
        "issuer": base,
        "token_endpoint": format!("{base}/v1/token"),
        "introspection_endpoint": format!("{base}/v1/introspect"),
        "revocation_endpoint": format!("{base}/v1/revoke"),
        "jwks_uri": format!("{base}/v1/keys"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
    }))
    .into_response()
}

fn invalid_client() -> Response {
    oauth_error(StatusCode::UNAUTHORIZED, "invalid_client")
}

fn oauth_error(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// What the identity provider knows about a person.
fn person(login: &str) -> Option<Map<String, Value>> {
    let claims = match login {
        "alice" => json!({"gpid": "10012345", "employeeNumber": "20012345", "name": "Alice Arnold",
            "email": "alice@example.com", "groups": ["Everyone", "HR"]}),
        "bob" => {
            json!({"employeeNumber": "20023456", "name": "Bob Brandt", "email": "bob@example.com", "groups": ["Everyone"]})
        }
        _ => return None,
    };
    claims.as_object().cloned()
}

/// A PKCS#8 key in the text form that jsonwebtoken reads (RFC 7468).
fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
