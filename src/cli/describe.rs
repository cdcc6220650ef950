//! What `list`, `show` and `explain` say about a tool, in words and tables.

use std::fmt::Write as _;

use serde_json::Value;

use super::ExitStatus;
use super::print::Printer;
use crate::catalog::compile::compile;
use crate::catalog::{Bridge, Catalog, Credential, Source, Tool};
use crate::config;
use crate::diag::{Findings, SourceMap, listed, suggest, tame};

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
    pub(super) sources: SourceMap,
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
            Ok((catalog, Findings { sources, .. })) => Ok(Definitions { catalog, sources }),
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

    /// The place where a tool is written: `file:line:column`.
    pub(super) fn place(&self, tool: &Tool) -> String {
        format!("{}:{}", self.sources.name(tool.span.file), self.sources.line_col(tool.span))
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

/// What the model may pass, a row each: name, type and description.
pub(super) fn arguments(tool: &Tool) -> Vec<Vec<String>> {
    let schema = tool.input.schema();
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let row = |(name, schema): (&String, &Value)| {
        let mut kind = kind(schema);
        if required.contains(&name.as_str()) {
            kind.push_str(", required");
        } else if let Some(default) = tool.input.default(name) {
            let _ = write!(kind, ", default {default}");
        }
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        vec![name.clone(), kind, description.to_owned()]
    };
    properties.into_iter().flatten().map(row).collect()
}

/// The type that a schema asks for, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    match schema.get("format").and_then(Value::as_str) {
        Some(format) => format!("{kind} ({format})"),
        None => kind,
    }
}

/// What is refused before anything is sent.
pub(super) fn refusals(bridge: &Bridge, tool: &Tool) -> Vec<String> {
    let mut lines = Vec::new();
    let names: Vec<String> = arguments(tool).into_iter().filter_map(|row| row.into_iter().next()).collect();
    lines.push(match names.len() {
        0 => "any argument: it takes none".to_owned(),
        _ => format!("any argument other than {}", listed(names.iter().map(String::as_str), "and")),
    });
    for name in claims(tool) {
        let paths = bridge.claims.get(name).into_iter().flatten().map(crate::principal::ClaimPath::as_str);
        lines.push(format!("a caller whose token has no claim {}", listed(paths, "or")));
    }
    let access = &tool.access;
    for scope in &access.scopes {
        lines.push(format!("a caller whose token lacks the scope `{scope}`"));
    }
    for groups in &access.groups {
        lines.push(format!("a caller in none of the groups {}", listed(groups.iter().map(String::as_str), "and")));
    }
    for (condition, _) in &access.when {
        lines.push(format!("a caller for whom `{condition}` is not true"));
    }
    if let (Some(_), Some(upstream)) = (&tool.operation, &bridge.upstream)
        && let Credential::CallerToken { audience: Some(audience) } = &upstream.credential
    {
        lines.push(format!("a caller whose token does not name the audience `{audience}`"));
    }
    lines
}

/// The claims without which a call is refused.
fn claims(tool: &Tool) -> Vec<&str> {
    let mut names: Vec<&str> = tool.shape_claims.iter().map(String::as_str).collect();
    if let Some(operation) = &tool.operation {
        names.extend(operation.template_claims.iter().map(String::as_str));
        names.extend(operation.bindings.iter().filter_map(|binding| match &binding.source {
            Source::Claim(name) if binding.required => Some(name.as_str()),
            _ => None,
        }));
    }
    names.sort_unstable();
    names.dedup();
    names
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
