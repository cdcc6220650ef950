//! `tollbridge completions`: what a shell needs to complete our commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::print::Printer;
use super::{Cli, ExitStatus};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
                        tollbridge completions bash > ~/.local/share/bash-completion/completions/tollbridge\n  \
                        tollbridge completions zsh > ~/.zfunc/_tollbridge\n  \
                        tollbridge completions fish > ~/.config/fish/completions/tollbridge.fish")]
pub(super) struct Args {
    /// The shell that is to complete them
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tollbridge", &mut script);
    printer.result(String::from_utf8_lossy(&script).trim_end());
    ExitStatus::Fine
}
