//! One controller at a time works on a run.
//!
//! A lock of the operating system on a file beside the journal: it ends with the process that
//! holds it, however that ends, so no time must pass before the next one may go on. It is seen by
//! every process of this machine, and by others as far as the file system carries locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_model::RunId;
use jiff::Timestamp;

use crate::StorageError;

/// Who only looks whether the lock is held, holds it for an instant; so a taker tries again.
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(50);

/// The right to work on a run, until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    file: File,
    path: PathBuf,
}

impl Lease {
    /// Takes the lease of a run.
    pub(crate) fn take(journal: &Path, run: RunId) -> Result<Self, StorageError> {
        let path = path(journal, run);
        let open = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem => StorageError::ReadOnly { path: path.clone() },
            std::io::ErrorKind::StorageFull => StorageError::Full { path: path.clone() },
            _ => StorageError::Open {
                path: path.clone(),
                source: Box::new(source),
            },
        };
        let mut file = options().create(true).open(&path).map_err(open)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => std::thread::sleep(BETWEEN),
                Err(TryLockError::WouldBlock) => {
                    let by = holder(&mut file);
                    return Err(StorageError::Held { run, by });
                }
                Err(TryLockError::Error(error)) => return Err(open(error)),
            }
        }
        let word = format!(
            "process {} since {:.0}",
            std::process::id(),
            Timestamp::now()
        );
        // For the words of a refusal only; a full disk shows at the journal itself.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(word.as_bytes()));
        Ok(Self { file, path })
    }

    /// Tells whether a process works on the run.
    pub(crate) fn is_held(journal: &Path, run: RunId) -> bool {
        let Ok(file) = OpenOptions::new().read(true).open(path(journal, run)) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Removes what a holder has left that is gone for ever.
    pub(crate) fn remove(journal: &Path, run: RunId) {
        // One that stays does no harm.
        let _ = std::fs::remove_file(path(journal, run));
    }

    /// Gives the lease back for ever: the run has ended, and nobody will work on it again.
    pub(crate) fn end(self) {
        // Before it is unlocked, so that no other file of that name can come in between. One
        // that stays does no harm.
        let _ = std::fs::remove_file(&self.path);
        drop(self.file);
    }
}

fn path(journal: &Path, run: RunId) -> PathBuf {
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{run}.lock"));
    journal.with_file_name(name)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Returns who says that he holds the lock; Windows lets nobody read it meanwhile.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(200).read_to_string(&mut text).ok()?;
    let text = text.trim();
    let plain = text.chars().all(|c| !c.is_control());
    (plain && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_next_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.sqlite");
        let run = RunId(uuid::Uuid::now_v7());
        assert!(!Lease::is_held(&journal, run));
        let lease = Lease::take(&journal, run).unwrap();
        assert!(Lease::is_held(&journal, run));
        let other = RunId(uuid::Uuid::now_v7());
        drop(Lease::take(&journal, other).unwrap());
        let error = Lease::take(&journal, run).unwrap_err().to_string();
        assert!(error.contains(&run.to_string()), "{error}");
        let pid = format!("process {} since 2", std::process::id());
        assert!(cfg!(windows) || error.contains(&pid), "{error}");
        drop(lease);
        assert!(!Lease::is_held(&journal, run));
        Lease::take(&journal, run).unwrap().end();
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only that of the other run");
    }
}
