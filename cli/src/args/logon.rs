//! Who logs on to the PCs, and how.

use std::path::PathBuf;
use std::time::Duration;

use super::values;

/// Who logs on to the PCs, and how.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logon")]
pub(crate) struct LogonArgs {
    /// Log on as this local administrator where the inventory names none
    #[arg(short, long, value_name = "USER", env = "FLEETMEND_USER")]
    pub(crate) user: Option<String>,
    /// Read that account's password from FILE instead of asking
    #[arg(
        long,
        value_name = "FILE",
        env = "FLEETMEND_PASSWORD_FILE",
        hide_env_values = true
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Learn unknown SSH host keys; changed ones are refused all the same
    #[arg(long)]
    pub(crate) accept_new_host_keys: bool,
    /// Give up connecting to a PC after this long
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// Work on this many PCs at once
    #[arg(long, visible_alias = "forks", value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) max_concurrency: usize,
}

/// As on a command line without options.
impl Default for LogonArgs {
    fn default() -> Self {
        Self {
            user: None,
            password_file: None,
            accept_new_host_keys: false,
            connect_timeout: Duration::from_secs(10),
            max_concurrency: 256,
        }
    }
}
