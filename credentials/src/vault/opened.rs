//! A vault that was unlocked.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::document::{Document, DocumentError, Index, entry, index, parse_document};
use super::editor::Editor;
use super::entry::{Entry, EntryName, Listed};
use super::error::VaultError;
use super::header::{Header, LockKind};
use super::kept_key::KeptKey;
use super::lock::{Lock, Unlock};
use super::seal::{look, open_all, open_part, unlock};

/// No vault is longer, in bytes.
pub(super) const LIMIT: u64 = 16 * 1024 * 1024;

/// A vault as it was when it was opened: the encrypted file, its key, and where each entry
/// stands in it. No password is held decrypted.
pub struct Vault {
    pub(super) path: PathBuf,
    pub(super) file: Vec<u8>,
    pub(super) key: KeptKey,
    header: Header,
    index: Index,
}

impl Vault {
    /// Opens a vault. With a passphrase this takes about a second and 256 MiB, as it is meant
    /// to: use `spawn_blocking` where other tasks must go on.
    ///
    /// # Errors
    /// [`VaultError`]: it is missing, damaged, no vault, or this does not unlock it.
    pub fn open(path: &Path, by: Unlock) -> Result<Self, VaultError> {
        Self::unlock_file(path, read(path)?, &by)
    }

    /// Makes a vault without entries.
    ///
    /// # Errors
    /// Something is there already, or the folder cannot be written.
    pub fn create(path: &Path, lock: &Lock) -> Result<(), VaultError> {
        Editor::create(path, lock)
    }

    /// Tells how a vault is locked, to know what to ask for. Costs nothing.
    ///
    /// # Errors
    /// It is missing, no age file, or would cost too much to open.
    pub fn lock_of(path: &Path) -> Result<LockKind, VaultError> {
        Ok(look(path, &read(path)?)?.kind)
    }

    /// Returns an entry, or nothing if there is none. Decrypts it now, in microseconds; what was
    /// decrypted around it is wiped again.
    ///
    /// # Errors
    /// Only if memory went bad: everything was checked when the vault was opened.
    pub fn get(&self, name: &str) -> Result<Option<Entry>, VaultError> {
        let Ok(name) = name.parse::<EntryName>() else {
            return Ok(None);
        };
        let Some(place) = self.index.lines.get(&name) else {
            return Ok(None);
        };
        let line = open_part(&self.file, &self.key, place).map_err(|_| self.damaged())?;
        let entry = entry(line.bytes(), 0).map_err(|source| self.misunderstood(source))?;
        if entry.name != name {
            return Err(self.damaged());
        }
        Ok(Some(entry))
    }

    /// Tells whether there is an entry of this name. Decrypts nothing.
    pub fn has(&self, name: &str) -> bool {
        name.parse()
            .is_ok_and(|name: EntryName| self.index.lines.contains_key(&name))
    }

    /// Returns the entries without their secrets, by name.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn list(&self) -> Result<Vec<Listed>, VaultError> {
        Ok(self.document()?.list())
    }

    /// Begins a change: keeps other writers out and reads the vault as it is now.
    ///
    /// # Errors
    /// Another writer does not end, or the vault was changed meanwhile and this does not unlock
    /// it any more.
    pub fn edit(&self, by: &Unlock) -> Result<Editor, VaultError> {
        Editor::begin(self, by)
    }

    /// Returns the file that the vault was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how the vault is locked.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the recipients that open the vault; none if a passphrase does.
    pub fn recipients(&self) -> &[String] {
        &self.index.recipients
    }

    pub(super) fn unlock_file(path: &Path, file: Vec<u8>, by: &Unlock) -> Result<Self, VaultError> {
        let (header, key, text) = unlock(path, &file, by)?;
        let index = index(text.bytes()).map_err(|source| VaultError::Document {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            key,
            header,
            index,
        })
    }

    pub(super) fn document(&self) -> Result<Document, VaultError> {
        let text = open_all(&self.file, &self.key).map_err(|_| self.damaged())?;
        parse_document(text.bytes()).map_err(|source| self.misunderstood(source))
    }

    fn damaged(&self) -> VaultError {
        VaultError::Damaged {
            path: self.path.clone(),
        }
    }

    fn misunderstood(&self, source: DocumentError) -> VaultError {
        VaultError::Document {
            path: self.path.clone(),
            source,
        }
    }
}

/// Shows names, no secret.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("path", &self.path)
            .field("header", &self.header)
            .field("entries", &self.index.lines.len())
            .finish_non_exhaustive()
    }
}

/// Reads the encrypted file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => VaultError::Missing {
            path: path.to_owned(),
        },
        _ => VaultError::Read {
            path: path.to_owned(),
            source,
        },
    };
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(VaultError::Long {
            path: path.to_owned(),
            limit: LIMIT,
        });
    }
    Ok(bytes)
}
