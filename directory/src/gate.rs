//! A wrong password is spent once.

use std::sync::OnceLock;

use fleetmend_model::Credential;
use tokio::sync::Mutex;

use crate::DirectoryError;
use crate::connection::{Connection, Logon};
use crate::limit::Limit;

/// Lets one bind at a time pass, and none after the first refusal.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Whether any controller has accepted the account. Held while a bind is under way.
    proven: Mutex<bool>,
    closed: OnceLock<DirectoryError>,
}

impl Gate {
    /// Fails once the gate is closed.
    pub(crate) fn check(&self) -> Result<(), DirectoryError> {
        self.closed.get().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Closes it for good.
    pub(crate) fn close(&self, why: DirectoryError) -> DirectoryError {
        self.closed.get_or_init(|| why).clone()
    }

    /// Binds once, if it may. Must run to its end: a bind that was sent and not waited for may be
    /// a refusal that nobody heard.
    pub(crate) async fn logon(
        &self,
        dc: &str,
        connection: &Connection,
        name: &str,
        account: &Credential,
        limit: &Limit,
    ) -> Result<(), DirectoryError> {
        let mut proven = self.proven.lock().await;
        self.check()?;
        let dc = dc.to_owned();
        match connection.logon(name, account, limit).await {
            Logon::Accepted => {
                *proven = true;
                Ok(())
            }
            Logon::Refused(refusal) => {
                Err(self.close(DirectoryError::CredentialRefused { dc, refusal }))
            }
            Logon::Unanswered(why) if *proven => Err(DirectoryError::Unreachable { dc, why }),
            Logon::Unanswered(why) => Err(self.close(DirectoryError::LogonUnanswered { dc, why })),
            Logon::Answered { code, text } => Err(DirectoryError::Ldap {
                dc,
                doing: "accept the directory account",
                code,
                text,
            }),
        }
    }
}
