//! `fleetmend check`: `run --check` by another name.

use fleetmend_model::RunMode;

use super::run::run_playbook;
use crate::args::JobArgs;
use crate::error::CliError;
use crate::printer::Printer;

/// Diagnose PCs and say what would be repaired; change nothing
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend check trust-repair -i pcs.yaml --user fleetadmin
  fleetmend check trust-repair -i pcs.csv --user fleetadmin --password-file admin.pw \\
      --yes --output json > state.json

It is the same as `fleetmend run --check`.";

/// Checks PCs.
///
/// # Errors
/// As `run`.
pub(crate) async fn cmd_check(args: &CheckArgs, printer: &Printer) -> Result<u8, CliError> {
    run_playbook(&args.job, RunMode::Check, printer).await
}
