//! Clients are told that a list has changed when one that they see has, and only then.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stdio::Pipes;
use crate::support::{Answer, Api, Fixture, PATIENCE, Provider, Server, until};

const ONE: &str = "bridge: one
tools:
  t: { description: T., response: { text: first } }
resources:
  a://x: { json: { a: 1 } }
prompts:
  p: { description: P., messages: [{ role: user, text: hello }] }
";

/// A stream of notifications, as it comes.
struct Stream(Receiver<Value>);

impl Stream {
    /// Opens a stream and waits until it is acknowledged.
    fn open(server: &Server, path: &str, token: Option<&str>, wanted: &Value) -> Self {
        let params = json!({
            "notifications": wanted,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        });
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}).to_string();
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, \
             text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n{bearer}\
             content-length: {}\r\n\r\n",
            server.address,
            body.len()
        );
        let this = Self::read(server, &format!("{head}{body}"));
        assert_eq!(this.next()["method"], "notifications/subscriptions/acknowledged");
        this
    }

    fn read(server: &Server, request: &str) -> Self {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(message) = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok()) {
                    let _ = sender.send(message);
                }
            }
        });
        Self(messages)
    }

    fn next(&self) -> Value {
        self.0.recv_timeout(PATIENCE).expect("a message comes")
    }

    /// What has come by now.
    fn so_far(&self) -> Vec<Value> {
        std::iter::from_fn(|| self.0.recv_timeout(Duration::from_millis(1)).ok()).collect()
    }

    fn ended(&self) -> bool {
        matches!(self.0.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected))
    }
}

fn all() -> Value {
    json!({"toolsListChanged": true, "resourcesListChanged": true, "promptsListChanged": true})
}

fn write(server: &Server, name: &str, text: &str) {
    std::fs::write(server.fixture.path().join("bridges").join(name), text).unwrap();
}

fn serve(fixture: Fixture) -> Server {
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    server
}

