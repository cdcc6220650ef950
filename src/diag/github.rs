//! Findings as GitHub workflow commands, which GitHub shows beside the lines of a pull request.

use std::fmt::Write as _;

use super::{
    Findings, Severity,
    machine::{Sourced, sorted, words},
    tame,
};

/// All findings of all reports, a workflow command a line; empty when there are none.
#[must_use]
pub fn commands<'a>(reports: impl IntoIterator<Item = &'a Findings>) -> String {
    let mut text = String::new();
    for finding in sorted(reports) {
        text.push_str(&command(finding));
        text.push('\n');
    }
    text
}

fn command((finding, sources): Sourced<'_>) -> String {
    let name = match finding.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut line = format!("::{name} ");
    if let Some(file) = finding.file() {
        let _ = write!(line, "file={},", property(&tame(sources.name(file))));
    }
    if let Some(span) = finding.span() {
        let (start, end) = (sources.line_col(span), sources.end_line_col(span));
        let _ = write!(line, "line={},col={},endLine={},endColumn={},", start.line, start.column, end.line, end.column);
    }
    let title = format!("{}: {}", finding.code().id(), finding.code().title());
    let _ = write!(line, "title={}::{}", property(&title), data(&words(finding)));
    line
}

/// Escapes what follows the second `::`.
pub(crate) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property, which ends at a `,` or `::`.
pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
