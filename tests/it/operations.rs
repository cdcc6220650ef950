//! What operators do to servers under load: reload, stop, kill, restart, and put several behind a balancer.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Fixture, PATIENCE, Process, Server, free_port, listening, memory, until};

/// How a call ended.
#[derive(Debug, PartialEq)]
enum Ended {
    /// With this text.
    Text(String),
    /// Nobody listened, so nothing was sent.
    Refused,
    /// In any other way.
    Lost(String),
}

/// Where the load and the API run; the tests themselves block.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// An API that says what it was asked for, by path and header, and counts.
fn echo() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let app = axum::Router::new().fallback(async move |uri: http::Uri, headers: http::HeaderMap| {
        counted.fetch_add(1, Ordering::Relaxed);
        let set = headers.get("x-set").and_then(|set| set.to_str().ok()).unwrap_or_default().to_owned();
        axum::Json(json!({ "path": uri.path(), "set": set }))
    });
    runtime().spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await });
    (format!("http://{address}"), asked)
}

/// A set of definitions in which request, header and answer all say which set it is.
fn set(name: &str) -> String {
    format!(
        "bridge: test\nupstream: {{ url: \"${{API}}\", credentials: none, headers: {{ x-set: {name} }} }}\ntools:\n  \
         t: {{ description: T., endpoint: GET /{name}, response: {{ text: \"{name} {{{{ body.path }}}} {{{{ body.set }}}}\" }} }}\n"
    )
}

async fn call(client: &reqwest::Client, url: &str, tool: &str) -> Ended {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    let request = client.post(url).timeout(PATIENCE).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let text = match request.send().await {
        Ok(response) => response.text().await,
        Err(error) if error.is_connect() => return Ended::Refused,
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            match message["result"]["content"][0]["text"].as_str() {
                Some(said) => Ended::Text(said.to_owned()),
                None => Ended::Lost(text),
            }
        }
        Err(error) => Ended::Lost(format!("{error:?}")),
    }
}

struct Call {
    ended: Ended,
    began: Instant,
    took: Duration,
}

/// Calls from many connections until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Vec<Call>>>,
}

impl Load {
    fn start(connections: usize, url: &str) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
        let one = || {
            let (stop, calls, url) = (Arc::clone(&stop), Arc::clone(&calls), url.to_owned());
            runtime().spawn(async move {
                let client = reqwest::Client::new();
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let ended = call(&client, &url, "t").await;
                    if ended == Ended::Refused {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    seen.push(Call { ended, began, took: began.elapsed() });
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                seen
            })
        };
        let tasks = (0..connections).map(|_| one()).collect();
        Self { stop, calls, tasks }
    }

    /// Waits for so many more calls.
    fn more(&self, calls: usize) {
        let goal = self.calls.load(Ordering::Relaxed) + calls;
        let end = Instant::now() + PATIENCE;
        while self.calls.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < end, "the load does not move");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(self) -> Vec<Call> {
        self.stop.store(true, Ordering::Relaxed);
        runtime().block_on(async {
            let mut all = Vec::new();
            for task in self.tasks {
                all.extend(task.await.unwrap());
            }
            all
        })
    }
}

