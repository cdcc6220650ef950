//! A bridge with one of each thing that clients do, and the API behind it. `tests/clients/everything.*` do it all.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};

use axum::extract::{Path, Request, State};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::{Fixture, PATIENCE};

/// The bridge. `{credentials}` is to be replaced, and so is the claim.
const BRIDGE: &str = r#"
bridge: hr
instructions: Dates are YYYY-MM-DD.
upstream: { url: "${API}", credentials: {credentials} }
claims: { gpid: [gpid, employeeNumber, sub] }
tools:
  get_employee_schedule:
    description: {description}
    endpoint: GET /wfm/schedules
    parameters:
      gpid:       { {source} }
      start_date: { as: start, type: string, format: date, description: The first day. }
      end_date:   { as: end,   type: string, format: date, description: The last day. }
  fails: { description: Fails., endpoint: GET /fails }
  request_leave:
    description: Asks for leave.
    endpoint: POST /leave
    confirm: "Submit {{ args.days }} days?"
    ask:
      why:
        message: Why so long?
        when: args.days > 5
        schema: { type: object, properties: { text: { type: string, minLength: 3 } }, required: [text] }
    parameters: { days: { type: integer, description: How many. } }
  slow:  { description: Never ends., endpoint: "GET /slow/{id}", parameters: { id: { type: string, description: Which. } } }
  begun: { description: Waits until one has begun., endpoint: "GET /begun/{id}", parameters: { id: { type: string, description: Which. } } }
  ended: { description: Waits until one has ended., endpoint: "GET /ended/{id}", parameters: { id: { type: string, description: Which. } } }
resources:
  config://app/settings: { json: { app_name: HR } }
  docs://note: { file: note.txt }
  schema://employee/{gpid}: { json: { gpid: "{{ gpid }}" } }
prompts:
  plan:
    description: Plans a month.
    arguments: { month: { description: The month., required: true, complete: [January, June, July] } }
    messages: [{ role: user, text: "Plan {{ month }}." }]
"#;

/// What the API has seen.
#[derive(Clone)]
pub struct Seen {
    pub url: String,
    lines: Arc<Mutex<Vec<String>>>,
    /// Requests that have begun and ended, by their ids.
    marks: watch::Sender<Marks>,
}

#[derive(Default)]
struct Marks {
    begun: BTreeSet<String>,
    ended: BTreeSet<String>,
}

/// Says when a request is over, however it ends.
struct Running(watch::Sender<Marks>, String);

// === the bridge ===

/// As a caller with a token is served.
pub fn signed_in() -> String {
    bridge("caller_token", "claim: gpid", "Retrieve the signed-in user's schedule for a date range.")
}

/// As anybody is served, with this description of the first tool.
pub fn open_to_all(description: &str) -> String {
    bridge("none", "value: \"7\"", description)
}

fn bridge(credentials: &str, source: &str, description: &str) -> String {
    let written = BRIDGE.replace("{credentials}", credentials).replace("{source}", source);
    written.replace("{description}", description)
}

/// The bridge in a folder, with the file that clients follow.
pub fn in_folder(mut fixture: Fixture, bridge: &str, api: &Seen) -> Fixture {
    fixture.write("bridges/note.txt", "one");
    fixture.bridge(bridge).env("API", &api.url)
}

// === the API ===

impl Seen {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Self { url, lines: Arc::default(), marks: watch::channel(Marks::default()).0 };
        let app = axum::Router::new()
            .route("/slow/{id}", get(slow))
            .route("/begun/{id}", get(begun))
            .route("/ended/{id}", get(ended))
            .fallback(other)
            .with_state(seen.clone());
        runtime().spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await });
        seen
    }

    /// The requests but those that are there to be cancelled, without repetitions in a row.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many requests have ended before they were answered.
    pub fn cancelled(&self) -> usize {
        self.marks.borrow().ended.len()
    }

    async fn wait(&self, holds: impl FnMut(&Marks) -> bool) -> bool {
        timeout(PATIENCE, self.marks.subscribe().wait_for(holds)).await.is_ok()
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

/// Has no answer. That its caller has gone shows when this is dropped.
async fn slow(State(seen): State<Seen>, Path(id): Path<String>) {
    seen.marks.send_modify(|marks| marks.begun.extend([id.clone()]));
    let _running = Running(seen.marks.clone(), id);
    std::future::pending::<()>().await;
}

async fn begun(State(seen): State<Seen>, Path(id): Path<String>) -> axum::Json<Value> {
    let is_true = seen.wait(|marks| marks.begun.contains(&id)).await;
    axum::Json(json!({ "begun": is_true }))
}

async fn ended(State(seen): State<Seen>, Path(id): Path<String>) -> axum::Json<Value> {
    let is_true = seen.wait(|marks| marks.ended.contains(&id)).await;
    axum::Json(if is_true { json!({ "connection": "closed" }) } else { json!({ "connection": "still open" }) })
}

async fn other(State(seen): State<Seen>, request: Request) -> (http::StatusCode, axum::Json<Value>) {
    let line = format!("{} {}", request.method(), request.uri());
    let mut lines = seen.lines.lock().unwrap();
    // A soak asks for the same over and over.
    if lines.last() != Some(&line) {
        lines.push(line);
        lines.truncate(1000);
    }
    match request.uri().path() {
        "/fails" => (http::StatusCode::FORBIDDEN, axum::Json(json!({"message": "not yours"}))),
        "/wfm/schedules" => (http::StatusCode::OK, axum::Json(json!({"shifts": []}))),
        _ => (http::StatusCode::OK, axum::Json(json!({"ok": true}))),
    }
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        let id = std::mem::take(&mut self.1);
        self.0.send_modify(|marks| marks.ended.extend([id]));
    }
}
