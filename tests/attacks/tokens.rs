//! Tokens: each that is not good is refused with 401 and a challenge, asks nothing of the API and leaves one audit line.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Row, body, lines, post, raw, status};
use crate::identity::Forger;
use crate::support::{Answer, Api, Fixture, Provider, Server};

pub const ROWS: &[Row] = &[
    Row {
        case: 13,
        attack: "No token, two of them, another scheme, a token in the query",
        hurt: "servers open to the network (Censys: 21 000 reachable, about 40 % without auth)",
        does: "Exactly one `Authorization: Bearer`, of whichever case; every other place is not looked at",
        tests: &["case_13_exactly_one_bearer_token", "requests_without_exactly_one_bearer_token_are_refused"],
    },
    Row {
        case: 14,
        attack: "A forged JWT: `none`, HS256 with the public key, its own `jwk` or `jku`, `crit`, claims twice, ID tokens",
        hurt: "CVE-2015-9235 and its many successors; RFC 8725",
        does: "Only the keys of the issuer that the token names and that is configured; nothing in a token is fetched; \
               times, audience, issuer and type are checked strictly",
        tests: &[
            "case_14_a_token_brings_no_key_of_its_own",
            "forged_tokens_are_refused_and_nothing_is_sent",
            "a_token_is_checked_by_the_issuer_that_it_names",
        ],
    },
    Row {
        case: 15,
        attack: "The identity provider is hostile, broken or slow",
        hurt: "fail-open checks; clients that sign in again and again",
        does: "Closed for everybody; 503, not 401, where it is not the token's fault",
        tests: &[
            "case_15_a_hostile_identity_provider_lets_nobody_in",
            "every_other_token_is_refused",
            "whatever_troubles_the_provider_nobody_gets_in_and_nobody_is_sent_to_sign_in",
            "trouble_at_the_identity_provider_is_503_and_nothing_is_sent",
            "a_wrong_secret_of_ours_is_an_alarm_and_no_log_line_holds_a_secret",
        ],
    },
    Row {
        case: 16,
        attack: "A revoked token is used on",
        hurt: "caches of verdicts",
        does: "By default every request asks; a cache is bounded by its time, keys by the token's",
        tests: &[
            "a_revoked_token_is_refused_by_the_very_next_call",
            "verdicts_are_kept_only_when_asked_for_and_not_for_long",
            "keys_and_introspection_together_refuse_what_either_refuses",
        ],
    },
    Row {
        case: 17,
        attack: "Made-up key ids make the server fetch keys without end",
        hurt: "fastapi-zitadel #156, go-oidc #482, mobula #28, tilegroxy #883",
        does: "One fetch in thirty seconds at most; a new key is taken up by the first token that needs it",
        tests: &[
            "case_17_made_up_keys_lead_to_no_storm",
            "a_new_key_is_taken_up_and_made_up_ones_lead_to_no_storm",
            "keys_are_rotated_under_load_and_no_valid_call_fails",
        ],
    },
    Row {
        case: 18,
        attack: "A token with too little scope calls; the metadata tells secrets",
        hurt: "scope creep (OWASP MCP02)",
        does: "403 with all missing scopes at once; the metadata is public and holds nothing else",
        tests: &[
            "a_token_without_the_scopes_is_told_all_of_them_at_once",
            "the_metadata_of_the_protected_resource_needs_no_token",
        ],
    },
    Row {
        case: 19,
        attack: "A stolen token that is bound to a key is used as a bearer token",
        hurt: "RFC 9449, section 7.2",
        does: "Refused: `cnf` and a token type other than Bearer are no bearer tokens",
        tests: &["tokens_that_are_not_good_here_are_refused", "forged_tokens_are_refused_and_nothing_is_sent"],
    },
];

const BRIDGE: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none }
claims: { gpid: [gpid, sub] }
tools: { who: { description: Who., endpoint: "GET /who/{gpid}", parameters: { gpid: { claim: gpid } } } }
"#;

fn serve(auth: &Value) -> (Api, Server) {
    let api = Api::start();
    let mut fixture = Fixture::with_auth(auth).bridge(BRIDGE).env("API", &api.url());
    fixture.write("tollbridge.yaml", &json!({"auth": auth, "audit": "audit.jsonl"}).to_string());
    (api, fixture.env("OKTA_CLIENT_SECRET", "bridge-secret").serve())
}

