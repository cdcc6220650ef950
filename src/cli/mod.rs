//! The command line: one file per command. Results go to stdout, everything else to stderr.

mod admin;
mod call;
mod check;
mod completions;
mod demo;
mod describe;
mod diff;
mod doctor;
mod explain;
mod given;
mod init;
mod list;
mod login;
mod online;
mod print;
mod remote;
mod schema;
mod serve;
mod show;
mod test;

use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use print::Printer;

/// The server file that is used when it is there and `--config` is not given.
const DEFAULT_CONFIG: &str = "tollbridge.yaml";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Serve REST APIs to AI assistants as MCP tools, described in YAML, called as the signed-in user.
#[derive(Debug, Parser)]
#[command(name = "tollbridge", version, styles = STYLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log to stderr: a level (error, warn, info, debug, trace) or directives such as `tollbridge=debug`
    #[arg(
        long,
        global = true,
        env = "TOLLBRIDGE_LOG",
        value_name = "FILTER",
        default_value = "info",
        hide_default_value = true
    )]
    log: String,
    /// How to log
    #[arg(long, global = true, env = "TOLLBRIDGE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the bridges over Streamable HTTP, or over STDIO; takes up changed files while running
    Serve(Box<serve::Args>),
    /// Run a sample API, a development token issuer and the example bridge on this machine
    Demo(demo::Args),
    /// Start a project: a bridge with tests, a server file, and what editors and CI need
    Init(init::Args),
    /// Check bridge files: YAML, schema and meaning; all findings at once. Nothing is contacted, except with `--online`
    Check(check::Args),
    /// Show the HTTP request that a call would send, and where each part of it comes from; sends nothing
    Explain(explain::Args),
    /// Show what changes for the model, for the API and for callers, from one state of the files to another
    Diff(diff::Args),
    /// Say what a running server serves: revision, since when, and what became of the last reload
    Status(admin::Status),
    /// Make a running server read its files now, and say what came of it
    Reload(admin::Reload),
    /// Put back an earlier revision of a running server, until its files change
    Rollback(admin::Rollback),
    /// Call a tool for real, here or at a running server, and print what the model would read
    Call(call::Args),
    /// List the tools, resources and prompts
    List(list::Args),
    /// Show one tool as it is understood: its request, who may call it, and what the model sees
    Show(show::Args),
    /// Run the config tests and compare the snapshots, without the network
    Test(test::Args),
    /// Get an access token for yourself: sign in by browser or by code, or as a service
    Login(login::Args),
    /// Look for what is wrong: server file, identity provider, clock, your token, APIs, address; each with its fix
    Doctor(doctor::Args),
    /// Print the JSON Schema of bridge files or of the server file, for editors
    Schema(schema::Args),
    /// Print what a shell needs to complete these commands
    Completions(completions::Args),
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is well.
    Fine,
    /// There are findings.
    Findings,
    /// Wrong usage or unreadable input.
    Usage,
    /// Something could not be reached, or the address is taken.
    Unreachable,
    /// `serve` refused the configuration at start (sysexits `EX_CONFIG`).
    Config,
}

// === impl ExitStatus ===

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Fine => 0,
            ExitStatus::Findings => 1,
            ExitStatus::Usage => 2,
            ExitStatus::Unreachable => 3,
            ExitStatus::Config => 78,
        })
    }
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitStatus {
    let mut printer = Printer::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return printer.usage(&error),
    };
    if let Err(status) = start_logging(&cli, &mut printer) {
        return status;
    }
    match cli.command {
        Command::Serve(args) => serve::run(*args, &mut printer),
        Command::Demo(args) => demo::run(&args, &mut printer),
        Command::Init(args) => init::run(&args, &mut printer),
        Command::Check(args) => check::run(&args, &mut printer),
        Command::Explain(args) => explain::run(&args, &mut printer),
        Command::Diff(args) => diff::run(&args, &mut printer),
        Command::Status(args) => admin::status(&args, &mut printer),
        Command::Reload(args) => admin::reload(&args, &mut printer),
        Command::Rollback(args) => admin::rollback(&args, &mut printer),
        Command::Call(args) => call::run(&args, &mut printer),
        Command::List(args) => list::run(&args, &mut printer),
        Command::Show(args) => show::run(&args, &mut printer),
        Command::Test(args) => test::run(&args, &mut printer),
        Command::Login(args) => login::run(&args, &mut printer),
        Command::Doctor(args) => doctor::run(&args, &mut printer),
        Command::Schema(args) => schema::run(&args, &mut printer),
        Command::Completions(args) => completions::run(&args, &mut printer),
    }
}

/// Runs a future on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start: {error}"))?;
    let ended = runtime.block_on(future);
    // A blocked read of stdin must not keep the process alive.
    runtime.shutdown_background();
    ended
}

/// Logs go to stderr: under STDIO, stdout belongs to the protocol.
fn start_logging(cli: &Cli, printer: &mut Printer) -> Result<(), ExitStatus> {
    // rmcp logs departures of clients as errors; what matters to an admin, our own rooms say.
    let quieted = format!("rmcp=off,{}", cli.log);
    let filter = EnvFilter::try_new(quieted).map_err(|error| {
        printer.error(&format!("--log can't be read: {error}"));
        ExitStatus::Usage
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(printer.colors_stderr());
    match cli.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
