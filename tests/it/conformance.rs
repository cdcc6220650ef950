//! The official conformance suite against a bridge made of YAML alone. What does not pass stands in the lists of expected
//! failures, and the suite fails on an entry that has begun to pass.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::operations::{balancer, redis};
use crate::support::{Fixture, Server, free_port, node, root, tool, until};

struct Upstream(Child);

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn upstream(bridges: &Path) -> (Upstream, String) {
    let script = root().join("tests/conformance/upstream.mjs");
    let mut command = Command::new(node());
    command.arg(script).env("PORT", "0").env("BRIDGES", bridges).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("the API says where it is");
    (Upstream(child), ready["origin"].as_str().unwrap().to_owned())
}

/// A folder with the bridges of the suite.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    for entry in std::fs::read_dir(root().join("tests/conformance/bridges")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("bridges/{}", path.file_name().unwrap().to_str().unwrap());
        fixture.write(&name, &std::fs::read_to_string(path).unwrap());
    }
    fixture
}

/// Runs a frozen set of requirements; `expected` names the list of what does not pass.
fn run(url: &str, folder: &Path, requirements: &str, expected: &str) {
    let output = Command::new(node())
        .arg(tool("node_modules/.bin/conformance"))
        .args(["server", "--url", url, "--requirements", requirements])
        .arg("--expected-failures")
        .arg(root().join("tests/conformance").join(format!("expected-failures-{expected}.yml")))
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("tools-call-simple-text"), "the suite ran nothing: {said}");
}

fn serve() -> (Server, Upstream) {
    let fixture = fixture();
    let (upstream, origin) = upstream(&fixture.path().join("bridges"));
    (fixture.env("CONFORMANCE_API", &origin).serve(), upstream)
}

fn conforms(requirements: &str) {
    let (server, _upstream) = serve();
    run(&server.url(), server.fixture.path(), requirements, requirements);
}

/// Three servers that read the same files, behind a balancer that sends each request to the next of them.
fn conforms_in_three(requirements: &str, expected: &str) {
    let files = fixture();
    let bridges = files.path().join("bridges");
    let (_upstream, origin) = upstream(&bridges);
    let store = free_port();
    let _store = redis(store);
    let replica = || {
        let mut fixture = Fixture::new().env("CONFORMANCE_API", &origin);
        let shared = json!({ "redis": format!("redis://127.0.0.1:{store}") });
        let settings = json!({ "sessions": false, "bridges": bridges, "shared": shared });
        fixture.write("tollbridge.yaml", &settings.to_string());
        let server = fixture.serve();
        until(|| server.log().contains("Watching the bridge files."));
        server
    };
    let replicas: Vec<Server> = (0..3).map(|_| replica()).collect();
    let addresses: Vec<String> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _nginx = balancer(&folder, port, &addresses);
    run(&format!("http://127.0.0.1:{port}/mcp"), folder.path(), requirements, expected);
    for replica in replicas {
        assert!(replica.log().contains("Call."), "a replica was never asked: {}", replica.log());
    }
}

#[test]
fn requirements_of_2026_07_28() {
    conforms("2026-07-28");
}

#[test]
fn requirements_of_2025_11_25() {
    conforms("2025-11-25");
}

/// Runs scenarios that no set of requirements asks for.
fn passes(server: &Server, scenarios: &[&str]) {
    for scenario in scenarios {
        let output = Command::new(node())
            .arg(tool("node_modules/.bin/conformance"))
            .args(["server", "--url", &server.url(), "--scenario", scenario])
            .current_dir(server.fixture.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let passed = said.contains("0 failed, 0 warnings") && !said.contains("Passed: 0/0");
        assert!(output.status.success() && passed, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The suite leaves `tasks-status-notifications` out itself.
#[test]
fn scenarios_of_the_tasks_extension() {
    let (server, _upstream) = serve();
    let scenarios = [
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ];
    passes(&server, &scenarios);
}

#[test]
fn scenarios_of_the_skills_extension() {
    let server = crate::skills::fixture().serve();
    passes(&server, &["sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"]);
}

#[test]
fn requirements_of_2026_07_28_by_three_replicas() {
    conforms_in_three("2026-07-28", "2026-07-28");
}

#[test]
fn requirements_of_2025_11_25_by_three_replicas_without_sessions() {
    conforms_in_three("2025-11-25", "2025-11-25-without-sessions");
}
