//! The keyring of the operating system: Windows' Credential Manager, the keychain of macOS, on
//! Linux the kernel's own keyring.
//!
//! The desktop's keyring on Linux (Secret Service) would bring D-Bus and forty crates; its own
//! program serves as a command: `secret-tool lookup service S username A`. See
//! `docs/decisions/keyring.md`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use keyring_core::{CredentialStore, Error};
use zeroize::{Zeroize as _, Zeroizing};

use super::ended;
use super::password_text;
use crate::{Found, Scope, Source, SourceError, Subject};

type Opened = Result<Arc<CredentialStore>, String>;

/// The keyring, opened when it is first needed: share one among all its sources.
#[derive(Clone)]
pub struct Keyring {
    store: Arc<OnceLock<Opened>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Default for Keyring {
    /// Returns the keyring of this system and user.
    fn default() -> Self {
        Self {
            store: Arc::new(OnceLock::new()),
        }
    }
}

impl Keyring {
    /// Returns a keyring that is open already.
    pub fn of(store: Arc<CredentialStore>) -> Self {
        Self {
            store: Arc::new(OnceLock::from(Ok(store))),
        }
    }

    /// Returns the source of what is kept for this account of this service.
    pub fn source(&self, service: impl Into<String>, account: impl Into<String>) -> KeyringSource {
        KeyringSource {
            keyring: self.clone(),
            service: service.into(),
            account: account.into(),
        }
    }

    /// Blocks for as long as the system asks its user to open the keyring.
    fn read(&self, service: &str, account: &str) -> Result<Secret, Fault> {
        let store = self.store.get_or_init(open);
        let store = store.as_ref().map_err(|why| Fault::Closed(why.clone()))?;
        let entry = store.build(service, account, None).map_err(Fault::of)?;
        // The password as this system writes it: Windows has UTF-16.
        let password = Zeroizing::new(entry.get_password().map_err(Fault::of)?);
        password_text::password(password.as_bytes()).map_err(|why| Fault::Unfit(why.to_string()))
    }
}

fn open() -> Opened {
    system().map_err(|error| match Fault::of(error) {
        Fault::Closed(why) => why,
        other => other.to_string(),
    })
}

/// Returns the keyring of this system.
#[cfg(target_os = "linux")]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(linux_keyutils_keyring_store::Store::new()?)
}

/// Returns the keyring of this system.
#[cfg(windows)]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

/// Returns the keyring of this system.
#[cfg(target_os = "macos")]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

/// Returns that this system has none that is known here.
#[cfg(not(any(target_os = "linux", windows, target_os = "macos")))]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(Error::NotSupportedByStore(
        "this system has no keyring that is known here".to_owned(),
    ))
}

/// Why a keyring gives nothing. Holds nothing of what it gave.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("nothing is kept there")]
    Absent,
    #[error("it cannot be opened: {0}")]
    Closed(String),
    #[error("what is kept there {0}")]
    Unfit(String),
    #[error("several entries fit")]
    Several,
    #[error("{0}")]
    Failed(String),
}

impl Fault {
    fn of(error: Error) -> Self {
        match error {
            Error::NoEntry => Self::Absent,
            Error::NoStorageAccess(why) => Self::Closed(why.to_string()),
            Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
                bytes.zeroize();
                Self::Unfit("is not text".to_owned())
            }
            Error::Ambiguous(_) => Self::Several,
            Error::Invalid(what, why) => Self::Failed(format!("its {what} {why}")),
            Error::PlatformFailure(why) => Self::Failed(why.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// One entry of the keyring. Keeps nothing: it is read each time.
pub struct KeyringSource {
    keyring: Keyring,
    service: String,
    account: String,
}

impl KeyringSource {
    /// Returns how to put the entry there, on this system.
    fn how_to_put(&self) -> String {
        let Self {
            service, account, ..
        } = self;
        if cfg!(windows) {
            format!("put it there: cmdkey /generic:{account}.{service} /user:{account} /pass")
        } else if cfg!(target_os = "macos") {
            format!("put it there: security add-generic-password -s {service} -a {account} -w")
        } else {
            format!("put it there: keyctl padd user 'keyring:{account}@{service}' @u")
        }
    }

    fn failed(&self, fault: &Fault) -> SourceError {
        let (from, why) = (self.describe(), fault.to_string());
        match fault {
            Fault::Absent => SourceError::absent(from, why, self.how_to_put()),
            Fault::Unfit(_) => SourceError::new(from, why, self.how_to_put()),
            Fault::Closed(_) | Fault::Several | Fault::Failed(_) => SourceError::new(from, why, ""),
        }
    }
}

#[async_trait]
impl Source for KeyringSource {
    fn describe(&self) -> String {
        format!("the keyring, {} of {}", self.account, self.service)
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    async fn fetch(&self, _: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let keyring = self.keyring.clone();
        let (service, account) = (self.service.clone(), self.account.clone());
        let read = tokio::task::spawn_blocking(move || keyring.read(&service, &account));
        let read = limit.bound(read).await;
        let read = read.map_err(|why| ended(self, why))?;
        let failed = |why: String| SourceError::new(self.describe(), why, "");
        let password = read
            .map_err(|error| failed(error.to_string()))?
            .map_err(|fault| self.failed(&fault))?;
        Ok(Found {
            user: None,
            password,
            ssh: None,
        })
    }
}

impl fmt::Debug for KeyringSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringSource")
            .field("service", &self.service)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
