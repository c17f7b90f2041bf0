//! What the command line may change about reading inventories.

use crate::Vaults;

/// How to read inventories.
#[derive(Clone, Debug)]
pub struct Options {
    /// Accept passwords that stand in the inventory in plain text (`--allow-plaintext-passwords`).
    pub allow_plaintext_passwords: bool,
    /// What to do with what ansible-vault encrypted.
    pub vaults: Vaults,
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Hosts in all sources together.
    pub max_hosts: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_plaintext_passwords: false,
            vaults: Vaults::default(),
            max_bytes: 16 * 1024 * 1024,
            max_hosts: 100_000,
        }
    }
}
