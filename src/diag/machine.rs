//! Findings as JSON for programs, in the shape that `terraform validate -json` made known.

use serde_json::{Value, json};

use super::{Diagnostic, Findings, Label, SourceMap, Span, tame};

/// All findings as one JSON document, sorted by place.
#[must_use]
pub fn json(findings: &Findings) -> Value {
    let counts = findings.report.counts();
    let diagnostics: Vec<_> =
        findings.report.sorted().into_iter().map(|it| diagnostic(it, &findings.sources)).collect();
    json!({
        "valid": counts.errors == 0,
        "error_count": counts.errors,
        "warning_count": counts.warnings,
        "diagnostics": diagnostics,
    })
}

fn diagnostic(finding: &Diagnostic, sources: &SourceMap) -> Value {
    let help: Vec<_> = finding.helps().iter().map(|it| tame(it)).collect();
    let related: Vec<_> = finding.secondary().iter().map(|it| related(it, sources)).collect();
    let range = match (finding.span(), finding.file()) {
        (Some(span), _) => range(span, sources),
        (None, Some(file)) => json!({ "filename": tame(sources.name(file)) }),
        (None, None) => Value::Null,
    };
    json!({
        "severity": finding.severity().word(),
        "code": finding.code().id(),
        "summary": tame(finding.message()),
        "detail": finding.primary().map(|it| tame(&it.text)).unwrap_or_default(),
        "help": help,
        "range": range,
        "related": related,
    })
}

fn related(label: &Label, sources: &SourceMap) -> Value {
    json!({ "message": tame(&label.text), "range": range(label.span, sources) })
}

fn range(span: Span, sources: &SourceMap) -> Value {
    let (start, end) = (sources.line_col(span), sources.end_line_col(span));
    json!({
        "filename": tame(sources.name(span.file)),
        "start": { "line": start.line, "column": start.column, "byte": span.start },
        "end": { "line": end.line, "column": end.column, "byte": span.end },
    })
}
