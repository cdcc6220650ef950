//! Who may call: tokens checked by keys, by asking, by both, by several issuers, and kept verdicts.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

use crate::stdio::Pipes;
use crate::support::{Answer, Api, Fixture, Provider, Reply, Server, until};

const BRIDGE: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none }
claims: { gpid: [gpid, sub] }
tools:
  who: { description: Who is calling., endpoint: "GET /who/{gpid}", parameters: { gpid: { claim: gpid } } }
"#;

fn serve(auth: &Value) -> (Api, Server) {
    let api = Api::start();
    let fixture = Fixture::with_auth(auth).bridge(BRIDGE).env("API", &api.url());
    (api, fixture.env("OKTA_CLIENT_SECRET", "bridge-secret").serve())
}

fn call(server: &Server, token: &str) -> Reply {
    server.rpc("/mcp", Some(token), "tools/call", &json!({"name": "who", "arguments": {}}))
}

/// The reason that the log gives for the refusal of a token.
fn refused(server: &Server, token: &str) -> String {
    let reply = call(server, token);
    assert_eq!(reply.status, 401, "{token}: {}", reply.body);
    assert_eq!(reply.json()["error"]["message"], "Access denied: Invalid or expired token");
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains("resource_metadata="), "{challenge}");
    let line: Value = serde_json::from_str(&server.wait_for("Access denied.")).unwrap();
    line["fields"]["reason"].as_str().unwrap().to_owned()
}

fn okta(provider: &Provider, changes: &Value) -> Value {
    let mut okta = provider.okta();
    for (key, value) in changes.as_object().unwrap() {
        okta[key] = value.clone();
    }
    okta
}

/// An issuer that signs whatever it is told to.
pub struct Forger {
    site: Api,
    key: Arc<EncodingKey>,
    jwk: Value,
    pem: String,
}

impl Forger {
    pub fn new() -> Self {
        let site = Api::start();
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'static> = key.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = key.public_key();
        let jwk = json!({
            "kty": "RSA", "use": "sig",
            "n": part(public.modulus().big_endian_without_leading_zero()),
            "e": part(public.exponent().big_endian_without_leading_zero()),
        });
        let forger = Self { site, key: Arc::new(EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()), jwk, pem };
        let (issuer, keys) = (forger.issuer(), format!("{}/keys", forger.issuer()));
        let document = json!({"issuer": issuer, "jwks_uri": keys});
        forger.site.answer("/.well-known", Answer::json(200, &document));
        forger.lists(&["k1"]);
        forger
    }

    pub fn issuer(&self) -> String {
        self.site.url()
    }

    /// Lists its key under these names.
    pub fn lists(&self, names: &[&str]) {
        let key = |name: &&str| {
            let mut key = self.jwk.clone();
            key["kid"] = json!(name);
            key
        };
        let keys: Vec<Value> = names.iter().map(key).collect();
        self.site.answer("/keys", Answer::json(200, &json!({ "keys": keys })));
    }

    /// Its public key, as a JWK.
    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// What it was asked for.
    pub fn lines(&self) -> Vec<String> {
        self.site.lines()
    }

    pub fn fetches(&self) -> usize {
        self.site.lines().iter().filter(|line| line.contains("/keys")).count()
    }

    pub fn claims(&self) -> Value {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        json!({
            "iss": self.issuer(), "aud": "api://enterprise", "sub": "alice", "gpid": "7", "cid": "app",
            "iat": now, "exp": now + 600, "scp": ["hr.read"],
        })
    }

    /// Signs the claims as they are written, so that they need not make sense.
    pub fn sign(&self, header: &Value, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(&header.to_string()), part(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, Algorithm::RS256).unwrap();
        format!("{signed}.{signature}")
    }

    pub fn token(&self, changes: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| *value != "absent");
        self.sign(&json!({"alg": "RS256", "kid": "k1"}), &claims.to_string())
    }

    pub fn jwt(&self) -> Value {
        json!({"jwt": {"issuer": self.issuer(), "audience": "api://enterprise"}})
    }
}

