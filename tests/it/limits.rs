//! Bounds on what clients can ask for, each with a clear refusal; TLS; and how a server ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, PATIENCE, Provider, Server, until};

const BRIDGE: &str = "bridge: test
upstream: { url: \"${API}\", credentials: none }
tools:
  t: { description: T., response: { text: fine } }
  slow: { description: S., endpoint: GET /slow, timeout: 20s }
";

fn serve(limits: &str) -> (Api, Server) {
    let api = Api::start();
    let mut fixture = Fixture::new().bridge(BRIDGE).env("API", &api.url()).arg("--admin-listen=127.0.0.1:0");
    fixture.write("tollbridge.yaml", &format!("limits: {limits}"));
    (api, fixture.serve())
}

/// Sends bytes as they are; gives what comes back until the server hangs up.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn what_is_too_large_too_deep_or_too_slow_is_refused() {
    let (_api, server) = serve(
        "{ max_request_bytes: 2KiB, max_header_bytes: 8KiB, max_json_depth: 8, read_timeout: 500ms, \
         idle_timeout: 1s }",
    );
    assert_eq!(server.call("t", &json!({})).text(), "fine");
    let large = server.rpc("/mcp", None, "tools/call", &json!({"name": "t", "arguments": {"x": "y".repeat(3000)}}));
    assert_eq!((large.status, large.json()["error"]["message"].as_str()), (413, Some("The request is too large")));
    let mut deep = json!(1);
    for _ in 0..8 {
        deep = json!([deep]);
    }
    let deep = server.rpc("/mcp", None, "tools/call", &json!({"name": "t", "arguments": {"x": deep}}));
    assert_eq!(deep.status, 400);
    assert_eq!(deep.json()["error"]["message"], "The request is nested deeper than 8 levels");
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\nx-long: {}\r\n\r\n", server.address, "y".repeat(20_000));
    assert!(raw(&server, head.as_bytes()).starts_with("HTTP/1.1 431 "));
    // A head that never ends, and a body that never comes.
    assert_eq!(raw(&server, b"POST /mcp HTTP/1.1\r\nhost:"), "");
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-length: 10\r\n\r\n", server.address);
    let said = raw(&server, head.as_bytes());
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("The request came too slowly"), "{said}");
    assert_eq!(server.call("t", &json!({})).text(), "fine");
    // Whoever has been served may rest for longer than a request may take, and not for ever.
    let request = format!("GET /nothing HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    let began = SystemTime::now();
    assert!(raw(&server, request.as_bytes()).starts_with("HTTP/1.1 404 "));
    assert!(began.elapsed().unwrap() >= Duration::from_secs(1));
}

#[test]
fn there_is_room_for_so_many_connections() {
    let (_api, server) = serve("{ max_connections: 2 }");
    let held: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    until(|| server.admin("GET", "/metrics", &[], "").body.contains("tollbridge_connections 2"));
    let said = raw(&server, b"");
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("too many connections"), "{said}");
    assert!(server.admin("GET", "/metrics", &[], "").body.contains("tollbridge_connections_refused_total 1"));
    drop(held);
    until(|| server.admin("GET", "/metrics", &[], "").body.contains("tollbridge_connections 0"));
    assert_eq!(server.call("t", &json!({})).text(), "fine");
}

#[test]
fn one_caller_has_so_many_calls_running_and_others_are_not_held_up() {
    let (api, provider) = (Api::start(), Provider::shared());
    api.answer("/slow", Answer::Silence);
    let mut fixture = Fixture::with_okta(provider).bridge(BRIDGE).env("API", &api.url());
    let auth: Value =
        serde_json::from_str(&std::fs::read_to_string(fixture.path().join("tollbridge.yaml")).unwrap()).unwrap();
    let settings = json!({"auth": auth["auth"], "limits": {"max_calls_per_caller": 2, "request_timeout": "3s"}});
    fixture.write("tollbridge.yaml", &settings.to_string());
    let server = fixture.serve();
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..2).map(|_| scope.spawn(|| server.call_as(Some(&alice), "slow", &json!({})).is_error())).collect();
        until(|| api.requests().len() == 2);
        let refused = server.call_as(Some(&alice), "t", &json!({}));
        assert_eq!(refused.error(), "2 of your calls are running already; try again when one has ended");
        assert_eq!(server.call_as(Some(&bob), "t", &json!({})).text(), "fine");
        assert!(running.into_iter().all(|call| call.join().unwrap()));
    });
    assert_eq!(server.call_as(Some(&alice), "t", &json!({})).text(), "fine");
}

