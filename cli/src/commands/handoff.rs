//! `fleetmend handoff`: what a person needs who goes to the PCs that nobody reaches.

mod import;
mod judge;
mod sign;
mod stick;
mod work;
mod write;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use fleetmend_model::OutcomeClass;
use fleetmend_report::handoff::Languages;

use crate::error::CliError;
use crate::printer::Printer;

/// Write pages and a USB script for the PCs of a run that nobody reaches; take results in
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct HandoffArgs {
    /// Id of the run, or its beginning [default: the newest run]
    run: Option<String>,
    /// Write into FOLDER, which must be new or empty [default: fleetmend-handoff-RUN]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Write the pages in this language
    #[arg(long, value_name = "LANGUAGE", default_value = "both")]
    language: PageLanguage,
    /// Add PCs that ended so to those that nobody reaches; may be given several times
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    also: Vec<AlsoClass>,
    /// Sign the script with the code-signing certificate in FILE (PKCS#12), by osslsigncode
    #[arg(long, value_name = "FILE", help_heading = "Signature")]
    sign_with: Option<PathBuf>,
    /// Read the certificate's password from FILE
    #[arg(long, value_name = "FILE", help_heading = "Signature")]
    #[arg(requires = "sign_with")]
    sign_password_file: Option<PathBuf>,
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<HandoffCommand>,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend handoff
  fleetmend handoff 019b2f --output at-the-desks --language ja
  fleetmend handoff --sign-with codesign.pfx --sign-password-file codesign.pw
  fleetmend handoff import E:\\results

For every PC that ended needs-hands, unreachable or access-denied: nobody can repair it over the
network, so somebody must go there. Open index.html, print all.html, copy the folder `stick` to a
USB stick. The script asks before it changes anything and holds no password; it does what the run
would have done, but for repairs that need the directory or a restart.";

#[derive(Debug, Subcommand)]
enum HandoffCommand {
    /// Add the results that the script left on the stick to their run
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Result files, or folders that hold them
    #[arg(value_name = "FILE|FOLDER", required = true)]
    files: Vec<PathBuf>,
    /// Keep to the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// The language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PageLanguage {
    /// English
    En,
    /// Japanese
    Ja,
    /// A sheet in each
    Both,
}

impl From<PageLanguage> for Languages {
    fn from(language: PageLanguage) -> Self {
        match language {
            PageLanguage::En => Self::En,
            PageLanguage::Ja => Self::Ja,
            PageLanguage::Both => Self::Both,
        }
    }
}

/// Ends of PCs that can be reached, and may be handed off all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AlsoClass {
    Blocked,
    NotRepaired,
    RebootPending,
    Unknown,
}

impl AlsoClass {
    fn class(self) -> OutcomeClass {
        match self {
            Self::Blocked => OutcomeClass::Blocked,
            Self::NotRepaired => OutcomeClass::NotRepaired,
            Self::RebootPending => OutcomeClass::RebootPending,
            Self::Unknown => OutcomeClass::Unknown,
        }
    }
}

/// Writes a hand-off, or takes results in.
///
/// # Errors
/// There is no such run, its playbook has changed, a file cannot be read or written, or signing
/// failed.
pub(crate) async fn cmd_handoff(args: &HandoffArgs, printer: &Printer) -> Result<u8, CliError> {
    match &args.command {
        Some(HandoffCommand::Import(args)) => import::import(args, printer).await,
        None => write::write(args, printer).await,
    }
}
