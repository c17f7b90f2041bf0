//! Why a vault was not opened or not written.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::document::DocumentError;
use super::header::LockKind;
use super::key_file::KeyFileError;

/// Something is wrong with a vault. Names the file, holds no secret. Where writing failed, the old
/// vault is as it was, but for [`VaultError::NotConfirmed`].
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No such file.
    #[error("failed to open the vault {path}: there is no such file")]
    Missing {
        /// The vault.
        path: PathBuf,
    },
    /// A new vault may not take the place of anything.
    #[error("failed to create the vault {path}: something is there already")]
    Exists {
        /// The vault.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("failed to read the vault {path}")]
    Read {
        /// The vault.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be written. The old one is as it was.
    #[error("failed to write the vault {path}")]
    Write {
        /// The vault.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new vault has taken the old one's place, but the disk did not confirm it.
    #[error(
        "wrote the vault {path}, but failed to make sure that it is there after a power failure"
    )]
    NotConfirmed {
        /// The vault.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It would be longer than any vault may be, and could not be read again.
    #[error("failed to write the vault {path}: it would be longer than {limit} bytes")]
    TooLong {
        /// The vault.
        path: PathBuf,
        /// How long a vault may be.
        limit: u64,
    },
    /// It is longer than any vault.
    #[error("failed to open the vault {path}: it is longer than {limit} bytes")]
    Long {
        /// The vault.
        path: PathBuf,
        /// How long a vault may be.
        limit: u64,
    },
    /// It does not begin as an age file does, or its header is cut or damaged.
    #[error("failed to open the vault {path}: its age header is missing, cut or damaged")]
    NotAge {
        /// The vault.
        path: PathBuf,
    },
    /// It is an age file in text form.
    #[error(
        "failed to open the vault {path}: it is armored (`age -a`); a vault is a binary age file"
    )]
    Armored {
        /// The vault.
        path: PathBuf,
    },
    /// Its passphrase would take too long. Found before any work.
    #[error(
        "failed to open the vault {path}: its scrypt work factor is {found}, more than the {limit} that \
         are allowed; opening it would take minutes and much memory"
    )]
    Work {
        /// The vault.
        path: PathBuf,
        /// The binary logarithm of N that the header asks for.
        found: u8,
        /// The largest that is allowed.
        limit: u8,
    },
    /// The passphrase does not open it.
    #[error("failed to open the vault {path}: wrong passphrase, or its header is damaged")]
    WrongPassphrase {
        /// The vault.
        path: PathBuf,
    },
    /// No key opens it.
    #[error(
        "failed to open the vault {path}: none of the keys in {keys} opens it, or its header is damaged"
    )]
    WrongKey {
        /// The vault.
        path: PathBuf,
        /// The key file.
        keys: PathBuf,
    },
    /// It is locked another way.
    #[error("failed to open the vault {path}: it is locked by {needs}")]
    OtherLock {
        /// The vault.
        path: PathBuf,
        /// What it wants.
        needs: LockKind,
    },
    /// Its end is missing, or bytes were changed.
    #[error("failed to open the vault {path}: it is cut or damaged")]
    Damaged {
        /// The vault.
        path: PathBuf,
    },
    /// What stands in it is not understood.
    #[error("failed to understand the vault {path}: {source}")]
    Document {
        /// The vault.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// The recipients written in it are not those that it is locked to.
    #[error(
        "failed to write the vault {path}: it is locked to {locked} keys, but names {named}, or not the one \
         that opened it; another program locked it anew"
    )]
    Recipients {
        /// The vault.
        path: PathBuf,
        /// How many keys open the file.
        locked: usize,
        /// How many recipients stand in it.
        named: usize,
    },
    /// Nothing would open it.
    #[error("failed to write the vault {path}: no recipient is named")]
    NoRecipient {
        /// The vault.
        path: PathBuf,
    },
    /// Its head would become too long.
    #[error("failed to write the vault {path}: it cannot be locked to more than {limit} keys")]
    ManyRecipients {
        /// The vault.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
    /// Somebody else writes it.
    #[error("failed to write the vault {path}: another process has been writing it for {waited:?}")]
    Busy {
        /// The vault.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The lock against other writers cannot be taken.
    #[error("failed to lock the vault {path} against other writers with {lock}")]
    WriteLock {
        /// The vault.
        path: PathBuf,
        /// The lock file beside it.
        lock: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key file is of no use.
    #[error("failed to use the key file {path}: {source}")]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
}
