//! Traces, by a real collector of OpenTelemetry (`rotel`).

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Process, Provider, free_port, listening, tool, until};

/// A collector that prints what it gets.
struct Collector {
    _process: Process,
    port: u16,
    said: Arc<Mutex<String>>,
}

impl Collector {
    fn start() -> Self {
        let program = Command::new(tool(".venv/bin/python"))
            .args(["-c", "import pathlib, rotel; print(pathlib.Path(rotel.__file__).parent / 'rotel-agent', end='')"])
            .output()
            .unwrap();
        let (port, other) = (free_port(), free_port());
        let mut child = Command::new(String::from_utf8(program.stdout).unwrap())
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{other}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the collector starts");
        let mut stdout = child.stdout.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        listening(port);
        Self { _process: Process(child), port, said }
    }

    /// What it says of one span.
    fn span(&self, name: &str) -> String {
        let said = self.said.lock().unwrap();
        let spans: Vec<&str> = said.split("\nSpan #").filter(|span| span.contains(&format!(": {name}\n"))).collect();
        assert_eq!(spans.len(), 1, "{name}: {said}");
        spans[0].to_owned()
    }
}

/// A value that the collector prints of a span.
fn field<'a>(span: &'a str, name: &str) -> &'a str {
    let line = span.lines().find(|line| line.trim().starts_with(name)).unwrap_or_else(|| panic!("{name}: {span}"));
    line.split_once(": ").unwrap().1.trim()
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_call_is_a_span_of_the_clients_trace_and_its_requests_are_spans_of_that() {
    let collector = Collector::start();
    let api = Api::start();
    api.answer("/t", Answer::json(404, &json!({})));
    let yaml = "bridge: test\nupstream: { url: \"${API}\", credentials: none }\nclaims: { gpid: [gpid] }\ntools:\n  \
                t: { description: T., endpoint: GET /t, parameters: { gpid: { claim: gpid } } }\n";
    let fixture = Fixture::with_okta(Provider::shared()).bridge(yaml).env("API", &api.url());
    let fixture = fixture.arg(&format!("--otlp-endpoint=http://127.0.0.1:{}", collector.port));
    let server = fixture.env("OTEL_SERVICE_NAME", "hr-bridge").serve();
    let token = Provider::shared().user("alice");
    let bearer = format!("Bearer {token}");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": "t", "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "t"),
        ("authorization", bearer.as_str()),
        ("traceparent", PARENT),
        ("tracestate", "vendor=1"),
    ];
    let reply = server.send("POST", "/mcp", &headers, &body);
    let id = reply.header("x-request-id").unwrap().to_owned();
    let result: Value = reply.json();
    assert_eq!(result["result"]["isError"], true);
    let told = api.last();
    // What is not sent yet goes with the end of the server.
    assert!(server.terminate().success());
    until(|| collector.said.lock().unwrap().contains("tools/call t"));
    until(|| collector.said.lock().unwrap().contains("GET api"));
    let (call, request, asked) =
        (collector.span("tools/call t"), collector.span("GET api"), collector.span("POST introspection"));
    for span in [&call, &request, &asked] {
        assert_eq!(field(span, "Trace ID"), "0af7651916cd43dd8448eb211c80319c");
    }
    assert_eq!(field(&call, "Parent ID"), "b7ad6b7169203331");
    assert_eq!(field(&asked, "Parent ID"), "b7ad6b7169203331");
    assert_eq!(field(&request, "Parent ID"), field(&call, "ID"));
    // The API goes on from the span of the request.
    let own = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", field(&request, "ID"));
    assert_eq!(told.header("traceparent"), Some(own.as_str()));
    assert_eq!(told.header("tracestate"), Some("vendor=1"));
    assert_eq!(field(&call, "-> tollbridge.request_id"), format!("Str({id})"));
    assert_eq!(field(&call, "-> error.type"), "Str(tool_error)");
    assert_eq!(field(&request, "-> http.response.status_code"), "Int(404)");
    let said = collector.said.lock().unwrap().clone();
    assert!(said.contains("service.name: Str(hr-bridge)"), "{said}");
    for hidden in [token.as_str(), "bridge-secret", &api.port.to_string(), "10012345"] {
        assert!(!said.contains(hidden), "{said}");
    }
}

#[test]
fn a_collector_that_is_not_there_costs_nobody_a_call() {
    let yaml = "bridge: test\ntools: { t: { description: T., response: { text: hi } } }\n";
    let fixture = Fixture::new().bridge(yaml).arg(&format!("--otlp-endpoint=http://127.0.0.1:{}", free_port()));
    let server = fixture.serve();
    assert_eq!(server.call("t", &json!({})).text(), "hi");
    assert!(server.terminate().success());
}
