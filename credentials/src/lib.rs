//! Where secrets come from.
//!
//! Inventories and playbooks name credentials; this crate knows where each is kept. A [`Source`]
//! is one such place. Nothing is fetched before it is needed, and nothing is kept that a source
//! can give again.

pub mod ansible_vault;
pub mod settings;
mod source;
pub mod sources;
mod store;
mod template;
pub mod vault;

pub use ansible_vault::{AnsibleVault, AnsibleVaultError};
pub use settings::{Settings, SettingsError, SettingsErrors};
pub use source::{Found, Scope, Source, SourceError, Subject};
pub use store::{Given, Sources, Store, StoreError, Wanted};
pub use template::{Scope as TemplateScope, Template, TemplateError};
pub use vault::{Unlock, Vault, VaultError, VaultSource};
