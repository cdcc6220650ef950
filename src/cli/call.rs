//! `tollbridge call`: a real call of a tool, in this process or at a running server.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#![allow(rustdoc::bare_urls, reason = "these comments are the text of --help")]

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::time::Duration;
use url::Url;

use super::print::Printer;
use super::{DEFAULT_CONFIG, ExitStatus, block_on, describe, given, remote};
use crate::auth::{self, AuthError, AuthSettings};
use crate::call::CallError;
use crate::config;
use crate::config::server::{AuthSpec, True};
use crate::config::variable::Environment;
use crate::diag::tame;
use crate::live::{Live, Loader};
use crate::mcp;
use crate::metrics::Meter;
use crate::principal::Principal;
use crate::quantity::show_duration;
use crate::serve::settings::{Overrides, Settings};
use crate::shape::Outcome;
use crate::suite::record::Recorded;

/// Where the caller's token is looked for.
const TOKEN: &str = "OKTA_ACCESS_TOKEN";

/// Arguments of `call`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  export OKTA_ACCESS_TOKEN=$(tollbridge login --issuer https://your-org.okta.com/oauth2/default --client-id 0oa…)
  tollbridge call get_employee_schedule start_date=2026-01-05 end_date=2026-01-09
  tollbridge call get_time_off --url https://mcp.example.com/mcp
  tollbridge call get_time_off --record bridges/hr.test.yaml

It prints what the model would read. The exit code is 1 when that is an error, and 3 when the server can't be reached.
In this process the token is checked as `tollbridge.yaml` says; the call stands in no audit trail.")]
pub(super) struct Args {
    /// The tool
    tool: String,
    /// What the model passes: NAME=VALUE, NAME:=JSON, or @FILE for an object of arguments (@- for standard input)
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// Call it at this MCP endpoint, such as https://mcp.example.com/mcp, instead of in this process
    #[arg(long, value_name = "URL", conflicts_with_all = ["bridges", "config", "no_auth", "record"])]
    url: Option<Url>,
    /// The environment variable that holds the caller's access token
    #[arg(long, value_name = "NAME", default_value = TOKEN)]
    token_env: String,
    /// The server file [default: tollbridge.yaml, if it is there]
    #[arg(long, short, env = "TOLLBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of bridge files, or one bridge file [default: bridges]
    #[arg(long, short, env = "TOLLBRIDGE_BRIDGES", value_name = "PATH")]
    bridges: Option<PathBuf>,
    /// Call as nobody in particular, without checking a token
    #[arg(long)]
    no_auth: bool,
    /// What is answered to a question of `ask`: NAME:=JSON or NAME=TEXT; may be repeated. `confirm=yes` confirms
    #[arg(long, value_name = "ANSWER")]
    answer: Vec<String>,
    /// Print the result as the protocol has it: JSON
    #[arg(long)]
    raw: bool,
    /// Append the exchange as a test with its canned answer to this file, without secrets
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let token = config::environment(&args.token_env).filter(|token| !token.trim().is_empty());
    let token = token.map(|token| SecretString::from(token.trim().to_owned()));
    let called = match &args.url {
        Some(url) => there(args, url, token.as_ref(), printer),
        None => here(args, token.as_ref(), printer),
    };
    called.unwrap_or_else(|status| status)
}

// === in this process ===

