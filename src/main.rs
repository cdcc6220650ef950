//! The `tollbridge` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollbridge::cli::run().into()
}
