//! What `run` and `check` share.

use std::path::PathBuf;

use fleetmend_playbooks::Language;

use super::{DirectoryArgs, InventoryArgs, LogonArgs, OutputArgs, Setting};

/// What `run` and `check` share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// Name of a shipped playbook, or a playbook file
    #[arg(value_name = "PLAYBOOK")]
    pub(crate) playbook: String,
    #[command(flatten)]
    pub(crate) inventory: InventoryArgs,
    #[command(flatten)]
    pub(crate) logon: LogonArgs,
    #[command(flatten)]
    pub(crate) domain: DomainArgs,
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    /// Go ahead without asking
    #[arg(short, long, help_heading = "Playbook")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What the playbook may use.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Playbook")]
pub(crate) struct DomainArgs {
    /// Set a parameter of the playbook
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Give the playbook this domain account, for rungs that need one
    #[arg(long, value_name = "USER", env = "FLEETMEND_DOMAIN_USER")]
    pub(crate) domain_user: Option<String>,
    /// Read the domain account's password from FILE instead of asking
    #[arg(long, value_name = "FILE", requires = "domain_user")]
    #[arg(env = "FLEETMEND_DOMAIN_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) domain_password_file: Option<PathBuf>,
    /// Allow the domain account's password to reach PCs, on rungs that cannot do without
    #[arg(long, alias = "credential-on-pcs")]
    pub(crate) allow_credential_on_pcs: bool,
    /// Tell the playbook's reasons and advice in this language
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "en",
        env = "FLEETMEND_LANGUAGE"
    )]
    pub(crate) language: TextLanguage,
}

/// A language of the playbooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TextLanguage {
    /// English
    #[default]
    En,
    /// 日本語
    Ja,
}

impl From<TextLanguage> for Language {
    fn from(language: TextLanguage) -> Self {
        match language {
            TextLanguage::En => Self::En,
            TextLanguage::Ja => Self::Ja,
        }
    }
}
