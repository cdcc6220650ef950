//! Workflow commands of GitHub Actions: a failure is shown beside the line of the test.

use std::fmt::Write as _;

use super::{Fault, Report};
use crate::diag::github::{data, property};

/// Renders the failures of reports as workflow commands.
#[must_use]
pub fn github(reports: &[Report]) -> String {
    let mut text = String::new();
    for verdict in reports.iter().flat_map(|report| &report.verdicts) {
        for fault in &verdict.faults {
            let Fault { line, .. } = fault;
            let title = property(&format!("{}: {}", verdict.subject, verdict.name));
            let file = property(&verdict.file);
            let _ = writeln!(text, "::error file={file},line={line},title={title}::{}", data(&fault.words()));
        }
    }
    text
}
