//! What the engine asks of a directory.

use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::{DirectoryAction, HostName, Secret};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// Takes a playbook's steps in the directory: JSON in, JSON out, secrets apart.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Takes one step. A write is sent at most once.
    ///
    /// # Errors
    /// [`ActionError`]: either certainly nothing was written, or nobody knows.
    async fn act(&self, request: ActionRequest) -> Result<Acted, ActionError>;
}

/// One step in the directory.
#[derive(Clone, Debug)]
pub struct ActionRequest {
    /// On whose behalf: one account's password is written for one host only.
    pub host: HostName,
    /// Which.
    pub action: DirectoryAction,
    /// Its parameters; none of them is a secret.
    pub params: Map<String, Value>,
    /// How long it may take.
    pub deadline: Duration,
    /// Fires when it should end at once.
    pub cancel: CancellationToken,
}

/// What a step in the directory brought.
#[derive(Clone, Debug)]
pub struct Acted {
    /// Its answer, without secrets.
    pub answer: Value,
    /// The secret that it made, if it makes one.
    pub made: Option<Secret>,
}

/// Why a step in the directory brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// It failed in an orderly way; certainly nothing was written.
    #[error("{message}")]
    Failed {
        /// `LdapInsufficientAccessRights`, `ComputerNotFound`, …
        error_id: String,
        /// The LDAP result code, where there is one.
        code: Option<i64>,
        /// What failed, at which controller, why.
        message: String,
        /// The Win32 code with which the domain refused our own account, if it did. The account
        /// must then not be used again.
        credential_refused: Option<i64>,
    },
    /// The write may have happened.
    #[error("{message}")]
    Unknown {
        /// What was lost, at which controller, why.
        message: String,
    },
}
