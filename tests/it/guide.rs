//! The guide's flow, line by line: bearer header, introspection, the fallback of claims, the API as the caller.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Server, until};

const HR: &str = r#"
bridge: hr
upstream:
  url: ${ENTERPRISE_API_BASE}
  credentials: caller_token
claims:
  gpid: [gpid, employeeNumber, sub]
  strict: gpid
tools:
  get_employee_information:
    description: Retrieve employee information for the signed-in user.
    endpoint: GET /hr/employees
    parameters:
      gpid: { claim: gpid }
  get_employee_schedule:
    description: Retrieve the signed-in user's schedule for a date range.
    endpoint: GET /wfm/schedules
    parameters:
      gpid:       { claim: gpid }
      start_date: { as: start, type: string, format: date }
      end_date:   { as: end,   type: string, format: date }
  strictly:
    description: Needs the claim itself.
    endpoint: GET /strict/{gpid}
    parameters:
      gpid: { claim: strict }
  templated:
    description: Uses the claim in a template.
    endpoint: POST /templated
    body: { json: { who: "{{ claims.strict }}", note: "{{ claims.strict }}!" } }
  told:
    description: Uses the claim in its answer.
    response: { text: "You are {{ claims.strict }}." }
resources:
  config://app/settings:
    json: { app_name: Enterprise HR System, version: 2.1.0 }
  docs://api/time-off-policies:
    file: docs/time-off-policies.md
  schema://employee/{gpid}:
    json: { gpid: "{{ gpid }}", schema_version: "1.0", fields: [name, department, manager, location] }
"#;

const POLICIES: &str = "# Time-off policies\n\n1. Requests must be submitted 2 weeks in advance.\n";

fn hr(provider: &Provider) -> (Api, Server) {
    let api = Api::start();
    api.answer("/hr/employees", Answer::json(200, &json!({"name": "Alice A", "department": "HR"})));
    let mut fixture = Fixture::with_okta(provider).bridge(HR).env("ENTERPRISE_API_BASE", &api.url());
    fixture.write("bridges/docs/time-off-policies.md", POLICIES);
    (api, fixture.serve())
}

#[test]
fn the_caller_is_identified_and_the_api_is_called_as_the_caller() {
    let provider = Provider::start();
    let (api, server) = hr(&provider);
    let token = provider.user("alice");
    let result = server.call_as(Some(&token), "get_employee_information", &json!({}));
    assert_eq!(result.json(), json!({"name": "Alice A", "department": "HR"}));
    let request = api.last();
    assert_eq!(request.line(), "GET /hr/employees?gpid=10012345");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {token}").as_str()));

    // One introspection for one request, the way the guide does it.
    let seen = provider.introspections();
    assert_eq!(seen["count"], 1, "{seen}");
    let request = &seen["requests"][0];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["path"], "/oauth2/default/v1/introspect");
    assert_eq!(request["authorization"], "Basic");
    assert_eq!(request["fields"], json!(["token", "token_type_hint"]));
    assert_eq!(request["token_type_hint"], "access_token");
}

#[test]
fn the_first_claim_that_the_token_carries_wins() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    for (user, gpid) in [("alice", "10012345"), ("bob", "E-88"), ("carol", "carol"), ("dave", "10054321")] {
        server.call_as(Some(&provider.user(user)), "get_employee_information", &json!({}));
        assert_eq!(api.last().target, format!("/hr/employees?gpid={gpid}"), "{user}");
    }
    // Null and empty claims fall through, as `or` does in the guide.
    let empty = provider.token(&json!({"user": "alice", "claims": {"gpid": "", "employeeNumber": null}}));
    server.call_as(Some(&empty), "get_employee_information", &json!({}));
    assert_eq!(api.last().target, "/hr/employees?gpid=alice");
}

#[test]
fn arguments_are_sent_under_their_wire_names() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let dates = json!({"start_date": "2026-01-05", "end_date": "2026-01-09"});
    server.call_as(Some(&provider.user("alice")), "get_employee_schedule", &dates);
    assert_eq!(api.last().line(), "GET /wfm/schedules?gpid=10012345&start=2026-01-05&end=2026-01-09");
}

#[test]
fn the_model_neither_sees_nor_sets_who_the_caller_is() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let token = provider.user("alice");
    let tools = server.tools(Some(&token));
    let properties = &tools["get_employee_schedule"]["inputSchema"]["properties"];
    assert_eq!(properties.as_object().unwrap().keys().collect::<Vec<_>>(), ["start_date", "end_date"]);
    assert_eq!(tools["get_employee_schedule"]["inputSchema"]["additionalProperties"], false);
    let colleague = json!({"gpid": "10054321", "start_date": "2026-01-05", "end_date": "2026-01-09"});
    let result = server.call_as(Some(&token), "get_employee_schedule", &colleague);
    assert!(result.error().starts_with("unexpected argument `gpid`"), "{}", result.text());
    assert!(api.requests().is_empty());
}

