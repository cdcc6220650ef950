//! `tollbridge show`: one tool as it is understood, with what was left to be inferred.

use std::fmt::Write as _;

use clap::builder::styling::Style;
use serde_json::{Value, json};

use super::ExitStatus;
use super::describe::{self, From};
use super::print::Printer;
use crate::catalog::{
    Binding, BodyTemplate, Bridge, Credential, Encoding, Location, OnBehalf, Operation, Source, Tool, UpstreamDef,
};
use crate::diag::tame;
use crate::mcp;
use crate::principal::ClaimPath;
use crate::quantity::{show_duration, show_size};
use crate::secret::Text;
use crate::shape::Hidden;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tool
    tool: String,
    #[command(flatten)]
    from: From,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

/// A part of the request: its name, where it goes, where it comes from, and how it is written.
struct Part {
    name: String,
    place: String,
    source: String,
    notes: Vec<String>,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    show(args, printer).unwrap_or_else(|status| status)
}

fn show(args: &Args, printer: &mut Printer) -> Result<ExitStatus, ExitStatus> {
    let definitions = args.from.read(printer)?;
    let (bridge, tool) = definitions.tool(&args.tool, printer)?;
    match args.format {
        Format::Text => printer.result(&text(bridge, tool, printer)),
        Format::Json => printer.result(&format!("{:#}", machine(bridge, tool))),
    }
    Ok(ExitStatus::Fine)
}

fn text(bridge: &Bridge, tool: &Tool, printer: &Printer) -> String {
    let bold = |words: &str| printer.paint(Style::new().bold(), words);
    let mut text = format!("{}   {}   bridge {}\n", bold(&tool.name), tool.place, bridge.name);
    for words in [&tool.title, &tool.description].into_iter().flatten() {
        for line in words.lines() {
            let _ = writeln!(text, "  {}", tame(line));
        }
    }
    let mut section = |head: &str, rows: &[Vec<String>]| {
        if !rows.is_empty() {
            let _ = write!(text, "\n{}\n{}", bold(head), describe::table(rows));
        }
    };
    match (&tool.operation, &bridge.upstream) {
        (Some(operation), Some(upstream)) => {
            let mut rows = vec![vec![format!("{} {}{}", operation.method, base(upstream), operation.path)]];
            rows.extend(parts(bridge, tool, operation).into_iter().map(|part| {
                let notes = part.notes.join(", ");
                vec![format!("  {}", part.name), part.place, part.source, notes]
            }));
            // The first row is no part, so it must not widen the columns.
            let (first, rest) = rows.split_at(1);
            section("The request", first);
            text.push_str(&describe::table(rest));
            let mut section = |head: &str, rows: &[Vec<String>]| {
                let _ = write!(text, "\n{}\n{}", bold(head), describe::table(rows));
            };
            section("How it is sent", &sending(tool, operation, upstream));
        }
        _ => section("The answer", &[vec!["stands in the file; nothing is sent".to_owned()]]),
    }
    let questions = describe::questions(tool);
    if !questions.is_empty() {
        let _ = write!(text, "\n{}\n{}", bold("Asked before anything is sent"), describe::table(&questions));
    }
    let refusals: Vec<Vec<String>> = describe::refusals(bridge, tool).into_iter().map(|line| vec![line]).collect();
    let _ = write!(text, "\n{}\n{}", bold("Refused before anything is sent"), describe::table(&refusals));
    let _ = writeln!(text, "\n{}", bold("What the model sees"));
    for line in format!("{:#}", mcp::tool_as_listed(tool)).lines() {
        let _ = writeln!(text, "  {}", tame(line));
    }
    text
}

fn machine(bridge: &Bridge, tool: &Tool) -> Value {
    let request = tool.operation.as_ref().zip(bridge.upstream.as_ref()).map(|(operation, upstream)| {
        let parts: Vec<Value> = parts(bridge, tool, operation)
            .into_iter()
            .map(|part| json!({ "name": part.name, "place": part.place, "source": part.source, "notes": part.notes }))
            .collect();
        json!({
            "method": operation.method.as_str(),
            "url": format!("{}{}", base(upstream), operation.path),
            "parts": parts,
            "credentials": credential(&upstream.credential),
            "timeout_ms": u64::try_from(operation.timeout.as_millis()).unwrap_or(u64::MAX),
            "max_response_bytes": upstream.max_response_bytes,
        })
    });
    json!({
        "name": tool.name,
        "bridge": bridge.name,
        "place": tool.place,
        "request": request,
        "access": {
            "scopes": tool.access.scopes,
            "groups": tool.access.groups,
            "when": tool.access.when.iter().map(|(condition, _)| condition).collect::<Vec<_>>(),
        },
        "refusals": describe::refusals(bridge, tool),
        "definition": mcp::tool_as_listed(tool),
    })
}

fn base(upstream: &UpstreamDef) -> String {
    upstream.url.to_string().trim_end_matches('/').to_owned()
}

