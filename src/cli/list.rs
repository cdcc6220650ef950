//! `tollbridge list`: what is on offer.

use std::fmt::Write as _;

use serde_json::Value;

use super::ExitStatus;
use super::describe::{self as words, Definitions, From};
use super::print::Printer;
use crate::catalog::{Catalog, Tool};
use crate::{describe, mcp};

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    from: From,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show what each tool takes of a model's context: an estimate, a token for four bytes of its entry in tools/list
    #[arg(long)]
    tokens: bool,
}

/// How to print the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let definitions = match args.from.read(printer) {
        Ok(definitions) => definitions,
        Err(status) => return status,
    };
    match args.format {
        Format::Text => printer.result(&text(&definitions, args.tokens)),
        Format::Json => {
            let mut catalogue = describe::catalogue(&definitions.catalog);
            if args.tokens {
                add_tokens(&mut catalogue, &definitions.catalog);
            }
            printer.result(&format!("{catalogue:#}"));
        }
    }
    ExitStatus::Fine
}

/// What a tool takes of a model's context, about: tokenizers differ, and four bytes of JSON are a token for most of them.
fn tokens(tool: &Tool) -> usize {
    mcp::tool_as_listed(tool).to_string().len().div_ceil(4)
}

fn add_tokens(catalogue: &mut Value, catalog: &Catalog) {
    for shown in catalogue.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let tool = shown.get("name").and_then(Value::as_str).and_then(|name| catalog.tools.get(name));
        if let (Some(tool), Some(shown)) = (tool, shown.as_object_mut()) {
            shown.insert("tokens".to_owned(), tokens(tool).into());
        }
    }
}

fn text(definitions: &Definitions, with_tokens: bool) -> String {
    let catalog = &definitions.catalog;
    let mut sections = Vec::new();
    for (index, bridge) in catalog.bridges.iter().enumerate() {
        let mut text = match &bridge.title {
            Some(title) => format!("{}: {}\n", bridge.name, words::first_line(title)),
            None => format!("{}\n", bridge.name),
        };
        let about = |description: &Option<String>| description.as_deref().map(words::first_line).unwrap_or_default();
        let tools = catalog.tools.values().filter(|tool| tool.bridge == index);
        let tools: Vec<_> = tools
            .map(|tool| {
                let size = with_tokens.then(|| format!("{:>5}", tokens(tool)));
                let row = [Some(tool.name.clone()), size, Some(endpoint(tool)), Some(about(&tool.description))];
                row.into_iter().flatten().collect()
            })
            .collect();
        let resources = catalog.resources.values().chain(&catalog.resource_templates);
        let resources: Vec<_> = resources
            .filter(|resource| resource.bridge == index)
            .map(|resource| vec![resource.uri.as_str().to_owned(), about(&resource.description)])
            .collect();
        let prompts = catalog.prompts.values().filter(|prompt| prompt.bridge == index);
        let prompts: Vec<_> = prompts.map(|prompt| vec![prompt.name.clone(), about(&prompt.description)]).collect();
        for (what, rows) in [("tools", tools), ("resources", resources), ("prompts", prompts)] {
            if !rows.is_empty() {
                let _ = write!(text, "\n {what}\n{}", words::table(&rows));
            }
        }
        sections.push(text);
    }
    if with_tokens {
        let all: usize = catalog.tools.values().map(tokens).sum();
        sections
            .push(format!("All tools take about {all} tokens (estimated: 4 bytes of `tools/list` are one token).\n"));
    }
    sections.join("\n")
}

fn endpoint(tool: &Tool) -> String {
    match &tool.operation {
        Some(operation) => format!("{} {}", operation.method, operation.path),
        None => "answers from the file".to_owned(),
    }
}
