//! Which PCs.

use std::path::PathBuf;

/// Which PCs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "PCs")]
pub(crate) struct InventoryArgs {
    /// Read PCs from this YAML or CSV file; may be given several times
    #[arg(short, long, required = true, value_name = "FILE")]
    pub(crate) inventory: Vec<PathBuf>,
    /// Take only these: names, globs, groups, joined by ',' ':&' ':!', or @FILE
    #[arg(short, long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) limit: Vec<String>,
    /// Accept passwords that stand in the inventory in plain text
    #[arg(long)]
    pub(crate) allow_plaintext_passwords: bool,
}
