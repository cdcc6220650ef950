//! `tollbridge init`: an empty folder becomes a project that passes `check` and `test`.

use std::path::{Path, PathBuf};

use super::ExitStatus;
use super::print::Printer;
use crate::config::schema::{self, Draft};
use crate::suite;
use crate::suite::snapshot::Store;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing that is there is touched: a file that exists stays as it is, and where there are bridges
already, nothing is written at all."
)]
pub(super) struct Args {
    /// The name of the first bridge: lower-case letters, digits, `-` and `_`
    #[arg(default_value = "orders")]
    name: String,
    /// The folder of the project
    #[arg(long, short, default_value = ".", value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    init(args, printer).unwrap_or_else(|why| {
        printer.error(&why);
        ExitStatus::Usage
    })
}

fn init(args: &Args, printer: &mut Printer) -> Result<ExitStatus, String> {
    let Args { name, directory } = args;
    let is_letter = |it: char| it.is_ascii_lowercase();
    let is_fine = name.starts_with(is_letter)
        && name.len() <= 64
        && name.chars().all(|it| is_letter(it) || it.is_ascii_digit() || it == '-' || it == '_');
    if !is_fine {
        return Err(format!(
            "`{name}` can't be the name of a bridge: a lower-case letter, then lower-case letters, digits, `-` or `_`"
        ));
    }
    let bridges = directory.join("bridges");
    for taken in [&bridges, &directory.join("tollbridge.yaml")] {
        if taken.exists() {
            return Err(format!("{} is there already; nothing was written", taken.display()));
        }
    }
    let schema = |value: serde_json::Value| format!("{value:#}\n");
    let files: [(String, String); 9] = [
        (
            format!("bridges/{name}.yaml"),
            include_str!("init/bridge.yaml").replace("bridge: NAME", &format!("bridge: {name}")),
        ),
        (format!("bridges/{name}.test.yaml"), include_str!("init/test.yaml").to_owned()),
        ("tollbridge.yaml".to_owned(), include_str!("init/tollbridge.yaml").to_owned()),
        ("schemas/bridge.schema.json".to_owned(), schema(schema::bridge_schema(Draft::Draft07))),
        ("schemas/test.schema.json".to_owned(), schema(schema::test_schema(Draft::Draft07))),
        ("schemas/tollbridge.schema.json".to_owned(), schema(schema::server_schema(Draft::Draft07))),
        (".github/workflows/bridges.yml".to_owned(), include_str!("init/workflow.yml").to_owned()),
        (".pre-commit-config.yaml".to_owned(), include_str!("init/pre-commit.yaml").to_owned()),
        (".gitignore".to_owned(), include_str!("init/gitignore").to_owned()),
    ];
    for (file, text) in files {
        let path = directory.join(&file);
        let said =
            if path.exists() { "is there already, and stays" } else { write(&path, &text).map(|()| "written")? };
        printer.result(&format!("{file}: {said}"));
    }
    let store = Store::usual(&bridges);
    for snapshot in suite::run(&bridges)? {
        store.accept(&snapshot).map_err(|error| format!("a snapshot can't be written: {error}"))?;
        printer.result(&format!("tests/snapshots/{}.snap: written", snapshot.name));
    }
    let place = if directory == Path::new(".") { String::new() } else { format!("cd {}\n  ", directory.display()) };
    printer.note(&format!(
        "\nNext:\n  {place}tollbridge test\n  tollbridge explain list_my_orders --claims employeeNumber=4711\n\
         and with your own API and Okta in bridges/{name}.yaml and tollbridge.yaml:\n  {place}tollbridge doctor\n  \
         tollbridge serve"
    ));
    Ok(ExitStatus::Fine)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} can't be written: {error}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    std::fs::write(path, text).map_err(failed)
}
