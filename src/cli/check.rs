//! `tollbridge check`: all findings about bridge files at once.

use std::path::{Path, PathBuf};

use super::ExitStatus;
use super::print::Printer;
use crate::catalog::Catalog;
use crate::catalog::compile::compile;
use crate::config;
use crate::diag::{Code, Findings, github, machine, sarif, suggest, text};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directories of bridge files, or single bridge files
    #[arg(default_value = "bridges", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What else makes the check fail, besides errors
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// List what `# tollbridge: allow` comments silence, too
    #[arg(long)]
    verbose: bool,
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
    /// For GitHub Actions: workflow commands
    Github,
    /// For code scanners and editors: SARIF 2.1.0
    Sarif,
}

/// Findings that make the check fail although the files can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    /// Warnings
    Warnings,
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
        let (catalog, findings) = match compile(config::load(path)) {
            Ok((catalog, findings)) => (Some(catalog), findings),
            Err(findings) => (None, findings),
        };
        let fails = catalog.is_none() || is_denied(args, &findings);
        if fails && status == ExitStatus::Fine {
            status = ExitStatus::Findings;
        }
        if args.format == Format::Text {
            printer.findings(&findings);
            if args.verbose {
                printer.silenced(&findings);
            }
            if let Some(catalog) = &catalog {
                printer.result(&verdict(path, catalog, &findings, fails));
            }
        }
        reports.push(findings);
    }
    if reports.is_empty() {
        return status;
    }
    match args.format {
        Format::Text => {}
        Format::Json => printer.result(&format!("{:#}", machine::json(&reports))),
        Format::Sarif => printer.result(&format!("{:#}", sarif::log(&reports))),
        Format::Github => printer.result(&github::commands(&reports)),
    }
    status
}

fn is_denied(args: &Args, findings: &Findings) -> bool {
    match args.deny {
        Some(Deny::Warnings) => findings.report.counts().warnings > 0,
        None => false,
    }
}

/// What there is, and whether it is fine, for a path that can be served.
fn verdict(path: &Path, catalog: &Catalog, findings: &Findings, is_denied: bool) -> String {
    let resources = catalog.resources.len() + catalog.resource_templates.len();
    let verdict = if is_denied {
        format!("{}, which `--deny warnings` forbids", counted(findings.report.counts().warnings, "warning"))
    } else {
        "fine".to_owned()
    };
    format!(
        "{}: {}, {}, {}: {verdict}",
        path.display(),
        counted(catalog.bridges.len(), "bridge"),
        counted(catalog.tools.len(), "tool"),
        counted(resources, "resource"),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
