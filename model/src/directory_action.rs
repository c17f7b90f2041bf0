//! What the controller itself can do to a computer account, as a step of a playbook.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step that the controller takes in Active Directory, not the PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryAction {
    /// Read the account's state at every domain controller. Changes nothing.
    ReadComputer,
    /// Give the account a new random password at one named controller. Makes that password.
    ResetComputerPassword,
    /// Take the flag "disabled" from the account.
    EnableComputer,
    /// Set `lockoutTime` to 0.
    UnlockComputer,
    /// Bring the deleted account back, from the Recycle Bin or as a tombstone.
    RestoreComputer,
    /// Make an offline join blob with Samba's `net` on the controller; the account gets a new
    /// password by it. Makes that blob.
    ProvisionOfflineJoin,
}

impl DirectoryAction {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::ReadComputer,
        Self::ResetComputerPassword,
        Self::EnableComputer,
        Self::UnlockComputer,
        Self::RestoreComputer,
        Self::ProvisionOfflineJoin,
    ];

    /// Returns the word for it in a playbook: `read-computer`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadComputer => "read-computer",
            Self::ResetComputerPassword => "reset-computer-password",
            Self::EnableComputer => "enable-computer",
            Self::UnlockComputer => "unlock-computer",
            Self::RestoreComputer => "restore-computer",
            Self::ProvisionOfflineJoin => "provision-offline-join",
        }
    }

    /// Tells whether it may change the directory.
    pub fn changes(self) -> bool {
        self != Self::ReadComputer
    }

    /// Tells whether it makes a secret that a later step of its rung may be given.
    pub fn makes_secret(self) -> bool {
        matches!(
            self,
            Self::ResetComputerPassword | Self::ProvisionOfflineJoin
        )
    }
}

impl fmt::Display for DirectoryAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
