//! `tollbridge diff`: what changes for the model, for the API and for callers.
#![allow(rustdoc::bare_urls, reason = "these comments are the text of --help")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Style};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::print::Printer;
use super::{ExitStatus, block_on, remote};
use crate::catalog::Catalog;
use crate::catalog::compile::compile;
use crate::catalog::diff::{CatalogDiff, Face, Kind};
use crate::config;
use crate::diag::tame;

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  git worktree add /tmp/main main && tollbridge diff /tmp/main/bridges bridges
  tollbridge diff /tmp/main/bridges bridges --deny breaking     in CI
  tollbridge diff --url https://mcp.example.com/mcp bridges     what a deployment of these files would change

Breaking is what lets something fail that worked: a tool, resource or prompt that is gone, an argument that is gone, required or
takes less than before, a result that promises less, a caller who may call no longer, an API at another host.
The exit code is 1 when something changes, and 3 when the server can't be reached.")]
pub(super) struct Args {
    /// The old and the new bridge files, each a directory or one file; with `--url` only the new ones
    #[arg(required = true, num_args = 1..=2, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Compare with what a running server lists: tools, as the model knows them
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The environment variable that holds the access token for `--url`
    #[arg(long, value_name = "NAME", default_value = "OKTA_ACCESS_TOKEN")]
    token_env: String,
    /// Fail only for what is breaking, not for every change
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    /// Breaking changes
    Breaking,
}

/// How to print a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let diff = match difference(args, printer) {
        Ok(diff) => diff,
        Err(status) => return status,
    };
    match args.format {
        Format::Json => printer.result(&format!("{:#}", diff.json())),
        Format::Text => text(&diff, printer),
    }
    let fails = match args.deny {
        Some(Deny::Breaking) => diff.is_breaking(),
        None => !diff.is_empty(),
    };
    if fails { ExitStatus::Findings } else { ExitStatus::Fine }
}

fn difference(args: &Args, printer: &mut Printer) -> Result<CatalogDiff, ExitStatus> {
    match (args.paths.as_slice(), &args.url) {
        ([old, new], None) => {
            let (old, new) = (load(old, printer)?, load(new, printer)?);
            Ok(CatalogDiff::new(&old, &new))
        }
        ([new], Some(url)) => {
            let new = load(new, printer)?;
            let new = new.tools.values().map(|tool| (tool.name.clone(), Face::of(tool))).collect();
            Ok(CatalogDiff::of_faces(&listed(args, url, printer)?, &new))
        }
        (_, None) => {
            printer.error("compare with what? Write the old path and the new one, or `--url` and the new one");
            Err(ExitStatus::Usage)
        }
        (_, Some(_)) => {
            printer.error("with `--url`, the server is the old state; write only the new path");
            Err(ExitStatus::Usage)
        }
    }
}

fn load(path: &Path, printer: &mut Printer) -> Result<Catalog, ExitStatus> {
    if !path.exists() {
        printer.error(&format!("{} does not exist", path.display()));
        return Err(ExitStatus::Usage);
    }
    compile(config::load(path)).map(|(catalog, _)| catalog).map_err(|findings| {
        printer.findings(&findings);
        ExitStatus::Findings
    })
}

/// The tools of a running server.
fn listed(args: &Args, url: &Url, printer: &mut Printer) -> Result<BTreeMap<String, Face>, ExitStatus> {
    let token = config::environment(&args.token_env).filter(|token| !token.trim().is_empty());
    let token = token.map(|token| SecretString::from(token.trim().to_owned()));
    let mut fails = |words: &str, status| {
        printer.error(&tame(words));
        status
    };
    let server = remote::Server::new(url, token.as_ref()).map_err(|why| fails(&why, ExitStatus::Usage))?;
    let asked = block_on(async { Ok(server.ask("tools/list", json!({})).await) });
    let asked = asked.map_err(|why: String| fails(&why, ExitStatus::Usage))?;
    let result = asked.map_err(|failure| {
        let status = if failure.is_unreached { ExitStatus::Unreachable } else { ExitStatus::Findings };
        fails(&failure.words, status)
    })?;
    let tools = result.get("tools").and_then(Value::as_array).into_iter().flatten();
    Ok(tools.filter_map(|tool| Some((tool.get("name")?.as_str()?.to_owned(), Face::read(tool)))).collect())
}

fn text(diff: &CatalogDiff, printer: &mut Printer) {
    if diff.is_empty() {
        printer.result("no difference");
        return;
    }
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    let breaking = printer.paint(color(AnsiColor::Red).bold(), "   BREAKING");
    let mark = |is_breaking| if is_breaking { breaking.as_str() } else { "" };
    let mut bridge = "";
    for change in &diff.changes {
        if change.bridge != bridge {
            bridge = &change.bridge;
            printer.result(&printer.paint(Style::new().bold(), &tame(bridge)));
        }
        let style = match change.kind {
            Kind::Added => color(AnsiColor::Green),
            Kind::Removed => color(AnsiColor::Red),
            Kind::Changed => color(AnsiColor::Yellow),
        };
        let line = printer.paint(style, &format!("{} {} {}", change.kind.sign(), change.what, tame(&change.name)));
        printer.result(&format!("  {line}{}", mark(change.kind == Kind::Removed)));
        for detail in &change.details {
            printer.result(&format!(
                "      {:6} {}{}",
                detail.side.word(),
                tame(&detail.text),
                mark(detail.is_breaking)
            ));
        }
    }
    let counts: Vec<String> = diff.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
    printer.result(&format!("\n{}", counts.join(", ")));
}
