//! TAP 14 (<https://testanything.org/tap-version-14-specification.html>).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Report;

/// Renders reports as one TAP document.
#[must_use]
pub fn tap(reports: &[Report]) -> String {
    let verdicts: Vec<_> = reports.iter().flat_map(|report| &report.verdicts).collect();
    let mut text = format!("TAP version 14\n1..{}\n", verdicts.len());
    for (number, verdict) in verdicts.into_iter().enumerate() {
        let not = if verdict.passed() { "" } else { "not " };
        let name = format!("{} {}: {}", verdict.bridge, verdict.subject, verdict.name);
        let name = name.replace('\\', "\\\\").replace('#', "\\#").replace(['\n', '\r'], " ");
        let _ = writeln!(text, "{not}ok {} - {name}", number + 1);
        if !verdict.passed() {
            text.push_str("  ---\n");
            // JSON is YAML, and quotes what needs quotes.
            let _ = writeln!(text, "  at: {}", json!({ "file": verdict.file, "line": verdict.line }));
            let faults =
                verdict.faults.iter().map(|it| json!({ "what": it.what, "expected": it.expected, "got": it.got }));
            let _ = writeln!(text, "  failures: {}", Value::Array(faults.collect()));
            text.push_str("  ...\n");
        }
    }
    text
}