#[test]
fn tokens_are_checked_by_keys_and_nobody_is_asked() {
    let provider = Provider::start();
    let (api, server) = serve(&json!({ "okta": okta(&provider, &json!({"validation": "jwks"})) }));
    let jwt = |changes: Value| {
        let mut request = json!({"kind": "jwt"});
        for (key, value) in changes.as_object().unwrap() {
            request[key] = value.clone();
        }
        provider.token(&request)
    };
    for _ in 0..3 {
        let reply = call(&server, &jwt(json!({})));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(api.lines(), ["GET /who/10012345"; 3]);
    assert!(refused(&server, &provider.user("alice")).contains("no JWT"));
    assert!(refused(&server, &jwt(json!({"audience": "api://other"}))).contains("audience"));
    assert!(refused(&server, &jwt(json!({"ttl": -1}))).contains("expired"));
    assert!(!refused(&server, &provider.token(&json!({"kind": "id"}))).is_empty());
    assert!(refused(&server, &provider.token(&json!({"kind": "dpop"}))).contains("JWT"));
    assert_eq!(api.requests().len(), 3);
    assert_eq!(provider.introspections()["count"], 0);
}

#[test]
fn forged_tokens_are_refused_and_nothing_is_sent() {
    let forger = Forger::new();
    let (api, server) = serve(&forger.jwt());
    assert_eq!(call(&server, &forger.token(&json!({}))).status, 200);
    assert_eq!(call(&server, &forger.token(&json!({"aud": ["api://x", "api://enterprise"]}))).status, 200);
    let typed = forger.sign(&json!({"alg": "RS256", "kid": "k1", "typ": "at+JWT"}), &forger.claims().to_string());
    assert_eq!(call(&server, &typed).status, 200);
    let sent = api.requests().len();

    let far = forger.claims()["exp"].as_u64().unwrap();
    let mut bad: Vec<(String, &str)> = [
        (json!({"aud": "api://other"}), "audience"),
        (json!({"aud": "absent"}), "audience"),
        (json!({"aud": ["api://other", 1, null]}), "audience"),
        (json!({"iss": "https://evil.example"}), "issuer"),
        (json!({"iss": "absent"}), "issuer"),
        (json!({"exp": 1}), "expired"),
        (json!({"exp": "absent"}), "malformed"),
        (json!({"exp": far.to_string()}), "malformed"),
        (json!({"exp": u64::MAX}), "malformed"),
        (json!({"nbf": far}), "not valid yet"),
        (json!({"nbf": far.to_string()}), "malformed"),
        (json!({"iat": far}), "not valid yet"),
        (json!({"nonce": "n"}), "access token"),
        (json!({"at_hash": "h"}), "access token"),
        (json!({"token_use": "id"}), "access token"),
        (json!({"cnf": {"jkt": "x"}}), "bound to a key"),
    ]
    .into_iter()
    .map(|(changes, reason)| (forger.token(&changes), reason))
    .collect();
    let claims = forger.claims().to_string();
    let sign = |header: Value| forger.sign(&header, &claims);
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let unsigned =
        |header: Value, signature: &str| format!("{}.{}.{signature}", part(header.to_string()), part(claims.clone()));
    let shared = EncodingKey::from_secret(forger.jwk["n"].as_str().unwrap().as_bytes());
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid = Some("k1".to_owned());
    let mut changed = sign(json!({"alg": "RS256", "kid": "k1"})).into_bytes();
    let middle = changed.iter().position(|byte| *byte == b'.').unwrap() + 20;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let duplicate = claims.replacen('{', "{\"aud\":\"api://enterprise\",", 1);
    bad.extend([
        (unsigned(json!({"alg": "none"}), "x"), "signature algorithm"),
        (unsigned(json!({"alg": "NONE", "kid": "k1"}), "x"), "signature algorithm"),
        (encode(&symmetric, &forger.claims(), &shared).unwrap(), "signature algorithm"),
        (sign(json!({"alg": "ES256", "kid": "k1"})), "signature algorithm"),
        (sign(json!({"alg": "RS512", "kid": "k1"})), "signature of the token is wrong"),
        (sign(json!({"alg": "RS256", "kid": "../../dev/null"})), "does not list"),
        (sign(json!({"alg": "RS256", "kid": "k".repeat(2000)})), "malformed"),
        (sign(json!({"alg": "RS256", "kid": 1})), "malformed"),
        (sign(json!({"alg": "RS256", "kid": "k1", "crit": ["b64"], "b64": false})), "critical extension"),
        (sign(json!({"alg": "RS256", "kid": "k1", "crit": []})), "critical extension"),
        (sign(json!({"alg": "RS256", "kid": "k1", "b64": true})), "critical extension"),
        (
            sign(json!({"alg": "RS256", "kid": "k2", "jwk": forger.jwk, "jku": format!("{}/evil", forger.issuer())})),
            "does not list",
        ),
        (sign(json!({"alg": "RS256", "kid": "k1", "typ": "id_token"})), "access token"),
        (
            sign(json!({"alg": "RS256", "kid": "k1", "typ": "application/okta-internal-at+jwt"})),
            "org authorization server",
        ),
        (forger.sign(&json!({"alg": "RS256", "kid": "k1"}), &duplicate), "malformed"),
        (forger.sign(&json!({"alg": "RS256", "kid": "k1"}), "[1]"), "malformed"),
        (String::from_utf8(changed).unwrap(), "signature of the token is wrong"),
        ("a.b".to_owned(), "JWT"),
        ("a.b.c".to_owned(), "JWT"),
        ("....".to_owned(), "JWT"),
    ]);
    for (token, expected) in &bad {
        let reason = refused(&server, token);
        assert!(reason.contains(expected), "{reason}, expected {expected}: {token}");
    }
    assert_eq!(call(&server, &"a.".repeat(50_000)).status, 401);
    assert_eq!(api.requests().len(), sent, "something was sent");
    assert!(forger.site.lines().iter().all(|line| !line.contains("evil")), "{:?}", forger.site.lines());
}

#[test]
fn a_new_key_is_taken_up_and_made_up_ones_lead_to_no_storm() {
    let forger = Forger::new();
    let (_, server) = serve(&forger.jwt());
    assert_eq!(call(&server, &forger.token(&json!({}))).status, 200);
    assert_eq!(forger.fetches(), 1);
    let named = |name: &str| forger.sign(&json!({"alg": "RS256", "kid": name}), &forger.claims().to_string());
    // The first fetch is a moment ago, so a name that is not there is not looked for yet.
    for number in 0..50 {
        assert_eq!(call(&server, &named(&format!("made-up-{number}"))).status, 401);
        assert_eq!(call(&server, &forger.token(&json!({}))).status, 200);
    }
    assert_eq!(forger.fetches(), 1);
}

#[test]
fn keys_that_can_not_be_fetched_are_503_and_all_is_well_when_they_can() {
    let forger = Forger::new();
    forger.site.answer("/keys", Answer::text(500, "no"));
    let (api, server) = serve(&forger.jwt());
    let token = forger.token(&json!({}));
    let reply = call(&server, &token);
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.header("www-authenticate").is_none());
    assert!(api.requests().is_empty());
    forger.lists(&["k0", "k1"]);
    until(|| call(&server, &token).status == 200);

    // A document of another issuer is nobody's.
    let other = Forger::new();
    other.site.answer(
        "/.well-known",
        Answer::json(200, &json!({"issuer": "https://evil.example", "jwks_uri": format!("{}/keys", other.issuer())})),
    );
    let (_, server) = serve(&other.jwt());
    assert_eq!(call(&server, &other.token(&json!({}))).status, 503);
    assert_eq!(other.fetches(), 0);
}

