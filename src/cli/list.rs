//! `tollbridge list`: what is on offer.

use std::fmt::Write as _;

use super::ExitStatus;
use super::describe::{self as words, Definitions, From};
use super::print::Printer;
use crate::catalog::Tool;
use crate::describe;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    from: From,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
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
        Format::Text => printer.result(&text(&definitions)),
        Format::Json => printer.result(&format!("{:#}", describe::catalogue(&definitions.catalog))),
    }
    ExitStatus::Fine
}

fn text(definitions: &Definitions) -> String {
    let catalog = &definitions.catalog;
    let mut sections = Vec::new();
    for (index, bridge) in catalog.bridges.iter().enumerate() {
        let mut text = match &bridge.title {
            Some(title) => format!("{}: {}\n", bridge.name, words::first_line(title)),
            None => format!("{}\n", bridge.name),
        };
        let about = |description: &Option<String>| description.as_deref().map(words::first_line).unwrap_or_default();
        let tools = catalog.tools.values().filter(|tool| tool.bridge == index);
        let tools: Vec<_> =
            tools.map(|tool| vec![tool.name.clone(), endpoint(tool), about(&tool.description)]).collect();
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
    sections.join("\n")
}

fn endpoint(tool: &Tool) -> String {
    match &tool.operation {
        Some(operation) => format!("{} {}", operation.method, operation.path),
        None => "answers from the file".to_owned(),
    }
}
