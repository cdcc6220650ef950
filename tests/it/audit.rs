//! The audit trail: what stands in it, what never does, and what happens when it can't be written.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Server, until};

const BRIDGE: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none }
claims: { gpid: [gpid, sub] }
tools:
  who:  { description: Who., endpoint: "GET /who/{gpid}", parameters: { gpid: { claim: gpid }, note: { type: string, required: false } } }
  told: { description: Told., endpoint: GET /told, audit: arguments, parameters: { note: { type: string } } }
  more: { description: More., endpoint: GET /more, access: { scopes: [hr.admin] } }
resources:
  config://app: { json: { a: 1 } }
"#;

fn serve(audit: &Value) -> (Api, Server) {
    let provider = Provider::shared();
    let api = Api::start();
    let mut fixture = Fixture::with_okta(provider).bridge(BRIDGE).env("API", &api.url()).env("AUDIT_KEY", "k");
    let server = json!({ "auth": { "okta": provider.okta() }, "audit": audit });
    fixture.write("tollbridge.yaml", &server.to_string());
    (api, fixture.serve())
}

fn trail(server: &Server) -> Vec<Value> {
    read(&server.fixture.path().join("audit.jsonl"))
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn every_decision_is_a_line_without_tokens_and_arguments() {
    let provider = Provider::shared();
    let (api, server) = serve(&json!("audit.jsonl"));
    api.answer("/told", Answer::json(409, &json!({"message": "no"})));
    let token = provider.user("alice");
    server.call_as(Some(&token), "who", &json!({"note": "c4nary"}));
    server.call_as(Some(&token), "told", &json!({"note": "told"}));
    server.call_as(Some(&token), "who", &json!({"gpid": "c4nary"}));
    let reply = |token: Option<&str>, method: &str, params: Value| server.rpc("/mcp", token, method, &params).status;
    assert_eq!(reply(Some(&token), "tools/call", json!({"name": "more"})), 403);
    assert_eq!(reply(None, "tools/list", json!({})), 401);
    assert_eq!(reply(Some("c4narytoken"), "tools/call", json!({"name": "who"})), 401);
    assert_eq!(reply(Some(&token), "resources/read", json!({"uri": "config://app"})), 200);
    let lines = trail(&server);
    let said: Vec<String> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("method"), text("subject"), text("decision"), line["upstream_status"])
        })
        .collect();
    assert_eq!(
        said,
        [
            "tools/call who allowed 200",
            "tools/call told allowed 409",
            "tools/call who refused null",
            "tools/call more denied null",
            "tools/list - denied null",
            "tools/call who denied null",
            "resources/read config://app allowed null",
        ]
    );
    let first = &lines[0];
    assert_eq!((&first["sub"], &first["claims"]), (&json!("alice"), &json!({"gpid": "10012345"})), "{first}");
    assert_eq!((&first["client_id"], &first["iss"]), (&json!("cli"), &json!(provider.issuer)));
    assert_eq!((&first["bridge"], first["definition"].as_str().map(str::len)), (&json!("hr"), Some(16)));
    assert!(first["time"].as_str().unwrap().ends_with('Z') && first["elapsed_ms"].is_u64());
    assert_eq!(lines[1]["arguments"], json!({"note": "told"}));
    assert_eq!(lines[2]["reason"], "unexpected argument `gpid`; this tool takes `note`");
    assert_eq!(lines[3]["reason"], "Access denied: the token lacks the scope hr.admin");
    assert_eq!(lines[5]["reason"], "the token is not active");
    let ids: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids.len(), lines.len());
    let whole = format!("{lines:?}");
    assert!(!whole.contains("c4nary") && !whole.contains(&token), "{whole}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(server.fixture.path().join("audit.jsonl")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nobody_can_forge_a_line() {
    let provider = Provider::shared();
    let (_, server) = serve(&json!("audit.jsonl"));
    let nasty = "a\r\n{\"decision\":\"allowed\"}\u{1b}[31m\u{202e}\u{2028}\u{e0041}\"";
    let token = provider.token(&json!({"claims": {"gpid": nasty, "jti": nasty, "client_id": "cli"}}));
    server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": "who", "arguments": {nasty: 1}}));
    server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": "told", "arguments": {"note": nasty}}));
    let text = std::fs::read_to_string(server.fixture.path().join("audit.jsonl")).unwrap();
    assert_eq!(trail(&server).len(), 2, "{text}");
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains(['\r', '\u{1b}', '\u{202e}', '\u{2028}', '\u{e0041}']), "{text:?}");
    assert_eq!(trail(&server)[1]["arguments"]["note"], nasty);
    // However long a claim is, its line is not.
    let token = provider.token(&json!({"claims": {"gpid": "9".repeat(5000)}}));
    server.call_as(Some(&token), "who", &json!({}));
    assert!(trail(&server)[2]["claims"]["gpid"].as_str().unwrap().len() < 600);
}

