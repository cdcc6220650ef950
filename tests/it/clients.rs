//! Real MCP clients of other makers, over HTTP and STDIO, in both protocol eras, each doing everything that it can do. What
//! came of it stands as a table in the README: `UPDATE_README=1 cargo test clients` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

use crate::everything::{self, Seen};
use crate::support::{Fixture, Provider, Server, binary, generated, node, python, root, tool, until};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

const FEATURES: [&str; 9] = ["list", "call", "read", "prompt", "complete", "subscribe", "elicit", "cancel", "progress"];

/// A client: its script, or none for the one that is a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    Python,
    FastMcp,
    TypeScript,
    TypeScriptV1,
    Inspector,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Http,
    Stdio,
}

/// One line of the table.
type Row = (Client, Transport, &'static str);

/// Of each feature: nothing when it worked, or why the client can't.
type Cells = BTreeMap<&'static str, Option<String>>;

// === impl Client ===

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Python => "Python `mcp`",
            Self::FastMcp => "FastMCP",
            Self::TypeScript => "TypeScript SDK v2",
            Self::TypeScriptV1 => "TypeScript SDK v1",
            Self::Inspector => "MCP Inspector CLI",
        }
    }

    /// The eras that it knows.
    fn eras(self) -> &'static [&'static str] {
        if self == Self::TypeScriptV1 { &[LEGACY] } else { &[MODERN, LEGACY] }
    }

    /// What runs its script.
    pub fn command(self) -> Command {
        let (program, name) = match self {
            Self::Python => (python(), "python_mcp.py"),
            Self::FastMcp => (python(), "fastmcp_client.py"),
            Self::TypeScript => (node(), "typescript_client.mjs"),
            Self::TypeScriptV1 => (node(), "typescript_v1_client.mjs"),
            Self::Inspector => {
                let mut command = Command::new(node());
                command.arg(tool("node_modules/.bin/mcp-inspector")).arg("--cli");
                return command;
            }
        };
        let mut command = Command::new(program);
        command.arg(root().join("tests/clients").join(name));
        command
    }
}

// === one line ===

/// Where a client finds the server. Over HTTP it runs; over STDIO the client starts it.
struct Place {
    api: Seen,
    token: String,
    server: Option<Server>,
    fixture: Option<Fixture>,
}

impl Place {
    fn new(transport: Transport) -> Self {
        let (provider, api) = (Provider::shared(), Seen::start());
        let token = provider.user("alice");
        let fixture = everything::in_folder(Fixture::with_okta(provider), &everything::signed_in(), &api);
        let fixture = fixture.env("OKTA_ACCESS_TOKEN", &token);
        match transport {
            Transport::Stdio => Self { api, token, server: None, fixture: Some(fixture) },
            Transport::Http => {
                let server = fixture.serve();
                until(|| server.log().contains("Watching the bridge files."));
                Self { api, token, server: Some(server), fixture: None }
            }
        }
    }

    fn folder(&self) -> &Fixture {
        self.fixture.as_ref().or(self.server.as_ref().map(|server| &server.fixture)).unwrap()
    }

