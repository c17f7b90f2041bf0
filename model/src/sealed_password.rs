//! A password that is still encrypted.

use std::fmt;
use std::sync::Arc;

/// A password that stands in the inventory encrypted by ansible-vault, and is opened by whoever
/// logs on, not before.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPassword {
    /// What ansible-vault wrote: `$ANSIBLE_VAULT;1.1;AES256` and lines of hex.
    pub text: Arc<str>,
    /// Where it stands: `file:line:column`.
    pub place: String,
}

impl fmt::Debug for SealedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPassword({})", self.place)
    }
}
