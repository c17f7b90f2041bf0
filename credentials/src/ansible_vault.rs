//! What ansible-vault encrypted in an inventory that is there already: read, never written.

mod envelope;
mod password_file;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Mutex;

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use fleetmend_model::Secret;
use ring::{hmac, pbkdf2};
use zeroize::{Zeroize as _, Zeroizing};

use envelope::{DEFAULT_LABEL, Envelope, unpadded};
pub use password_file::password_file;

/// How often PBKDF2 goes round; Ansible has it fixed.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
/// AES key, HMAC key and first counter block.
const DERIVED: usize = 32 + 32 + 16;
/// A group's value has one salt for all its PCs; more salts than that are worked out again.
const KEPT: usize = 64;

/// Why something sealed by ansible-vault stays closed. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnsibleVaultError {
    /// Something else.
    #[error("this is nothing that ansible-vault encrypted")]
    NotSealed,
    /// Another version of the form.
    #[error("version `{version}` of ansible-vault's form is not read, only 1.1 and 1.2 are")]
    Version {
        /// As it stands there.
        version: String,
    },
    /// Another cipher.
    #[error("the cipher `{cipher}` is not known, ansible-vault uses AES256")]
    Cipher {
        /// As it stands there.
        cipher: String,
    },
    /// Cut or changed so that it cannot be taken apart.
    #[error("the encrypted text is damaged{}: {why}", .line.map_or_else(String::new, |line| format!(" (its line {line})")))]
    Damaged {
        /// Which of its lines, the header being 1.
        line: Option<u32>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No password opens it: they are wrong, or it was changed after it was sealed; the form
    /// cannot tell these apart.
    #[error("{} (its label is `{label}`): wrong, or the text was changed since", who(.tried))]
    Refused {
        /// The label that it bears.
        label: String,
        /// The labels of the passwords that were tried.
        tried: Vec<String>,
    },
    /// It was opened, and is no text.
    #[error("what was encrypted is no UTF-8 text")]
    NotText,
}

impl AnsibleVaultError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotSealed => "encrypt it: `ansible-vault encrypt FILE` or `encrypt_string`",
            Self::Version { .. } | Self::Cipher { .. } => {
                "write it anew with a present Ansible: `ansible-vault rekey FILE`"
            }
            Self::Damaged { .. } => "take it from a copy, or encrypt it anew",
            Self::Refused { .. } => {
                "see which password opens it: `ansible-vault view --vault-id LABEL@FILE INVENTORY-FILE`"
            }
            Self::NotText => "encrypt it anew from UTF-8 text",
        }
    }
}

/// Opens a text of ansible-vault with one password.
///
/// The HMAC is compared (in constant time) before anything is decrypted.
///
/// # Errors
/// [`AnsibleVaultError`].
pub fn open(text: &str, password: &Secret) -> Result<Secret, AnsibleVaultError> {
    let envelope = Envelope::read(text)?;
    let keys = Keys::derive(password, &envelope.salt);
    match keys.open(&envelope) {
        Some(bytes) => secret_of(bytes),
        None => Err(AnsibleVaultError::Refused {
            label: envelope.label,
            tried: Vec::new(),
        }),
    }
}

/// The passwords of ansible-vault by their labels, as Ansible's `--vault-id` gives them.
pub struct AnsibleVault {
    passwords: Vec<(String, Secret)>,
    keys: Mutex<Vec<Kept>>,
}

/// Keys that were worked out, by password and salt.
struct Kept {
    password: usize,
    salt: Vec<u8>,
    keys: Keys,
}

impl AnsibleVault {
    /// Returns the passwords, each with its label; an empty label is `default`.
    pub fn new(passwords: Vec<(String, Secret)>) -> Self {
        let labelled = |(label, password): (String, Secret)| {
            let label = match label.as_str() {
                "" => DEFAULT_LABEL.to_owned(),
                _ => label,
            };
            (label, password)
        };
        Self {
            passwords: passwords.into_iter().map(labelled).collect(),
            keys: Mutex::default(),
        }
    }

    /// Takes a text apart without opening it, and returns its label.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn check(text: &str) -> Result<String, AnsibleVaultError> {
        Envelope::read(text).map(|envelope| envelope.label)
    }

    /// Opens a text: with the password of its label, then with the others, as Ansible does.
    ///
    /// Works for some milliseconds where the salt is new.
    ///
    /// # Errors
    /// [`AnsibleVaultError`].
    pub fn unseal(&self, text: &str) -> Result<Secret, AnsibleVaultError> {
        let envelope = Envelope::read(text)?;
        let mut order: Vec<usize> = (0..self.passwords.len()).collect();
        let is_other = |index: &usize| {
            let entry = self.passwords.get(*index);
            entry.is_none_or(|(label, _)| *label != envelope.label)
        };
        order.sort_by_key(is_other);
        for index in order {
            if let Some(bytes) = self.try_one(index, &envelope) {
                return secret_of(bytes);
            }
        }
        Err(AnsibleVaultError::Refused {
            tried: self.labels(),
            label: envelope.label,
        })
    }

    fn try_one(&self, index: usize, envelope: &Envelope) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(kept) = self.kept().iter().find(|kept| kept.is(index, envelope)) {
            return kept.keys.open(envelope);
        }
        let (_, password) = self.passwords.get(index)?;
        let keys = Keys::derive(password, &envelope.salt);
        let opened = keys.open(envelope)?;
        let mut all = self.kept();
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(Kept {
            password: index,
            salt: envelope.salt.clone(),
            keys,
        });
        Some(opened)
    }

    fn labels(&self) -> Vec<String> {
        let labels = self.passwords.iter();
        labels.map(|(label, _)| label.clone()).collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        // Nothing is half done under the lock.
        self.keys
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for AnsibleVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnsibleVault").field(&self.labels()).finish()
    }
}

impl Kept {
    fn is(&self, password: usize, envelope: &Envelope) -> bool {
        self.password == password && self.salt == envelope.salt
    }
}

/// What a password and a salt come to.
struct Keys(Zeroizing<[u8; DERIVED]>);

impl Keys {
    fn derive(password: &Secret, salt: &[u8]) -> Self {
        let mut derived = Zeroizing::new([0; DERIVED]);
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            ROUNDS,
            salt,
            password.reveal().as_bytes(),
            derived.as_mut_slice(),
        );
        Self(derived)
    }

    /// Decrypts, if the HMAC says that these are the keys and nothing was changed.
    fn open(&self, envelope: &Envelope) -> Option<Zeroizing<Vec<u8>>> {
        let (cipher_key, rest) = self.0.split_at_checked(32)?;
        let (mac_key, counter) = rest.split_at_checked(32)?;
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
        hmac::verify(&mac_key, &envelope.ciphertext, &envelope.mac).ok()?;
        let mut text = Zeroizing::new(envelope.ciphertext.clone());
        let mut cipher = Ctr128BE::<Aes256>::new_from_slices(cipher_key, counter).ok()?;
        cipher.try_apply_keystream(&mut text).ok()?;
        unpadded(text)
    }
}

fn secret_of(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, AnsibleVaultError> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(AnsibleVaultError::NotText)
        }
    }
}

fn who(labels: &[String]) -> String {
    match labels {
        [] => "the password does not open it".to_owned(),
        [label] => format!("the password `{label}` does not open it"),
        labels => format!("none of the passwords `{}` opens it", labels.join("`, `")),
    }
}