fn here(args: &Args, token: Option<&SecretString>, printer: &mut Printer) -> Result<ExitStatus, ExitStatus> {
    let (live, settings) = load(args).map_err(|findings| {
        printer.findings(&findings);
        ExitStatus::Findings
    })?;
    let snapshot = live.load();
    let (bridge, tool) = describe::tool(&snapshot.catalog, &args.tool, printer)?;
    let arguments = given::arguments(&args.arguments, tool.input.schema(), printer)?;
    let needs_token = tool.needs_identity(&snapshot.catalog) && !matches!(settings.auth, AuthSettings::None);
    if needs_token && token.is_none() {
        printer.error(&format!(
            "this tool needs to know who calls: put an access token into {} (`tollbridge login` gets one)",
            args.token_env
        ));
        return Err(ExitStatus::Usage);
    }
    let answers = given::answers(&args.answer, tool, printer)?;
    let recording = snapshot.recording();
    // A tool that waits knows itself for how long.
    let waits = tool.operation.as_ref().is_some_and(|operation| operation.job.is_some());
    let limit = if waits { Duration::MAX } else { settings.request_timeout };
    let called = block_on(async {
        let who = match token {
            Some(token) => principal(settings.auth.clone(), token).await?,
            None => Principal::anonymous(),
        };
        let call = recording.call(tool, arguments.clone(), &answers, &who);
        let late = |_| {
            let words = format!("The call did not end within {}", show_duration(limit));
            Err(CallError::Upstream(words))
        };
        let outcome = tokio::time::timeout(limit, call).await.unwrap_or_else(late);
        Ok((who, outcome))
    });
    let (who, outcome) = called.map_err(|why| {
        printer.error(&why);
        ExitStatus::Findings
    })?;
    let outcome: Result<Value, CallError> = outcome.map(|outcome: Outcome| mcp::result_as_sent(&tool.name, outcome));
    if let Some(file) = &args.record {
        let recorded = Recorded {
            bridge,
            tool,
            who: &who,
            arguments: &arguments,
            api: recording.api(tool.bridge),
            outcome: outcome.as_ref(),
        };
        record(file, &recorded, printer)?;
    }
    Ok(match outcome {
        Ok(result) => tell(&result, args, printer),
        Err(error) if args.raw => {
            let part = json!({ "type": "text", "text": error.to_string() });
            tell(&json!({ "content": [part], "isError": true }), args, printer)
        }
        Err(error) => {
            printer.error(&tame(&error.to_author()));
            ExitStatus::Findings
        }
    })
}

fn load(args: &Args) -> Result<(Live, Settings), crate::diag::Findings> {
    let usual = || Some(PathBuf::from(DEFAULT_CONFIG)).filter(|path| path.exists());
    let path = args.config.clone().or_else(usual);
    let document = path.as_deref().map(config::load_server).transpose()?;
    let directory = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let overrides = Overrides {
        bridges: args.bridges.clone(),
        auth: args.no_auth.then(|| AuthSpec { none: Some(True), ..AuthSpec::default() }),
        // Nothing is listened on here.
        insecure: true,
        ..Overrides::default()
    };
    let settings = Settings::resolve(document.as_ref(), &directory, overrides, Environment::default())?;
    let loader = Loader {
        path: settings.bridges.clone(),
        environment: settings.environment.clone(),
        egress: settings.egress.clone(),
        ..Loader::default()
    };
    Ok((Live::start(loader)?.0, settings))
}

async fn principal(settings: AuthSettings, token: &SecretString) -> Result<Principal, String> {
    let authenticator = auth::build(settings, &Meter::default())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    authenticator.authenticate(token).await.map_err(|error| match error {
        AuthError::Missing => "there is no token".to_owned(),
        AuthError::Rejected { reason } => format!("the token is refused: {reason} (`tollbridge doctor` tells more)"),
        AuthError::Unavailable { reason } => format!("the token can't be checked: {reason}"),
    })
}

