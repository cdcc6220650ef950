//! STDIO: the token from the environment or from an argument, and nothing but the protocol on stdout.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::{Api, Fixture, Provider};

const HR: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: caller_token }
claims: { gpid: [gpid, employeeNumber, sub] }
tools:
  me:
    description: Me.
    endpoint: GET /hr/employees
    parameters: { gpid: { claim: gpid }, verbose: { type: boolean, required: false } }
  policy: { description: No identity., response: { text: Ask early. } }
resources:
  config://app: { json: { a: 1 } }
"#;

/// A server on pipes.
pub struct Pipes {
    /// The files must not go while the server reads them.
    _fixture: Fixture,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next: u64,
}

impl Pipes {
    pub fn start(fixture: Fixture) -> Self {
        let args = fixture.stdio_args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = fixture.command(&args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut pipes = Self { _fixture: fixture, child, stdin, stdout, next: 0 };
        let started = pipes.request(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}),
        );
        assert_eq!(started["result"]["serverInfo"]["name"], "tollbridge");
        pipes.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        pipes
    }

    pub fn write(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        let message = self.read();
        assert_eq!(message["id"], self.next);
        message
    }

    pub fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not the protocol: {line:?}"))
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let message = self.request("tools/call", &json!({"name": tool, "arguments": arguments}));
        message.get("result").unwrap_or_else(|| panic!("no result: {message}")).clone()
    }

    /// Closes stdin; gives the exit code and what stderr said.
    pub fn end(mut self) -> (Option<i32>, String) {
        drop(self.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

fn fixture(provider: &Provider, api: &Api) -> Fixture {
    Fixture::with_okta(provider).bridge(HR).env("API", &api.url()).env("TOLLBRIDGE_LOG", "trace")
}

#[test]
fn the_token_comes_from_the_environment_and_is_checked_for_every_call() {
    let (provider, api) = (Provider::shared(), Api::start());
    let token = provider.user("alice");
    let mut pipes = Pipes::start(fixture(provider, &api).env("OKTA_ACCESS_TOKEN", &token));
    let tools = pipes.request("tools/list", &json!({}))["result"]["tools"].clone();
    assert!(tools[0]["inputSchema"]["properties"].get("access_token").is_none());
    assert_eq!(text(&pipes.call("me", &json!({}))), r#"{"ok":true}"#);
    assert_eq!(api.last().line(), "GET /hr/employees?gpid=10012345");
    assert_eq!(api.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
    provider.revoke(&token);
    let refused = pipes.call("me", &json!({}));
    assert_eq!((refused["isError"].as_bool(), text(&refused)), (Some(true), "Access denied: Invalid or expired token"));
    assert_eq!(api.requests().len(), 1);
    let (code, stderr) = pipes.end();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("Call.") && !stderr.contains(&token));
}

#[test]
fn an_unset_variable_is_said_in_the_guides_words() {
    let (provider, api) = (Provider::shared(), Api::start());
    let mut pipes = Pipes::start(fixture(provider, &api));
    let refused = pipes.call("me", &json!({}));
    assert_eq!(refused["isError"], true);
    assert_eq!(text(&refused), "OKTA_ACCESS_TOKEN environment variable not set");
    assert!(api.requests().is_empty());
    // What needs no identity works without a token.
    assert_eq!(text(&pipes.call("policy", &json!({}))), "Ask early.");
    let read = pipes.request("resources/read", &json!({"uri": "config://app"}));
    assert_eq!(read["result"]["contents"][0]["text"], r#"{"a":1}"#);
}

#[test]
fn the_token_comes_from_an_argument_that_only_the_engine_sees() {
    let (provider, api) = (Provider::shared(), Api::start());
    let token = provider.user("bob");
    let mut pipes = Pipes::start(fixture(provider, &api).arg("--stdio-token=argument"));
    let tools = pipes.request("tools/list", &json!({}))["result"]["tools"].clone();
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["access_token"]));
    assert_eq!(tools[0]["inputSchema"]["properties"]["access_token"]["writeOnly"], true);
    assert!(tools[1]["inputSchema"]["properties"].get("access_token").is_none(), "`policy` needs no identity");

    pipes.call("me", &json!({"access_token": token, "verbose": true}));
    assert_eq!(api.last().line(), "GET /hr/employees?gpid=E-88&verbose=true");
    assert_eq!(api.last().header("authorization"), Some(format!("Bearer {token}").as_str()));

    let missing = pipes.call("me", &json!({}));
    assert!(text(&missing).starts_with("missing argument `access_token`"), "{missing}");
    let wrong = pipes.call("me", &json!({"access_token": "nonsense"}));
    assert_eq!(text(&wrong), "Access denied: Invalid or expired token");
    // A tool without identity does not declare it, so it is refused there like any other extra argument.
    let extra = pipes.call("policy", &json!({"access_token": token}));
    assert!(text(&extra).starts_with("unexpected argument `access_token`"), "{extra}");
    assert!(!extra.to_string().contains(&token));
    assert_eq!(api.requests().len(), 1);
    let (_, stderr) = pipes.end();
    assert!(!stderr.contains(&token), "the token is in the log");
}

#[test]
fn both_protocol_eras_are_spoken() {
    let (provider, api) = (Provider::shared(), Api::start());
    let mut pipes = Pipes::start(fixture(provider, &api));
    let again = pipes.request(
        "initialize",
        &json!({"protocolVersion": "2099-01-01", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}),
    );
    assert!(again.get("error").is_some(), "{again}");
    assert_eq!(pipes.request("ping", &json!({}))["result"], json!({}));
}

#[test]
fn a_client_that_leaves_without_a_word_is_no_failure() {
    let fixture = Fixture::new().bridge(HR).env("API", "http://127.0.0.1:9");
    let args = fixture.stdio_args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = fixture.command(&args).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
}