fn trail(server: &Server) -> Vec<Value> {
    let text = std::fs::read_to_string(server.fixture.path().join("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn call(server: &Server, token: &str) -> u16 {
    server.rpc("/mcp", Some(token), "tools/call", &json!({"name": "who", "arguments": {}})).status
}

#[test]
fn case_13_exactly_one_bearer_token() {
    let provider = Provider::shared();
    let (api, server) = serve(&json!({ "okta": provider.okta() }));
    let token = provider.user("alice");
    let attempt = |target: &str, more: &[String]| {
        let head = [lines(&server, "tools/call", "who"), more.to_vec()].concat();
        post(&server, target, &head, &body("who", &json!({}).to_string()))
    };
    let line = |value: &str| format!("authorization: {value}");
    let good = line(&format!("Bearer {token}"));
    let mut refusals = 0;
    for more in [
        vec![],
        vec![line("")],
        vec![line("Bearer")],
        vec![line(&token)],
        vec![line(&format!("Basic {token}"))],
        vec![line(&format!("DPoP {token}"))],
        vec![line(&format!("Bearer {token} {token}"))],
        vec![line(&format!("Bearer {token},Bearer {token}"))],
        vec![line(&format!("Bearer \"{token}\""))],
        vec![line("Bearer nonsense"), good.clone()],
        vec![good.clone(), line("Bearer nonsense")],
        vec![good.clone(), line("Basic eDp5")],
        vec![format!("x-{good}")],
        vec![format!("proxy-{good}")],
        vec![format!("cookie: access_token={token}")],
        vec![format!("x-access-token: {token}")],
    ] {
        let said = attempt(&format!("/mcp?access_token={token}&token={token}"), &more);
        refusals += 1;
        assert_eq!(status(&said), 401, "{more:?}: {said}");
        let lower = said.to_ascii_lowercase();
        assert!(lower.contains("www-authenticate: bearer ") && lower.contains("resource_metadata="), "{said}");
        assert!(!said.contains(&token), "{said}");
        let trail = trail(&server);
        assert_eq!((trail.len(), &trail[refusals - 1]["decision"]), (refusals, &json!("denied")), "{more:?}");
    }
    assert!(api.requests().is_empty());
    for scheme in ["bearer", "BEARER", "Bearer"] {
        assert_eq!(status(&attempt("/mcp", &[line(&format!("{scheme} {token}"))])), 200, "{scheme}");
    }
}

#[test]
fn case_14_a_token_brings_no_key_of_its_own() {
    let (forger, mallory) = (Forger::new(), Forger::new());
    let (api, server) = serve(&json!({"issuers": [forger.jwt(), mallory.jwt()]}));
    assert_eq!(call(&server, &forger.token(&json!({}))), 200);
    assert_eq!(call(&server, &mallory.token(&json!({}))), 200);
    let (sent, fetched) = (api.requests().len(), mallory.lines().len());
    let claims = forger.claims().to_string();
    let theirs = |header: Value| mallory.sign(&header, &claims);
    let url = mallory.issuer();
    let mut tokens = vec![
        // Signed well, by the key of another configured issuer.
        theirs(json!({"alg": "RS256", "kid": "k1"})),
        theirs(json!({"alg": "RS256", "kid": "k1", "jwk": mallory.jwk()})),
        theirs(json!({"alg": "RS256", "jwk": mallory.jwk()})),
        theirs(json!({"alg": "RS256", "kid": format!("{url}/keys")})),
        theirs(json!({"alg": "RS256", "kid": "k1", "jku": format!("{url}/keys?stolen")})),
        theirs(json!({"alg": "RS256", "kid": "k1", "x5u": format!("{url}/keys?stolen"), "x5c": ["AAAA"]})),
        theirs(json!({"alg": "RS256", "kid": "k1", "b64": false, "crit": ["b64"]})),
        theirs(json!({"alg": "RS256", "kid": "x".repeat(12_000)})),
    ];
    // The same claims twice, in either order.
    let iss = json!(forger.issuer()).to_string();
    tokens.push(
        mallory.sign(&json!({"alg": "RS256", "kid": "k1"}), &claims.replacen('{', &format!("{{\"iss\":\"{url}\","), 1)),
    );
    let other = mallory.claims().to_string().replacen('{', &format!("{{\"iss\":{iss},"), 1);
    tokens.push(mallory.sign(&json!({"alg": "RS256", "kid": "k1"}), &other));
    let before = trail(&server).len();
    for token in &tokens {
        let reply = server.rpc("/mcp", Some(token), "tools/call", &json!({"name": "who", "arguments": {}}));
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{token}");
        assert!(!reply.body.contains(token.as_str()));
    }
    let trail = trail(&server);
    assert_eq!(trail.len(), before + tokens.len());
    assert!(trail[before..].iter().all(|line| line["decision"] == "denied"), "{trail:?}");
    // One that is longer than a head may be does not get that far.
    let huge = post(&server, "/mcp", &[format!("authorization: Bearer {}", "a".repeat(1 << 20))], "{}");
    assert!(huge.is_empty() || status(&huge) == 431, "{huge}");
    assert_eq!((api.requests().len(), mallory.lines().len()), (sent, fetched), "{:?}", mallory.lines());
}

/// What an honest provider says of a good token.
fn verdict(changes: &Value) -> Value {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut verdict = json!({
        "active": true, "token_type": "Bearer", "sub": "alice", "gpid": "7", "client_id": "app", "scope": "hr.read",
        "aud": "api://enterprise", "iat": now, "exp": now + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        verdict[name] = value.clone();
    }
    verdict.as_object_mut().unwrap().retain(|_, value| *value != "absent");
    verdict
}

#[test]
fn case_15_a_hostile_identity_provider_lets_nobody_in() {
    let evil = Api::start();
    evil.answer("/", Answer::json(200, &verdict(&json!({}))));
    // One server for each, since one that has been left alone asks nobody.
    let says = |answer: Answer| {
        let provider = Api::start();
        provider.answer("/introspect", answer);
        let (api, server) = serve(&json!({"introspection": {
            "url": format!("{}/introspect", provider.url()), "client_id": "b", "client_secret": "s", "audience": "api://enterprise",
        }}));
        let reply = server.rpc("/mcp", Some("t0ken-canary"), "tools/call", &json!({"name": "who", "arguments": {}}));
        assert!(!provider.requests().is_empty(), "nobody was asked");
        let log = server.log();
        assert!(!log.contains("t0ken-canary"), "{log}");
        assert_eq!(reply.status == 401, reply.header("www-authenticate").is_some(), "{reply:?}");
        assert_eq!(trail(&server).len(), 1);
        (reply.status, api.requests().len())
    };
    let json = |verdict: &Value| Answer::json(200, verdict);
    assert_eq!(says(json(&verdict(&json!({})))), (200, 1));
    for changes in [
        json!({"active": "true"}),
        json!({"active": 1}),
        json!({"active": "absent"}),
        json!({"exp": 1}),
        json!({"exp": "9999999999"}),
        json!({"aud": "api://other"}),
        json!({"aud": "absent"}),
        json!({"token_type": "refresh_token"}),
        json!({"nonce": "n"}),
        json!({"cnf": {"jkt": "x"}}),
    ] {
        assert_eq!(says(json(&verdict(&changes))), (401, 0), "{changes}");
    }
    let good = verdict(&json!({})).to_string();
    let raw = |text: String| Answer::Raw(text.into_bytes());
    let twice = good.replacen('{', "{\"active\":false,", 1);
    let deep = format!("{}1{}", "[".repeat(60_000 / 2), "]".repeat(60_000 / 2));
    for (what, answer) in [
        ("a name twice", Answer::Full(200, "application/json", twice.into_bytes())),
        ("HTML", Answer::Full(200, "text/html", b"<html>welcome</html>".to_vec())),
        ("nothing", raw("HTTP/1.1 204 X\r\n\r\n".to_owned())),
        ("a good verdict with 401", Answer::Full(401, "application/json", good.clone().into_bytes())),
        ("a good verdict with 429", Answer::Full(429, "application/json", good.clone().into_bytes())),
        ("a good verdict with 500", Answer::Full(500, "application/json", good.clone().into_bytes())),
        ("a good verdict with 203", Answer::Full(203, "application/json", format!("{good}x").into_bytes())),
        ("a list", Answer::Full(200, "application/json", format!("[{good}]").into_bytes())),
        ("a deep one", Answer::Full(200, "application/json", deep.into_bytes())),
        (
            "50 MB",
            raw("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 52428800\r\n\r\n{".to_owned()),
        ),
        ("half of it", raw(format!("HTTP/1.1 200 X\r\ncontent-length: 9999\r\n\r\n{good}"))),
        ("no HTTP", raw("SSH-2.0-OpenSSH_9.9\r\n".to_owned())),
        ("elsewhere", raw(format!("HTTP/1.1 307 X\r\nlocation: {}/i\r\ncontent-length: 0\r\n\r\n", evil.url()))),
        ("silence", Answer::Silence),
    ] {
        assert_eq!(says(answer), (503, 0), "{what}");
    }
    assert_eq!(evil.connections(), 0);
}

#[test]
fn case_17_made_up_keys_lead_to_no_storm() {
    let forger = Forger::new();
    let (api, server) = serve(&forger.jwt());
    let good = forger.token(&json!({}));
    assert_eq!(call(&server, &good), 200);
    let fetched = forger.fetches();
    let payload = good.split('.').nth(1).unwrap();
    let mut requests = String::new();
    for number in 0..1_000 {
        use base64::Engine as _;
        let header = json!({"alg": "RS256", "kid": format!("made-up-{number}")}).to_string();
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
        let call = body("who", "{}");
        let last = if number == 999 { "connection: close\r\n" } else { "" };
        write!(
            requests,
            "POST /mcp HTTP/1.1\r\nauthorization: Bearer {header}.{payload}.AAAA\r\ncontent-length: {}\r\n{last}{}\r\n\r\n{call}",
            call.len(),
            lines(&server, "tools/call", "who").join("\r\n"),
        )
        .unwrap();
    }
    let said = raw(&server.address, requests.as_bytes());
    assert_eq!(said.matches("HTTP/1.1 401 ").count(), 1_000);
    assert!(forger.fetches() <= fetched + 1, "{}", forger.fetches());
    assert_eq!(call(&server, &good), 200);
    assert_eq!(api.requests().len(), 2);
}
