//! Whatever a bridge file says, it compiles or is refused with a place; and what compiles can be planned without a panic.

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tollbridge::call::{self, Preview};
use tollbridge::catalog::compile::compile;
use tollbridge::catalog::{Answers, Catalog};
use tollbridge::config;
use tollbridge::config::schema::{Draft, bridge_schema};
use tollbridge::diag::text::{Color, render};
use tollbridge::principal::Principal;

use crate::support::{examples, root};

const NAMES: [&str; 8] = ["id", "q", "gpid", "start", "X-Id", "a b", "ñ", "x-free"];
const WORDS: [&str; 36] = [
    "id",
    "gpid",
    "text",
    "",
    " ",
    "{{ args.id }}",
    "{{ args.q }} and {{ claims.gpid }}",
    "{{ claims.nobody }}",
    "{{ id",
    "{% for a in args %}{{ a }}{% endfor %}",
    "{{ 1 / 0 }}",
    "{{ body.items[0].x }}",
    "{{ uuid() | upper }}",
    "{{ now('%Y') }}",
    "${NAME}",
    "${NAME:-https://a.example}",
    "${NAME",
    "https://a.example",
    "http://127.0.0.1:1/x",
    "https://u:p@a.example/?q#f",
    "GET /a/{id}",
    "POST /a/{id}/{gpid}",
    "GET /",
    "FETCH /a",
    "DELETE /a/{",
    "/a?b=c",
    "10s",
    "1MiB",
    "-1s",
    "data.items[].{a: a, b: b}",
    "a ||",
    "config://a/{id}",
    "\u{202e}tricky\u{0}",
    "äöü €😀",
    "application/json",
    "2026-01-05",
];

/// Choices, made from bytes: what proptest shrinks makes smaller bridges.
struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
    root: &'a Value,
}

impl Choices<'_> {
    /// A number below `count`; 0 when nothing is left to choose by.
    fn below(&mut self, count: usize) -> usize {
        usize::from(*self.bytes.next().unwrap_or(&0)) % count.max(1)
    }

    fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }

    /// Anything at all.
    fn anything(&mut self, depth: usize) -> Value {
        match self.below(if depth > 3 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 1),
            2 => json!(self.below(256)),
            3 => self.one_of(&[json!(-1), json!(0.5), json!(1e300), json!(u64::MAX)]).clone(),
            4 | 5 => (*self.one_of(&WORDS)).into(),
            6 => (0..self.below(3)).map(|_| self.anything(depth + 1)).collect(),
            _ => {
                let names: Vec<_> = (0..self.below(3)).map(|_| (*self.one_of(&NAMES)).to_owned()).collect();
                names.into_iter().map(|name| (name, self.anything(depth + 1))).collect::<Map<_, _>>().into()
            }
        }
    }

    /// A value that fits a schema, as far as the words at hand allow.
    fn fitting(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let target = self.root.pointer(name.trim_start_matches('#')).unwrap();
            if self.below(3) > 0 || schema.get("examples").is_none() {
                return self.fitting(target, depth);
            }
        }
        if let Some(examples) = schema["examples"].as_array()
            && (depth > 5 || self.below(2) == 0)
        {
            return self.one_of(examples).clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.one_of(values).clone();
        }
        if let Some(kinds) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let kind = self.one_of(kinds);
            return self.fitting(kind, depth + 1);
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.one_of(kinds).as_str(),
            kind => kind.as_str(),
        };
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => (0..=self.below(3)).map(|_| self.fitting(&schema["items"], depth + 1)).collect(),
            Some("string") => match schema.get("pattern") {
                Some(_) => (*self.one_of(&["hr", "crm"])).into(),
                None => (*self.one_of(&WORDS)).into(),
            },
            Some("boolean") => json!(self.below(2) == 1),
            Some("integer" | "number") => json!(self.below(70)),
            Some(_) => Value::Null,
            None => self.anything(depth),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut members = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            // `tests` and the like come deep; what is needed for a bridge to do something comes often.
            let often =
                ["upstream", "tools", "endpoint", "parameters", "description", "claims"].contains(&name.as_str());
            let wanted = required.contains(&name.as_str()) || self.below(8) < if often { 7 } else { 2 };
            if wanted && depth < 12 {
                members.insert(name.clone(), self.fitting(schema, depth + 1));
            }
        }
        if let Some(Value::Object(more)) = schema.get("additionalProperties") {
            let more = Value::Object(more.clone());
            for _ in 0..=self.below(2) {
                let name = (*self.one_of(&NAMES)).to_owned();
                members.insert(name, self.fitting(&more, depth + 1));
            }
        }
        members.into()
    }

    /// Replaces, removes or adds something somewhere.
    fn mutate(&mut self, value: &mut Value) {
        let count = match value {
            Value::Object(members) => members.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        };
        if count == 0 || self.below(24) == 1 {
            *value = self.anything(0);
            return;
        }
        let at = self.below(count);
        let kind = self.below(12);
        match value {
            Value::Object(members) => {
                let name = members.keys().nth(at).unwrap().clone();
                match kind {
                    1 => drop(members.shift_remove(&name)),
                    2 => drop(members.insert((*self.one_of(&NAMES)).to_owned(), self.anything(0))),
                    _ => self.mutate(&mut members[&name]),
                }
            }
            Value::Array(items) => self.mutate(&mut items[at]),
            _ => {}
        }
    }
}