#[test]
fn keys_and_introspection_together_refuse_what_either_refuses() {
    let provider = Provider::start();
    let (_, server) = serve(&json!({ "okta": okta(&provider, &json!({"validation": "jwks+introspection"})) }));
    let token = provider.token(&json!({"kind": "jwt"}));
    assert_eq!(call(&server, &token).status, 200);
    let asked = provider.introspections()["count"].clone();
    assert_eq!(asked, 1);
    let mut garbage = token.clone();
    garbage.replace_range(token.len() - 10.., "AAAAAAAAAA");
    refused(&server, &garbage);
    refused(&server, &provider.user("alice"));
    assert_eq!(provider.introspections()["count"], asked, "garbage reached the provider");
    provider.revoke(&token);
    assert_eq!(refused(&server, &token), "the token is not active");
}

#[test]
fn a_token_is_checked_by_the_issuer_that_it_names() {
    let provider = Provider::start();
    let forger = Forger::new();
    let auth = json!({"issuers": [{ "okta": okta(&provider, &json!({})) }, forger.jwt()]});
    let (api, server) = serve(&auth);
    assert_eq!(call(&server, &provider.user("alice")).status, 200);
    assert_eq!(call(&server, &provider.token(&json!({"kind": "jwt", "user": "bob"}))).status, 200);
    assert_eq!(provider.introspections()["count"], 2);
    assert_eq!(call(&server, &forger.token(&json!({}))).status, 200);
    assert_eq!(provider.introspections()["count"], 2, "the provider saw a token of somebody else");
    assert_eq!(api.lines(), ["GET /who/10012345", "GET /who/bob", "GET /who/7"]);
    // The key of one issuer is no key of the other.
    let crossed = forger.token(&json!({"iss": provider.issuer}));
    assert_eq!(refused(&server, &crossed), "the token is not active");
    assert!(refused(&server, &forger.token(&json!({"iss": "https://evil.example"}))).contains("issuer"));
    let reply = server.send("GET", "/.well-known/oauth-protected-resource", &[], "");
    assert_eq!(reply.json()["authorization_servers"], json!([provider.issuer, forger.issuer()]));
}

