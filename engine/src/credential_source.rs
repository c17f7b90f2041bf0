//! Where the engine asks for secrets.

use async_trait::async_trait;
use fleetmend_model::{Credential, CredentialRef, Host, Refusals};

/// No credential came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to get the credential {name}: {detail}")]
pub struct CredentialError {
    /// Its name.
    pub name: CredentialRef,
    /// Why.
    pub detail: String,
}

/// Gives credentials by name. Asked once for each logon and each step that is given one; it may
/// keep what it knows.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// Returns the credential of this name, as it is for this PC.
    ///
    /// # Errors
    /// [`CredentialError`]: nothing is done that needs it.
    async fn credential(
        &self,
        name: &CredentialRef,
        host: &Host,
    ) -> Result<Credential, CredentialError>;

    /// Returns what may be tried next to log on to this PC, after it refused others of this name:
    /// none of those; nothing where the budget allows no other.
    ///
    /// # Errors
    /// As [`CredentialSource::credential`].
    async fn another(
        &self,
        _name: &CredentialRef,
        _host: &Host,
        _refused: &Refusals<'_>,
    ) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}
