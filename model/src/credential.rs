//! Who we log on as.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Names a credential without holding it, as inventories and playbooks do (`local-admin`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialRef(pub String);

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user name and its password.
///
/// The account forms are `name`, `.\name`, `PC\name`, `DOMAIN\name` and `user@domain`; the
/// transport splits them.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The account as the operator wrote it.
    pub user: String,
    /// Its password; for a private key that is encrypted and has no passphrase of its own, that.
    pub password: Secret,
    /// How SSH logs on before it tries the password; unset, as the inventory says.
    pub ssh: Option<SshLogon>,
}

/// How SSH logs on without a password.
#[derive(Clone, Debug)]
pub struct SshLogon {
    /// The private key; none: the inventory's, if it names one.
    pub key: Option<SshKey>,
    /// What opens the key, if it is encrypted. It never leaves the controller.
    pub passphrase: Option<Secret>,
    /// Ask the SSH agent for keys.
    pub use_agent: bool,
}

/// A private key for SSH.
#[derive(Clone, Debug)]
pub enum SshKey {
    /// In this file.
    File(PathBuf),
    /// Its text, in one of the forms that OpenSSH writes.
    Text(Secret),
}

impl Credential {
    /// Returns an account with its password.
    pub fn new(user: impl Into<String>, password: Secret) -> Self {
        Self {
            user: user.into(),
            password,
            ssh: None,
        }
    }
}
