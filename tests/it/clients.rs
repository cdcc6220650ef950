//! Real MCP clients of other makers, over HTTP and STDIO, in both protocol eras: they list, call and read.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, binary, node, python, root, tool};

const HR: &str = r#"
bridge: hr
instructions: Dates are YYYY-MM-DD.
upstream: { url: "${API}", credentials: caller_token }
claims: { gpid: [gpid, employeeNumber, sub] }
tools:
  get_employee_schedule:
    description: Retrieve the signed-in user's schedule for a date range.
    endpoint: GET /wfm/schedules
    parameters:
      gpid:       { claim: gpid }
      start_date: { as: start, type: string, format: date }
      end_date:   { as: end,   type: string, format: date }
  fails: { description: Fails., endpoint: GET /fails }
resources:
  config://app/settings: { json: { app_name: HR } }
  schema://employee/{gpid}: { json: { gpid: "{{ gpid }}" } }
"#;

const ARGUMENTS: &str = r#"{"start_date":"2026-01-05","end_date":"2026-01-09"}"#;

fn api() -> Api {
    let api = Api::start();
    api.answer("/wfm", Answer::json(200, &json!({"shifts": []})));
    api.answer("/fails", Answer::json(403, &json!({"message": "not yours"})));
    api
}

fn fixture(provider: &Provider, api: &Api) -> Fixture {
    Fixture::with_okta(provider).bridge(HR).env("API", &api.url())
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

const VISIT: [&str; 10] = [
    "--call",
    "get_employee_schedule",
    ARGUMENTS,
    "--call",
    "fails",
    "{}",
    "--read",
    "config://app/settings",
    "--read",
    "schema://employee/7",
];

/// What a client that did everything has seen.
fn check(seen: &str, api: &Api, protocol: Option<&str>) {
    let seen: Value = serde_json::from_str(seen.trim()).unwrap_or_else(|_| panic!("{seen}"));
    assert_eq!(seen["error"], Value::Null, "{seen}");
    // A client pinned to a version skips `server/discover`, so nobody has introduced themselves.
    if seen["server"] != Value::Null {
        assert_eq!(seen["server"], "tollbridge", "{seen}");
        assert_eq!(seen["instructions"], "Dates are YYYY-MM-DD.", "{seen}");
    }
    if let Some(protocol) = protocol {
        assert_eq!(seen["protocol"], protocol, "{seen}");
    }
    assert_eq!(seen["tools"], json!(["get_employee_schedule", "fails"]), "{seen}");
    assert_eq!(seen["resources"], json!(["config://app/settings"]), "{seen}");
    assert_eq!(seen["templates"], json!(["schema://employee/{gpid}"]), "{seen}");
    let calls = &seen["calls"];
    assert_eq!(calls[0]["is_error"], false, "{calls}");
    assert!(calls[0].to_string().contains(r#"{\"shifts\":[]}"#), "{calls}");
    assert_eq!(calls[1]["is_error"], true, "{calls}");
    assert!(calls[1].to_string().contains("Access denied by API: not yours"), "{calls}");
    assert!(seen["reads"].to_string().contains(r#"{\"app_name\":\"HR\"}"#), "{seen}");
    assert!(seen["reads"].to_string().contains(r#"{\"gpid\":\"7\"}"#), "{seen}");
    let lines = api.lines();
    assert_eq!(lines, ["GET /wfm/schedules?gpid=10012345&start=2026-01-05&end=2026-01-09", "GET /fails"]);
}

/// A client script and what runs it.
fn script(name: &str) -> Command {
    let path = root().join("tests/clients").join(name);
    let mut command =
        Command::new(if path.extension().is_some_and(|ending| ending == "py") { python() } else { node() });
    command.arg(path);
    command
}

fn over_http(name: &str, mode: Option<&str>, protocol: Option<&str>) {
    let (provider, api) = (Provider::shared(), api());
    let server = fixture(provider, &api).serve();
    let mut command = script(name);
    // A token may begin with a dash.
    command.args(["--url", &server.url(), &format!("--token={}", provider.user("alice"))]);
    command.args(mode.iter().flat_map(|mode| ["--mode", mode])).args(VISIT);
    check(&run(command), &api, protocol);
}

fn over_stdio(name: &str, mode: Option<&str>, protocol: Option<&str>) {
    let (provider, api) = (Provider::shared(), api());
    let fixture = fixture(provider, &api).env("OKTA_ACCESS_TOKEN", &provider.user("alice"));
    let mut command = script(name);
    command.args(mode.iter().flat_map(|mode| ["--mode", mode])).args(VISIT);
    command.arg("--stdio").arg(binary()).args(fixture.stdio_args());
    command.current_dir(fixture.path()).envs(fixture.environment().iter().map(|(name, value)| (name, value)));
    check(&run(command), &api, protocol);
}

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

#[test]
fn python_sdk_over_http() {
    over_http("python_mcp.py", Some("auto"), Some(MODERN));
    over_http("python_mcp.py", Some("legacy"), Some(LEGACY));
    over_http("python_mcp.py", Some(MODERN), Some(MODERN));
}

#[test]
fn python_sdk_over_stdio() {
    over_stdio("python_mcp.py", Some("auto"), Some(MODERN));
    over_stdio("python_mcp.py", Some("legacy"), Some(LEGACY));
}

#[test]
fn fastmcp_with_bearer_auth_as_in_the_guide() {
    over_http("fastmcp_client.py", None, None);
    over_stdio("fastmcp_client.py", None, None);
}

#[test]
fn typescript_sdk_over_http() {
    over_http("typescript_client.mjs", Some("auto"), Some(MODERN));
    over_http("typescript_client.mjs", Some("legacy"), Some(LEGACY));
    over_http("typescript_client.mjs", Some(MODERN), Some(MODERN));
}

#[test]
fn typescript_sdk_over_stdio() {
    over_stdio("typescript_client.mjs", Some("auto"), Some(MODERN));
    over_stdio("typescript_client.mjs", Some("legacy"), Some(LEGACY));
}

fn inspector() -> Command {
    let mut command = Command::new(node());
    command.arg(tool("node_modules/.bin/mcp-inspector")).arg("--cli");
    command
}

#[test]
fn mcp_inspector_over_http() {
    let (provider, api) = (Provider::shared(), api());
    let server = fixture(provider, &api).serve();
    let header = format!("Authorization: Bearer {}", provider.user("alice"));
    for era in ["modern", "legacy"] {
        let ask = |args: &[&str]| {
            let mut command = inspector();
            command.arg(server.url()).args(args).args(["--header", &header, "--protocol-era", era]);
            run(command)
        };
        assert!(ask(&["--method", "tools/list"]).contains("get_employee_schedule"));
        let call = ask(&[
            "--method",
            "tools/call",
            "--tool-name",
            "get_employee_schedule",
            "--tool-arg",
            "start_date=2026-01-05",
            "--tool-arg",
            "end_date=2026-01-09",
        ]);
        assert!(call.contains("shifts"), "{call}");
        assert!(ask(&["--method", "resources/read", "--uri", "config://app/settings"]).contains("app_name"));
    }
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn mcp_inspector_over_stdio() {
    let (provider, api) = (Provider::shared(), api());
    let fixture = fixture(provider, &api).env("OKTA_ACCESS_TOKEN", &provider.user("alice"));
    let mut command = inspector();
    command.arg(binary()).args(fixture.stdio_args());
    // The Inspector hands on only the environment that it is told.
    for (name, value) in fixture.environment() {
        command.arg("-e").arg(format!("{name}={value}"));
    }
    command.args([
        "--method",
        "tools/call",
        "--tool-name",
        "get_employee_schedule",
        "--tool-arg",
        "start_date=2026-01-05",
        "--tool-arg",
        "end_date=2026-01-09",
    ]);
    command.current_dir(fixture.path());
    let said = run(command);
    assert!(said.contains("shifts"), "{said}");
}
