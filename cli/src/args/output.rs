//! What comes out, and where it is kept.

use std::path::PathBuf;

use clap::ValueEnum;

/// What comes out, and where it is kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Write the result to standard output in this form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Output,
    /// Keep the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Post the summary as JSON to URL when the run stops or ends
    #[arg(long, value_name = "URL")]
    pub(crate) notify_webhook: Option<String>,
}

/// The form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables for people
    #[default]
    Text,
    /// One document at the end
    Json,
    /// One line for each event, while it happens
    Jsonl,
}
