//! Where secrets come from.
//!
//! Inventories and playbooks name credentials; this crate knows where each is kept. A [`Source`]
//! is one such place. Nothing is fetched before it is needed, and nothing is kept that a source
//! can give again.

pub mod ansible_vault;
mod source;

pub use ansible_vault::{AnsibleVault, AnsibleVaultError};
pub use source::{Found, Scope, Source, SourceError, Subject};
