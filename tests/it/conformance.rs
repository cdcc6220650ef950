//! The official conformance suite against a bridge made of YAML alone. What is not built yet stands in the lists of
//! expected failures, and the suite fails on an entry that has begun to pass.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Fixture, Server, node, root, tool};

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

fn serve() -> (Server, Upstream) {
    let folder = root().join("tests/conformance");
    let mut fixture = Fixture::new();
    for entry in std::fs::read_dir(folder.join("bridges")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("bridges/{}", path.file_name().unwrap().to_str().unwrap());
        fixture.write(&name, &std::fs::read_to_string(path).unwrap());
    }
    let (upstream, origin) = upstream(&fixture.path().join("bridges"));
    (fixture.env("CONFORMANCE_API", &origin).serve(), upstream)
}

fn conforms(requirements: &str) {
    let folder = root().join("tests/conformance");
    let (server, _upstream) = serve();
    let output = Command::new(node())
        .arg(tool("node_modules/.bin/conformance"))
        .args(["server", "--url", &server.url(), "--requirements", requirements])
        .arg("--expected-failures")
        .arg(folder.join(format!("expected-failures-{requirements}.yml")))
        .current_dir(server.fixture.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("tools-call-simple-text"), "the suite ran nothing: {said}");
}

#[test]
fn requirements_of_2026_07_28() {
    conforms("2026-07-28");
}

#[test]
fn requirements_of_2025_11_25() {
    conforms("2025-11-25");
}

/// The Tasks extension. No requirement set asks for it; the suite leaves `tasks-status-notifications` out itself.
#[test]
fn scenarios_of_the_tasks_extension() {
    let (server, _upstream) = serve();
    for scenario in [
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ] {
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
