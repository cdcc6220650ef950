//! `tollbridge schema`: what editors need to complete and check the files.

use super::ExitStatus;
use super::print::Printer;
use crate::config::schema;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which file to describe
    #[arg(value_enum, default_value_t = Subject::Bridge)]
    subject: Subject,
    /// Which draft of JSON Schema to write
    #[arg(long, value_enum, default_value_t = Draft::Draft07)]
    draft: Draft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// A bridge file
    Bridge,
    /// The server file, tollbridge.yaml
    Server,
    /// A file of config tests, *.test.yaml
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Draft {
    /// Read by every editor
    #[value(name = "draft-07")]
    Draft07,
    /// The newest
    #[value(name = "2020-12")]
    Draft202012,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let draft = match args.draft {
        Draft::Draft07 => schema::Draft::Draft07,
        Draft::Draft202012 => schema::Draft::Draft202012,
    };
    let document = match args.subject {
        Subject::Bridge => schema::bridge_schema(draft),
        Subject::Server => schema::server_schema(draft),
        Subject::Test => schema::test_schema(draft),
    };
    printer.result(&format!("{document:#}"));
    ExitStatus::Fine
}
