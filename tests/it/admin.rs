//! The admin port: what is running, what became of reloads, and who may ask.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Reply, Server, python, until};

const TWO: &str = "bridge: test
upstream: { url: \"${API}\", credentials: none }
claims: { gpid: gpid }
tools:
  a: { description: A., response: { text: first } }
  b: { description: B., endpoint: \"GET /b/{id}\", parameters: { id: { type: string } } }
";

fn serve(more: &str) -> (Api, Server) {
    let api = Api::start();
    let mut fixture = Fixture::new().bridge(TWO).env("API", &api.url()).arg("--admin-listen=127.0.0.1:0");
    fixture.write("tollbridge.yaml", more);
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    (api, server)
}

fn write(server: &Server, text: &str) {
    std::fs::write(server.fixture.path().join("bridges/test.yaml"), text).unwrap();
}

fn get(server: &Server, path: &str) -> Value {
    let reply = server.admin("GET", path, &[], "");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn post(server: &Server, path: &str, body: &Value) -> Reply {
    server.admin("POST", path, &[("content-type", "application/json")], &body.to_string())
}

/// Runs a command against the admin port; gives the exit code and both outputs.
fn command(server: &Server, args: &[&str]) -> (i32, String) {
    let output = server.fixture.command(args).args(["--admin", &server.admin_url()]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn what_became_of_a_reload_is_said_alike_in_log_metric_readiness_and_command() {
    let (_api, server) = serve("{}");
    let first = get(&server, "/readyz");
    assert_eq!((&first["status"], &first["files"]), (&json!("ready"), &json!("running")));
    assert_eq!(first["last_reload"]["outcome"], "started");
    write(&server, &TWO.replace("A.", "Better."));
    server.wait_for("Reloaded.");
    let second = get(&server, "/readyz");
    assert_ne!(second["revision"], first["revision"]);
    assert_eq!(second["last_reload"]["outcome"], "accepted");
    assert!(second["last_reload"]["summary"].as_str().unwrap().contains("description: A. → Better."));
    let (code, said) = command(&server, &["status"]);
    assert_eq!(code, 0);
    assert!(said.contains(second["revision"].as_str().unwrap()) && said.contains("~ tool a"), "{said}");

    write(&server, &TWO.replace("description: A.", "desciption: A."));
    server.wait_for("Reload refused");
    let third = get(&server, "/readyz");
    assert_eq!((&third["status"], &third["files"]), (&json!("ready"), &json!("refused")));
    assert_eq!(third["revision"], second["revision"]);
    let words = "did you mean `description`?";
    assert!(third["last_reload"]["diagnostics"].as_str().unwrap().contains(words));
    let (code, said) = command(&server, &["status"]);
    assert_eq!(code, 1);
    assert!(said.contains("REFUSED") && said.contains("bridges/test.yaml:5:8") && said.contains(words), "{said}");
    let metrics = server.admin("GET", "/metrics", &[], "").body;
    for line in [
        "tollbridge_reloads_total{outcome=\"accepted\"} 1",
        "tollbridge_reloads_total{outcome=\"refused\"} 1",
        "tollbridge_last_reload_refused 1",
        &format!("tollbridge_revision_info{{revision=\"{}\"}} 1", second["revision"].as_str().unwrap()),
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let events = get(&server, "/admin/v1/reloads");
    let outcomes: Vec<&str> = events.as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "accepted", "started"]);
}

#[test]
fn an_earlier_revision_is_put_back_until_the_files_change() {
    let (_api, server) = serve("reload: { keep: 2 }");
    let (code, said) = command(&server, &["rollback"]);
    assert_eq!((code, said.as_str()), (1, "error: no earlier revision is kept\n"));
    let first = get(&server, "/admin/v1/status")["revision"].clone();
    write(&server, &TWO.replace("first", "second"));
    server.wait_for("Reloaded.");
    assert_eq!(server.call("a", &json!({})).text(), "second");
    let (code, said) = command(&server, &["rollback", first.as_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("rolled back"), "{said}");
    assert_eq!(server.call("a", &json!({})).text(), "first");
    let (code, said) = command(&server, &["status"]);
    assert!(code == 1 && said.contains("rolled back; the files say"), "{said}");
    // To be told to read the same files again changes nothing.
    let (code, said) = command(&server, &["reload"]);
    assert_eq!((code, said.trim()), (0, "unchanged"));
    assert_eq!(server.call("a", &json!({})).text(), "first");
    for answer in ["third", "fourth", "fifth"] {
        write(&server, &TWO.replace("first", answer));
        server.wait_for("Reloaded.");
        assert_eq!(server.call("a", &json!({})).text(), answer);
    }
    let kept = get(&server, "/admin/v1/status")["kept"].clone();
    assert_eq!(kept.as_array().unwrap().len(), 2, "{kept}");
    let (code, said) = command(&server, &["rollback", first.as_str().unwrap()]);
    assert!(code == 1 && said.contains("is kept"), "{said}");
}

#[test]
fn a_breaking_change_waits_for_leave_where_the_server_file_says_so() {
    let (_api, server) = serve("reload: { breaking: refuse }");
    // What breaks nothing is taken up.
    write(&server, &TWO.replace("A.", "Better."));
    server.wait_for("Reloaded.");
    let without = TWO.split("  b:").next().unwrap().replace("A.", "Better.");
    write(&server, &without);
    let line = server.wait_for("Reload refused");
    assert!(line.contains("TB0601") && line.contains("tool `b`: is gone"), "{line}");
    assert!(server.tools(None).contains_key("b"));
    let (code, said) = command(&server, &["reload"]);
    assert!(code == 1 && said.contains("TB0601"), "{said}");
    let (code, said) = command(&server, &["reload", "--allow-breaking"]);
    assert!(code == 0 && said.contains("- tool b"), "{said}");
    assert!(!server.tools(None).contains_key("b"));
}

#[test]
fn a_directory_that_is_suddenly_empty_is_not_taken_for_a_wish() {
    let (_api, server) = serve("{}");
    std::fs::remove_file(server.fixture.path().join("bridges/test.yaml")).unwrap();
    let line = server.wait_for("Reload refused");
    assert!(line.contains("is the directory still mounted?"), "{line}");
    assert_eq!(server.call("a", &json!({})).text(), "first");
}

#[test]
fn settings_that_take_a_restart_say_so_when_they_change() {
    let (_api, server) = serve("limits: { request_timeout: 10s }");
    let path = server.fixture.path().join("tollbridge.yaml");
    std::fs::write(&path, "limits: { request_timeout: 20s }\npublic_url: https://mcp.example.com\n").unwrap();
    let line = server.wait_for("these settings take a restart");
    assert!(line.contains("`limits` and `public_url`"), "{line}");
    assert_eq!(get(&server, "/admin/v1/status")["restart_for"], json!(["limits", "public_url"]));
    std::fs::write(&path, "limits: { request_timeot: 20s }\n").unwrap();
    assert!(server.wait_for("a restart would refuse it").contains("did you mean `request_timeout`"));
    std::fs::write(&path, "limits: { request_timeout: 10s }\n").unwrap();
    server.wait_for("says again what it said at the start");
    assert_eq!(get(&server, "/admin/v1/status")["restart_for"], json!([]));
}

#[test]
fn metrics_are_openmetrics_and_count_what_happens() {
    let (api, provider) = (Api::start(), Provider::shared());
    api.answer("/b/missing", Answer::json(404, &json!({})));
    let yaml = TWO.replace("description: B.", "description: B., cache: 1m, rate_limit: { calls: 3, per: hour }");
    let mut fixture = Fixture::with_okta(provider).bridge(&yaml).env("API", &api.url());
    fixture = fixture.arg("--admin-listen=127.0.0.1:0");
    let server = fixture.serve();
    let token = provider.user("alice");
    for id in ["1", "1", "missing"] {
        server.call_as(Some(&token), "b", &json!({ "id": id }));
    }
    assert!(server.call_as(Some(&token), "b", &json!({"id": "1"})).is_error());
    server.call_as(Some(&token), "a", &json!({"no": "such"}));
    assert_eq!(server.rpc("/mcp", Some("wrong"), "tools/list", &json!({})).status, 401);
    let reply = server.admin("GET", "/metrics", &[], "");
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    for line in [
        "tollbridge_calls_total{tool=\"b\",outcome=\"ok\"} 2",
        "tollbridge_calls_total{tool=\"b\",outcome=\"api_error\"} 1",
        "tollbridge_calls_total{tool=\"b\",outcome=\"limited\"} 1",
        "tollbridge_calls_total{tool=\"a\",outcome=\"argument_error\"} 1",
        "tollbridge_cache_requests_total{tool=\"b\",result=\"hit\"} 1",
        "tollbridge_rate_limited_total{tool=\"b\"} 1",
        "tollbridge_authentications_total{outcome=\"rejected\"} 1",
        "tollbridge_upstream_request_duration_seconds_count{bridge=\"test\",outcome=\"4xx\"} 1",
        "tollbridge_identity_request_duration_seconds_count{purpose=\"introspection\",outcome=\"2xx\"}",
        "tollbridge_breaker_open{bridge=\"test\"} 0",
        "tollbridge_calls_in_flight 0",
    ] {
        assert!(reply.body.contains(line), "{line}\n{}", reply.body);
    }
    // Nobody's token and no address stand in it, and somebody else's parser reads it.
    assert!(!reply.body.contains(&token) && !reply.body.contains("127.0.0.1"));
    let file = server.fixture.path().join("metrics");
    std::fs::write(&file, &reply.body).unwrap();
    let program = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                   print(len(list(read(open(sys.argv[1]).read()))))";
    let output = Command::new(python()).args(["-c", program]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The list of latest calls tells no arguments and no names.
    let calls = get(&server, "/admin/v1/calls");
    assert_eq!(calls.as_array().unwrap().len(), 5);
    assert_eq!((&calls[2]["outcome"], &calls[2]["upstream_status"]), (&json!("api_error"), &json!(404)));
    assert!(!calls.to_string().contains("alice") && !calls.to_string().contains("missing"));
    assert!(server.log().contains(calls[0]["request_id"].as_str().unwrap()));
}

#[test]
fn what_a_call_would_send_is_explained_and_not_sent() {
    let (api, server) = serve("{}");
    let told = post(&server, "/admin/v1/explain", &json!({"tool": "b", "arguments": {"id": "x/y"}})).json();
    assert_eq!(told["request"]["url"], "${API}/b/x%2Fy");
    let told = post(&server, "/admin/v1/explain", &json!({"tool": "b", "arguments": {}})).json();
    assert!(told["refused"].as_str().unwrap().contains("id"), "{told}");
    assert_eq!(post(&server, "/admin/v1/explain", &json!({"tool": "none"})).status, 404);
    let cookies = "{ s: { in: cookie, type: string }, lang: { in: cookie, value: de } }";
    write(&server, &format!("{TWO}  c: {{ description: C., endpoint: GET /c, parameters: {cookies} }}\n"));
    server.wait_for("Reloaded.");
    let told = post(&server, "/admin/v1/explain", &json!({"tool": "c", "arguments": {"s": "a b"}})).json();
    assert_eq!(told["request"]["headers"]["cookie"], "s=a%20b; lang=de", "{told}");
    assert!(api.requests().is_empty());
}

#[test]
fn who_may_not_ask_is_refused_and_health_is_for_all() {
    let (_api, server) = serve("{}");
    let send = |method, path: &str, headers: &[(&str, &str)]| server.admin(method, path, headers, "{}").status;
    // A page of another site, whatever it calls itself.
    assert_eq!(send("GET", "/admin/v1/status", &[("host", "evil.example:9090")]), 403);
    assert_eq!(send("GET", "/admin/v1/status", &[("host", "localhost:9090")]), 200);
    let json = ("content-type", "application/json");
    assert_eq!(send("POST", "/admin/v1/reload", &[("content-type", "text/plain")]), 403);
    assert_eq!(send("POST", "/admin/v1/reload", &[json, ("origin", "https://evil.example")]), 403);
    assert_eq!(send("POST", "/admin/v1/reload", &[json, ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(send("POST", "/admin/v1/reload", &[json]), 200);
    let refused = server.admin("GET", "/readyz", &[("host", "evil.example")], "").json();
    assert!(refused["last_reload"].get("diagnostics").is_none() && refused.get("kept").is_none());

    // With a token, nothing but health and the empty page without it; and readiness keeps the diagnostics to itself.
    let mut fixture = Fixture::new().bridge(TWO).env("API", "http://127.0.0.1:1").env("ADMIN_TOKEN", "canary-admin");
    fixture.write("tollbridge.yaml", "admin: { listen: \"0.0.0.0:0\", token: \"${ADMIN_TOKEN}\" }");
    let server = fixture.env("TOLLBRIDGE_ADMIN_TOKEN", "canary-admin").serve();
    until(|| server.log().contains("Watching the bridge files."));
    let send = |path: &str, headers: &[(&str, &str)]| server.admin("GET", path, headers, "").status;
    assert_eq!(send("/admin/v1/status", &[]), 401);
    assert_eq!(send("/admin/v1/status", &[("authorization", "Bearer wrong")]), 401);
    assert_eq!(send("/admin/v1/status", &[("authorization", "Bearer canary-admin")]), 200);
    for open in ["/livez", "/readyz", "/metrics", "/"] {
        assert_eq!(send(open, &[]), 200, "{open}");
    }
    write(&server, "bridge: [secret-in-a-file]\n");
    server.wait_for("Reload refused");
    assert!(!server.admin("GET", "/readyz", &[], "").body.contains("secret-in-a-file"));
    let (code, said) = command(&server, &["status"]);
    assert!(code == 1 && said.contains("REFUSED"), "{said}");
    assert!(!server.log().contains("canary-admin"));

    // Beyond loopback and without one, nothing but health.
    let mut fixture = Fixture::new().bridge(TWO).env("API", "http://127.0.0.1:1");
    fixture.write("tollbridge.yaml", "admin: { listen: \"0.0.0.0:0\" }");
    let server = fixture.serve();
    let send = |path: &str| server.admin("GET", path, &[], "").status;
    assert_eq!((send("/livez"), send("/readyz"), send("/metrics"), send("/admin/v1/status")), (200, 200, 200, 403));
}

#[test]
fn a_command_without_a_server_says_what_to_do() {
    let fixture = Fixture::new();
    let output = fixture.command(&["status", "--admin", "http://127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(said.contains("--admin-listen"), "{said}");
}
