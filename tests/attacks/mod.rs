//! What attackers try, and what must happen: each case has a number and a test of that number, or tests elsewhere that
//! prove it whole. Everything goes through the built binary; the API on the other side is a raw socket, so that what a
//! client library would tidy up stays visible.
//!
//! Beside the tests of each file stands a table of rows, from which SECURITY.md is made.

mod answers;
mod canary;
mod configuration;
mod credentials;
mod destinations;
mod faults;
mod identity;
mod paths;
mod smuggling;
mod tokens;
mod transport;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::support::{Fixture, PATIENCE, Server, generated, root};

/// How many cases there are.
const CASES: u8 = 37;

/// A line of the table in SECURITY.md.
pub struct Row {
    /// The number of the case.
    pub case: u8,
    /// What is tried.
    pub attack: &'static str,
    /// Where it has worked: a CVE or an issue.
    pub hurt: &'static str,
    /// What tollbridge does.
    pub does: &'static str,
    /// The tests that prove it, by name, here or elsewhere.
    pub tests: &'static [&'static str],
}

fn rows() -> Vec<&'static Row> {
    let tables = [
        paths::ROWS,
        destinations::ROWS,
        smuggling::ROWS,
        identity::ROWS,
        tokens::ROWS,
        credentials::ROWS,
        transport::ROWS,
        answers::ROWS,
        configuration::ROWS,
    ];
    tables.into_iter().flatten().collect()
}

/// The names of all tests, here, in the other modules and beside the code.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests/it", "tests/attacks"] {
        collect(&root().join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    names.insert(rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect());
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn every_case_has_a_test_and_every_named_test_is_there() {
    let (rows, tests) = (rows(), tests());
    for case in 1..=CASES {
        assert!(rows.iter().any(|row| row.case == case && !row.tests.is_empty()), "case {case} has no test");
    }
    for row in &rows {
        for name in row.tests {
            assert!(tests.contains(*name), "case {}: there is no test `{name}`", row.case);
        }
    }
    let mut numbered: BTreeSet<&str> =
        tests.iter().filter(|name| name.starts_with("case_")).map(String::as_str).collect();
    for row in &rows {
        numbered.retain(|name| !row.tests.contains(name));
    }
    assert!(numbered.is_empty(), "in no row: {numbered:?}");
}

#[test]
fn the_table_in_the_security_policy_is_made_from_the_tests() {
    let mut table =
        "| | Attack | Where it has worked | What tollbridge does | Tests |\n|---|---|---|---|---|\n".to_owned();
    let mut rows = rows();
    rows.sort_by_key(|row| row.case);
    for Row { case, attack, hurt, does, tests } in rows {
        let tests: Vec<String> = tests.iter().map(|name| format!("`{name}`")).collect();
        writeln!(table, "| {case} | {attack} | {hurt} | {does} | {} |", tests.join(", ")).unwrap();
    }
    generated("SECURITY.md", "attacks", &table);
}

// === what the cases share ===

/// Sends bytes as they are; gives what comes back until the server hangs up.
pub fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// A POST with these lines in its head, after which the server hangs up.
pub fn post(server: &Server, target: &str, lines: &[String], body: &str) -> String {
    let mut head = format!("POST {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for line in lines {
        write!(head, "{line}\r\n").unwrap();
    }
    raw(&server.address, format!("{head}\r\n{body}").as_bytes())
}

/// The lines of a head that a client of the 2026-07-28 protocol sends, without a token.
pub fn lines(server: &Server, method: &str, name: &str) -> Vec<String> {
    vec![
        format!("host: {}", server.address),
        "content-type: application/json".to_owned(),
        "accept: application/json, text/event-stream".to_owned(),
        "mcp-protocol-version: 2026-07-28".to_owned(),
        format!("mcp-method: {method}"),
        format!("mcp-name: {name}"),
    ]
}

/// A call in the 2026-07-28 protocol, with its arguments as they are written.
pub fn body(tool: &str, arguments: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments},\
         \"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
         \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}"
    )
}

/// The status of a raw answer.
pub fn status(said: &str) -> u16 {
    said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {said:?}"))
}

/// What `check` says of bridge files that it must refuse.
pub fn refused(files: &[(&str, &str)]) -> String {
    let mut fixture = Fixture::new();
    for (name, text) in files {
        fixture.write(&format!("bridges/{name}"), text);
    }
    let output = fixture.command(&["check", "bridges"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{files:?} {said}");
    assert!(said.contains("error[TB"), "{said}");
    said
}
