//! `fleetmend directory`: what the directory says, asked from here.

mod laps;
mod probe;
mod show;

use clap::Subcommand;

pub(crate) use probe::policy;

use crate::error::CliError;
use crate::printer::Printer;

/// Ask the directory about a computer, its LAPS password or an account
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DirectoryCommandArgs {
    #[command(subcommand)]
    command: DirectoryCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend directory probe --directory corp.example.jp --directory-user svc-fleetmend
  fleetmend directory show PC-007 --directory corp.example.jp --directory-user svc-fleetmend
  fleetmend directory laps PC-007 --directory corp.example.jp --directory-user svc-laps --reveal

Nothing is changed. Exit codes: 0 found, readable or accepted; 1 not; 2 the directory could not be
asked; 3 an account was refused or is spared.";

#[derive(Debug, Subcommand)]
enum DirectoryCommand {
    /// Show a computer's account as every domain controller has it
    Show(show::ShowArgs),
    /// Show what LAPS keeps of a computer's local administrator
    Laps(laps::LapsArgs),
    /// Log on once with the directory account, or with another account
    Probe(probe::ProbeArgs),
}

/// Asks the directory.
///
/// # Errors
/// It cannot be asked, or standard output failed.
pub(crate) async fn cmd_directory(
    args: &DirectoryCommandArgs,
    printer: &Printer,
) -> Result<u8, CliError> {
    match &args.command {
        DirectoryCommand::Show(args) => show::cmd_show(args, printer).await,
        DirectoryCommand::Laps(args) => laps::cmd_laps(args, printer).await,
        DirectoryCommand::Probe(args) => probe::cmd_probe(args, printer).await,
    }
}
