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
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
}

/// What opens the values and files of an inventory that ansible-vault encrypted; the names are
/// Ansible's.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "PCs")]
pub(crate) struct VaultArgs {
    /// Open what ansible-vault encrypted with the password in FILE; a program prints it
    #[arg(long, alias = "vault-pass-file", value_name = "FILE")]
    #[arg(env = "ANSIBLE_VAULT_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) vault_password_file: Vec<PathBuf>,
    /// The same for one label; `LABEL@prompt` asks
    #[arg(long, value_name = "LABEL@FILE")]
    pub(crate) vault_id: Vec<String>,
}
