//! The official conformance suite against a bridge made of YAML alone. What is not built yet stands in the lists of
//! expected failures, and the suite fails on an entry that has begun to pass.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Fixture, node, root, tool};

struct Upstream(Child);

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn upstream() -> (Upstream, String) {
    let script = root().join("tests/conformance/upstream.mjs");
    let mut command = Command::new(node());
    command.arg(script).env("PORT", "0").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("the API says where it is");
    (Upstream(child), ready["origin"].as_str().unwrap().to_owned())
}

fn conforms(requirements: &str) {
    let (_upstream, origin) = upstream();
    let folder = root().join("tests/conformance");
    let server = Fixture::new()
        .arg("--bridges")
        .arg(folder.join("bridges").to_str().unwrap())
        .env("CONFORMANCE_API", &origin)
        .serve();
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
