//! Who we log on as.

use std::fmt;

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
    /// Its password.
    pub password: Secret,
}
