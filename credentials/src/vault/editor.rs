//! Changes a vault.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::Document;
use super::entry::{Entry, EntryName};
use super::error::VaultError;
use super::header::Header;
use super::lock::{Lock, Recipient, Unlock, Work};
use super::opened::{LIMIT, Vault, read};
use super::replace::{Disk, RealDisk, ReplaceError, replace};
use super::seal::seal;
use super::target::Target;
use super::write_lock::WriteLock;

/// How long a writer waits for another. Locking by passphrase takes about a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many keys may open a vault; a head with as many is within what is read.
const RECIPIENTS: usize = 100;

/// A vault under change. Other writers wait until it is saved or dropped; dropped, nothing
/// has changed.
#[derive(Debug)]
pub struct Editor {
    path: PathBuf,
    target: Target,
    document: Document,
    header: Header,
    by: Unlock,
    _lock: WriteLock,
}

impl Editor {
    /// Adds an entry, or takes the place of the one with its name; tells whether there was one.
    pub fn set(&mut self, entry: Entry) -> bool {
        let name = entry.name.clone();
        self.document.entries.insert(name, entry).is_some()
    }

    /// Returns an entry as it is now.
    pub fn get(&self, name: &EntryName) -> Option<&Entry> {
        self.document.entries.get(name)
    }

    /// Removes an entry; tells whether there was one.
    pub fn remove(&mut self, name: &EntryName) -> bool {
        self.document.entries.remove(name).is_some()
    }

    /// Writes the vault, locked as it was.
    ///
    /// # Errors
    /// The old vault is as it was, but for [`VaultError::NotConfirmed`].
    pub fn save(self) -> Result<(), VaultError> {
        self.save_on(&RealDisk)
    }

    /// Writes the vault, locked otherwise.
    ///
    /// # Errors
    /// As [`Editor::save`].
    pub fn relock(self, lock: &Lock) -> Result<(), VaultError> {
        self.relock_on(lock, &RealDisk)
    }

    pub(super) fn begin(vault: &Vault, by: &Unlock) -> Result<Self, VaultError> {
        let path = vault.path();
        let target = Target::existing(path).map_err(|source| VaultError::Read {
            path: path.to_owned(),
            source,
        })?;
        let lock = WriteLock::take(path, &target, PATIENCE)?;
        let file = read(path)?;
        let (document, header) = if file == vault.file {
            (vault.document()?, vault.header().clone())
        } else {
            let now = Vault::unlock_file(path, file, by)?;
            (now.document()?, now.header().clone())
        };
        Ok(Self {
            path: path.to_owned(),
            target,
            document,
            header,
            by: by.clone(),
            _lock: lock,
        })
    }

    pub(super) fn create(path: &Path, lock: &Lock) -> Result<(), VaultError> {
        let failed = |source| VaultError::Write {
            path: path.to_owned(),
            source,
        };
        let target = Target::new(path).map_err(failed)?;
        let _lock = WriteLock::take(path, &target, PATIENCE)?;
        // A link that leads nowhere is something, too.
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(_) => {
                return Err(VaultError::Exists {
                    path: path.to_owned(),
                });
            }
        }
        write(path, &target, Document::new(Vec::new()), lock, &RealDisk)
    }

    pub(super) fn save_on(self, disk: &dyn Disk) -> Result<(), VaultError> {
        let lock = self.same_lock()?;
        self.relock_on(&lock, disk)
    }

    pub(super) fn relock_on(self, lock: &Lock, disk: &dyn Disk) -> Result<(), VaultError> {
        write(&self.path, &self.target, self.document, lock, disk)
    }

    /// What locks the vault now. An age file does not say for whom it is, so the document does;
    /// it is believed only if it cannot lock anybody out.
    fn same_lock(&self) -> Result<Lock, VaultError> {
        let keys = match &self.by {
            Unlock::Passphrase(passphrase) => {
                let work = Work::new(self.header.work).unwrap_or(Work::USUAL);
                return Ok(Lock::Passphrase(passphrase.clone(), work));
            }
            Unlock::Keys(keys) => keys.recipients(),
        };
        let named: Vec<Recipient> = self
            .document
            .recipients
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        let is_ours = named.iter().any(|one| keys.contains(one));
        let all_known = named.len() == self.document.recipients.len();
        if !is_ours || !all_known || named.len() != self.header.keys {
            return Err(VaultError::Recipients {
                path: self.path.clone(),
                locked: self.header.keys,
                named: self.document.recipients.len(),
            });
        }
        Ok(Lock::Recipients(named))
    }
}

fn write(
    path: &Path,
    target: &Target,
    mut document: Document,
    lock: &Lock,
    disk: &dyn Disk,
) -> Result<(), VaultError> {
    let path = path.to_owned();
    document.recipients = match lock {
        Lock::Passphrase(..) => Vec::new(),
        Lock::Recipients(none) if none.is_empty() => return Err(VaultError::NoRecipient { path }),
        Lock::Recipients(all) if all.len() > RECIPIENTS => {
            let limit = RECIPIENTS;
            return Err(VaultError::ManyRecipients { path, limit });
        }
        Lock::Recipients(all) => all.iter().map(ToString::to_string).collect(),
    };
    let text = document.write();
    let file = match text.and_then(|text| seal(text.bytes(), lock)) {
        Ok(file) => file,
        Err(source) => return Err(VaultError::Write { path, source }),
    };
    if file.len() as u64 > LIMIT {
        return Err(VaultError::TooLong { path, limit: LIMIT });
    }
    replace(target, &file, disk).map_err(|error| match error {
        ReplaceError::NotWritten(source) => VaultError::Write { path, source },
        ReplaceError::NotConfirmed(source) => VaultError::NotConfirmed { path, source },
    })
}

#[cfg(test)]
mod tests;