#[test]
fn a_listener_hears_of_the_lists_that_changed_and_of_no_others() {
    let server = serve(Fixture::new().bridge(ONE));
    let listening = Stream::open(&server, "/mcp", None, &all());
    let prompts_only = Stream::open(&server, "/mcp", None, &json!({"promptsListChanged": true}));
    // The answer of a tool is another; its place in the list is not.
    write(&server, "test.yaml", &ONE.replace("first", "second"));
    server.wait_for("Reloaded.");
    write(&server, "test.yaml", &ONE.replace("T.", "Better."));
    let heard = listening.next();
    assert_eq!(heard["method"], "notifications/tools/list_changed");
    assert_eq!(heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    write(&server, "test.yaml", &ONE.replace("T.", "Better.").replace("P.", "Q."));
    assert_eq!(listening.next()["method"], "notifications/prompts/list_changed");
    assert_eq!(prompts_only.next()["method"], "notifications/prompts/list_changed");
    write(&server, "test.yaml", &ONE.replace("T.", "Better.").replace("P.", "Q.").replace("a://x", "a://y"));
    assert_eq!(listening.next()["method"], "notifications/resources/list_changed");
    // A refused change changes no list.
    write(&server, "test.yaml", "bridge: [");
    server.wait_for("Reload refused");
    assert_eq!((listening.so_far(), prompts_only.so_far()), (vec![], vec![]));
}

#[test]
fn what_a_client_does_not_see_is_no_news_to_it() {
    let (provider, api) = (Provider::shared(), Api::start());
    let other = |what: &str| {
        format!(
            "bridge: two\nupstream: {{ url: \"{}\", credentials: none }}\nclaims: {{ who: sub }}\ntools:\n  \
             staff: {{ description: {what}, access: {{ groups: [Staff] }}, response: {{ text: hi }} }}\n",
            api.url()
        )
    };
    let mut fixture = Fixture::with_okta(provider).bridge(ONE);
    fixture.write("bridges/two.yaml", &other("Old."));
    let server = serve(fixture);
    let plain = provider.user("alice");
    let staff = provider.token(&json!({"user": "bob", "claims": {"groups": ["Staff"]}}));
    assert!(server.tools(Some(&staff)).contains_key("staff") && !server.tools(Some(&plain)).contains_key("staff"));
    let of_plain = Stream::open(&server, "/mcp", Some(&plain), &all());
    let of_staff = Stream::open(&server, "/mcp", Some(&staff), &all());
    let of_bridge = Stream::open(&server, "/mcp/one", Some(&staff), &all());
    write(&server, "two.yaml", &other("New."));
    assert_eq!(of_staff.next()["method"], "notifications/tools/list_changed");
    // Both would have been told by the same reload; the next one tells them and shows that nothing came before.
    write(&server, "test.yaml", &ONE.replace("P.", "Q."));
    assert_eq!(of_plain.next()["method"], "notifications/prompts/list_changed");
    assert_eq!(of_bridge.next()["method"], "notifications/prompts/list_changed");
}

#[test]
fn sessions_of_older_protocols_hear_it_over_http_and_stdio() {
    let server = serve(Fixture::new().bridge(ONE));
    let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let started = server.send("POST", "/mcp", &headers, &initialize.to_string());
    assert!(started.body.contains(r#""listChanged":true"#), "{}", started.body);
    let session = started.header("mcp-session-id").unwrap().to_owned();
    let own = [headers[0], headers[1], ("mcp-session-id", &session), ("mcp-protocol-version", "2025-06-18")];
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.send("POST", "/mcp", &own, &initialized.to_string()).status, 202);
    let stream = Stream::read(
        &server,
        &format!(
            "GET /mcp HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\
             mcp-protocol-version: 2025-06-18\r\n\r\n",
            server.address
        ),
    );
    write(&server, "test.yaml", &ONE.replace("T.", "Better."));
    assert_eq!(stream.next()["method"], "notifications/tools/list_changed");
    // A session that its client ends is over.
    assert_eq!(server.send("DELETE", "/mcp", &own, "").status, 204);
    assert_eq!(server.send("POST", "/mcp", &own, &initialized.to_string()).status, 404);

    let fixture = Fixture::new().bridge(ONE);
    let path = fixture.path().join("bridges/test.yaml");
    let mut pipes = Pipes::start(fixture);
    assert_eq!(pipes.request("tools/list", &json!({}))["result"]["tools"][0]["description"], "T.");
    std::fs::write(path, ONE.replace("P.", "Q.")).unwrap();
    assert_eq!(pipes.read()["method"], "notifications/prompts/list_changed");
}

#[test]
fn streams_end_in_order_when_the_server_stops() {
    let server = serve(Fixture::new().bridge(ONE));
    let listening = Stream::open(&server, "/mcp", None, &all());
    assert!(server.terminate().success());
    // The request that opened the stream gets its result, and then the stream ends.
    let last = listening.next();
    assert_eq!((&last["id"], last.get("result").is_some()), (&json!(7), true), "{last}");
    assert!(listening.ended());
}

#[test]
fn who_follows_a_resource_hears_when_a_reload_changes_it_and_of_no_other() {
    let yaml =
        |json: &str| ONE.replace("{ a: 1 }", json) + "  q: { description: Q., messages: [{ role: user, text: q }] }\n";
    let resources = |yaml: &str| yaml.replace("resources:\n", "resources:\n  a://file: { file: note.txt }\n");
    let mut fixture = Fixture::new().bridge(&resources(&yaml("{ a: 1 }")));
    fixture.write("bridges/note.txt", "one");
    let server = serve(fixture);
    let stream = Stream::open(&server, "/mcp", None, &json!({"resourceSubscriptions": ["a://file"]}));
    // Another one changes, and then this one: the first message is about this one.
    write(&server, "test.yaml", &resources(&yaml("{ a: 2 }")));
    server.wait_for("Reloaded.");
    write(&server, "note.txt", "two");
    let told = stream.next();
    assert_eq!(told["method"], "notifications/resources/updated", "{told}");
    assert_eq!(told["params"]["uri"], "a://file");
    assert_eq!(stream.so_far(), Vec::<Value>::new());
}

#[test]
fn what_an_api_holds_is_looked_at_while_somebody_follows_it() {
    let api = Api::start();
    let answer = |etag: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\netag: {etag}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Answer::Raw(format!("{head}{body}").into_bytes())
    };
    let unchanged = || Answer::Raw(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\netag: \"1\"\r\n\r\n".to_vec());
    api.answers(
        "/news",
        vec![
            answer("\"1\"", "one"),
            unchanged(),
            Answer::json(500, &json!({"message": "out of order"})),
            answer("\"2\"", "one"),
            answer("\"3\"", "two"),
            unchanged(),
        ],
    );
    let yaml = format!(
        "bridge: b\nupstream: {{ url: \"{}\", credentials: none }}\nresources:\n  a://news: {{ endpoint: GET /news, watch: 1s }}\n  \
         a://quiet: {{ endpoint: GET /quiet }}\n",
        api.url()
    );
    let server = serve(Fixture::new().bridge(&yaml));
    assert_eq!(api.lines(), [""; 0], "nobody follows it");
    let wanted = json!({"resourceSubscriptions": ["a://news", "a://quiet"]});
    let (stream, other) = (Stream::open(&server, "/mcp", None, &wanted), Stream::open(&server, "/mcp", None, &wanted));
    for stream in [&stream, &other] {
        let told = stream.next();
        assert_eq!(
            (&told["method"], &told["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!("a://news"))
        );
    }
    // Each look is one request, whoever follows, and says what is known; an API that fails, and a name for the same content,
    // are no change.
    let asked: Vec<_> = api.requests().iter().map(|it| it.header("if-none-match").map(str::to_owned)).collect();
    let tag = |tag: &str| Some(format!("\"{tag}\""));
    assert_eq!(asked, [None, tag("1"), tag("1"), tag("1"), tag("1")]);
    assert!(server.log().contains("out of order"));
    drop((stream, other));
    assert!(api.lines().iter().all(|line| line == "GET /news"));
}

#[test]
fn nobody_looks_any_more_once_the_last_follower_has_gone() {
    let api = Api::start();
    let yaml = format!(
        "bridge: b\nupstream: {{ url: \"{}\", credentials: none }}\nresources:\n  a://news: {{ endpoint: GET /news, watch: 1s }}\n",
        api.url()
    );
    let fixture = Fixture::new().bridge(&yaml);
    let mut pipes = Pipes::start(fixture);
    pipes.request("resources/subscribe", &json!({"uri": "a://news"}));
    until(|| api.requests().len() >= 2);
    pipes.request("resources/unsubscribe", &json!({"uri": "a://news"}));
    let asked = api.requests().len();
    // Nothing tells of a look that does not come: two rounds pass.
    std::thread::sleep(Duration::from_millis(2_200));
    assert!(api.requests().len() <= asked + 1, "{} after {asked}", api.requests().len());
}

#[test]
fn without_sessions_nothing_is_offered_that_needs_one() {
    let asks = "  q: { description: Q., confirm: Really?, response: { text: done } }\n";
    let yaml = ONE.replace("resources:\n", &format!("{asks}resources:\n"));
    let by_file = || {
        let mut fixture = Fixture::new().bridge(&yaml);
        fixture.write("tollbridge.yaml", "sessions: false");
        fixture
    };
    for fixture in [by_file(), Fixture::new().bridge(&yaml).arg("--no-sessions")] {
        let server = serve(fixture);
        let own = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let ask = |method: &str, params: &Value| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
            server.send("POST", "/mcp", &own, &body)
        };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "t", "version": "1"}});
        let started = ask("initialize", &hello);
        assert_eq!(started.header("mcp-session-id"), None);
        let offered = &started.json()["result"]["capabilities"];
        assert_eq!(offered, &json!({"tools": {}, "resources": {}, "prompts": {}, "completions": {}}));
        assert_eq!(ask("tools/call", &json!({"name": "t", "arguments": {}})).json()["result"]["isError"], false);
        // Nobody can be asked, so nothing is done.
        let refused = ask("tools/call", &json!({"name": "q", "arguments": {}})).json();
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        for (method, params) in
            [("resources/subscribe", json!({"uri": "a://x"})), ("logging/setLevel", json!({"level": "info"}))]
        {
            assert_eq!(ask(method, &params).json()["error"]["code"], -32601, "{method}");
        }
        assert_eq!(server.send("GET", "/mcp", &own, "").status, 405);
        // The newer protocol has never had any.
        let discovered = server.rpc("/mcp", None, "server/discover", &json!({})).json();
        assert_eq!(discovered["result"]["capabilities"]["resources"]["subscribe"], true, "{discovered}");
    }
}