#[test]
fn a_call_without_the_identifying_claim_is_refused_before_anything_is_sent() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    for tool in ["strictly", "templated", "told"] {
        let result = server.call_as(Some(&provider.user("bob")), tool, &json!({}));
        assert!(result.error().starts_with("Token does not contain user identifier"), "{tool}: {}", result.text());
    }
    assert!(api.requests().is_empty());
    let alice = provider.user("alice");
    server.call_as(Some(&alice), "templated", &json!({}));
    assert_eq!(api.last().json(), json!({"who": "10012345", "note": "10012345!"}));
    assert_eq!(server.call_as(Some(&alice), "told", &json!({})).text(), "You are 10012345.");
}

#[test]
fn claims_go_through_the_same_checks_as_arguments() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    for gpid in [json!(".."), json!(["a"]), json!({"a": 1})] {
        let token = provider.token(&json!({"user": "alice", "claims": {"gpid": gpid}}));
        assert!(server.call_as(Some(&token), "strictly", &json!({})).is_error(), "{gpid}");
    }
    assert!(api.requests().is_empty());
    let token = provider.token(&json!({"user": "alice", "claims": {"gpid": "../a?b\r\nx"}}));
    server.call_as(Some(&token), "strictly", &json!({}));
    assert_eq!(api.last().target, "/strict/..%2Fa%3Fb%0D%0Ax");
}

fn refused(server: &Server, headers: &[(&str, &str)]) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "get_employee_information", "arguments": {}}});
    let mut all = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    all.extend(headers);
    let reply = server.send("POST", "/mcp", &all, &body.to_string());
    assert_eq!(reply.status, 401, "{}", reply.body);
    let challenge = reply.header("www-authenticate").expect("a challenge");
    let metadata = format!("resource_metadata=\"http://{}/.well-known/oauth-protected-resource/mcp\"", server.address);
    assert!(challenge.starts_with("Bearer ") && challenge.contains(&metadata), "{challenge}");
    let error = reply.json();
    assert_eq!(error["jsonrpc"], "2.0");
    error["error"]["message"].clone()
}

#[test]
fn requests_without_exactly_one_bearer_token_are_refused() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let token = provider.user("alice");
    let words = "Access denied: Missing or invalid Bearer token";
    assert_eq!(refused(&server, &[]), words);
    let bearer = format!("Bearer {token}");
    for header in
        ["", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", &token, &format!("{bearer} more"), &format!("Token {token}")]
    {
        assert_eq!(refused(&server, &[("authorization", header)]), words, "{header}");
    }
    assert_eq!(refused(&server, &[("authorization", &bearer), ("authorization", &bearer)]), words);
    assert!(api.requests().is_empty());
    // The scheme is case-insensitive (RFC 9110 section 11.1).
    let reply = server.send("POST", "/mcp", &[("authorization", &format!("bearer {token}"))], "{}");
    assert_ne!(reply.status, 401);
}

#[test]
fn tokens_that_are_not_good_here_are_refused() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let revoked = provider.user("alice");
    provider.revoke(&revoked);
    let tokens = [
        ("unknown", "0123456789abcdef".to_owned()),
        ("revoked", revoked),
        ("expired", provider.token(&json!({"user": "alice", "ttl": -60}))),
        ("for another audience", provider.token(&json!({"user": "alice", "audience": "api://payroll"}))),
        ("a refresh token", provider.token(&json!({"user": "alice", "kind": "refresh"}))),
        ("an ID token", provider.token(&json!({"user": "alice", "kind": "id"}))),
        (
            "a refresh token with an audience",
            provider.token(&json!({"user": "alice", "kind": "refresh",
            "claims": {"aud": "api://enterprise"}})),
        ),
        ("bound to a key", provider.token(&json!({"user": "alice", "kind": "dpop"}))),
        ("too long", "x".repeat(20_000)),
    ];
    for (what, token) in tokens {
        let message = refused(&server, &[("authorization", &format!("Bearer {token}"))]);
        assert_eq!(message, "Access denied: Invalid or expired token", "{what}");
    }
    assert!(api.requests().is_empty());
}