#[test]
fn people_can_stand_in_it_by_keyed_hashes() {
    let provider = Provider::shared();
    let (_, server) = serve(&json!({"to": "audit.jsonl", "hash_key": "${AUDIT_KEY}"}));
    for user in ["alice", "bob", "alice"] {
        server.call_as(Some(&provider.user(user)), "who", &json!({}));
    }
    let lines = trail(&server);
    let sub = |index: usize| lines[index]["sub"].as_str().unwrap();
    assert!(sub(0).starts_with("hmac:") && sub(0) == sub(2) && sub(0) != sub(1), "{lines:?}");
    let whole = format!("{lines:?}");
    assert!(!whole.contains("alice") && !whole.contains("10012345"), "{whole}");
}

#[test]
fn after_a_rename_sighup_begins_a_new_file() {
    let provider = Provider::shared();
    let (_, server) = serve(&json!("audit.jsonl"));
    let token = provider.user("alice");
    server.call_as(Some(&token), "who", &json!({}));
    let folder = server.fixture.path().to_owned();
    std::fs::rename(folder.join("audit.jsonl"), folder.join("audit.1")).unwrap();
    server.call_as(Some(&token), "who", &json!({}));
    assert_eq!(read(&folder.join("audit.1")).len(), 2);
    assert!(Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    server.wait_for("The audit trail was opened again.");
    server.call_as(Some(&token), "who", &json!({}));
    assert_eq!((read(&folder.join("audit.1")).len(), trail(&server).len()), (2, 1));
}

#[test]
fn what_can_not_be_recorded_does_not_happen_unless_that_is_wanted() {
    let provider = Provider::shared();
    let token = provider.user("alice");
    let call = |server: &Server| server.call_as(Some(&token), "who", &json!({})).0;
    // A file that is always full.
    let (api, server) = serve(&json!("/dev/full"));
    for _ in 0..3 {
        let result = call(&server);
        assert_eq!(result["content"][0]["text"], "the audit trail can't be written", "{result}");
    }
    assert_eq!(api.requests().len(), 1, "only the first call did not know yet");
    assert_eq!(server.rpc("/mcp", None, "tools/list", &json!({})).status, 503);

    let (api, server) = serve(&json!({"to": "/dev/full", "on_failure": "warn"}));
    for _ in 0..2 {
        assert_eq!(call(&server)["isError"], false);
    }
    assert_eq!(api.requests().len(), 2);
    server.wait_for("The audit trail can't be written.");

    // What can't be opened is said at start.
    let mut fixture = Fixture::new().bridge("bridge: a\n");
    fixture.write("tollbridge.yaml", r#"{"auth": {"none": true}, "audit": "nowhere/audit.jsonl"}"#);
    let output = fixture.command(&["serve"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the audit trail can't be opened"));
}

#[test]
fn it_goes_to_standard_error_too() {
    let provider = Provider::shared();
    let (_, server) = serve(&json!("stderr"));
    server.call_as(Some(&provider.user("alice")), "who", &json!({}));
    until(|| server.log().contains(r#""decision":"allowed""#));
}
