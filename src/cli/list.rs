//! `tollbridge list`: what is on offer.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ExitStatus;
use super::describe::{self, Definitions, From};
use super::print::Printer;
use crate::catalog::{Bridge, Resource, Tool};
use crate::mcp;

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
        Format::Json => printer.result(&format!("{:#}", machine(&definitions))),
    }
    ExitStatus::Fine
}

fn text(definitions: &Definitions) -> String {
    let catalog = &definitions.catalog;
    let mut sections = Vec::new();
    for (index, bridge) in catalog.bridges.iter().enumerate() {
        let mut text = match &bridge.title {
            Some(title) => format!("{}: {}\n", bridge.name, describe::first_line(title)),
            None => format!("{}\n", bridge.name),
        };
        let about = |description: &Option<String>| description.as_deref().map(describe::first_line).unwrap_or_default();
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
                let _ = write!(text, "\n {what}\n{}", describe::table(&rows));
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

fn machine(definitions: &Definitions) -> Value {
    let catalog = &definitions.catalog;
    let bridge = |index| catalog.bridge(index).map(|bridge: &Bridge| bridge.name.as_str());
    let tool = |tool: &Tool| {
        json!({
            "name": tool.name,
            "bridge": bridge(tool.bridge),
            "place": definitions.place(tool),
            "method": tool.operation.as_ref().map(|it| it.method.as_str()),
            "path": tool.operation.as_ref().map(|it| it.path.to_string()),
            "definition": mcp::tool_as_listed(tool),
        })
    };
    let resource = |resource: &Resource| {
        json!({
            "uri": resource.uri.as_str(),
            "bridge": bridge(resource.bridge),
            "name": resource.name,
            "description": resource.description,
            "mime_type": resource.mime_type,
        })
    };
    json!({
        "revision": catalog.revision.to_string(),
        "tools": catalog.tools.values().map(tool).collect::<Vec<_>>(),
        "resources": catalog.resources.values().map(resource).collect::<Vec<_>>(),
        "resource_templates": catalog.resource_templates.iter().map(resource).collect::<Vec<_>>(),
        "prompts": catalog.prompts.values().map(|prompt| json!({
            "name": prompt.name,
            "bridge": bridge(prompt.bridge),
            "description": prompt.description,
            "arguments": prompt.arguments.iter().map(|argument| json!({
                "name": argument.name,
                "description": argument.description,
                "required": argument.required,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}
