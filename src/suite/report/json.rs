//! One JSON object.

use serde_json::{Value, json};

use super::{Fault, Report, Verdict};

/// Renders reports as one JSON object.
#[must_use]
pub fn json(reports: &[Report]) -> Value {
    let fault = |fault: &Fault| {
        let Fault { what, line, expected, got } = fault;
        json!({ "what": what, "line": line, "expected": expected, "got": got })
    };
    let test = |verdict: &Verdict| {
        let Verdict { bridge, subject, name, file, line, column, faults, elapsed } = verdict;
        json!({
            "bridge": bridge, "subject": subject, "name": name, "file": file, "line": line, "column": column,
            "passed": faults.is_empty(), "failures": faults.iter().map(fault).collect::<Vec<_>>(),
            "seconds": elapsed.as_secs_f64(),
        })
    };
    let suite = |report: &Report| {
        json!({
            "path": report.path,
            "passed": report.failed() == 0,
            "tests": report.verdicts.iter().map(test).collect::<Vec<_>>(),
            "coverage": report.coverage.as_ref().map(super::Coverage::json),
            "seconds": report.elapsed.as_secs_f64(),
        })
    };
    let failed: usize = reports.iter().map(Report::failed).sum();
    let total: usize = reports.iter().map(|report| report.verdicts.len()).sum();
    json!({
        "format_version": "1.0", "passed": failed == 0, "test_count": total, "failed_count": failed,
        "suites": reports.iter().map(suite).collect::<Vec<_>>(),
    })
}
