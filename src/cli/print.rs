//! The only writer of stdout and stderr.

use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::styling::Style;

use super::ExitStatus;
use crate::config;
use crate::diag::Findings;
use crate::diag::text::{Color, render, silenced};

/// Writes results to stdout and everything else to stderr.
pub(super) struct Printer {
    stdout_color: Color,
    stderr_color: Color,
}

// === impl Printer ===

#[expect(clippy::unused_self, reason = "whoever holds the printer may print, nobody else")]
impl Printer {
    pub(super) fn new() -> Self {
        let wanted = config::environment("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = |is_terminal| if wanted && is_terminal { Color::Always } else { Color::Never };
        Self { stdout_color: color(io::stdout().is_terminal()), stderr_color: color(io::stderr().is_terminal()) }
    }

    pub(super) fn colors_stderr(&self) -> bool {
        matches!(self.stderr_color, Color::Always)
    }

    /// Text for a result in a style, where stdout may have colours.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        match self.stdout_color {
            Color::Always => format!("{style}{text}{style:#}"),
            Color::Never => text.to_owned(),
        }
    }

    /// Writes a result. A reader that has gone away is no failure.
    pub(super) fn result(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        if !text.is_empty() && !text.ends_with('\n') {
            let _ = stdout.write_all(b"\n");
        }
        let _ = stdout.flush();
    }

    /// Writes findings for people.
    pub(super) fn findings(&mut self, findings: &Findings) {
        if !findings.report.is_empty() {
            self.note(&render(findings, self.stderr_color));
        }
    }

    /// Writes the findings that comments keep quiet.
    pub(super) fn silenced(&mut self, findings: &Findings) {
        if !findings.report.silenced().is_empty() {
            self.note(&silenced(findings, self.stderr_color));
        }
    }

    /// Writes what is neither a result nor a finding.
    pub(super) fn note(&mut self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{}", text.trim_end_matches('\n'));
    }

    /// Writes one error line.
    pub(super) fn error(&mut self, text: &str) {
        self.note(&format!("error: {text}"));
    }

    /// Writes what clap says about the arguments; help and version are results.
    pub(super) fn usage(&mut self, error: &clap::Error) -> ExitStatus {
        let _ = error.print();
        if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Fine }
    }
}