fn p99<'a>(calls: impl Iterator<Item = &'a Call>) -> Duration {
    let mut times: Vec<Duration> = calls.map(|call| call.took).collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn reloads_under_load_fail_no_call_and_mix_no_two_sets() {
    // `RELOADS=1000 cargo test --release operations::reloads -- --nocapture` prints the figures.
    let reloads: usize = std::env::var("RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let fixture = Fixture::new().bridge(&set("one")).env("API", &echo().0).arg("--admin-listen=127.0.0.1:0");
    let fixture = fixture.arg("--watch=off");
    let server = fixture.env("TOLLBRIDGE_LOG", "warn,tollbridge::serve=info").serve();
    let url = server.url();
    let load = Load::start(64, &url);
    load.more(1000);
    let quiet = Instant::now();
    load.more(reloads.saturating_mul(20));
    let busy = Instant::now();
    let before = memory(&server);
    let file = server.fixture.path().join("bridges/test.yaml");
    let fresh = server.fixture.path().join("bridges/.test.yaml.new");
    let mut at_half = before;
    for number in 0..reloads {
        std::fs::write(&fresh, set(if number % 2 == 0 { "two" } else { "one" })).unwrap();
        std::fs::rename(&fresh, &file).unwrap();
        let asked = server.admin("POST", "/admin/v1/reload", &[("content-type", "application/json")], "{}");
        let told: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(told["outcome"], "accepted", "{told}");
        load.more(20);
        if number == reloads / 2 {
            at_half = memory(&server);
        }
    }
    let after = memory(&server);
    let seen = load.end();
    let whole = |name: &str| Ended::Text(format!("{name} /{name} {name}"));
    let (one, two) = (whole("one"), whole("two"));
    let wrong: Vec<_> = seen.iter().map(|call| &call.ended).filter(|it| **it != one && **it != two).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(seen.iter().any(|call| call.ended == one) && seen.iter().any(|call| call.ended == two));
    println!(
        "{reloads} reloads under {} calls on 64 connections: p99 {:?}, quiet {:?}; memory {before} KiB before, {at_half} \
         at half, {after} after",
        seen.len(),
        p99(seen.iter().filter(|call| call.began > busy)),
        p99(seen.iter().filter(|call| call.began > quiet && call.began < busy)),
    );
    // Nothing of the old snapshots may stay: they are small, so this is about leaks and no measurement.
    assert!(after < before + 30_000, "{before} → {after} KiB");
}

#[test]
fn a_server_that_is_stopped_under_load_loses_no_call() {
    let (api, asked) = echo();
    let server = Fixture::new().bridge(&set("one")).env("API", &api).serve();
    let load = Load::start(32, &server.url());
    load.more(500);
    assert!(server.terminate().success());
    let seen = load.end();
    let right = Ended::Text("one /one one".to_owned());
    let answered = seen.iter().filter(|call| call.ended == right).count();
    // Whatever was asked of the API has come back.
    assert_eq!(answered, asked.load(Ordering::Relaxed));
    assert!(answered > 500);
    // The rest found nobody there. A connection that is made while the listener is closed is reset by the system, unheard.
    let others = seen.iter().map(|call| &call.ended);
    let lost: Vec<_> = others.filter(|it| **it != right && **it != Ended::Refused).collect();
    assert!(lost.len() <= 1, "{lost:?}");
}

// === several ===

/// A real Redis; `NotFound` means that it has to be installed.
pub fn redis(port: u16) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let child = command.stdout(Stdio::null()).spawn();
    let child = child.expect("redis-server is missing: install it (Debian: apt-get install redis-server)");
    listening(port);
    Process(child)
}

/// nginx as the balancer of these addresses.
pub fn balancer(folder: &TempDir, port: u16, addresses: &[String]) -> Process {
    let servers = format!("server {} max_fails=0;", addresses.join(" max_fails=0; server "));
    let path = folder.path().to_str().unwrap();
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log; events {{ }}\nhttp {{ access_log off; \
         client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; \
         scgi_temp_path {path}/s;\n upstream replicas {{ {servers} keepalive 32; }}\n server {{ listen 127.0.0.1:{port}; \
         location / {{ proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_set_header Host localhost; proxy_next_upstream error timeout http_502 http_503 non_idempotent; }} }} }}\n"
    );
    std::fs::File::create(folder.path().join("nginx.conf")).unwrap().write_all(text.as_bytes()).unwrap();
    let child = Command::new("nginx").args(["-p", path, "-e", "error.log", "-c", "nginx.conf"]).spawn();
    let child = child.expect("nginx is missing: install it (Debian: apt-get install nginx)");
    listening(port);
    Process(child)
}

fn limited(api: &str, redis: u16) -> Fixture {
    let yaml = "bridge: test\ntools:\n  t: { description: T., rate_limit: { calls: 100, per: hour }, response: { text: hi } }\n";
    let mut fixture = Fixture::new().bridge(yaml).env("API", api).arg("--admin-listen=127.0.0.1:0");
    fixture.write("tollbridge.yaml", &format!("shared: {{ redis: \"redis://127.0.0.1:{redis}\" }}"));
    fixture
}

#[test]
fn a_limit_holds_across_replicas_and_a_lost_store_refuses_nobody() {
    let port = free_port();
    let store = redis(port);
    let replicas: Vec<Server> = (0..3).map(|_| limited("http://127.0.0.1:1", port).serve()).collect();
    let mut allowed = 0;
    for number in 0..150 {
        let answer = replicas[number % 3].call("t", &json!({}));
        if answer.is_error() {
            assert!(
                answer.error().starts_with("Rate limit: t was called too often; try again in"),
                "{}",
                answer.error()
            );
        } else {
            allowed += 1;
        }
    }
    assert!((100..=105).contains(&allowed), "{allowed} of 100");
    let lost = |server: &Server| server.admin("GET", "/metrics", &[], "").body.contains("\ntollbridge_shared_lost 1\n");
    assert!(!lost(&replicas[0]), "{}", replicas[0].log());
    // Without the store each replica counts for itself: calls go on.
    drop(store);
    for _ in 0..50 {
        assert_eq!(replicas[0].call("t", &json!({})).text(), "hi");
    }
    assert!(lost(&replicas[0]));
    assert_eq!(replicas[0].log().matches("limits hold for this replica alone").count(), 1);
    // And with it again, across all of them.
    let _store = redis(port);
    until(|| {
        let _ = replicas[0].call("t", &json!({}));
        replicas[0].log().contains("The shared store answers again")
    });
    assert!(!lost(&replicas[0]));
    assert!(!replicas[0].log().contains(&port.to_string()), "{}", replicas[0].log());
}

#[test]
fn a_replica_behind_a_balancer_is_killed_and_comes_back_under_load() {
    let (api, _) = echo();
    let start = |address: &str| Fixture::new().bridge(&set("one")).env("API", &api).listen(address).serve();
    let addresses: Vec<String> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
    let mut replicas: Vec<Server> = addresses.iter().map(|address| start(address)).collect();
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _nginx = balancer(&folder, port, &addresses);
    let load = Load::start(16, &format!("http://127.0.0.1:{port}/mcp"));
    load.more(300);
    // Killed: no goodbye.
    drop(replicas.pop());
    load.more(300);
    replicas.push(start(&addresses[2]));
    load.more(300);
    // And one is stopped as a rollout does it.
    assert!(replicas.remove(0).terminate().success());
    load.more(300);
    let seen = load.end();
    let right = Ended::Text("one /one one".to_owned());
    let wrong: Vec<_> = seen.iter().map(|call| &call.ended).filter(|it| **it != right).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {}", seen.len());
}