#[test]
fn only_the_algorithms_that_are_listed_are_taken() {
    let forger = Forger::new();
    let listing = |algorithms: &[&str]| {
        let mut auth = forger.jwt();
        auth["jwt"]["algorithms"] = json!(algorithms);
        serve(&auth)
    };
    let others = ["RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let (api, server) = listing(&others);
    assert!(refused(&server, &forger.token(&json!({}))).contains("algorithm"));
    assert!(api.requests().is_empty());
    let (_, server) = listing(&["RS256"]);
    assert_eq!(call(&server, &forger.token(&json!({}))).status, 200);
}

#[test]
fn a_key_says_itself_what_it_is_good_for() {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let random = aws_lc_rs::rand::SystemRandom::new();
    let curve = |name: &str, signing| {
        let made = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let point = EcdsaKeyPair::from_pkcs8(signing, made.as_ref()).unwrap().public_key().as_ref().to_vec();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "crv": name, "kid": name, "x": part(x), "y": part(y)});
        (jwk, EncodingKey::from_ec_der(made.as_ref()))
    };
    let (p256, es256) = curve("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
    let (p384, es384) = curve("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING);
    let made = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let public = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap().public_key().as_ref().to_vec();
    let edwards = json!({"kty": "OKP", "crv": "Ed25519", "kid": "Ed25519", "x": part(&public)});
    let eddsa = EncodingKey::from_ed_der(made.as_ref());
    let forger = Forger::new();
    let mut only = forger.jwk();
    (only["kid"], only["alg"]) = (json!("only"), json!("RS512"));
    let mut wrong = p256.clone();
    (wrong["kid"], wrong["alg"]) = (json!("wrong"), json!("RS256"));
    let mut encrypts = p256.clone();
    (encrypts["kid"], encrypts["use"]) = (json!("encrypts"), json!("enc"));
    // What nobody can use is passed over, and the others are good.
    let shared = json!({"kty": "oct", "kid": "shared", "k": part(b"shared")});
    let keys = json!([shared, {"kty": "?"}, wrong, encrypts, only, p256, p384, edwards, forger.jwk()]);
    forger.site.answer("/keys", Answer::json(200, &json!({ "keys": keys })));
    let (_, server) = serve(&forger.jwt());
    let token = |name: Option<&str>, algorithm, key: &EncodingKey| {
        let header = Header { kid: name.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, &forger.claims(), key).unwrap()
    };
    for (name, algorithm, key) in [
        (Some("P-256"), Algorithm::ES256, &es256),
        (Some("P-384"), Algorithm::ES384, &es384),
        (Some("Ed25519"), Algorithm::EdDSA, &eddsa),
        (Some("only"), Algorithm::RS512, &*forger.key),
        (None, Algorithm::PS256, &*forger.key),
    ] {
        let reply = call(&server, &token(name, algorithm, key));
        assert_eq!(reply.status, 200, "{name:?} {algorithm:?}: {} {}", reply.body, server.log());
    }
    for (name, algorithm, key, why) in [
        ("only", Algorithm::RS256, &*forger.key, "algorithm"),
        ("P-256", Algorithm::EdDSA, &eddsa, "algorithm"),
        ("wrong", Algorithm::RS256, &*forger.key, "key"),
        ("encrypts", Algorithm::ES256, &es256, "key"),
        ("shared", Algorithm::RS256, &*forger.key, "key"),
    ] {
        let said = refused(&server, &token(Some(name), algorithm, key));
        assert!(said.contains(why), "{name}: {said}");
    }
    let signed = token(Some("P-384"), Algorithm::ES384, &es384);
    let broken = format!("{}.{}", signed.rsplit_once('.').unwrap().0, part(&[7; 96]));
    assert!(refused(&server, &broken).contains("signature"));
    for header in [json!({"kid": 7}), json!({"typ": 7}), json!({"x": "x".repeat(5000)})] {
        let mut header = header;
        header["alg"] = json!("RS256");
        let said = refused(&server, &forger.sign(&header, &forger.claims().to_string()));
        assert!(said.contains("malformed"), "{said}");
    }
}

#[test]
fn a_token_that_names_no_key_fits_only_where_there_is_one() {
    let forger = Forger::new();
    let unnamed = || forger.sign(&json!({"alg": "RS256"}), &forger.claims().to_string());
    let (_, server) = serve(&forger.jwt());
    assert_eq!(call(&server, &unnamed()).status, 200);
    forger.lists(&["k1", "k2"]);
    let (_, server) = serve(&forger.jwt());
    assert!(refused(&server, &unnamed()).contains("does not list"));
}

#[test]
fn an_empty_set_of_keys_is_a_mistake_and_nobodys_fault() {
    let forger = Forger::new();
    forger.lists(&[]);
    let (api, server) = serve(&forger.jwt());
    assert_eq!(call(&server, &forger.token(&json!({}))).status, 503);
    assert!(api.requests().is_empty());
}

#[test]
fn a_kept_verdict_ends_with_its_token() {
    let forger = Forger::new();
    let mut auth = forger.jwt();
    auth["jwt"]["cache"] = json!("5m");
    let (_, server) = serve(&auth);
    let soon = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 3;
    let token = forger.token(&json!({ "exp": soon }));
    assert_eq!(call(&server, &token).status, 200);
    until(|| call(&server, &token).status == 401);
}

#[test]
fn an_operator_sees_which_keys_of_whom_are_at_hand() {
    let (provider, forger, api) = (Provider::start(), Forger::new(), Api::start());
    forger.lists(&["k2", "k1"]);
    let mut cached = forger.jwt();
    cached["jwt"]["cache"] = json!("30s");
    let both = okta(&provider, &json!({"validation": "jwks+introspection"}));
    let fixture = Fixture::with_auth(&json!({"issuers": [{ "okta": both }, cached]})).bridge(BRIDGE);
    let fixture = fixture.env("API", &api.url()).env("OKTA_CLIENT_SECRET", "bridge-secret");
    let server = fixture.arg("--admin-listen=127.0.0.1:0").serve();
    let told = || server.admin("GET", "/admin/v1/auth", &[], "").json();
    until(|| told()["keys"][1]["ids"] == json!(["k1", "k2"]));
    let told = told();
    let methods: Vec<&Value> = told["issuers"].as_array().unwrap().iter().map(|it| &it["method"]).collect();
    assert_eq!(methods, ["jwks+introspection", "jwks"]);
    assert_eq!(told["issuers"][1]["verdicts_kept_for"], "30 s");
    assert_eq!(
        [&told["keys"][0]["issuer"], &told["keys"][1]["issuer"]],
        [&json!(provider.issuer), &json!(forger.issuer())]
    );
    assert!(!told.to_string().contains("\"n\""), "{told}");
    let listed = server.send("GET", "/.well-known/oauth-protected-resource", &[], "").json();
    assert_eq!(listed["authorization_servers"], json!([provider.issuer, forger.issuer()]));
}

#[test]
fn verdicts_are_kept_only_when_asked_for_and_not_for_long() {
    let provider = Provider::start();
    let (_, server) = serve(&json!({ "okta": okta(&provider, &json!({"cache": "1s"})) }));
    assert!(server.log().contains("Verdicts on tokens are kept"), "{}", server.log());
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    assert_eq!(call(&server, &alice).status, 200);
    assert_eq!(call(&server, &alice).status, 200);
    assert_eq!(call(&server, &bob).status, 200);
    assert_eq!(provider.introspections()["count"], 2);
    provider.revoke(&alice);
    until(|| call(&server, &alice).status == 401);
    // What is refused is not kept.
    let asked = provider.introspections()["count"].as_u64().unwrap();
    assert_eq!(call(&server, &alice).status, 401);
    assert_eq!(provider.introspections()["count"], asked + 1);
}

#[test]
fn our_client_proves_who_it_is_in_each_way() {
    let forger = Forger::new();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let active =
        json!({"active": true, "iss": forger.issuer(), "aud": "api://enterprise", "sub": "a", "exp": now + 600});
    forger.site.answer("/introspect", Answer::json(200, &active));
    let auth = |client: Value| {
        let url = format!("{}/introspect", forger.issuer());
        let mut introspection = json!({"url": url, "audience": "api://enterprise", "client_id": "brid ge"});
        for (key, value) in client.as_object().unwrap() {
            introspection[key] = value.clone();
        }
        json!({ "introspection": introspection })
    };
    let form = |body: &[u8]| -> Vec<(String, String)> { url::form_urlencoded::parse(body).into_owned().collect() };
    let asked = |client: Value| {
        let (_, server) = serve(&auth(client));
        assert_eq!(call(&server, "t0ken").status, 200, "{}", server.log());
        let request = forger.site.last();
        (request.header("authorization").map(str::to_owned), form(&request.body))
    };
    let has = |fields: &[(String, String)], name: &str| {
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };

    let (authorization, fields) = asked(json!({"client_secret": "s:e"}));
    assert_eq!(authorization, Some(format!("Basic {}", STANDARD.encode("brid+ge:s%3Ae"))));
    assert_eq!((has(&fields, "token").as_deref(), has(&fields, "client_secret")), (Some("t0ken"), None));

    let (authorization, fields) = asked(json!({"client_secret": "s:e", "client_auth": "client_secret_post"}));
    assert_eq!(authorization, None);
    assert_eq!(
        (has(&fields, "client_id").as_deref(), has(&fields, "client_secret").as_deref()),
        (Some("brid ge"), Some("s:e"))
    );

    let (authorization, fields) = asked(json!({"private_key": forger.pem, "key_id": "b1"}));
    assert_eq!((authorization, has(&fields, "client_secret")), (None, None));
    assert_eq!(
        has(&fields, "client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let key = DecodingKey::from_jwk(&serde_json::from_value(forger.jwk.clone()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[format!("{}/introspect", forger.issuer())]);
    let proof = decode::<Value>(has(&fields, "client_assertion").unwrap(), &key, &validation).unwrap();
    assert_eq!(proof.header.kid.as_deref(), Some("b1"));
    assert_eq!((&proof.claims["iss"], &proof.claims["sub"]), (&json!("brid ge"), &json!("brid ge")));
    assert!(proof.claims["exp"].as_u64().unwrap() - proof.claims["iat"].as_u64().unwrap() <= 60);
}

#[test]
fn a_provider_that_does_not_answer_is_left_alone_for_a_moment() {
    let provider = Provider::start();
    let (api, server) = serve(&json!({ "okta": okta(&provider, &json!({})) }));
    let token = provider.user("alice");
    provider.mode("close");
    for _ in 0..20 {
        assert_eq!(call(&server, &token).status, 503);
    }
    let asked = provider.introspections()["count"].as_u64().unwrap();
    assert!(asked <= 10, "asked {asked} times for 20 calls");
    assert!(api.requests().is_empty());
    provider.mode("ok");
    until(|| call(&server, &token).status == 200);
    // A busy one says for how long.
    provider.mode("429");
    assert_eq!(call(&server, &token).status, 503);
    let asked = provider.introspections()["count"].as_u64().unwrap();
    provider.mode("ok");
    assert_eq!(call(&server, &token).status, 503, "the pause is not over");
    assert_eq!(provider.introspections()["count"], asked);
    until(|| call(&server, &token).status == 200);
}

// === Access and the standards face ===

const GUARDED: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none }
claims: { groups: groups, country: country }
access: { scopes: [hr.read] }
tools:
  read:   { description: Reads., endpoint: GET /read }
  write:  { description: Writes., endpoint: POST /write, access: { scopes: [hr.write, hr.admin] } }
  staff:  { description: For staff., endpoint: GET /staff, access: { groups: [Staff], scopes: [hr.staff] } }
  german: { description: For Germans., endpoint: GET /german, access: { when: "claims.country == 'DE'" } }
"#;

fn guarded(provider: &Provider, changes: &Value) -> (Api, Server) {
    let api = Api::start();
    let mut auth = json!({ "okta": provider.okta() });
    for (key, value) in changes.as_object().unwrap() {
        auth[key] = value.clone();
    }
    let fixture = Fixture::with_auth(&auth).bridge(GUARDED).env("API", &api.url());
    (api, fixture.env("OKTA_CLIENT_SECRET", "bridge-secret").serve())
}

fn call_tool(server: &Server, token: &str, tool: &str) -> Reply {
    server.rpc("/mcp", Some(token), "tools/call", &json!({"name": tool, "arguments": {}}))
}

#[test]
fn a_token_without_the_scopes_is_told_all_of_them_at_once() {
    let provider = Provider::shared();
    let (api, server) = guarded(provider, &json!({}));
    let token = provider.token(&json!({"scope": "hr.read other"}));
    assert_eq!(call_tool(&server, &token, "read").status, 200);
    let reply = call_tool(&server, &token, "write");
    assert_eq!(reply.status, 403, "{}", reply.body);
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"hr.read hr.write hr.admin\""), "{challenge}");
    assert!(challenge.contains("/.well-known/oauth-protected-resource/mcp\""), "{challenge}");
    let message = reply.json()["error"]["message"].clone();
    assert_eq!(message, "Access denied: the token lacks the scope hr.write hr.admin");
    // Older clients say in the body what they call.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "write"}}).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", bearer.as_str()),
    ];
    assert_eq!(server.send("POST", "/mcp", &headers, &body).status, 403);
    assert_eq!(api.lines(), ["GET /read"]);
    // With all of them it goes ahead.
    let token = provider.token(&json!({"scope": "hr.read hr.write hr.admin"}));
    assert_eq!(call_tool(&server, &token, "write").status, 200);

    // Before the first call, what every tool needs; of a tool, what that tool needs. The document says them all.
    let reply = server.rpc("/mcp", None, "tools/list", &json!({}));
    assert!(reply.header("www-authenticate").unwrap().contains("scope=\"hr.read\""), "{:?}", reply.headers);
    let reply = server.rpc("/mcp", None, "tools/call", &json!({"name": "write"}));
    assert!(reply.header("www-authenticate").unwrap().contains("scope=\"hr.read hr.write hr.admin\""));
    for path in ["", "/mcp", "/mcp/hr"] {
        let reply = server.send("GET", &format!("/.well-known/oauth-protected-resource{path}"), &[], "");
        assert_eq!(reply.json()["scopes_supported"], json!(["hr.admin", "hr.read", "hr.write"]), "{path}");
    }
}

