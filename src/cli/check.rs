//! `tollbridge check`: all findings about bridge files at once.

use std::path::{Path, PathBuf};

use super::online::{self, Allowed};
use super::print::Printer;
use super::{DEFAULT_CONFIG, ExitStatus};
use crate::catalog::Catalog;
use crate::diag::{Code, Diagnostic, Findings, Severity, github, machine, sarif, suggest, text};
use crate::suite::Suite;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directories of bridge files, or single bridge files
    #[arg(default_value = "bridges", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look at the network too: do the APIs and the identity provider answer, and does it accept our client?
    #[arg(long)]
    online: bool,
    /// The server file, checked too [default: tollbridge.yaml, if it is there]
    #[arg(long, short, env = "TOLLBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
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
    let mut allowed = Allowed::default();
    if let Some(path) = server_file(args.config.as_deref()) {
        let (findings, lines, found) = online::server(&path, args.online);
        allowed = found;
        let checked = Checked { fails: findings.report.has_errors() || is_denied(args, &findings), findings, lines };
        status = checked.tell(args, printer, status);
        reports.push(checked.findings);
    }
    for path in &args.paths {
        if !path.exists() {
            printer.error(&format!("{} does not exist", path.display()));
            status = ExitStatus::Usage;
            continue;
        }
        let checked = bridges(path, args, &allowed);
        status = checked.tell(args, printer, status);
        reports.push(checked.findings);
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

/// What came of looking at one file or directory.
struct Checked {
    findings: Findings,
    /// What there is to say when all is well.
    lines: Vec<String>,
    fails: bool,
}

fn bridges(path: &Path, args: &Args, allowed: &Allowed) -> Checked {
    let compiled = Suite::load(path).and_then(|(suite, findings)| {
        if !args.online {
            let fails = is_denied(args, &findings);
            let lines = vec![verdict(path, &suite.catalog, &findings, args)];
            return Ok(Checked { findings, lines, fails });
        }
        online::load(path, allowed).map(|(live, mut findings)| {
            let snapshot = live.load();
            let lines = online::bridges(&snapshot, &mut findings);
            let fails = findings.report.has_errors() || is_denied(args, &findings);
            let verdict = verdict(path, &snapshot.catalog, &findings, args);
            Checked { findings, lines: lines.into_iter().chain([verdict]).collect(), fails }
        })
    });
    compiled.unwrap_or_else(|findings| Checked { findings, lines: Vec::new(), fails: true })
}

// === impl Checked ===

impl Checked {
    /// Prints it for people when that is asked for, and gives the exit status so far.
    fn tell(&self, args: &Args, printer: &mut Printer, so_far: ExitStatus) -> ExitStatus {
        if args.format == Format::Text {
            printer.findings(&self.findings);
            if args.verbose {
                printer.silenced(&self.findings);
            }
            for line in &self.lines {
                printer.result(line);
            }
        }
        let report = &self.findings.report;
        let is_unreached = |finding: &Diagnostic| {
            matches!(finding.code(), Code::UnknownHost | Code::NoConnection | Code::NoSecureConnection)
        };
        let only_unreached = report.iter().filter(|it| it.severity() == Severity::Error).all(is_unreached);
        match so_far {
            ExitStatus::Fine | ExitStatus::Unreachable if self.fails && !(only_unreached && report.has_errors()) => {
                ExitStatus::Findings
            }
            ExitStatus::Fine if self.fails => ExitStatus::Unreachable,
            so_far => so_far,
        }
    }
}

/// The server file that is named, or the usual one if it is there.
fn server_file(named: Option<&Path>) -> Option<PathBuf> {
    let usual = || Some(PathBuf::from(DEFAULT_CONFIG)).filter(|path| path.exists());
    named.map(Path::to_owned).or_else(usual)
}

fn is_denied(args: &Args, findings: &Findings) -> bool {
    match args.deny {
        Some(Deny::Warnings) => findings.report.counts().warnings > 0,
        None => false,
    }
}

/// What there is, and whether it is fine, for a path that can be served.
fn verdict(path: &Path, catalog: &Catalog, findings: &Findings, args: &Args) -> String {
    let resources = catalog.resources.len() + catalog.resource_templates.len();
    let counts = findings.report.counts();
    let verdict = if counts.errors > 0 {
        counted(counts.errors, "error")
    } else if is_denied(args, findings) {
        format!("{}, which `--deny warnings` forbids", counted(counts.warnings, "warning"))
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