fn parts(bridge: &Bridge, tool: &Tool, operation: &Operation) -> Vec<Part> {
    let mut parts: Vec<Part> = operation.bindings.iter().map(|binding| part(bridge, tool, binding)).collect();
    let body = match &operation.body {
        BodyTemplate::Members => None,
        BodyTemplate::Json(..) => Some("JSON"),
        BodyTemplate::Form(_) => Some("a form"),
        BodyTemplate::Multipart(_) => Some("a form with files"),
        BodyTemplate::Text(..) => Some("text"),
        BodyTemplate::Base64(..) => Some("bytes, from base64"),
    };
    parts.extend(body.map(|kind| Part {
        name: "body".to_owned(),
        place: "body".to_owned(),
        source: "template".to_owned(),
        notes: vec![kind.to_owned()],
    }));
    parts
}

fn part(bridge: &Bridge, tool: &Tool, binding: &Binding) -> Part {
    let renamed = |kind: &str, wire: &str| {
        if wire == binding.name { kind.to_owned() } else { format!("{kind} {wire}") }
    };
    let place = match &binding.location {
        Location::Path => "path".to_owned(),
        Location::Query(wire) => renamed("query", wire),
        Location::Header(wire) => format!("header {wire}"),
        Location::Cookie(wire) => renamed("cookie", wire),
        Location::Body(wire) => renamed("body", wire),
    };
    let source = match &binding.source {
        Source::Argument => "argument".to_owned(),
        Source::Claim(name) => {
            let paths: Vec<&str> = bridge.claims.get(name).into_iter().flatten().map(ClaimPath::as_str).collect();
            format!("claim {}", paths.join(", or else "))
        }
        Source::Value(data) if data.is_constant() => "constant".to_owned(),
        Source::Value(_) => "computed".to_owned(),
    };
    let mut notes = Vec::new();
    match tool.input.default(&binding.name) {
        Some(default) if matches!(binding.source, Source::Argument) => notes.push(format!("or else {default}")),
        _ if binding.required => {}
        _ => notes.push("left out when there is none".to_owned()),
    }
    match &binding.encoding {
        Encoding::Plain => {}
        Encoding::Join(joint) => notes.push(format!("joined with `{joint}`")),
        Encoding::Segments => notes.push("several segments".to_owned()),
        Encoding::Styled { style, explode } => {
            notes.push(format!("style {style}{}", if *explode { ", exploded" } else { "" }));
        }
    }
    Part { name: binding.name.clone(), place, source, notes }
}

fn sending(tool: &Tool, operation: &Operation, upstream: &UpstreamDef) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("credentials", credential(&upstream.credential)),
        row("timeout", show_duration(operation.timeout)),
        row("largest answer", show_size(upstream.max_response_bytes)),
    ];
    if upstream.attempts > 1 && operation.method.is_idempotent() {
        rows.push(row("sent again", format!("up to {} times in all", upstream.attempts)));
    }
    if let Some(time) = operation.cache {
        rows.push(row("answers kept", format!("{}, for each caller by themselves", show_duration(time))));
    }
    if let Some(pages) = &operation.pages {
        rows.push(row("pages", format!("up to {}, as one answer", pages.max_pages)));
    }
    rows.extend(describe::waiting(tool));
    if let Some(limit) = &tool.rate_limit {
        let whose = if limit.by_caller { "each caller" } else { "all callers together" };
        rows.push(row("rate limit", format!("{} calls in {} for {whose}", limit.calls, show_duration(limit.per))));
    }
    let shape = &tool.shape;
    if shape.select.is_some() || shape.output.is_some() || shape.text.is_some() || !shape.redact.is_empty() {
        let kinds = [
            (!shape.redact.is_empty(), "redacted"),
            (shape.select.is_some(), "selected"),
            (shape.output.is_some(), "checked against its schema"),
            (shape.text.is_some(), "told by a template"),
        ];
        let kinds: Vec<&str> = kinds.into_iter().filter_map(|(is, words)| is.then_some(words)).collect();
        rows.push(row("the answer is", kinds.join(", then ")));
    }
    if shape.hidden == Hidden::Flag {
        rows.push(row("hidden characters", "shown by their numbers".to_owned()));
    }
    if let Some(limit) = shape.max_bytes {
        rows.push(row("model gets", format!("{} at most", show_size(limit))));
    }
    rows
}

fn credential(credential: &Credential) -> String {
    match credential {
        Credential::None => "none".to_owned(),
        Credential::CallerToken { audience: None } => "the caller's own token".to_owned(),
        Credential::CallerToken { audience: Some(audience) } => {
            format!("the caller's own token, if it names the audience `{audience}`")
        }
        Credential::Grant(grant) => {
            let whose = match grant.on_behalf {
                OnBehalf::Ourselves => "a token of our client",
                OnBehalf::Caller => "the caller's token, exchanged for one",
            };
            let parts = [("audience", &grant.audience), ("scope", &grant.scope)];
            let parts = parts.iter().filter_map(|(name, text)| Some(format!(" for the {name} `{}`", text.as_ref()?)));
            format!("{whose}{}", parts.collect::<String>())
        }
        Credential::Bearer(token) => format!("bearer token {}", hidden(token)),
        Credential::Basic { username, password } => format!("basic {username}:{}", hidden(password)),
        Credential::KeyHeader(name, key) => format!("API key {} in the header {name}", hidden(key)),
        Credential::KeyQuery(name, key) => format!("API key {} in the query as {name}", hidden(key)),
    }
}

/// A secret as `${NAME}`; one that is written out in the bridge file is not shown.
fn hidden(secret: &Text) -> String {
    if secret.has_secret() { secret.to_string() } else { "<hidden>".to_owned() }
}