#[test]
fn a_hidden_tool_is_not_listed_and_looks_like_one_that_does_not_exist() {
    let provider = Provider::shared();
    let (api, server) = guarded(provider, &json!({}));
    let names = |token: &str| server.tools(Some(token)).keys().cloned().collect::<Vec<_>>();
    let user = |claims: Value| provider.token(&json!({"scope": "hr.read", "claims": claims}));
    let plain = user(json!({}));
    assert_eq!(names(&plain), ["read", "write"]);
    assert_eq!(names(&user(json!({"groups": ["Staff"]}))), ["read", "write", "staff"]);
    assert_eq!(names(&user(json!({"country": "DE"}))), ["read", "write", "german"]);
    for hidden in ["staff", "german"] {
        let (hidden_reply, unknown) = (call_tool(&server, &plain, hidden), call_tool(&server, &plain, "nothing"));
        assert_eq!(hidden_reply.status, unknown.status);
        assert_eq!(hidden_reply.body.replace(hidden, "nothing"), unknown.body);
    }
    // Nor does anybody without a token learn of it by the scopes that a challenge names.
    let challenge = |tool: &str| {
        let reply = server.rpc("/mcp", None, "tools/call", &json!({"name": tool}));
        reply.header("www-authenticate").unwrap().to_owned()
    };
    assert_eq!(challenge("staff"), challenge("nothing"));
    assert_ne!(challenge("write"), challenge("nothing"));
    // Who lacks a scope as well does not learn of the tool either.
    let without = provider.token(&json!({"scope": "other"}));
    assert_eq!(call_tool(&server, &without, "staff").json()["error"]["message"], "no such tool: staff");
    assert!(api.requests().is_empty());

    // Over STDIO, the token of the environment says for whom tools are listed.
    let api = Api::start();
    let list = |token: &str| {
        let fixture = Fixture::with_auth(&json!({ "okta": provider.okta() })).bridge(GUARDED).env("API", &api.url());
        let fixture = fixture.env("OKTA_CLIENT_SECRET", "bridge-secret").env("OKTA_ACCESS_TOKEN", token);
        let listed = Pipes::start(fixture).request("tools/list", &json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&plain), ["read", "write"]);
    assert_eq!(list(&user(json!({"groups": ["Staff"]}))), ["read", "write", "staff"]);
}

