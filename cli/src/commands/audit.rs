//! `fleetmend audit`: who ran what, and whether the trail of it is whole.

mod head;
mod list;
mod since;
mod verify;
mod words;

use clap::Subcommand;

use crate::error::CliError;
use crate::printer::Printer;

/// Show who ran what on which PCs with which credential; verify that nothing was changed
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend audit list --since 7d
  fleetmend audit list --host pc-007 --output json
  fleetmend audit verify
  fleetmend audit head
  fleetmend audit verify --head 128:9f3c0c1d2e3f4a5b

Every run, every account that is tried from here, every change of a vault and every password that
is shown leaves entries in the journal, each sealed together with the one before. Whoever may write
the journal could write all of it anew; note its head elsewhere, and it shows: every run prints it
at its end.

Exit codes of verify: 0 whole; 1 broken; 2 there is no journal or no trail.";

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List entries, the oldest first
    List(list::ListArgs),
    /// Verify that no entry and no event was changed, cut out or put in
    Verify(verify::VerifyArgs),
    /// Print the end of the trail, to be noted elsewhere
    Head(head::HeadArgs),
}

/// Shows or verifies the audit trail.
///
/// # Errors
/// The journal cannot be read or has no trail, or standard output failed.
pub(crate) fn cmd_audit(args: &AuditArgs, printer: &Printer) -> Result<u8, CliError> {
    match &args.command {
        AuditCommand::List(args) => list::cmd_list(args, printer),
        AuditCommand::Verify(args) => verify::cmd_verify(args, printer),
        AuditCommand::Head(args) => head::cmd_head(args, printer),
    }
}
