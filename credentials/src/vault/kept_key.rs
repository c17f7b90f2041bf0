//! The key of one file, kept so that a passphrase is paid for once.

use std::cell::RefCell;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, Identity};
use age_core::format::{FileKey, Stanza};

/// The key of a file that was opened. `FileKey` is wiped when dropped.
pub(super) struct KeptKey(FileKey);

/// Asks another identity for the file's key, and keeps a copy.
pub(super) struct Keeping<'a> {
    inner: &'a dyn Identity,
    kept: RefCell<Option<FileKey>>,
}

impl<'a> Keeping<'a> {
    /// Wraps the identity that can open the file.
    pub(super) fn new(inner: &'a dyn Identity) -> Self {
        Self {
            inner,
            kept: RefCell::new(None),
        }
    }

    /// Returns the key, if the file was opened.
    pub(super) fn into_key(self) -> Option<KeptKey> {
        self.kept.into_inner().map(KeptKey)
    }
}

impl Identity for Keeping<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.inner.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let result = self.inner.unwrap_stanzas(stanzas);
        if let Some(Ok(key)) = &result {
            *self.kept.borrow_mut() = Some(copy(key));
        }
        result
    }
}

/// Opens the file that the key is of, and no other: age checks the header's MAC with it.
impl Identity for KeptKey {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(copy(&self.0)))
    }
}

fn copy(key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|bytes| bytes.copy_from_slice(key.expose_secret()))
}
