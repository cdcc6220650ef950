//! Findings as JSON for programs, in the shape that `terraform validate -json` made known.

use serde_json::{Value, json};

use super::{Diagnostic, Findings, Label, SourceMap, Span, tame};

/// A finding with the texts it points into.
pub(super) type Sourced<'a> = (&'a Diagnostic, &'a SourceMap);

/// All findings of all reports as one JSON document, sorted by place within each report.
#[must_use]
pub fn json<'a>(reports: impl IntoIterator<Item = &'a Findings>) -> Value {
    let reports: Vec<_> = reports.into_iter().collect();
    let (mut errors, mut warnings) = (0, 0);
    let mut silenced = Vec::new();
    for Findings { report, sources } in &reports {
        let counts = report.counts();
        errors += counts.errors;
        warnings += counts.warnings;
        silenced.extend(report.silenced().iter().map(|it| {
            let mut value = diagnostic((&it.finding, sources));
            if let Some(members) = value.as_object_mut() {
                members.insert("allow".to_owned(), range(it.allow, sources));
                members.insert("reason".to_owned(), it.reason.as_deref().map(tame).into());
            }
            value
        }));
    }
    let diagnostics: Vec<_> = sorted(reports).map(diagnostic).collect();
    json!({
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": warnings,
        "diagnostics": diagnostics,
        "silenced": silenced,
    })
}

/// The findings of all reports, one report after the other: how every format makes one document of several paths.
pub(super) fn sorted<'a>(reports: impl IntoIterator<Item = &'a Findings>) -> impl Iterator<Item = Sourced<'a>> {
    reports.into_iter().flat_map(|it| it.report.sorted().into_iter().map(|finding| (finding, &it.sources)))
}

fn diagnostic((finding, sources): Sourced<'_>) -> Value {
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

/// All that a finding says about its fault and the way out, a line each, for formats with one text.
pub(super) fn words(finding: &Diagnostic) -> String {
    let label = finding.primary().map(|it| it.text.as_str()).filter(|it| !it.is_empty());
    let helps = finding.helps().iter().map(|it| format!("help: {}", tame(it)));
    let lines = [Some(tame(finding.message())), label.map(tame)].into_iter().flatten();
    lines.chain(helps).collect::<Vec<_>>().join("\n")
}
