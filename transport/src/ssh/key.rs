//! The private key of a logon.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use fleetmend_model::{Credential, Secret, SshKey, SshSettings};
use russh::keys::{self, PrivateKey};
use zeroize::Zeroizing;

use crate::ConnectError;

/// No key is longer, in bytes; a file that is was named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a key cannot be used. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("it is too long for a key")]
    Long,
    #[error("it is not text")]
    NotText,
    #[error("it is encrypted, and no passphrase is given")]
    Locked,
    #[error("its passphrase is wrong ({0}); nothing was sent")]
    WrongPassphrase(keys::Error),
    #[error("{0}")]
    Unfit(keys::Error),
}

/// A key that was read and opened.
pub(super) struct LogonKey {
    pub(super) key: Arc<PrivateKey>,
    /// What opened it, which never leaves this machine.
    passphrase: Option<Secret>,
}

/// Tells whether the password of a credential is the passphrase of the key that is used with it.
pub(crate) async fn is_passphrase(credential: &Credential, settings: &SshSettings) -> bool {
    let own = credential.ssh.as_ref();
    if own.is_some_and(|ssh| ssh.passphrase.as_ref() == Some(&credential.password)) {
        return true;
    }
    // Of a key that cannot be opened the logon by SSH tells, if it comes to that.
    let key = LogonKey::load(credential, settings, "").await;
    matches!(key, Ok(Some(key)) if key.was_opened_by(&credential.password))
}

impl LogonKey {
    /// Reads the key that the credential brings, else the one that the host's settings name; none
    /// if neither does. If it is encrypted, the credential's passphrase opens it; where it has
    /// none, its password.
    pub(super) async fn load(
        credential: &Credential,
        settings: &SshSettings,
        address: &str,
    ) -> Result<Option<Self>, ConnectError> {
        let own = credential.ssh.as_ref().and_then(|ssh| ssh.key.clone());
        let Some(from) = own.or_else(|| settings.key_file.clone().map(SshKey::File)) else {
            return Ok(None);
        };
        let name = match &from {
            SshKey::File(path) => format!("key file {}", path.display()),
            SshKey::Text(_) => "the key of the credential".to_owned(),
        };
        let passphrase = credential
            .ssh
            .as_ref()
            .and_then(|ssh| ssh.passphrase.clone());
        let passphrase = passphrase.unwrap_or_else(|| credential.password.clone());
        let loaded = tokio::task::spawn_blocking(move || match from {
            SshKey::File(path) => open(&read(&path)?, passphrase),
            SshKey::Text(text) => open(text.reveal(), passphrase),
        });
        let failed = |detail: String| ConnectError::Settings {
            address: address.to_owned(),
            detail: format!("{name}: {detail}"),
        };
        let key = loaded
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        Ok(Some(key))
    }

    /// Tells whether this is what opened the key.
    pub(super) fn was_opened_by(&self, password: &Secret) -> bool {
        self.passphrase.as_ref() == Some(password)
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(MAX_BYTES);
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(length).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(KeyError::Long);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn open(text: &str, passphrase: Secret) -> Result<LogonKey, KeyError> {
    let error = match keys::decode_secret_key(text, None) {
        Ok(key) => {
            return Ok(LogonKey {
                key: Arc::new(key),
                passphrase: None,
            });
        }
        Err(error) => error,
    };
    if !matches!(error, keys::Error::KeyIsEncrypted) && !says_encrypted(text) {
        return Err(KeyError::Unfit(error));
    }
    if passphrase.is_empty() {
        return Err(KeyError::Locked);
    }
    let key = keys::decode_secret_key(text, Some(passphrase.reveal()));
    Ok(LogonKey {
        key: Arc::new(key.map_err(KeyError::WrongPassphrase)?),
        passphrase: Some(passphrase),
    })
}

/// Tells whether a key's own headers say that it is encrypted: PKCS#8, the old form of OpenSSL,
/// PuTTY.
fn says_encrypted(text: &str) -> bool {
    text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || text.contains("Proc-Type: 4,ENCRYPTED")
        || text.contains("Encryption: aes")
}

#[cfg(test)]
mod tests {
    use russh::keys::Algorithm;

    use super::*;

    fn pem(passphrase: Option<&str>) -> String {
        let key = PrivateKey::random(&mut keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let mut text = Vec::new();
        match passphrase {
            None => keys::encode_pkcs8_pem(&key, &mut text).unwrap(),
            Some(word) => {
                keys::encode_pkcs8_pem_encrypted(&key, word.as_bytes(), 8, &mut text).unwrap();
            }
        }
        String::from_utf8(text).unwrap()
    }

    fn told(text: &str, passphrase: &str) -> String {
        match open(text, Secret::new(passphrase.to_owned())) {
            Ok(key) => format!("opened, by a passphrase: {}", key.passphrase.is_some()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn opens_what_is_open_and_what_the_passphrase_fits() {
        let (plain, locked) = (pem(None), pem(Some("鍵")));
        assert_eq!(told(&plain, "鍵"), "opened, by a passphrase: false");
        assert_eq!(told(&locked, "鍵"), "opened, by a passphrase: true");
        assert_eq!(
            told(&locked, ""),
            "it is encrypted, and no passphrase is given"
        );
        let wrong = told(&locked, "Kanaria");
        assert!(wrong.starts_with("its passphrase is wrong ("), "{wrong}");
        assert!(!wrong.contains("Kanaria"), "{wrong}");
        // What is no key is not taken for one with another passphrase.
        let none = told("Kanaria", "鍵");
        assert!(
            !none.contains("passphrase") && !none.contains("Kanaria"),
            "{none}"
        );
    }

    #[test]
    fn a_file_that_is_no_key_is_not_read_to_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(matches!(read(file.path()), Err(KeyError::Long)));
        std::fs::write(file.path(), b"\xff").unwrap();
        assert!(matches!(read(file.path()), Err(KeyError::NotText)));
    }
}
