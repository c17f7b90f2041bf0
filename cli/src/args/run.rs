//! What `run` and `check` share.

use std::path::PathBuf;

use fleetmend_playbooks::Language;

use super::{
    CredentialsArgs, DirectoryArgs, InventoryArgs, LogonArgs, OutputArgs, PaceArgs, RebootArgs,
    Setting,
};

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
    pub(crate) credentials: CredentialsArgs,
    #[command(flatten)]
    pub(crate) domain: DomainArgs,
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    #[command(flatten)]
    pub(crate) reboot: RebootArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    /// Go ahead without asking
    #[arg(short, long, help_heading = "Playbook")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl JobArgs {
    /// Returns the same with every option that stands for a parameter written as `--set`.
    pub(crate) fn settled(&self) -> Self {
        let mut args = self.clone();
        args.domain.set.extend(self.reboot.settings());
        if !self.domain.kb.is_empty() {
            args.domain.set.push(Setting {
                name: "kb".to_owned(),
                value: self.domain.kb.join(","),
            });
        }
        args
    }
}

/// What the playbook may use.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Playbook")]
pub(crate) struct DomainArgs {
    /// Set a parameter of the playbook
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Name an update for the playbook: its parameter kb; repeatable
    #[arg(long, value_name = "KB", value_delimiter = ',')]
    pub(crate) kb: Vec<String>,
    /// Give the playbook this account for its parameter NAME, as rescue_admin; repeatable
    #[arg(long, value_name = "NAME=USER")]
    pub(crate) credential: Vec<Setting>,
    /// Read the password of the account for NAME from FILE instead of asking; repeatable
    #[arg(long, value_name = "NAME=FILE", requires = "credential")]
    pub(crate) credential_password_file: Vec<Setting>,
    /// Parameters that `credentials.yaml` gives, with the credential of each.
    #[arg(skip)]
    pub(crate) kept: Vec<Setting>,
    /// Give the playbook this domain account, its parameter domain_credential, for rungs that need one
    #[arg(long, value_name = "USER", env = "FLEETMEND_DOMAIN_USER")]
    pub(crate) domain_user: Option<String>,
    /// Read the domain account's password from FILE instead of asking
    #[arg(long, value_name = "FILE", requires = "domain_user")]
    #[arg(env = "FLEETMEND_DOMAIN_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) domain_password_file: Option<PathBuf>,
    /// Allow passwords of such accounts to reach PCs, on rungs that cannot do without
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