/// The bridges that we ship, as data.
fn shipped() -> Vec<Value> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("bridges")];
    folders.extend(examples().into_iter().map(|it| it.join("bridges")));
    folders.sort();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|it| it.is_file()) {
            found.push(config::load_object(&entry).unwrap().into());
        }
    }
    assert!(found.len() > 10);
    found
}

/// Compiles a bridge; whether it can be served.
fn compiles(folder: &Path, bridge: &Value) -> Option<Catalog> {
    std::fs::write(folder.join("a.yaml"), bridge.to_string()).unwrap();
    match compile(config::load(folder)) {
        Ok((catalog, findings)) => {
            let _ = render(&findings, Color::Never);
            Some(catalog)
        }
        Err(findings) => {
            assert!(findings.report.has_errors(), "refused without an error: {bridge}");
            for finding in findings.report.iter() {
                assert!(finding.span().is_some(), "{finding:?} has no place: {bridge}");
            }
            let words = render(&findings, Color::Always);
            assert!(words.contains("a.yaml:") || words.contains("a.yaml\u{1b}"), "{words}");
            None
        }
    }
}

/// Plans a call of every tool, with arguments that fit its schema and with any at all.
fn plan(catalog: &Catalog, choices: &mut Choices<'_>) -> usize {
    let mut planned = 0;
    for tool in catalog.tools.values() {
        let claims = json!({"sub": "s", "gpid": choices.anything(2), "id": "1", "scope": "hr.read", "groups": ["HR"]});
        let who = Principal::verified(claims.as_object().cloned().unwrap(), SecretString::from("token"));
        let schema = Value::Object(tool.input.schema().clone());
        for arguments in [choices.fitting(&schema, 0), choices.anything(0)] {
            let Value::Object(arguments) = arguments else { continue };
            let Ok(plan) = call::plan(catalog, tool, arguments, &Answers::default(), &who) else { continue };
            planned += 1;
            if let (Some((_, request)), Some(upstream)) = (&plan.request, &plan.bridge.upstream) {
                let preview = Preview { request, upstream, variables: &catalog.variables };
                let (json, curl) = (preview.json(), preview.curl());
                assert!(json["url"].is_string() && curl.contains("curl "), "{json} {curl}");
            }
        }
    }
    planned
}

fn run(cases: u32, mut bridge: impl FnMut(&mut Choices<'_>) -> Value) -> (usize, usize, usize) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let schema = bridge_schema(Draft::Draft202012);
    let folder = TempDir::new().unwrap();
    let (mut compiled, mut refused, mut planned) = (0, 0, 0);
    for _ in 0..cases {
        // One value after the other, without shrinking: a failure shows the bridge.
        let bytes = proptest::collection::vec(any::<u8>(), 0..400).new_tree(&mut runner).unwrap().current();
        let mut choices = Choices { bytes: bytes.iter(), root: &schema };
        let bridge = bridge(&mut choices);
        match compiles(folder.path(), &bridge) {
            Some(catalog) => {
                compiled += 1;
                planned += plan(&catalog, &mut choices);
            }
            None => refused += 1,
        }
    }
    (compiled, refused, planned)
}

#[test]
fn bridges_made_from_the_schema_compile_or_are_refused_with_a_place() {
    let (compiled, refused, planned) = run(600, |choices| choices.fitting(&choices.root.clone(), 0));
    assert!(compiled > 20 && refused > 100 && planned > 5, "{compiled} {refused} {planned}");
}

#[test]
fn shipped_bridges_with_mistakes_compile_or_are_refused_with_a_place() {
    let shipped = shipped();
    let (compiled, refused, planned) = run(600, |choices| {
        let mut bridge = choices.one_of(&shipped).clone();
        for _ in 0..choices.below(4) {
            choices.mutate(&mut bridge);
        }
        bridge
    });
    assert!(compiled > 60 && refused > 100 && planned > 30, "{compiled} {refused} {planned}");
}
