//! `fleetmend audit head`: the end of the trail.

use std::path::PathBuf;

use crate::commands::runs::{open, unreadable};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Print the end of the trail, to be noted elsewhere
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HeadArgs {
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend audit head
  fleetmend audit head | logger -t fleetmend

Number and hash of the last entry stand for all entries before. Kept in a ticket, on paper or on
another host, they prove later that nothing up to there was changed: fleetmend audit verify --head.";

/// Prints the end of the trail.
///
/// # Errors
/// The journal cannot be read or has no trail, or standard output failed.
pub(super) fn cmd_head(args: &HeadArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let head = reader.head().map_err(|error| unreadable(&path, error))?;
    printer.data(&format!("{head}\n"))?;
    Ok(exit_code::OK)
}
