//! Findings as SARIF 2.1.0, which code scanners and editors read.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{
    Code, Diagnostic, FileId, Findings, SourceMap, Span,
    machine::{Sourced, sorted, words},
    tame,
};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What stands in the path of a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All findings of all reports as one log with one run.
#[must_use]
pub fn log<'a>(reports: impl IntoIterator<Item = &'a Findings>) -> Value {
    let findings: Vec<_> = sorted(reports).collect();
    let codes: BTreeSet<Code> = findings.iter().map(|(finding, _)| finding.code()).collect();
    let codes: Vec<Code> = codes.into_iter().collect();
    let results: Vec<_> = findings.into_iter().map(|finding| result(finding, &codes)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver(&codes) },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn driver(codes: &[Code]) -> Value {
    let rules: Vec<_> = codes.iter().copied().map(rule).collect();
    let mut driver = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let home = env!("CARGO_PKG_REPOSITORY");
    if let Some(members) = driver.as_object_mut().filter(|_| !home.is_empty()) {
        members.insert("informationUri".to_owned(), home.into());
    }
    driver
}

fn rule(code: Code) -> Value {
    // The first paragraph says what it is; the whole has examples too.
    let explanation = code.explanation();
    let first = explanation.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    json!({
        "id": code.id(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": first.trim() },
        "help": { "text": explanation },
        "defaultConfiguration": { "level": code.severity().word() },
    })
}

fn result((finding, sources): Sourced<'_>, codes: &[Code]) -> Value {
    let code = finding.code();
    let related = finding.secondary().iter().zip(1..).map(|(label, id)| {
        let mut location = location(label.span.file, Some(label.span), sources);
        location.insert("id".to_owned(), json!(id));
        location.insert("message".to_owned(), json!({ "text": tame(&label.text) }));
        Value::from(location)
    });
    json!({
        "ruleId": code.id(),
        "ruleIndex": codes.binary_search(&code).unwrap_or_default(),
        "level": finding.severity().word(),
        "message": { "text": words(finding) },
        "locations": place(finding, sources),
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

/// The place of a finding as a list, which is empty for one about no file.
fn place(finding: &Diagnostic, sources: &SourceMap) -> Vec<Value> {
    finding.file().map(|file| location(file, finding.span(), sources).into()).into_iter().collect()
}

fn location(file: FileId, span: Option<Span>, sources: &SourceMap) -> Map<String, Value> {
    let mut physical = Map::new();
    physical.insert("artifactLocation".to_owned(), json!({ "uri": uri(sources.name(file)) }));
    if let Some(span) = span {
        let (start, end) = (sources.line_col(span), sources.end_line_col(span));
        let region = json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        });
        physical.insert("region".to_owned(), region);
    }
    Map::from_iter([("physicalLocation".to_owned(), physical.into())])
}

/// The name of a file as a URI; a relative one stays relative.
fn uri(name: &str) -> String {
    let path = name.replace('\\', "/");
    let written = utf8_percent_encode(&path, PATH).to_string();
    if path.starts_with('/') { format!("file://{written}") } else { written }
}
