//! `tollbridge status`, `reload` and `rollback`: a running server, asked at its admin port.
#![allow(rustdoc::bare_urls, reason = "these comments are the text of --help")]

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::print::Printer;
use super::{ExitStatus, block_on};
use crate::catalog::compile::keeps_secrets;
use crate::config;
use crate::diag::tame;
use crate::net::{Client, ClientSettings, NetError};

/// How long an answer may take: a reload of many files takes a moment.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer accepted, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// Which server.
#[derive(Debug, clap::Args)]
struct At {
    /// The admin port of the server: `admin: { listen: … }` of its server file
    #[arg(long, env = "TOLLBRIDGE_ADMIN", value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: Url,
    /// The environment variable that holds the token of the admin port, if it has one
    #[arg(long, value_name = "NAME", default_value = "TOLLBRIDGE_ADMIN_TOKEN")]
    token_env: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print what a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is 0 when the server runs what its files say, 1 when the files are refused or rolled back, and 3 when \
                  it can't be reached."
)]
pub(super) struct Status {
    #[command(flatten)]
    at: At,
}

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 1 when the files are refused; the previous definitions keep serving then.")]
pub(super) struct Reload {
    /// Take up a breaking change too, where `reload: { breaking: refuse }` would not
    #[arg(long)]
    allow_breaking: bool,
    #[command(flatten)]
    at: At,
}

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The revision serves until the files change again; `tollbridge status` lists those that are kept."
)]
pub(super) struct Rollback {
    /// The revision, or its beginning [default: the one before this]
    revision: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn status(args: &Status, printer: &mut Printer) -> ExitStatus {
    answered(ask(&args.at, Method::GET, "admin/v1/status", None), printer, |told, printer| {
        match args.at.format {
            Format::Json => printer.result(&format!("{told:#}")),
            Format::Text => printer.result(&words(told)),
        }
        if text(told, "files") == "running" { ExitStatus::Fine } else { ExitStatus::Findings }
    })
}

pub(super) fn reload(args: &Reload, printer: &mut Printer) -> ExitStatus {
    let body = json!({ "allow_breaking": args.allow_breaking });
    answered(ask(&args.at, Method::POST, "admin/v1/reload", Some(&body)), printer, |told, printer| {
        changed(args.at.format, told, printer)
    })
}

pub(super) fn rollback(args: &Rollback, printer: &mut Printer) -> ExitStatus {
    let body = json!({ "revision": args.revision });
    answered(ask(&args.at, Method::POST, "admin/v1/rollback", Some(&body)), printer, |told, printer| {
        changed(args.at.format, told, printer)
    })
}

fn answered(
    came: Result<Value, (String, ExitStatus)>,
    printer: &mut Printer,
    show: impl FnOnce(&Value, &mut Printer) -> ExitStatus,
) -> ExitStatus {
    match came {
        Ok(told) => show(&told, printer),
        Err((words, status)) => {
            printer.error(&tame(&words));
            status
        }
    }
}

fn changed(format: Format, told: &Value, printer: &mut Printer) -> ExitStatus {
    match format {
        Format::Json => printer.result(&format!("{told:#}")),
        Format::Text => {
            let outcome = text(told, "outcome");
            let said: Vec<String> = text(told, "words").lines().map(tame).collect();
            let said = if said.join("\n") == outcome { String::new() } else { said.join("\n") };
            printer.result(&format!("{}  {said}", outcome.replace('_', " ")));
        }
    }
    if text(told, "outcome") == "refused" { ExitStatus::Findings } else { ExitStatus::Fine }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn words(told: &Value) -> String {
    let age = told.get("age_s").and_then(Value::as_u64).unwrap_or(0);
    let mut said = format!("revision  {}   for {}\n", tame(text(told, "revision")), since(age));
    let files = match text(told, "files") {
        "running" => "what the files say is running".to_owned(),
        "refused" => "the files on disk are REFUSED; older definitions keep serving".to_owned(),
        "rolled_back" => format!("rolled back; the files say {}", tame(text(told, "written"))),
        other => tame(other),
    };
    let _ = writeln!(said, "files     {files}");
    let last = told.get("last_reload").cloned().unwrap_or_default();
    let _ = writeln!(said, "last      {} at {}", text(&last, "outcome").replace('_', " "), tame(text(&last, "at")));
    let several = |key: &str| told.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let stale: Vec<String> = several("restart_for").iter().filter_map(Value::as_str).map(tame).collect();
    if !stale.is_empty() {
        let _ = writeln!(said, "restart   needed for {} of the server file", stale.join(", "));
    }
    for kept in several("kept") {
        let _ = writeln!(said, "kept      {}   until {}", tame(text(&kept, "revision")), tame(text(&kept, "until")));
    }
    for line in text(&last, "diagnostics").lines().chain(text(&last, "summary").lines()) {
        let _ = writeln!(said, "  {}", tame(line));
    }
    said
}

/// A time span in the largest two units.
fn since(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn ask(at: &At, method: Method, path: &str, body: Option<&Value>) -> Result<Value, (String, ExitStatus)> {
    let usage = |words: String| (words, ExitStatus::Usage);
    let mut base = at.admin.clone();
    if !matches!(base.scheme(), "http" | "https") {
        return Err(usage(format!("{base} is no http or https URL")));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let url = base.join(path).map_err(|error| usage(error.to_string()))?;
    let client = Client::new(&ClientSettings::default()).map_err(|error| usage(error.to_string()))?;
    let mut request = reqwest::Request::new(method, url);
    if let Some(token) = config::environment(&at.token_env).filter(|token| !token.trim().is_empty()) {
        if !keeps_secrets(&base) {
            return Err(usage("a token is sent over https only, except to this machine".to_owned()));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| usage("the token holds characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    if let Some(body) = body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.to_string().into());
    }
    let came = block_on(async { Ok(client.send(request, DEADLINE, MAX_BYTES).await) }).map_err(usage)?;
    let answer = came.map_err(|error| {
        let hint = match error {
            NetError::Unreachable => "; does it run, and with `admin: { listen: … }` or --admin-listen?",
            _ => "",
        };
        (format!("the admin port of the server can't be asked: {error}{hint}"), ExitStatus::Unreachable)
    })?;
    let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = told.as_ref().and_then(|told| told.get("error")).and_then(Value::as_str);
    match (answer.status, told.as_ref(), said) {
        (StatusCode::OK, Some(told), None) => Ok(told.clone()),
        (StatusCode::UNAUTHORIZED, _, _) => {
            let variable = &at.token_env;
            Err((
                format!("the admin port asks for its token; put it into the variable {variable}"),
                ExitStatus::Findings,
            ))
        }
        (_, _, Some(said)) => Err((said.to_owned(), ExitStatus::Findings)),
        (status, ..) => {
            let status = status.as_u16();
            Err((format!("this is no admin port of tollbridge: it answered with status {status}"), ExitStatus::Usage))
        }
    }
}