/// Appends a test to a file that has tests, or begins one.
fn record(file: &Path, recorded: &Recorded<'_>, printer: &mut Printer) -> Result<(), ExitStatus> {
    let name = file.display();
    let written = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "tests:\n".to_owned(),
        Err(error) => {
            printer.error(&format!("{name} can't be read: {error}"));
            return Err(ExitStatus::Usage);
        }
    };
    let count = |text: &str| {
        let read = config::read_object("recorded", text).ok()?;
        Some(read.get("tests").and_then(Value::as_array).map_or(0, Vec::len))
    };
    let before = if written == "tests:\n" { Some(0) } else { count(&written) };
    let number = before.unwrap_or_default() + 1;
    let test = recorded.yaml(&format!("recorded call {number}"));
    let whole = format!("{}\n{test}", written.trim_end());
    if before.is_none() || count(&whole) != Some(number) {
        printer.error(&format!("{name} does not end with a list of `tests:`; it is untouched, and this is the test"));
        printer.result(&test);
        return Err(ExitStatus::Usage);
    }
    std::fs::write(file, whole).map_err(|error| {
        printer.error(&format!("{name} can't be written: {error}"));
        ExitStatus::Usage
    })?;
    printer.note(&format!("recorded as test {number} of {name}; give it a better name"));
    Ok(())
}

// === at a running server ===

fn there(
    args: &Args,
    url: &Url,
    token: Option<&SecretString>,
    printer: &mut Printer,
) -> Result<ExitStatus, ExitStatus> {
    let server = remote::Server::new(url, token).map_err(|why| {
        printer.error(&why);
        ExitStatus::Usage
    })?;
    let mut fails = |failure: remote::Failure| {
        printer.error(&tame(&failure.words));
        if failure.is_unreached { ExitStatus::Unreachable } else { ExitStatus::Findings }
    };
    let ask = |method: &str, params: Value| block_on(async { Ok(server.ask(method, params).await) });
    let listed = ask("tools/list", json!({})).map_err(|_| ExitStatus::Usage)?.map_err(&mut fails)?;
    let tools = listed.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_it = |tool: &&Value| tool.get("name").and_then(Value::as_str) == Some(&args.tool);
    let empty = Map::new();
    let schema = tools.iter().find(is_it).and_then(|tool| tool.get("inputSchema")?.as_object()).unwrap_or(&empty);
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool.get("name")?.as_str()).collect();
    if !names.contains(&args.tool.as_str()) {
        describe::no_tool(&args.tool, names.into_iter(), printer);
        return Err(ExitStatus::Usage);
    }
    let arguments = given::arguments(&args.arguments, schema, printer)?;
    let mut fails = |failure: remote::Failure| {
        printer.error(&tame(&failure.words));
        if failure.is_unreached { ExitStatus::Unreachable } else { ExitStatus::Findings }
    };
    let params = json!({ "name": args.tool, "arguments": arguments });
    let result = ask("tools/call", params).map_err(|_| ExitStatus::Usage)?.map_err(&mut fails)?;
    Ok(tell(&result, args, printer))
}

/// Prints a result: what the model reads of it, or all of it.
fn tell(result: &Value, args: &Args, printer: &mut Printer) -> ExitStatus {
    if args.raw {
        printer.result(&format!("{result:#}"));
    } else {
        let parts = result.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
        for part in &parts {
            let words = words(part);
            for line in words.lines() {
                printer.result(&tame(line));
            }
        }
    }
    if result.get("isError") == Some(&Value::Bool(true)) { ExitStatus::Findings } else { ExitStatus::Fine }
}

/// A part of a result as a person reads it.
fn words(part: &Value) -> String {
    let text = |key: &str| part.get(key).and_then(Value::as_str).unwrap_or_default();
    let size = |data: &str| data.len() / 4 * 3 - data.bytes().rev().take_while(|it| *it == b'=').count().min(2);
    match text("type") {
        "text" => text("text").to_owned(),
        kind @ ("image" | "audio") => format!("<{kind}, {}, {} bytes>", text("mimeType"), size(text("data"))),
        "resource_link" => format!("<link, {}>", text("uri")),
        "resource" => {
            let inner = |key: &str| part.get("resource").and_then(|it| it.get(key)?.as_str()).unwrap_or_default();
            match inner("text") {
                "" => format!("<resource, {}, {}>", inner("uri"), inner("mimeType")),
                text => text.to_owned(),
            }
        }
        other => format!("<{other}>"),
    }
}

/// How long a server may take to answer.
pub(super) const DEADLINE: Duration = Duration::from_mins(2);
