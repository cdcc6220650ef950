//! A panic inside of a call, by an API whose credential panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::audit::{Audit, AuditSettings, OnFailure, Target};
use crate::call::CallError;
use crate::config::server::DiscoverySpec;
use crate::credential::{BoxFuture, CredentialProvider, SignIn};
use crate::live::{Live, Loader};
use crate::mcp::{Caller, HttpOptions, HttpService, Options, http_service, share};
use crate::metrics::Metrics;
use crate::net::forged::{Forged, Reply};
use crate::principal::Principal;

/// Panics as long as it is told to, with a secret in its words.
#[derive(Default)]
struct Panics(AtomicBool);

impl CredentialProvider for Panics {
    fn sign_in<'a>(&'a self, _: &'a Principal) -> BoxFuture<'a, Result<SignIn, CallError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(!self.0.load(Ordering::SeqCst), "s3cret-canary");
            Ok(SignIn::Nothing)
        })
    }
}

const BRIDGE: &str = "
bridge: test
upstream: { url: 'URL', credentials: none, max_concurrency: 1 }
tools: { t: { description: T., endpoint: POST /t } }
resources: { 'res://r': { endpoint: GET /r } }
";

struct Setting {
    folder: tempfile::TempDir,
    _api: Forged,
    panics: Arc<Panics>,
    metrics: Arc<Metrics>,
    service: HttpService,
}

impl Setting {
    async fn new() -> Self {
        let api = Forged::saying(Reply::Bytes(b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nfine".to_vec())).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.yaml");
        std::fs::write(&path, BRIDGE.replace("URL", &format!("http://{}", api.address))).unwrap();
        let (panics, metrics) = (Arc::new(Panics::default()), Arc::<Metrics>::default());
        let loader = Loader { path, metrics: Arc::clone(&metrics), ..Loader::default() };
        let credential: Arc<dyn CredentialProvider> = panics.clone();
        let live = Arc::new(Live::signing_in_by(loader, &credential));
        let target = Target::File(folder.path().join("audit.jsonl"));
        let settings = AuditSettings { target, on_failure: OnFailure::Block, hash_key: None };
        let options = Options {
            call_timeout: Duration::from_secs(10),
            audit: Some(Arc::new(Audit::open(settings).unwrap())),
            metrics: Arc::clone(&metrics),
            calls_per_caller: 1,
            stopping: CancellationToken::new(),
            shared: None,
            toolsets: Vec::new(),
            discovery: DiscoverySpec::List,
            page: 100,
        };
        let shared = share(live, Caller::Http, options);
        let service = http_service(
            &shared,
            HttpOptions {
                allowed_hosts: vec!["localhost".to_owned()],
                allowed_origins: Vec::new(),
                max_request_bytes: 1 << 20,
                sessions: true,
                shutdown: CancellationToken::new(),
            },
        );
        Self { folder, _api: api, panics, metrics, service }
    }

    /// Sends a message; gives the id of the session and the message that answers.
    async fn send(&self, headers: &[(&str, &str)], message: &Value) -> (Option<String>, Value) {
        let mut request = Request::post("http://localhost/mcp").header("host", "localhost");
        let usual = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        for (name, value) in usual.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let who = Principal::verified(Map::new(), SecretString::from("t0ken-canary"));
        let request = request.extension(who).body(Body::from(message.to_string())).unwrap();
        // A client that got no answer would wait for ever.
        let answered = timeout(Duration::from_secs(10), async {
            let (head, body) = self.service.handle(request).await.into_parts();
            (head, to_bytes(Body::new(body), 1 << 20).await.unwrap())
        });
        let (head, body) = answered.await.expect("the call hangs");
        let text = String::from_utf8(body.to_vec()).unwrap();
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
        let session = head.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        (session, serde_json::from_str(last).unwrap_or_default())
    }

    async fn modern(&self, method: &str, name: &str, params: &Value) -> Value {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", name)];
        self.send(&headers, &json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})).await.1
    }
}

fn is_internal(answer: &Value) {
    let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(answer["id"] == 7 && answer["error"]["code"] == -32_603, "{answer}");
    assert!(message.starts_with("internal error ") && message.ends_with("; the server's log has the details"));
    assert!(!answer.to_string().contains("canary"), "{answer}");
}

#[tokio::test]
async fn a_call_that_panics_is_answered_counted_and_recorded_and_the_next_one_is_well() {
    let setting = Setting::new().await;
    let params = json!({"name": "t", "arguments": {}});
    for round in 1..=3 {
        setting.panics.0.store(true, Ordering::SeqCst);
        is_internal(&setting.modern("tools/call", "t", &params).await);
        is_internal(&setting.modern("resources/read", "res://r", &json!({"uri": "res://r"})).await);
        setting.panics.0.store(false, Ordering::SeqCst);
        // The slots of the caller and of the API are free again.
        let well = setting.modern("tools/call", "t", &params).await;
        assert_eq!(well["result"]["content"][0]["text"], "fine", "{well}");
        let read = setting.modern("resources/read", "res://r", &json!({"uri": "res://r"})).await;
        assert_eq!(read["result"]["contents"][0]["text"], "fine", "{read}");
        let outcomes: Vec<&str> = setting.metrics.recent().list().iter().map(|call| call.outcome).collect();
        assert_eq!(outcomes, ["internal_error", "ok"].repeat(round));
    }
    let trail = std::fs::read_to_string(setting.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(trail.matches(r#""method":"tools/call","decision":"failed","reason":"internal error "#).count(), 3);
    assert!(!trail.contains("canary"), "{trail}");
}

#[tokio::test]
async fn a_panic_does_not_end_the_session_of_an_older_client() {
    let setting = Setting::new().await;
    let client =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client});
    let (session, _) = setting.send(&[], &hello).await;
    let session = session.expect("there is a session");
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    setting.send(&headers, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "t", "arguments": {}}});
    setting.panics.0.store(true, Ordering::SeqCst);
    is_internal(&setting.send(&headers, &call).await.1);
    setting.panics.0.store(false, Ordering::SeqCst);
    let well = setting.send(&headers, &call).await.1;
    assert_eq!(well["result"]["content"][0]["text"], "fine", "{well}");
}

#[test]
fn nothing_of_the_handler_is_unguarded() {
    let (_, methods) = include_str!("handler.rs").split_once("impl ServerHandler for Handler {").unwrap();
    let (methods, _) = methods.split_once("\n}\n").unwrap();
    let guarded = include_str!("guard.rs");
    let named = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let (name, _) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split_once('(')?;
        Some(name.to_owned())
    };
    let found: Vec<String> = methods.lines().filter_map(named).collect();
    assert!(found.len() > 20, "{found:?}");
    for name in found {
        assert!(
            guarded.contains(&format!("self.0.{name}(")) || guarded.contains(&format!("        {name}(")),
            "{name}"
        );
    }
}
