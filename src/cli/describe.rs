//! What `list`, `show` and `explain` say about a tool, in words and tables.

use super::ExitStatus;
use super::print::Printer;
use crate::catalog::compile::compile;
use crate::catalog::{Bridge, Catalog, Tool};
use crate::config;
use crate::diag::{listed, suggest, tame};

pub(super) use crate::describe::{arguments, questions, refusals, waiting};

/// The definitions that a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct From {
    /// The directory of bridge files, or one bridge file
    #[arg(long, short, env = "TOLLBRIDGE_BRIDGES", value_name = "PATH", default_value = "bridges")]
    bridges: std::path::PathBuf,
}

/// Definitions that are fit to be served.
pub(super) struct Definitions {
    pub(super) catalog: Catalog,
}

// === impl From ===

impl From {
    /// Reads the definitions; says why when they can't be served.
    pub(super) fn read(&self, printer: &mut Printer) -> Result<Definitions, ExitStatus> {
        if !self.bridges.exists() {
            printer.error(&format!(
                "{} does not exist; name the directory of your bridge files with `--bridges PATH`",
                self.bridges.display()
            ));
            return Err(ExitStatus::Usage);
        }
        match compile(config::load(&self.bridges)) {
            Ok((catalog, _)) => Ok(Definitions { catalog }),
            Err(findings) => {
                printer.findings(&findings);
                Err(ExitStatus::Findings)
            }
        }
    }
}

// === impl Definitions ===

impl Definitions {
    /// Finds a tool by its name; says what there is when it is not there.
    pub(super) fn tool(&self, name: &str, printer: &mut Printer) -> Result<(&Bridge, &Tool), ExitStatus> {
        tool(&self.catalog, name, printer)
    }
}

/// Finds a tool by its name; says what there is when it is not there.
pub(super) fn tool<'c>(
    catalog: &'c Catalog,
    name: &str,
    printer: &mut Printer,
) -> Result<(&'c Bridge, &'c Tool), ExitStatus> {
    let found = catalog.tools.get(name);
    if let Some(both) = found.and_then(|tool| Some((catalog.bridge(tool.bridge)?, tool))) {
        return Ok(both);
    }
    no_tool(name, catalog.tools.keys().map(String::as_str), printer);
    Err(ExitStatus::Usage)
}

/// Says that there is no such tool, and which one may be meant.
pub(super) fn no_tool<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone, printer: &mut Printer) {
    let hint = match suggest(name, names.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if names.clone().next().is_none() => "; there are no tools".to_owned(),
        None => format!("; there are {}", listed(names, "and")),
    };
    printer.error(&format!("there is no tool `{}`{hint}", tame(name)));
}

/// The first line of a text, tamed.
pub(super) fn first_line(text: &str) -> String {
    tame(text.trim().lines().next().unwrap_or_default())
}

/// Rows as aligned columns, indented by two; text of others is tamed.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| tame(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = format!("  {}", cells.collect::<Vec<_>>().join("   "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
