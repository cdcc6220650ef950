//! `tollbridge explain`: the request that a call would send, and where each part of it comes from. Sends nothing; it
//! goes the way that the server goes, as far as the wire.

use std::fmt::Write as _;

use super::ExitStatus;
use clap::builder::styling::{AnsiColor, Style};

use super::describe::{self as words, From};
use super::given;
use super::print::Printer;
use crate::call::{self, CallError, Fragment, FragmentSource, Preview};
use crate::catalog::{Bridge, Tool};
use crate::describe::{self, Preliminary};
use crate::diag::tame;
use crate::shape::Content;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tollbridge explain get_employee_schedule start_date=2026-01-05 end_date=2026-01-09 --claims gpid=12345
  tollbridge explain request_time_off @arguments.json --claims alice.yaml --format curl

The exit code is 1 when the call would be refused.")]
pub(super) struct Args {
    /// The tool
    tool: String,
    /// What the model passes: NAME=VALUE, NAME:=JSON, or @FILE for an object of arguments (@- for standard input)
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// What is answered to a question of `ask`: NAME:=JSON or NAME=TEXT; may be repeated. What is only to be confirmed is
    /// taken as confirmed
    #[arg(long, value_name = "ANSWER")]
    answer: Vec<String>,
    /// What the caller's token says: NAME=VALUE, NAME:=JSON, or a JSON or YAML file; may be repeated
    #[arg(long, value_name = "CLAIMS")]
    claims: Vec<String>,
    #[command(flatten)]
    from: From,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
    /// A line for a shell that sends it: put the caller's token into TOKEN first
    Curl,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    explain(args, printer).unwrap_or_else(|status| status)
}

fn explain(args: &Args, printer: &mut Printer) -> Result<ExitStatus, ExitStatus> {
    let definitions = args.from.read(printer)?;
    let (bridge, tool) = definitions.tool(&args.tool, printer)?;
    let arguments = given::arguments(&args.arguments, tool.input.schema(), printer)?;
    let who = given::caller(&args.claims, printer)?;
    let answers = given::answers(&args.answer, tool, printer)?.agreeing(tool);
    let mut request = None;
    let plan = call::plan(&definitions.catalog, tool, arguments, &answers, &who);
    let planned =
        plan.and_then(|plan| describe::preliminary(&definitions.catalog, bridge, tool, &who, plan, &mut request));
    let status = if planned.is_ok() { ExitStatus::Fine } else { ExitStatus::Findings };
    match args.format {
        Format::Text => printer.result(&text(bridge, tool, &planned, printer)),
        Format::Json => printer.result(&format!("{:#}", describe::explained(bridge, tool, &planned))),
        Format::Curl => match &planned {
            Ok(Preliminary::Request(preview)) => printer.result(&preview.curl()),
            Ok(Preliminary::Answer(_)) => printer.note("the tool answers from the file; there is no request"),
            Err(error) => printer.error(&refused(error)),
        },
    }
    Ok(status)
}

fn refused(error: &CallError) -> String {
    format!("refused, and nothing would be sent: {}", tame(&error.to_author()))
}

fn text(bridge: &Bridge, tool: &Tool, planned: &Result<Preliminary<'_>, CallError>, printer: &Printer) -> String {
    let head = |words: &str| format!("\n{}\n", printer.paint(Style::new().bold(), words));
    let mut text = format!("{}   {}\n", printer.paint(Style::new().bold(), &tool.name), tool.place);
    match planned {
        Ok(Preliminary::Request(preview)) => {
            text.push_str(&head("The request"));
            for line in preview.head() {
                let line: String = line.iter().map(|fragment| painted(fragment, printer)).collect();
                let _ = writeln!(text, "  {line}");
            }
            if let Some(body) = preview.body() {
                text.push('\n');
                for line in body.lines() {
                    let _ = writeln!(text, "  {}", tame(line));
                }
            }
            let rows = sources(preview);
            if !rows.is_empty() {
                text.push_str(&head("Where it comes from"));
                text.push_str(&words::table(&rows));
            }
            let rows = describe::waiting(tool);
            if !rows.is_empty() {
                text.push_str(&head("What comes after it"));
                text.push_str(&words::table(&rows));
            }
        }
        Ok(Preliminary::Answer(outcome)) => {
            text.push_str(&head("The answer, from the file; nothing is sent"));
            for content in &outcome.content {
                let words = match content {
                    Content::Text(text) => text.clone(),
                    Content::Image { mime_type, data } => format!("<an image, {mime_type}, {} bytes>", data.len()),
                    Content::Audio { mime_type, data } => format!("<a sound, {mime_type}, {} bytes>", data.len()),
                    Content::Resource { uri, .. } => format!("<a resource, {}>", uri.as_deref().unwrap_or_default()),
                    Content::Link { uri, .. } => format!("<a link, {uri}>"),
                };
                for line in words.lines() {
                    let _ = writeln!(text, "  {}", tame(line));
                }
            }
        }
        Err(error) => {
            let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
            let _ = writeln!(text, "\n{}: nothing would be sent", printer.paint(red, "Refused"));
            if matches!(error, CallError::Unknown(_)) {
                text.push_str("  For this caller the tool does not exist: see its groups and conditions below.\n");
            } else {
                for line in error.to_author().lines() {
                    let _ = writeln!(text, "  {}", tame(line));
                }
            }
            if matches!(error, CallError::Denied(_) | CallError::Unknown(_)) {
                text.push_str("  (Say who is calling with `--claims NAME=VALUE` or `--claims FILE`.)\n");
            }
        }
    }
    text.push_str(&head("What the model sees"));
    let description = tool.description.as_deref().map(words::first_line).unwrap_or_default();
    text.push_str(&words::table(&[vec![tool.name.clone(), description]]));
    let arguments = words::arguments(tool);
    let indented: Vec<Vec<String>> = arguments
        .into_iter()
        .map(|mut row| {
            if let Some(name) = row.first_mut() {
                name.insert_str(0, "  ");
            }
            row
        })
        .collect();
    text.push_str(&words::table(&indented));
    let questions = words::questions(tool);
    if !questions.is_empty() {
        text.push_str(&head("Asked before anything is sent"));
        text.push_str(&words::table(&questions));
    }
    text.push_str(&head("Refused before anything is sent"));
    let refusals: Vec<Vec<String>> = words::refusals(bridge, tool).into_iter().map(|line| vec![line]).collect();
    text.push_str(&words::table(&refusals));
    text
}

fn sources(preview: &Preview<'_>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        preview.sources().into_iter().map(|line| vec![line.place, line.value, line.source]).collect();
    rows.extend(preview.used_variables().into_iter().map(|(shown, source)| vec![shown, String::new(), source]));
    rows
}

/// The colour says where a piece of the request comes from.
fn painted(fragment: &Fragment, printer: &Printer) -> String {
    let style = match fragment.source {
        FragmentSource::Constant => return tame(&fragment.text),
        FragmentSource::Argument => AnsiColor::Cyan,
        FragmentSource::Claim => AnsiColor::Green,
        FragmentSource::Computed => AnsiColor::Magenta,
        FragmentSource::Secret => AnsiColor::Yellow,
    };
    printer.paint(style.on_default(), &tame(&fragment.text))
}