#[test]
fn a_trace_goes_on_to_the_api_and_a_request_has_an_id_everywhere() {
    let (api, server) = serve("{}");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = |meta: Value, headers: &[(&str, &str)]| {
        let mut meta = meta;
        meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let params = json!({"name": "slow", "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "slow"),
        ];
        all.extend(headers);
        server.send("POST", "/mcp", &all, &body)
    };
    let reply = call(json!({}), &[("traceparent", parent), ("tracestate", "vendor=1")]);
    assert_eq!((api.last().header("traceparent"), api.last().header("tracestate")), (Some(parent), Some("vendor=1")));
    let id = reply.header("x-request-id").unwrap().to_owned();
    assert!(server.log().lines().any(|line| line.contains("Call.") && line.contains(&id)), "{}", server.log());
    // What the request itself says goes before its headers; what is no trace is left out.
    let other = parent.replace("b7ad", "c7ad");
    call(json!({ "traceparent": other }), &[("traceparent", parent)]);
    assert_eq!(api.last().header("traceparent"), Some(other.as_str()));
    call(json!({"traceparent": "00-evil\r\nx: y"}), &[]);
    assert_eq!(api.last().header("traceparent"), None);
}

#[test]
fn a_server_that_is_told_to_stop_ends_its_calls_and_says_so() {
    let (api, server) = serve("{ shutdown_delay: 2s, shutdown_grace: 20s }");
    api.answer("/slow", Answer::Silence);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.rpc("/mcp", None, "tools/call", &json!({"name": "slow", "arguments": {}})));
        until(|| !api.requests().is_empty());
        assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
        // Not ready, and still there for whoever has not noticed.
        until(|| server.admin("GET", "/readyz", &[], "").status == 503);
        let late = server.rpc("/mcp", None, "tools/call", &json!({"name": "t", "arguments": {}}));
        assert_eq!((late.status, late.header("connection")), (200, Some("close")));
        drop(api);
        let ended = call.join().unwrap();
        assert_eq!(ended.status, 200);
    });
    server.wait_for("Stopped: every call had ended.");
    assert!(server.terminate_quietly().success());

    let (api, server) = serve("{ shutdown_delay: 1ms, shutdown_grace: 300ms }");
    api.answer("/slow", Answer::Silence);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "slow", "arguments": {}, "_meta": meta}})
            .to_string();
            let head = format!(
                "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, \
                 text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: slow\r\n\
                 content-length: {}\r\n\r\n{body}",
                server.address,
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut said = String::new();
            let _ = stream.read_to_string(&mut said);
        });
        until(|| !api.requests().is_empty());
        assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
        call.join().unwrap();
    });
    server.wait_for("calls were still running at the end of the grace period");
    assert!(server.terminate_quietly().success());
}

#[test]
fn a_bad_configuration_is_refused_at_the_start_with_78() {
    for settings in [
        "limits: { read_timeout: 5 }",
        "tls: { cert: none.crt, key: none.key }",
        "admin: { listen: nowhere }",
        "admin: { listen: \"127.0.0.1:0\", token: \"${EMPTY}\" }",
        "shared: { redis: \"http://not.redis\" }",
    ] {
        let mut fixture = Fixture::new().bridge(BRIDGE).env("API", "http://127.0.0.1:1").env("EMPTY", "");
        fixture.write("tollbridge.yaml", settings);
        let output = fixture.command(&["serve", "--no-auth"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("tollbridge.yaml:1:"), "{said}");
    }
}

// === TLS ===

/// A certificate for localhost and its key, in PEM.
fn certificate() -> (String, String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let serial = made.cert.pem();
    (serial.clone(), made.signing_key.serialize_pem(), serial)
}

fn get(server: &Server, trusted: &str) -> Result<u16, String> {
    let port = server.address.rsplit_once(':').unwrap().1;
    crate::support::block_on(async {
        let authority = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).timeout(PATIENCE).build().unwrap();
        let url = format!("https://localhost:{port}/.well-known/oauth-protected-resource");
        client.get(url).send().await.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
    })
}

#[test]
fn tls_is_served_and_a_new_certificate_is_taken_up() {
    let (cert, key, authority) = certificate();
    let mut fixture = Fixture::new().bridge(BRIDGE).env("API", "http://127.0.0.1:1");
    fixture.write("tls/server.crt", &cert);
    fixture.write("tls/server.key", &key);
    fixture.write("tollbridge.yaml", "tls: { cert: tls/server.crt, key: tls/server.key }");
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    assert_eq!(get(&server, &authority), Ok(200));
    let (cert, key, renewed) = certificate();
    let folder = server.fixture.path().join("tls");
    // Half of it is no certificate: the old one stays.
    std::fs::write(folder.join("server.key"), "-----BEGIN").unwrap();
    server.wait_for("The new certificate can't be used");
    assert_eq!(get(&server, &authority), Ok(200));
    std::fs::write(folder.join("server.crt"), cert).unwrap();
    std::fs::write(folder.join("server.key"), key).unwrap();
    server.wait_for("The certificate was read again");
    assert_eq!(get(&server, &renewed), Ok(200));
    assert!(get(&server, &authority).is_err());
    // Plain HTTP on that port gets nowhere.
    assert!(!raw(&server, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").contains("200"));
}