#[test]
fn an_id_token_is_refused_even_where_the_audience_is_a_client_id() {
    let provider = Provider::shared();
    let mut fixture = Fixture::with_okta(provider).bridge("bridge: b\n");
    let path = fixture.path().join("tollbridge.yaml");
    let server = std::fs::read_to_string(path).unwrap().replace("api://enterprise", "cli");
    fixture.write("tollbridge.yaml", &server);
    let server = fixture.serve();
    let list = |token: &str| server.rpc("/mcp", Some(token), "tools/list", &json!({})).status;
    assert_eq!(list(&provider.token(&json!({"user": "alice", "kind": "id"}))), 401);
    assert_eq!(list(&provider.token(&json!({"user": "alice", "audience": "cli"}))), 200);
}

#[test]
fn a_revoked_token_is_refused_by_the_very_next_call() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let token = provider.user("alice");
    server.call_as(Some(&token), "get_employee_information", &json!({}));
    provider.revoke(&token);
    refused(&server, &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn trouble_at_the_identity_provider_is_503_and_nothing_is_sent() {
    let provider = Provider::start();
    let (api, server) = hr(&provider);
    let token = provider.user("alice");
    for (round, mode) in ["500", "429", "html", "close", "hang"].into_iter().enumerate() {
        provider.mode(mode);
        let reply = server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": "get_employee_information"}));
        assert_eq!(reply.status, 503, "{mode}: {}", reply.body);
        assert!(reply.header("www-authenticate").is_none(), "{mode}: clients must not sign in again");
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("identity provider"), "{message}");
        assert_eq!(api.requests().len(), round, "{mode}: something was sent");
        // A provider that is busy is left alone for a moment; then all is well again by itself.
        provider.mode("ok");
        let call = || server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": "get_employee_information"}));
        until(|| call().status == 200);
    }
}

#[test]
fn identical_validations_in_flight_are_shared_and_nothing_is_kept() {
    let provider = Provider::start();
    let (_, server) = hr(&provider);
    let token = provider.user("alice");
    provider.mode("slow:500");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| server.call_as(Some(&token), "get_employee_information", &json!({})));
        }
    });
    let shared = provider.introspections()["count"].as_u64().unwrap();
    assert!(shared < 8, "{shared} introspections for 8 calls at once");
    provider.mode("ok");
    server.call_as(Some(&token), "get_employee_information", &json!({}));
    assert_eq!(provider.introspections()["count"], shared + 1);
}

#[test]
fn the_three_resources_can_be_read() {
    let provider = Provider::shared();
    let (api, server) = hr(provider);
    let token = provider.user("bob");
    let read = |uri: &str| {
        let reply = server.rpc("/mcp", Some(&token), "resources/read", &json!({ "uri": uri })).json();
        reply["result"]["contents"][0].clone()
    };
    let settings = read("config://app/settings");
    assert_eq!(settings["mimeType"], "application/json");
    let text: Value = serde_json::from_str(settings["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, json!({"app_name": "Enterprise HR System", "version": "2.1.0"}));
    let policies = read("docs://api/time-off-policies");
    assert_eq!((policies["mimeType"].as_str(), policies["text"].as_str()), (Some("text/markdown"), Some(POLICIES)));
    let schema: Value = serde_json::from_str(read("schema://employee/123")["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({"gpid": "123", "schema_version": "1.0", "fields": ["name", "department", "manager", "location"]})
    );
    let list = server.rpc("/mcp", Some(&token), "resources/list", &json!({})).json();
    assert_eq!(list["result"]["resources"].as_array().unwrap().len(), 2);
    let list = server.rpc("/mcp", Some(&token), "resources/templates/list", &json!({})).json();
    assert_eq!(list["result"]["resourceTemplates"][0]["uriTemplate"], "schema://employee/{gpid}");
    let missing = server.rpc("/mcp", Some(&token), "resources/read", &json!({"uri": "schema://employee/1/2"}));
    assert_eq!(missing.json()["error"]["code"], -32602);
    assert!(api.requests().is_empty());
}

#[test]
fn no_token_and_no_secret_is_ever_logged() {
    let provider = Provider::shared();
    let api = Api::start();
    let fixture = Fixture::with_okta(provider)
        .bridge(&HR.replace("    file: docs/time-off-policies.md", "    text: none"))
        .env("ENTERPRISE_API_BASE", &api.url())
        .env("TOLLBRIDGE_LOG", "trace");
    let server = fixture.serve();
    let token = provider.user("alice");
    server.call_as(Some(&token), "get_employee_information", &json!({}));
    refused(&server, &[("authorization", "Bearer not-a-token-but-secret")]);
    server.wait_for("Access denied.");
    let log = server.log();
    for secret in [token.as_str(), "bridge-secret", "YnJpZGdlOmJyaWRnZS1zZWNyZXQ", "not-a-token-but-secret"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