    /// Says to a script where the server is, after all else.
    fn tell(&self, command: &mut Command) {
        if let Some(server) = &self.server {
            // A token may begin with a dash.
            command.args(["--url", &server.url(), &format!("--token={}", self.token)]);
        } else {
            let fixture = self.folder();
            command.arg("--stdio").arg(binary()).args(fixture.stdio_args());
            command.current_dir(fixture.path()).envs(fixture.environment().iter().map(|(name, value)| (name, value)));
        }
    }
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// What came of one line of the table; each is run once, whoever asks.
fn row(client: Client, transport: Transport, era: &'static str) -> Cells {
    type Rows = Mutex<BTreeMap<Row, Arc<OnceLock<Cells>>>>;
    static ROWS: OnceLock<Rows> = OnceLock::new();
    let cell = Arc::clone(ROWS.get_or_init(Rows::default).lock().unwrap().entry((client, transport, era)).or_default());
    let run = || if client == Client::Inspector { inspected(transport, era) } else { scripted(client, transport, era) };
    cell.get_or_init(run).clone()
}

/// A script does everything and says what it saw; here it is compared with what should have been.
fn scripted(client: Client, transport: Transport, era: &'static str) -> Cells {
    let place = Place::new(transport);
    let mut command = client.command();
    let note = place.folder().path().join("bridges/note.txt");
    command.args(["--mode", if era == MODERN { "auto" } else { "legacy" }, "--everything", "it"]);
    command.arg("--note").arg(note);
    place.tell(&mut command);
    let said = run(command);
    let seen: Value = serde_json::from_str(said.trim()).unwrap_or_else(|_| panic!("{said}"));
    let about = format!("{client:?} {transport:?} {era}: {seen}");
    assert_eq!(seen["error"], Value::Null, "{about}");
    assert_eq!(seen["server"], "tollbridge", "{about}");
    assert_eq!(seen["instructions"], "Dates are YYYY-MM-DD.", "{about}");
    // Version 1 of the TypeScript SDK does not say what was agreed on over STDIO, and knows one era only.
    let is_silent = client == Client::TypeScriptV1 && transport == Transport::Stdio;
    assert!(seen["protocol"] == era || is_silent && seen["protocol"].is_null(), "{about}");
    let features = &seen["features"];
    let mut cells = Cells::new();
    for feature in FEATURES {
        let cannot = features[feature]["cannot"].as_str().map(str::to_owned);
        if cannot.is_none() {
            check(feature, &features[feature]["did"], &about);
        }
        cells.insert(feature, cannot);
    }
    // What the API saw is what was asked for, in the caller's name; what was declined never reached it.
    let lines = place.api.lines();
    assert_eq!(
        lines,
        [
            "GET /wfm/schedules?gpid=10012345&start=2026-01-05&end=2026-01-09",
            "GET /fails",
            "POST /leave",
            "GET /wfm/schedules?gpid=10012345&start=2026-01-05&end=2026-01-09",
        ],
        "{about}"
    );
    assert_eq!(place.api.cancelled(), 1, "{about}");
    cells
}

/// What a client that did it has seen.
fn check(feature: &str, did: &Value, about: &str) {
    match feature {
        "list" => {
            let tools = json!(["get_employee_schedule", "fails", "request_leave", "slow", "begun", "ended"]);
            assert_eq!(did["tools"], tools, "{about}");
            assert_eq!(did["resources"], json!(["config://app/settings", "docs://note"]), "{about}");
            assert_eq!(did["templates"], json!(["schema://employee/{gpid}"]), "{about}");
            assert_eq!(did["prompts"], json!(["plan"]), "{about}");
        }
        "call" => {
            assert_eq!((&did[0]["is_error"], &did[1]["is_error"]), (&json!(false), &json!(true)), "{about}");
            assert_eq!(did[0]["text"], r#"{"shifts":[]}"#, "{about}");
            assert_eq!(did[1]["text"], "Access denied by API: not yours", "{about}");
        }
        "read" => {
            assert_eq!(did[0]["text"], r#"{"app_name":"HR"}"#, "{about}");
            assert_eq!(did[1]["text"], r#"{"gpid":"7"}"#, "{about}");
        }
        "prompt" => assert_eq!(did, &json!(["Plan July."]), "{about}"),
        "complete" => assert_eq!(did, &json!(["June", "July"]), "{about}"),
        "subscribe" => assert_eq!(did, "docs://note", "{about}"),
        "elicit" => {
            assert_eq!(did["asked"], json!(["Why so long?", "Submit 9 days?", "Submit 2 days?"]), "{about}");
            assert_eq!(did["accepted"]["text"], r#"{"ok":true}"#, "{about}");
            assert_eq!(did["declined"]["text"], "The user declined (`confirm`): nothing was sent", "{about}");
        }
        "cancel" => {
            assert_eq!(did["begun"], r#"{"begun":true}"#, "{about}");
            assert_eq!(did["ended"], r#"{"connection":"closed"}"#, "{about}");
        }
        "progress" => {
            let steps = json!([[1, "Started"], [2, "The API is asked"], [3, "The API has answered"], [4, "Done"]]);
            let number = |step: &Value| (step[0].as_f64(), step[1].as_str().map(str::to_owned));
            let all = |steps: &Value| steps.as_array().unwrap().iter().map(number).collect::<Vec<_>>();
            let (heard, said) = (all(did), all(&steps));
            // The TypeScript SDKs drop progress that they read together with the result: they forget the call first.
            let least = if about.starts_with("TypeScript") { 2 } else { said.len() };
            assert!(said.starts_with(&heard) && heard.len() >= least, "{about}");
        }
        _ => unreachable!("{feature}"),
    }
}

/// A command of the Inspector at this place, in this era.
fn inspect(place: &Place, era: &str, args: &[&str]) -> Command {
    let mut command = Client::Inspector.command();
    let fixture = place.folder();
    if let Some(server) = &place.server {
        command.arg(server.url()).args(["--header", &format!("Authorization: Bearer {}", place.token)]);
    } else {
        command.arg(binary()).args(fixture.stdio_args());
        // The Inspector hands on only the environment that it is told.
        for (name, value) in fixture.environment() {
            command.arg("-e").arg(format!("{name}={value}"));
        }
    }
    command.args(["--protocol-era", if era == MODERN { "modern" } else { "legacy" }, "--format", "json"]).args(args);
    // It remembers servers; nobody's home but this one's.
    command.current_dir(fixture.path()).env("HOME", fixture.path());
    command
}

/// The Inspector is a program that does one thing at a time.
fn inspected(transport: Transport, era: &'static str) -> Cells {
    let place = Place::new(transport);
    let ask = |args: &[&str]| -> Value {
        let said = run(inspect(&place, era, args));
        let whole: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
        whole.get("result").cloned().unwrap_or(whole)
    };
    // `--strict` looks for schemas that some clients can't use, and fails for one.
    let listed = ask(&["--method", "tools/list", "--strict"]);
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(6), "{listed}");
    let call = ["--method", "tools/call", "--tool-name", "get_employee_schedule", "--tool-arg"];
    let called = ask(&[call.as_slice(), &["start_date=2026-01-05", "end_date=2026-01-09"]].concat());
    assert_eq!(called["content"][0]["text"], r#"{"shifts":[]}"#, "{called}");
    let read = ask(&["--method", "resources/read", "--uri", "schema://employee/7"]);
    assert_eq!(read["contents"][0]["text"], r#"{"gpid":"7"}"#, "{read}");
    let prompt = ask(&["--method", "prompts/get", "--prompt-name", "plan", "--prompt-args", "month=July"]);
    assert_eq!(prompt["messages"][0]["content"]["text"], "Plan July.", "{prompt}");
    assert_eq!(place.api.lines(), ["GET /wfm/schedules?gpid=10012345&start=2026-01-05&end=2026-01-09"]);
    let cannot = [
        ("complete", "the Inspector's CLI has no method to complete"),
        ("subscribe", "the Inspector's CLI has no method to follow a resource"),
        ("elicit", "the Inspector's CLI has nobody to ask, and says so when it connects"),
        ("cancel", "the Inspector's CLI makes one request and ends with it"),
        ("progress", "the Inspector's CLI asks for no progress"),
    ];
    FEATURES
        .into_iter()
        .map(|feature| {
            let reason = cannot.iter().find(|(name, _)| *name == feature).map(|(_, reason)| (*reason).to_owned());
            (feature, reason)
        })
        .collect()
}

// === the clients ===

fn does_everything(client: Client, transport: Transport) {
    for era in client.eras() {
        let cells = row(client, transport, era);
        assert_eq!(cells.keys().count(), FEATURES.len());
    }
}

#[test]
fn python_sdk_over_http() {
    does_everything(Client::Python, Transport::Http);
}

#[test]
fn python_sdk_over_stdio() {
    does_everything(Client::Python, Transport::Stdio);
}

#[test]
fn fastmcp_with_bearer_auth_as_in_the_guide() {
    does_everything(Client::FastMcp, Transport::Http);
}

#[test]
fn fastmcp_over_stdio() {
    does_everything(Client::FastMcp, Transport::Stdio);
}

#[test]
fn typescript_sdk_over_http() {
    does_everything(Client::TypeScript, Transport::Http);
}

#[test]
fn typescript_sdk_over_stdio() {
    does_everything(Client::TypeScript, Transport::Stdio);
}

#[test]
fn typescript_sdk_v1_over_http() {
    does_everything(Client::TypeScriptV1, Transport::Http);
}

#[test]
fn typescript_sdk_v1_over_stdio() {
    does_everything(Client::TypeScriptV1, Transport::Stdio);
}

#[test]
fn mcp_inspector_over_http() {
    does_everything(Client::Inspector, Transport::Http);
}

#[test]
fn mcp_inspector_over_stdio() {
    does_everything(Client::Inspector, Transport::Stdio);
}

#[test]
fn a_client_that_is_pinned_to_a_version_asks_nothing_first() {
    for client in [Client::Python, Client::TypeScript] {
        let place = Place::new(Transport::Http);
        let mut command = client.command();
        command.args(["--mode", MODERN, "--call", "fails", "{}"]);
        place.tell(&mut command);
        let seen: Value = serde_json::from_str(run(command).trim()).unwrap();
        assert_eq!(seen["error"], Value::Null, "{seen}");
        assert_eq!((&seen["protocol"], &seen["calls"][0]["is_error"]), (&json!(MODERN), &json!(true)), "{seen}");
    }
}

#[test]
fn what_the_inspector_can_not_do_it_refuses() {
    let place = Place::new(Transport::Stdio);
    for method in ["prompts/complete", "resources/subscribe"] {
        let output = inspect(&place, MODERN, &["--method", method, "--uri", "docs://note"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("Unsupported method: {method}")), "{said}");
    }
    // It says that it can't ask, so the question is not put, and nothing is sent.
    let call = ["--method", "tools/call", "--tool-name", "request_leave", "--tool-arg", "days=1"];
    for era in [MODERN, LEGACY] {
        let output = inspect(&place, era, &call).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("outcome=\"incapable_client\""), "{said}");
    }
    assert!(place.api.lines().is_empty());
}

// === the table ===

fn table() -> String {
    let mut rows: Vec<Row> = Vec::new();
    for client in [Client::Python, Client::FastMcp, Client::TypeScript, Client::TypeScriptV1, Client::Inspector] {
        for transport in [Transport::Http, Transport::Stdio] {
            rows.extend(client.eras().iter().map(|era| (client, transport, *era)));
        }
    }
    let mut reasons: Vec<String> = Vec::new();
    let mut text = format!("| Client | Transport | Era | {} |\n|{}\n", FEATURES.join(" | "), "---|".repeat(12));
    for (client, transport, era) in rows {
        let transport_name = if transport == Transport::Http { "HTTP" } else { "STDIO" };
        write!(text, "| {} | {transport_name} | {era} |", client.name()).unwrap();
        for (feature, reason) in FEATURES.map(|feature| (feature, row(client, transport, era)[feature].clone())) {
            let cell = reason.map_or_else(
                || "yes".to_owned(),
                |reason| {
                    let words = format!("{feature}: {reason}");
                    let at = reasons.iter().position(|known| *known == words).unwrap_or_else(|| {
                        reasons.push(words);
                        reasons.len() - 1
                    });
                    format!("– ({})", at + 1)
                },
            );
            write!(text, " {cell} |").unwrap();
        }
        text.push('\n');
    }
    text.push('\n');
    for (index, reason) in reasons.iter().enumerate() {
        writeln!(text, "{}. {reason}", index + 1).unwrap();
    }
    text
}

#[test]
fn the_table_in_the_readme_says_what_the_clients_did() {
    generated("README.md", "clients", &format!("\n{}\n", table()));
}
