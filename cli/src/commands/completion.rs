//! `fleetmend completion`: what a shell needs to complete arguments.

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompletionArgs {
    /// Shell to complete in
    shell: clap_complete::Shell,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend completion bash > ~/.local/share/bash-completion/completions/fleetmend
  fleetmend completion powershell >> $PROFILE";

/// Prints the script.
///
/// # Errors
/// Standard output failed.
pub(crate) fn cmd_completion(args: &CompletionArgs, printer: &Printer) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fleetmend", &mut script);
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(exit_code::OK)
}
