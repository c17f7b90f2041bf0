//! What locks a vault and what unlocks it.

use std::fmt;
use std::str::FromStr;

use age::secrecy::SecretString;
use age::x25519;
use fleetmend_model::Secret;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};
use zeroize::Zeroizing;

use super::header::LockKind;
use super::key_file::Keys;

/// What opens a vault.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// The passphrase, as it was typed.
    Passphrase(Secret),
    /// Keys; one of them has to fit.
    Keys(Keys),
}

/// What a vault will be locked by.
#[derive(Clone, Debug)]
pub enum Lock {
    /// A passphrase, with what each guess at it costs.
    Passphrase(Secret, Work),
    /// Any of these opens it.
    Recipients(Vec<Recipient>),
}

/// What opening with a passphrase costs: scrypt with N = 2^work takes 2^work KiB of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(u8);

/// The public half of an age key (X25519): `age1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(x25519::Recipient);

/// This text is no recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// It is the secret half.
    #[error("this is a secret key, not its public half; take it for known to others now")]
    Secret,
    /// It is something else.
    #[error("this is no X25519 recipient of age (age1…)")]
    Unknown,
}

impl Unlock {
    /// Returns which kind of lock it fits.
    pub fn kind(&self) -> LockKind {
        match self {
            Self::Passphrase(_) => LockKind::Passphrase,
            Self::Keys(_) => LockKind::Keys,
        }
    }
}

impl Work {
    /// What `age -p` asks for: 256 MiB and about a second.
    pub const USUAL: Self = Self(18);
    /// The most that is opened: 1 GiB, and some seconds on a slow machine.
    pub const MOST: Self = Self(20);

    /// Returns a work factor; nothing if it is 0 or more than [`Work::MOST`].
    pub fn new(work: u8) -> Option<Self> {
        (1..=Self::MOST.0).contains(&work).then_some(Self(work))
    }

    /// Returns the binary logarithm of N.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl From<x25519::Recipient> for Recipient {
    fn from(recipient: x25519::Recipient) -> Self {
        Self(recipient)
    }
}

impl Recipient {
    pub(super) fn age(&self) -> &x25519::Recipient {
        &self.0
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(RecipientError::Secret);
        }
        let recipient = text.parse().map_err(|_| RecipientError::Unknown)?;
        Ok(Self(recipient))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the passphrase in Unicode's composed form (NFC), as keyboards and input methods write
/// it: what macOS may give decomposed opens a vault that was made on Windows.
pub(super) fn composed(passphrase: &Secret) -> SecretString {
    // Composing makes no text longer than three times its bytes, so this never moves.
    let mut text = Zeroizing::new(String::with_capacity(passphrase.reveal().len() * 3));
    passphrase.reveal().nfc().for_each(|c| text.push(c));
    SecretString::from(text.as_str())
}

/// Returns the passphrase as it was typed, if that differs from its composed form.
pub(super) fn as_typed(passphrase: &Secret) -> Option<SecretString> {
    let text = passphrase.reveal();
    let differs = is_nfc_quick(text.chars()) != IsNormalized::Yes && !text.nfc().eq(text.chars());
    differs.then(|| SecretString::from(text))
}
