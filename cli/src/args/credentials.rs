//! Where secrets are kept.

use std::path::PathBuf;

/// Where secrets are kept.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Credentials")]
pub(crate) struct CredentialsArgs {
    /// Read from FILE where secrets are kept [default: credentials.yaml in your config folder, if
    /// it is there]
    #[arg(long, value_name = "FILE", env = "FLEETMEND_CREDENTIALS")]
    pub(crate) credentials: Option<PathBuf>,
}
