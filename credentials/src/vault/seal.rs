//! From bytes to an age file and back.

use std::io::{self, Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use std::iter;
use std::ops::Range;
use std::path::Path;

use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient, scrypt};

use super::error::VaultError;
use super::header::{Header, read_header};
use super::kept_key::{Keeping, KeptKey};
use super::lock::{Lock, Unlock, Work, as_typed, composed};
use super::wiped::Wiped;

/// How much age encrypts at once, in bytes ([age v1, "Payload"]).
const CHUNK: u64 = 64 * 1024;

/// Encrypts.
pub(super) fn seal(text: &[u8], lock: &Lock) -> io::Result<Vec<u8>> {
    let encryptor = match lock {
        Lock::Passphrase(passphrase, work) => {
            let mut recipient = scrypt::Recipient::new(composed(passphrase));
            recipient.set_work_factor(work.get());
            Encryptor::with_recipients(iter::once(&recipient as &dyn Recipient))
        }
        Lock::Recipients(recipients) => {
            let each = recipients.iter().map(|one| one.age() as &dyn Recipient);
            Encryptor::with_recipients(each)
        }
    };
    let encryptor = encryptor.map_err(|error: EncryptError| io::Error::other(error.to_string()))?;
    let mut writer = encryptor.wrap_output(Vec::new())?;
    writer.write_all(text)?;
    writer.finish()
}

/// Finds what locks a file, and refuses what would cost too much. Costs nothing.
pub(super) fn look(path: &Path, file: &[u8]) -> Result<Header, VaultError> {
    let path = path.to_owned();
    let Ok(header) = read_header(file) else {
        return Err(match file.starts_with(b"-----BEGIN AGE") {
            true => VaultError::Armored { path },
            false => VaultError::NotAge { path },
        });
    };
    if header.work > Work::MOST.get() {
        return Err(VaultError::Work {
            path,
            found: header.work,
            limit: Work::MOST.get(),
        });
    }
    Ok(header)
}

/// Pays for the lock: returns the file's key and everything that stands in it.
pub(super) fn unlock(
    path: &Path,
    file: &[u8],
    unlock: &Unlock,
) -> Result<(Header, KeptKey, Wiped), VaultError> {
    let header = look(path, file)?;
    let path = path.to_owned();
    if header.kind != unlock.kind() {
        let needs = header.kind;
        return Err(VaultError::OtherLock { path, needs });
    }
    let key = match unlock {
        Unlock::Passphrase(passphrase) => {
            let typed = iter::once_with(|| as_typed(passphrase)).flatten();
            let mut forms = iter::once_with(|| composed(passphrase)).chain(typed);
            forms.find_map(|passphrase| {
                let mut identity = scrypt::Identity::new(passphrase);
                identity.set_max_work_factor(Work::MOST.get());
                key_of(file, &identity).transpose()
            })
        }
        Unlock::Keys(keys) => keys
            .identities()
            .iter()
            .find_map(|identity| key_of(file, identity).transpose()),
    };
    let key = match (key, unlock) {
        (Some(Ok(key)), _) => key,
        (Some(Err(_)), _) => return Err(VaultError::NotAge { path }),
        (None, Unlock::Passphrase(_)) => return Err(VaultError::WrongPassphrase { path }),
        (None, Unlock::Keys(keys)) => {
            let keys = keys.path().to_owned();
            return Err(VaultError::WrongKey { path, keys });
        }
    };
    let text = open_all(file, &key).map_err(|_| VaultError::Damaged { path })?;
    Ok((header, key, text))
}

/// Decrypts everything.
pub(super) fn open_all(file: &[u8], key: &KeptKey) -> io::Result<Wiped> {
    let mut reader = Decryptor::new_buffered(file)
        .and_then(|decryptor| decryptor.decrypt(iter::once(key as &dyn Identity)))
        .map_err(|_| damaged())?;
    let mut text = Wiped::with_capacity(file.len());
    let mut part = Wiped::zeros(file.len().min(8 * 1024));
    loop {
        match reader.read(part.bytes_mut())? {
            0 => return Ok(text),
            read => text.write_all(part.bytes().get(..read).unwrap_or_default())?,
        }
    }
}

/// Decrypts these bytes of the text, and little around them.
pub(super) fn open_part(file: &[u8], key: &KeptKey, part: &Range<usize>) -> io::Result<Wiped> {
    let mut reader = Decryptor::new_buffered(Cursor::new(file))
        .and_then(|decryptor| decryptor.decrypt(iter::once(key as &dyn Identity)))
        .map_err(|_| damaged())?;
    let start = part.start as u64;
    // In two steps: age would read what stands before the part into memory that nobody wipes.
    reader.seek(SeekFrom::Start(start - start % CHUNK))?;
    reader.seek(SeekFrom::Start(start))?;
    let mut text = Wiped::zeros(part.len());
    reader.read_exact(text.bytes_mut())?;
    Ok(text)
}

/// Returns the file's key; nothing if the identity does not fit.
fn key_of(file: &[u8], identity: &dyn Identity) -> Result<Option<KeptKey>, DecryptError> {
    let keeping = Keeping::new(identity);
    let decryptor = Decryptor::new_buffered(file)?;
    match decryptor.decrypt(iter::once(&keeping as &dyn Identity)) {
        Ok(_) => Ok(keeping.into_key()),
        Err(
            DecryptError::NoMatchingKeys
            | DecryptError::KeyDecryptionFailed
            | DecryptError::DecryptionFailed,
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
