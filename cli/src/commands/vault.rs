//! `fleetmend vault`: passwords in one encrypted file.

mod fresh;
mod get;
mod init;
mod list;
mod place;
mod rekey;
mod rm;
mod set;
mod trail;

use clap::Subcommand;

use crate::error::CliError;
use crate::printer::Printer;

/// Keep passwords in one encrypted file, which the `age` program opens too
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VaultArgs {
    #[command(subcommand)]
    command: VaultCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend vault init fleetmend.vault
  fleetmend vault set local-admin --user fleetadmin --vault fleetmend.vault
  fleetmend vault set pc/kiosk-07 --generate
  fleetmend vault list
  fleetmend vault get local-admin --show
  fleetmend vault init ops.vault --key-file ops.key
  fleetmend vault rekey --vault ops.vault --key-file ops.key --recipient age1…

A vault is a file of age, so `age -d fleetmend.vault` shows what is in it. No option and no
variable takes a password or a passphrase: they are typed, or stand in a file that nobody else
can read.";

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Make a vault without entries
    Init(init::InitArgs),
    /// Add an entry, or give it another password
    Set(set::SetArgs),
    /// Print an entry's password
    Get(get::GetArgs),
    /// List the entries, never their passwords
    List(list::ListArgs),
    /// Remove an entry
    Rm(rm::RmArgs),
    /// Lock a vault by another passphrase, or to other keys
    Rekey(rekey::RekeyArgs),
}

/// Makes, changes and shows vaults.
///
/// # Errors
/// The vault cannot be opened or written, or standard output failed.
pub(crate) fn cmd_vault(args: &VaultArgs, printer: &Printer) -> Result<u8, CliError> {
    match &args.command {
        VaultCommand::Init(args) => init::cmd_init(args, printer),
        VaultCommand::Set(args) => set::cmd_set(args, printer),
        VaultCommand::Get(args) => get::cmd_get(args, printer),
        VaultCommand::List(args) => list::cmd_list(args, printer),
        VaultCommand::Rm(args) => rm::cmd_rm(args, printer),
        VaultCommand::Rekey(args) => rekey::cmd_rekey(args, printer),
    }
}