#[test]
fn methods_can_be_open_to_everybody_and_calls_never_are() {
    let provider = Provider::shared();
    let (api, server) = guarded(provider, &json!({"anonymous": ["server/discover", "tools/list", "resources/read"]}));
    let tools = server.tools(None);
    assert_eq!(tools.keys().collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(server.rpc("/mcp", None, "server/discover", &json!({})).status, 200);
    assert_eq!(server.rpc("/mcp", None, "resources/list", &json!({})).status, 401);
    assert_eq!(server.rpc("/mcp", None, "tools/call", &json!({"name": "read"})).status, 401);
    // A token that is presented has to be good.
    assert_eq!(server.rpc("/mcp", Some("nonsense"), "tools/list", &json!({})).status, 401);
    // A header that says something else than the body opens nothing, nor does a second one.
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let params = json!({"name": "read", "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let base = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-name", "read"),
    ];
    for methods in [&["tools/list"][..], &["tools/list", "tools/call"], &["resources/read"]] {
        let mut headers = base.to_vec();
        headers.extend(methods.iter().map(|method| ("mcp-method", *method)));
        let reply = server.send("POST", "/mcp", &headers, &body);
        assert!(
            reply.status >= 400 || reply.json()["result"]["isError"] == true,
            "{methods:?} {} {}",
            reply.status,
            reply.body
        );
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
}

#[test]
fn a_stream_ends_with_the_token_that_opened_it() {
    let provider = Provider::shared();
    let (_, server) = guarded(provider, &json!({}));
    let token = provider.token(&json!({"ttl": 3, "scope": "hr.read"}));
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", bearer.as_str()),
    ];
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    let reply = server.send("POST", "/mcp", &headers, &body);
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let headers =
        [("accept", "text/event-stream"), ("authorization", bearer.as_str()), ("mcp-session-id", session.as_str())];
    // It comes back when the stream has ended; a stream that does not end fails by its timeout.
    let reply = server.send("GET", "/mcp", &headers, "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(server.send("GET", "/mcp", &headers, "").status, 401);
}

const TEAMS: &str = r#"
bridge: teams
upstream: { url: "${API}", credentials: none }
claims: { groups: /realm/groups }
access: { groups: [Staff] }
tools:
  mine:
    description: Of a member of both.
    endpoint: POST /mine
    access: { groups: [Pay, Tax] }
  ours: { description: Of staff., endpoint: GET /ours }
"#;

#[test]
fn each_list_of_groups_asks_for_one_of_its_own_and_the_claim_that_is_named_holds_them() {
    let (provider, api) = (Provider::shared(), Api::start());
    let server = Fixture::with_okta(provider).bridge(TEAMS).env("API", &api.url()).serve();
    let seen = |claims: Value| {
        let token = provider.token(&json!({ "claims": claims }));
        server.tools(Some(&token)).keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(seen(json!({"gpid": "7", "realm": {"groups": ["Staff", "Tax"]}})), ["mine", "ours"]);
    assert_eq!(seen(json!({"gpid": "7", "realm": {"groups": ["Staff"]}})), ["ours"]);
    assert_eq!(seen(json!({"gpid": "7", "realm": {"groups": ["Pay"]}})), [""; 0]);
    // The token's own claim of that name is another one.
    assert_eq!(seen(json!({"gpid": "7", "groups": ["Staff", "Pay"]})), [""; 0]);
}
