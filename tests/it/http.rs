//! The Streamable HTTP face: who may come in, sessions, one bridge alone, metadata, start and stop.

use serde_json::{Value, json};

use crate::support::{Fixture, Provider, Reply, Server};

const TOOLS: &str = "bridge: one\ntitle: One\ninstructions: Use one.\ntools:\n  hi: { description: Hi., parameters: { name: { type: string } }, response: { text: 'Hi {{ args.name }}' } }\nresources:\n  a://one: { text: one }\n";
const OTHER: &str = "bridge: two\ninstructions: Use two.\ntools:\n  ho: { description: Ho., response: { text: Ho } }\nresources:\n  a://two: { text: two }\n";

const JSON: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

fn serve() -> Server {
    let mut fixture = Fixture::new().bridge(TOOLS);
    fixture.write("bridges/two.yaml", OTHER);
    fixture.serve()
}

fn initialize(server: &Server, token: Option<&str>, session: Option<&str>, version: &str) -> Reply {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
        {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    legacy(server, token, session, &body)
}

fn legacy(server: &Server, token: Option<&str>, session: Option<&str>, body: &Value) -> Reply {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = JSON.to_vec();
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    server.send("POST", "/mcp", &headers, &body.to_string())
}

#[test]
fn host_and_origin_are_checked_always() {
    let server = serve();
    let status = |name: &str, value: &str| {
        let mut headers = JSON.to_vec();
        headers.push((name, value));
        server.send("POST", "/mcp", &headers, "{}").status
    };
    for origin in [
        "http://evil.example",
        "null",
        "https://localhost.evil.example",
        "http://localhost.evil.example:80",
        "http://127.0.0.1.evil.example",
    ] {
        assert_eq!(status("origin", origin), 403, "{origin}");
    }
    assert_ne!(status("origin", "http://localhost:5173"), 403);
    assert_ne!(status("origin", &format!("http://{}", server.address)), 403);
    for host in ["evil.example", "evil.example:8000", "localhost.evil.example"] {
        assert_eq!(status("host", host), 403, "{host}");
    }
    assert_ne!(status("host", "localhost:1234"), 403);
}

#[test]
fn names_of_the_server_are_accepted_when_they_are_configured() {
    let server = Fixture::new()
        .bridge(TOOLS)
        .arg("--public-url=https://mcp.example.com")
        .arg("--allowed-host=inside.example")
        .arg("--allowed-origin=https://app.example.com")
        .serve();
    let status = |headers: &[(&str, &str)]| {
        let all: Vec<_> = JSON.iter().chain(headers).copied().collect();
        server.send("POST", "/mcp", &all, "{}").status
    };
    assert_ne!(status(&[("host", "mcp.example.com"), ("origin", "https://mcp.example.com")]), 403);
    assert_ne!(status(&[("host", "inside.example"), ("origin", "https://app.example.com")]), 403);
    assert_eq!(status(&[("origin", "https://app.example.com:8443")]), 403);
    assert_eq!(status(&[("origin", "http://app.example.com")]), 403);
}

#[test]
fn older_clients_get_sessions() {
    let server = serve();
    let reply = initialize(&server, None, None, "2025-11-25");
    assert_eq!(reply.json()["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(reply.json()["result"]["instructions"], "One: Use one.\n\ntwo: Use two.");
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let done = legacy(&server, None, Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(done.status, 202);
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hi", "arguments": {"name": "Bo"}}});
    let reply = legacy(&server, None, Some(&session), &call).json();
    assert_eq!(reply["result"]["content"][0]["text"], "Hi Bo");
    assert_eq!(legacy(&server, None, Some("nonsense"), &call).status, 404);
}

#[test]
fn a_second_initialize_in_a_session_is_refused() {
    let server = serve();
    let session = initialize(&server, None, None, "2025-06-18").header("mcp-session-id").unwrap().to_owned();
    legacy(&server, None, Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let again = initialize(&server, None, Some(&session), "2099-01-01");
    assert!(again.json().get("error").is_some(), "{}", again.body);
    let ping = legacy(&server, None, Some(&session), &json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
    assert_eq!(ping.json()["result"], json!({}), "the session has kept its era");
}

#[test]
fn a_session_belongs_to_the_principal_who_opened_it() {
    let provider = Provider::shared();
    let server = Fixture::with_okta(provider).bridge(TOOLS).serve();
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    let session = initialize(&server, Some(&alice), None, "2025-06-18").header("mcp-session-id").unwrap().to_owned();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(legacy(&server, Some(&alice), Some(&session), &ready).status, 202);
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(legacy(&server, Some(&bob), Some(&session), &list).status, 404);
    assert_eq!(legacy(&server, None, Some(&session), &list).status, 401);
    // The same user with a newer token goes on.
    let renewed = provider.user("alice");
    assert_eq!(legacy(&server, Some(&renewed), Some(&session), &list).status, 200);
    // Nor can somebody else end it.
    let end = |token: &str| {
        let bearer = format!("Bearer {token}");
        server.send("DELETE", "/mcp", &[("authorization", &bearer), ("mcp-session-id", &session)], "").status
    };
    assert_eq!(end(&bob), 404);
    assert!(end(&alice) < 300);
}

#[test]
fn one_bridge_can_be_served_alone() {
    let server = serve();
    let names = |path: &str| {
        let reply = server.rpc(path, None, "tools/list", &json!({})).json();
        let tools = reply["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/mcp"), ["hi", "ho"]);
    assert_eq!(names("/mcp/two"), ["ho"]);
    let call =
        |path: &str, tool: &str| server.rpc(path, None, "tools/call", &json!({"name": tool, "arguments": {}})).json();
    assert_eq!(call("/mcp/two", "ho")["result"]["content"][0]["text"], "Ho");
    // A tool of another bridge and a tool that does not exist look the same.
    assert_eq!(call("/mcp/two", "hi")["error"]["message"], "no such tool: hi");
    assert_eq!(call("/mcp", "none")["error"]["message"], "no such tool: none");
    assert_eq!(call("/mcp", "none")["error"]["code"], -32602);
    let read = |path: &str| server.rpc(path, None, "resources/read", &json!({"uri": "a://one"})).json();
    assert_eq!(read("/mcp/one")["result"]["contents"][0]["text"], "one");
    assert!(read("/mcp/two").get("error").is_some());
    let discover = server.rpc("/mcp/two", None, "server/discover", &json!({})).json();
    assert_eq!(discover["result"]["instructions"], "Use two.");
    assert_eq!(server.rpc("/mcp/three", None, "tools/list", &json!({})).status, 404);
    assert_eq!(server.rpc("/elsewhere", None, "tools/list", &json!({})).status, 404);
}

#[test]
fn the_metadata_of_the_protected_resource_needs_no_token() {
    let provider = Provider::shared();
    let server = Fixture::with_okta(provider).bridge(TOOLS).serve();
    for (path, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/mcp/one", "/mcp/one")] {
        let reply = server.send("GET", &format!("/.well-known/oauth-protected-resource{path}"), &[], "");
        assert_eq!(reply.status, 200);
        let document = reply.json();
        assert_eq!(document["resource"], format!("http://{}{resource}", server.address));
        assert_eq!(document["authorization_servers"], json!([provider.issuer]));
        assert!(!reply.body.contains("bridge-secret"));
    }
    assert_eq!(server.send("GET", "/.well-known/oauth-protected-resource/mcp/none", &[], "").status, 404);
}

#[test]
fn a_request_body_has_a_size_limit() {
    let server = serve();
    let reply = server.send("POST", "/mcp", &JSON, &"x".repeat(2 << 20));
    assert_eq!(reply.status, 413);
}

#[test]
fn a_signal_ends_the_server_well() {
    assert!(serve().terminate().success());
}

fn refuses(fixture: &Fixture, args: &[&str]) -> String {
    let output = fixture.command(&["serve"]).args(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

#[test]
fn a_configuration_that_is_not_safe_or_not_whole_is_refused_at_start() {
    let fixture = Fixture::new().bridge(TOOLS);
    assert!(refuses(&fixture, &[]).contains("error[TB0301]"), "no auth");
    assert!(refuses(&fixture, &["--no-auth", "--listen", "0.0.0.0:0"]).contains("error[TB0302]"), "open to all");
    let okta = ["--okta-client-id=c", "--okta-audience=a", "--okta-domain"];
    let with = |domain: &str| refuses(&fixture, &[&okta[..], &[domain]].concat());
    assert!(with("https://your-org.okta.com").contains("error[TB0304]"), "no secret");
    assert!(with("http://your-org.okta.com").contains("error[TB0303]"), "plain http");
    assert!(with("https://your-org-admin.okta.com").contains("drop `-admin`"));
    assert!(refuses(&fixture, &["--no-auth", "--listen", "nowhere"]).contains("is not an address to listen on"));
    let fixture = fixture.bridge("bridge: x\nupstream: { url: '${NOT_SET}', credentials: none }\n");
    let words = refuses(&fixture, &["--no-auth"]);
    assert!(words.contains("error[TB0118]") && words.contains("bridges/test.yaml:2:19"), "{words}");
}

#[test]
fn the_server_file_is_checked_with_places() {
    let mut fixture = Fixture::new().bridge(TOOLS);
    fixture
        .write("tollbridge.yaml", "listen: 127.0.0.1\nauth:\n  okta: { domain: 'https://x.okta.com', clientid: a }\n");
    let words = refuses(&fixture, &[]);
    assert!(words.contains("tollbridge.yaml:3:41") && words.contains("did you mean `client_id`?"), "{words}");
    fixture.write("tollbridge.yaml", "listen: 127.0.0.1\nauth: { none: true }\nlimits: { request_timeout: 1 year }\n");
    let words = refuses(&fixture, &[]);
    assert!(words.contains("tollbridge.yaml:1:9") && words.contains("tollbridge.yaml:3:28"), "{words}");
}

#[test]
fn an_address_in_use_is_said_plainly() {
    let server = serve();
    let output = server.fixture.command(&["serve", "--no-auth", "--listen", &server.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&format!("can't listen on {}", server.address)), "{stderr}");
}

#[test]
fn what_is_no_message_is_refused_as_json_rpc() {
    let server = serve();
    let send = |headers: &[(&str, &str)], body: &str| {
        let reply = server.send("POST", "/mcp", headers, body);
        let error = reply.json();
        assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
        assert_eq!(error["jsonrpc"], "2.0");
        (
            reply.status,
            error["error"]["code"].as_i64().unwrap(),
            error["id"].clone(),
            error["error"]["message"].to_string(),
        )
    };
    let modern = [JSON[0], JSON[1], ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    for headers in [JSON.as_slice(), modern.as_slice()] {
        for broken in ["", "{", "nonsense", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list""#] {
            let (status, code, id, words) = send(headers, broken);
            assert_eq!((status, code, id), (400, -32_700, Value::Null), "{broken} {words}");
        }
        let (status, code, _, words) = send(headers, r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#);
        assert_eq!((status, code), (400, -32_600), "{words}");
        assert!(words.contains("batches"), "{words}");
        for strange in [r#"{"id":7}"#, r#"{"id":7,"method":"tools/list"}"#, r#"{"id":7,"jsonrpc":"1.0","method":"x"}"#]
        {
            let (status, code, id, words) = send(headers, strange);
            assert_eq!((status, code, id), (400, -32_600, json!(7)), "{strange} {words}");
        }
    }
    // What the transport refuses is said in the same form.
    assert_eq!(send(&[JSON[0], ("accept", "text/html")], "{}").0, 406);
    assert_eq!(send(&[("content-type", "text/plain"), JSON[1]], "{}").0, 415);
    assert_eq!(
        send(&[JSON[0], JSON[1], ("mcp-session-id", "x")], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).0,
        404
    );
    let gone = server.send("GET", "/mcp", &[("accept", "text/event-stream"), ("mcp-session-id", "x")], "");
    assert!(gone.json()["error"]["message"].is_string(), "{gone:?}");
    assert!(server.send("PUT", "/mcp", &JSON, "{}").json()["error"]["message"].is_string());
}

#[test]
fn every_result_of_the_current_protocol_says_who_made_it() {
    let server = serve();
    let calls = [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("tools/call", json!({"name": "hi", "arguments": {"name": "you"}})),
        ("tools/call", json!({"name": "hi", "arguments": {}})),
        ("resources/read", json!({"uri": "a://one"})),
    ];
    for (method, params) in calls {
        let result = server.rpc("/mcp", None, method, &params).json()["result"].clone();
        let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(
            (&info["name"], &info["version"]),
            (&json!("tollbridge"), &json!(env!("CARGO_PKG_VERSION"))),
            "{method}"
        );
    }
    // Clients of older protocols get what they know.
    let session = initialize(&server, None, None, "2025-11-25").header("mcp-session-id").unwrap().to_owned();
    let list = legacy(&server, None, Some(&session), &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    assert_eq!(list.json()["result"].get("_meta"), None, "{list:?}");
}
