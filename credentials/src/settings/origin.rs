//! Where one secret is kept, as the file says it and as it is for one PC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::template::{Scope, Template, TemplateError};

/// Where one secret is kept. `T` is a [`Template`] as the file has it, or a text as it is for
/// one PC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin<T> {
    /// An entry of a vault.
    Vault {
        /// The vault's name in the file.
        vault: String,
        /// The entry's.
        entry: T,
    },
    /// What a program prints.
    Command {
        /// The program and its arguments; no shell reads them.
        words: Vec<T>,
        /// How long it may take.
        timeout: Duration,
    },
    /// A file that holds it and nothing else.
    File(T),
    /// The file that an environment variable names.
    Env(String),
    /// The keyring of the operating system.
    Keyring {
        /// The service under which it is kept.
        service: T,
        /// The account under which it is kept.
        account: T,
    },
    /// The operator, who is asked once.
    Prompt {
        /// For what, as the operator is asked.
        asks: String,
    },
    /// What LAPS keeps of the PC in the directory.
    Laps {
        /// Which one: 0 is the present password, 1 the one before.
        older: u32,
        /// The computer's name in the directory, where the inventory's name is another.
        computer: Option<T>,
    },
}

/// The vault whose name needs not be said.
pub const DEFAULT_VAULT: &str = "default";

impl<T> Origin<T> {
    /// Returns the kind in one word, for the operator.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vault { .. } => "vault",
            Self::Command { .. } => "command",
            Self::File(_) => "file",
            Self::Env(_) => "file named by the environment",
            Self::Keyring { .. } => "keyring",
            Self::Prompt { .. } => "prompt",
            Self::Laps { .. } => "LAPS",
        }
    }

    /// Tells whether it can be looked at before any PC is touched, at no cost to anybody. A
    /// program may have effects, and the directory is asked for each PC when its turn comes.
    pub(crate) fn is_looked_at_early(&self) -> bool {
        !matches!(self, Self::Command { .. } | Self::Laps { .. })
    }

    /// Tells whether the source itself may know the account.
    pub(crate) fn may_name_account(&self) -> bool {
        matches!(self, Self::Vault { .. } | Self::Laps { .. })
    }
}

impl Origin<Template> {
    /// Tells whether each PC may have its own.
    pub fn is_per_host(&self) -> bool {
        match self {
            Self::Vault { entry, .. } => entry.is_per_host(),
            Self::Command { words, .. } => words.iter().any(Template::is_per_host),
            Self::File(path) => path.is_per_host(),
            Self::Keyring { service, account } => service.is_per_host() || account.is_per_host(),
            Self::Env(_) | Self::Prompt { .. } => false,
            Self::Laps { .. } => true,
        }
    }

    /// Works its texts out for one PC, or for the run; paths are made whole from `folder`.
    ///
    /// # Errors
    /// A variable is missing or unfit.
    pub fn render(
        &self,
        scope: Option<&Scope>,
        folder: &Path,
    ) -> Result<Origin<String>, TemplateError> {
        Ok(match self {
            Self::Vault { vault, entry } => Origin::Vault {
                vault: vault.clone(),
                entry: entry.render(scope)?,
            },
            Self::Command { words, timeout } => Origin::Command {
                words: words
                    .iter()
                    .map(|word| word.render(scope))
                    .collect::<Result<_, _>>()?,
                timeout: *timeout,
            },
            Self::File(path) => {
                let path = whole(&path.render(scope)?, folder);
                Origin::File(path.display().to_string())
            }
            Self::Env(variable) => Origin::Env(variable.clone()),
            Self::Keyring { service, account } => Origin::Keyring {
                service: service.render(scope)?,
                account: account.render(scope)?,
            },
            Self::Prompt { asks } => Origin::Prompt { asks: asks.clone() },
            Self::Laps { older, computer } => Origin::Laps {
                older: *older,
                computer: computer
                    .as_ref()
                    .map(|computer| computer.render(scope))
                    .transpose()?,
            },
        })
    }
}

/// Returns a path as it is meant in a file of this folder: `~` is the operator's own folder.
pub(crate) fn whole(text: &str, folder: &Path) -> PathBuf {
    let home = text.strip_prefix("~/").or_else(|| text.strip_prefix("~\\"));
    match home.zip(std::env::home_dir()) {
        Some((rest, home)) => home.join(rest),
        None => folder.join(text),
    }
}
