//! The official conformance suite against a bridge made of YAML alone. What is not built yet stands in the lists of
//! expected failures, and the suite fails on an entry that has begun to pass.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
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

fn conforms(requirements: &str) {
    let folder = root().join("tests/conformance");
    let mut fixture = Fixture::new();
    for entry in std::fs::read_dir(folder.join("bridges")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("bridges/{}", path.file_name().unwrap().to_str().unwrap());
        fixture.write(&name, &std::fs::read_to_string(path).unwrap());
    }
    let (_upstream, origin) = upstream(&fixture.path().join("bridges"));
    let server = fixture.env("CONFORMANCE_API", &origin).serve();
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
