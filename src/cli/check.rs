//! `tollbridge check`: all findings about bridge files at once.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::ExitStatus;
use super::print::Printer;
use crate::catalog::compile::compile;
use crate::config;
use crate::diag::{Code, Findings, machine, suggest, text};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directories of bridge files, or single bridge files
    #[arg(default_value = "bridges", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Explain a finding by its code, such as TB0103
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

/// How to print findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    if let Some(code) = &args.explain {
        return explain(code, printer);
    }
    let mut status = ExitStatus::Fine;
    let mut reports = Vec::new();
    for path in &args.paths {
        if !path.exists() {
            printer.error(&format!("{} does not exist", path.display()));
            status = ExitStatus::Usage;
            continue;
        }
        let findings = match compile(config::load(path)) {
            Ok((catalog, findings)) => {
                if args.format == Format::Text {
                    printer.findings(&findings);
                    let resources = catalog.resources.len() + catalog.resource_templates.len();
                    printer.result(&format!(
                        "{}: {}, {}, {}: fine",
                        path.display(),
                        counted(catalog.bridges.len(), "bridge"),
                        counted(catalog.tools.len(), "tool"),
                        counted(resources, "resource"),
                    ));
                }
                findings
            }
            Err(findings) => {
                if status == ExitStatus::Fine {
                    status = ExitStatus::Findings;
                }
                if args.format == Format::Text {
                    printer.findings(&findings);
                }
                findings
            }
        };
        reports.push(findings);
    }
    if args.format == Format::Json && !reports.is_empty() {
        printer.result(&format!("{:#}", merged(&reports)));
    }
    status
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One object for all paths, so that the output is one JSON document.
fn merged(reports: &[Findings]) -> Value {
    let counts = reports.iter().map(|findings| findings.report.counts());
    let (errors, warnings) =
        counts.fold((0, 0), |(errors, warnings), counts| (errors + counts.errors, warnings + counts.warnings));
    let diagnostics: Vec<Value> = reports
        .iter()
        .map(machine::json)
        .filter_map(|mut report| report.get_mut("diagnostics").and_then(Value::as_array_mut).map(std::mem::take))
        .flatten()
        .collect();
    json!({
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": warnings,
        "diagnostics": diagnostics,
    })
}

fn explain(written: &str, printer: &mut Printer) -> ExitStatus {
    let id = written.to_ascii_uppercase();
    if let Some(code) = Code::from_id(&id) {
        printer.result(&text::explain(code));
        return ExitStatus::Fine;
    }
    let near = suggest(&id, Code::all().iter().map(|code| code.id()));
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    printer.error(&format!("there is no finding `{written}`{hint}"));
    ExitStatus::Usage
}
