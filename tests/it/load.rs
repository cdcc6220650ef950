//! Many callers at once: nobody gets another's answer, and trouble passes without a wrong one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::identity::Forger;
use crate::support::{Api, Fixture, PATIENCE, Provider, Server, block_on};

/// Each call says who it is for; the API answers with the path that it was asked for.
const BRIDGE: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none, timeout: 20s }
claims: { gpid: [gpid, sub] }
tools:
  who: { description: Who is calling., endpoint: "GET /who/{gpid}", parameters: { gpid: { claim: gpid }, n: { type: integer } } }
"#;

/// An API that says what it was asked for.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(|uri: http::Uri| async move { uri.to_string() });
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn request(server: &Server, client: &reqwest::Client, token: &str, number: usize) -> reqwest::RequestBuilder {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": "who", "arguments": {"n": number}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "who"),
    ];
    let request = client.post(server.url()).timeout(PATIENCE).bearer_auth(token).body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

/// The status and the text of one call.
async fn call(server: &Server, client: &reqwest::Client, token: &str, number: usize) -> (u16, String) {
    let response = request(server, client, token, number).send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let message: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} {body}"));
    (status, message["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned())
}

fn served(auth: &Value, api: &str) -> Server {
    let fixture = Fixture::with_auth(auth).bridge(BRIDGE).env("API", api);
    fixture.env("OKTA_CLIENT_SECRET", "bridge-secret").serve()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn ten_thousand_interleaved_calls_are_each_answered_to_whoever_asked() {
    const CALLS: usize = 10_000;
    let provider = Provider::shared();
    let runtime = runtime();
    runtime.block_on(async {
        let server = Arc::new(served(&json!({ "okta": provider.okta() }), &echo().await));
        let users =
            Arc::new([(provider_token(provider, "alice"), "10012345"), (provider_token(provider, "bob"), "bob")]);
        let client = reqwest::Client::new();
        let turns = Arc::new(Semaphore::new(64));
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..CALLS {
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let (server, users, client) = (Arc::clone(&server), Arc::clone(&users), client.clone());
            calls.spawn(async move {
                let (token, gpid) = &users[number % 2];
                let (status, text) = call(&server, &client, token, number).await;
                drop(turn);
                assert_eq!((status, text), (200, format!("/who/{gpid}?n={number}")));
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
    });
}

/// Minting a token blocks, which a test may not do on the runtime that it loads.
fn provider_token(provider: &'static Provider, user: &'static str) -> String {
    std::thread::spawn(move || provider.user(user)).join().unwrap()
}

#[test]
fn keys_are_rotated_under_load_and_no_valid_call_fails() {
    let forger = Forger::new();
    let runtime = runtime();
    runtime.block_on(async {
        let server = Arc::new(served(&forger.jwt(), &echo().await));
        let client = reqwest::Client::new();
        let old = forger.token(&json!({}));
        assert_eq!(call(&server, &client, &old, 0).await.0, 200);
        let stop = Arc::new(AtomicUsize::new(0));
        let failed = Arc::new(AtomicUsize::new(0));
        let mut loads = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (server, client, old) = (Arc::clone(&server), client.clone(), old.clone());
            let (stop, failed) = (Arc::clone(&stop), Arc::clone(&failed));
            loads.spawn(async move {
                let mut number = 0;
                while stop.load(Ordering::Relaxed) == 0 {
                    if call(&server, &client, &old, number).await.0 != 200 {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    number += 1;
                }
                number
            });
        }
        // The new key is published beside the old one, and used once the pause after the last fetch is over.
        forger.lists(&["k1", "k2"]);
        let fresh = forger.sign(&json!({"alg": "RS256", "kid": "k2"}), &forger.claims().to_string());
        let end = tokio::time::Instant::now() + PATIENCE + PATIENCE;
        let mut refused = 0;
        while call(&server, &client, &fresh, 0).await.0 != 200 {
            refused += 1;
            assert!(tokio::time::Instant::now() < end, "the new key was never taken up");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        stop.store(1, Ordering::Relaxed);
        let mut calls = 0;
        while let Some(ended) = loads.join_next().await {
            calls += ended.unwrap();
        }
        assert_eq!(failed.load(Ordering::Relaxed), 0, "of {calls} calls");
        assert!(calls > 100 && forger.fetches() == 2, "{calls} calls, {} fetches, {refused} refused", forger.fetches());
    });
}

#[test]
fn while_the_provider_is_down_calls_are_503_and_then_all_is_well_by_itself() {
    let provider = Provider::start();
    let api = Api::start();
    let server = served(&json!({ "okta": provider.okta() }), &api.url());
    let token = provider.user("alice");
    let client = reqwest::Client::new();
    let statuses = |seconds: u64| {
        block_on(async {
            let end = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
            let mut seen = std::collections::BTreeMap::new();
            while tokio::time::Instant::now() < end {
                let calls = (0..8).map(|number| call(&server, &client, &token, number));
                for (status, _) in futures_util::future::join_all(calls).await {
                    *seen.entry(status).or_insert(0) += 1;
                }
            }
            seen
        })
    };
    assert!(statuses(1).keys().eq([&200]));
    provider.mode("close");
    let before = api.requests().len();
    let seen = statuses(10);
    assert!(seen.keys().eq([&503]), "{seen:?}");
    assert_eq!(api.requests().len(), before, "something was sent");
    provider.mode("ok");
    crate::support::until(|| block_on(call(&server, &client, &token, 0)).0 == 200);
    assert!(statuses(1).keys().eq([&200]));
}
