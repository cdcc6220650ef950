//! A room imports only from floors below its own, and each third-party crate is named in the rooms that own it.

use std::path::{Path, PathBuf};

use crate::support::root;

/// The rooms, by floor. Rooms on one floor do not know each other.
const FLOORS: [&[&str]; 14] = [
    &["breaker", "diag", "metrics", "mishap", "principal", "progress", "quantity", "secret", "trace", "unique"],
    &["audit", "config", "template", "json_schema"],
    &["shape"],
    &["catalog"],
    &["call"],
    &["net"],
    &["oauth"],
    &["auth", "credential"],
    &["upstream"],
    &["live"],
    &["mcp"],
    &["describe", "suite"],
    &["serve", "demo"],
    &["cli"],
];

/// What may be named where.
const GATES: [(&str, &[&str]); 18] = [
    ("opentelemetry", &["trace/otel.rs"]),
    ("minijinja::", &["template"]),
    ("serde_saphyr", &["config/yaml"]),
    ("jsonschema::", &["json_schema.rs", "catalog/input.rs", "config/schema"]),
    ("jmespath::", &["shape/select.rs"]),
    ("governor::", &["upstream/rate.rs"]),
    ("prometheus_client::", &["metrics/"]),
    ("redis::", &["upstream/shared.rs"]),
    ("axum_server::", &["serve/"]),
    ("moka::", &["mcp/ask.rs", "upstream/cache.rs", "auth/kept.rs", "credential/issued.rs"]),
    ("jsonwebtoken::", &["auth/", "oauth/client.rs", "demo/"]),
    ("rmcp::", &["mcp/"]),
    ("axum::", &["serve/", "demo/"]),
    ("notify_debouncer_full", &["live/watch.rs"]),
    ("std::env::", &["config/files.rs", "cli/"]),
    ("std::fs::", &["audit.rs", "config/files", "cli/", "demo/", "suite/snapshot"]),
    ("reqwest::Client", &["net"]),
    ("println!", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("on which floor is `{room}`?"))
}

/// The code of a file without its tests, which may reach anywhere.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].to_owned()
}

fn all() -> Vec<(String, PathBuf)> {
    let source = root().join("src");
    let mut found = Vec::new();
    sources(&source, &mut found);
    let name = |path: &Path| path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
    let is_test = |name: &str| name.ends_with("_tests.rs") || name.ends_with("_forged.rs") || name.contains("forged");
    found.into_iter().map(|path| (name(&path), path)).filter(|(name, _)| !is_test(name)).collect()
}

#[test]
fn no_room_knows_a_room_above_it() {
    let mut wrong = Vec::new();
    for (name, path) in all() {
        if name == "main.rs" || name == "lib.rs" {
            continue;
        }
        let room = name.split(['/', '.']).next().unwrap();
        for (number, line) in code(&path).lines().enumerate() {
            let mut rest = line;
            while let Some(at) = rest.find("crate::") {
                rest = &rest[at + "crate::".len()..];
                let used: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if used != room && !used.is_empty() && floor(&used) >= floor(room) {
                    wrong.push(format!("src/{name}:{}: `{room}` knows `{used}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_third_party_crate_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (name, path) in all() {
        for (number, line) in code(&path).lines().enumerate() {
            let words = line.split("//").next().unwrap();
            for (word, rooms) in GATES {
                if words.contains(word) && !rooms.iter().any(|room| name.starts_with(room)) {
                    wrong.push(format!("src/{name}:{}: names `{word}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
