//! How calls sign in at the API with tokens that an authorization server issues.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Recorded, Server};

fn bridge(credentials: &str) -> String {
    format!(
        "bridge: hr\nupstream:\n  url: ${{API}}\n  credentials: {credentials}\ntools:\n  t: {{ description: T., endpoint: GET /t }}\n"
    )
}

fn serve(provider: &Provider, credentials: &str) -> (Api, Server) {
    let api = Api::start();
    let fixture = Fixture::with_okta(provider).bridge(&bridge(credentials));
    let fixture = fixture.env("API", &api.url()).env("TOKEN_URL", &format!("{}/v1/token", provider.issuer));
    (api, fixture.env("SECRET", "svc-secret").serve())
}

fn call(server: &Server, token: &str) -> Value {
    server.call_as(Some(token), "t", &json!({})).0
}

fn bearer(request: &Recorded) -> String {
    request.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

/// What the provider says about a token.
fn introspect(provider: &Provider, token: &str) -> Value {
    let url = format!("{}/v1/introspect", provider.issuer);
    let body = format!("token={token}");
    let answer = crate::support::block_on(async {
        let request = reqwest::Client::new().post(url).basic_auth("bridge", Some("bridge-secret")).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.send().await.unwrap().text().await.unwrap()
    });
    serde_json::from_str(&answer).unwrap()
}

const OURS: &str = r#"{ client_credentials: { token_url: "${TOKEN_URL}", client_id: svc, client_secret: "${SECRET}", scope: hr:read } }"#;
const EXCHANGED: &str =
    r#"{ token_exchange: { client_id: svc, client_secret: "${SECRET}", audience: api://hr, scope: hr:read } }"#;

#[test]
fn our_own_token_is_asked_for_once_and_used_for_everybody() {
    let provider = Provider::shared();
    let (api, server) = serve(provider, OURS);
    for user in ["alice", "bob", "alice"] {
        assert_eq!(call(&server, &provider.user(user))["isError"], false);
    }
    let tokens: Vec<String> = api.requests().iter().map(bearer).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let said = introspect(provider, &tokens[0]);
    assert_eq!((&said["client_id"], &said["scope"]), (&json!("svc"), &json!("hr:read")), "{said}");
    // An API that does not accept it any more leads to a new one.
    api.answers("/t", vec![Answer::text(401, "no"), Answer::text(200, "yes")]);
    let refused = call(&server, &provider.user("alice"));
    assert_eq!(refused["content"][0]["text"], "Token rejected by API");
    call(&server, &provider.user("alice"));
    assert_ne!(bearer(&api.last()), tokens[0]);
    assert!(!server.log().contains(&tokens[0]));
}

#[test]
fn the_callers_token_is_exchanged_for_one_of_the_api_and_nobody_gets_anothers() {
    let provider = Provider::shared();
    let (api, server) = serve(provider, EXCHANGED);
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    for token in [&alice, &bob, &alice, &bob] {
        assert_eq!(call(&server, token)["isError"], false);
    }
    let tokens: Vec<String> = api.requests().iter().map(bearer).collect();
    assert_eq!((&tokens[0], &tokens[1]), (&tokens[2], &tokens[3]));
    for (token, sub) in [(&tokens[0], "alice"), (&tokens[1], "bob")] {
        let said = introspect(provider, token);
        assert_eq!((&said["sub"], &said["aud"]), (&json!(sub), &json!("api://hr")), "{said}");
    }
    assert!(!tokens.contains(&alice) && !tokens.contains(&bob), "a caller's own token was sent");
    // What the API says of the token it got does not reach the model.
    api.answer("/t", Answer::json(403, &json!({"message": format!("{} is not good", tokens[0])})));
    let refused = call(&server, &alice);
    assert_eq!(refused["content"][0]["text"], "Access denied by API: [hidden] is not good");
}

#[test]
fn a_failed_exchange_fails_the_call_and_nothing_is_sent() {
    let provider = Provider::shared();
    let exchange = |from: &str, to: &str| EXCHANGED.replace(from, to);
    for (credentials, words) in [
        (
            exchange("api://hr", "api://forbidden"),
            "Access denied: the identity provider did not exchange the caller's token for one of the API (invalid_target)",
        ),
        (exchange("${SECRET}", "wrong"), "This tool can't sign in at the API: its own client was refused"),
        (
            exchange("client_id: svc", "token_url: \"http://127.0.0.1:9\", client_id: svc"),
            "The identity provider can't exchange the caller's token for one of the API right now; try again shortly",
        ),
        (OURS.replace("${SECRET}", "wrong"), "This tool can't sign in at the API: its own client was refused"),
    ] {
        let (api, server) = serve(provider, &credentials);
        let token = provider.user("alice");
        let result = call(&server, &token);
        assert_eq!((&result["isError"], &result["content"][0]["text"]), (&json!(true), &json!(words)), "{credentials}");
        assert!(api.requests().is_empty());
        assert!(!server.log().contains(&token) && !server.log().contains("wrong"), "{}", server.log());
    }
}

#[test]
fn a_token_is_renewed_before_it_expires_and_kept_over_a_reload() {
    let provider = Provider::shared();
    let issuer = Api::start();
    let grant = |name: &str, life: u64| {
        Answer::json(200, &json!({"access_token": name, "token_type": "bearer", "expires_in": life}))
    };
    issuer.answers("/token", vec![grant("first", 1), grant("second", 600), grant("third", 600)]);
    let api = Api::start();
    let yaml = bridge(OURS);
    let fixture = Fixture::with_okta(provider).bridge(&yaml).env("API", &api.url()).env("SECRET", "s");
    let mut server = fixture.env("TOKEN_URL", &format!("{}/token", issuer.url())).serve();
    let token = provider.user("alice");
    let used = |server: &Server| {
        call(server, &token);
        bearer(&api.last())
    };
    assert_eq!(used(&server), "first");
    crate::support::until(|| used(&server) == "second");
    server.fixture.write("bridges/test.yaml", &yaml.replace("description: T.", "description: Other."));
    server.wait_for("Reloaded.");
    assert_eq!(used(&server), "second");
    assert_eq!(issuer.requests().len(), 2);
    // Another scope is another token.
    server.fixture.write("bridges/test.yaml", &yaml.replace("scope: hr:read", "scope: hr:write"));
    server.wait_for("Reloaded.");
    assert_eq!(used(&server), "third");
    let sent = String::from_utf8(issuer.last().body).unwrap();
    assert_eq!(sent, "grant_type=client_credentials&scope=hr%3Awrite");
}

#[test]
fn what_can_not_be_a_credential_is_said_at_its_place() {
    let said = |credentials: &str| {
        let fixture = Fixture::new().bridge(&bridge(credentials).replace("${API}", "https://a.example"));
        let output = fixture.command(&["check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{credentials}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (credentials, words) in [
        (
            "{ client_credentials: { token_url: http://a.example, client_id: a, client_secret: \"${S}\" } }",
            "must begin with `https://`",
        ),
        (
            "{ client_credentials: { token_url: https://a.example, client_id: a } }",
            "missing `client_secret` or `private_key`",
        ),
        (
            "{ client_credentials: { token_url: https://a.example, client_secret: \"${S}\" } }",
            "missing key `client_id`",
        ),
        ("{ token_exchange: { client_id: a, client_secret: \"${S}\" } }", "needs `audience`, `scope` or both"),
        (
            "{ token_exchange: { client_id: a, client_secret: \"${S}\", private_key: \"${K}\", scope: a } }",
            "either `client_secret` or `private_key`",
        ),
    ] {
        let said = said(credentials);
        assert!(said.contains(words) && said.contains("bridges/test.yaml:4:"), "{said}");
    }
}

#[test]
fn a_secret_in_a_file_is_used_as_soon_as_it_changes() {
    let api = Api::start();
    let secrets = tempfile::TempDir::new().unwrap();
    let key = secrets.path().join("key");
    std::fs::write(&key, "first\n").unwrap();
    let credentials = format!("{{ bearer: \"${{file:{}}}\" }}", key.display());
    let fixture = Fixture::new().bridge(&bridge(&credentials)).env("API", &api.url());
    let server = fixture.serve();
    let used = || {
        server.call("t", &json!({}));
        bearer(&api.last())
    };
    assert_eq!(used(), "first");
    // As Kubernetes and careful people replace a file.
    std::fs::write(secrets.path().join("new"), "second\n").unwrap();
    std::fs::rename(secrets.path().join("new"), &key).unwrap();
    crate::support::until(|| used() == "second");
    // A file that is gone changes nothing, and is said.
    std::fs::remove_file(&key).unwrap();
    server.wait_for("Reload refused");
    assert_eq!(used(), "second");
    assert!(!server.log().contains("first") && !server.log().contains("second"), "{}", server.log());
}
