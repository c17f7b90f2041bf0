//! One writer at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::VaultError;
use super::target::Target;

/// How often is tried again.
const PAUSE: Duration = Duration::from_millis(25);

/// Keeps other writers of a vault out until it is dropped, or its process is gone.
///
/// The lock is on a file beside the vault: the vault itself is another file after each change.
#[derive(Debug)]
pub(super) struct WriteLock {
    path: PathBuf,
    file: File,
}

impl WriteLock {
    /// Takes the lock; blocks for at most `patience`.
    pub(super) fn take(
        vault: &Path,
        target: &Target,
        patience: Duration,
    ) -> Result<Self, VaultError> {
        let lock = target.lock();
        let begun = Instant::now();
        loop {
            let failed = |source| VaultError::WriteLock {
                path: vault.to_owned(),
                lock: lock.clone(),
                source,
            };
            if let Some(file) = try_take(&lock).map_err(failed)? {
                return Ok(Self { path: lock, file });
            }
            if begun.elapsed() >= patience {
                return Err(VaultError::Busy {
                    path: vault.to_owned(),
                    waited: patience,
                });
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever holds a file that is not there any more tries again.
        // Windows cannot tell, so there the empty file stays.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

fn try_take(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(is_still_there(path, &file).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the path still names the file that was locked.
#[cfg(unix)]
fn is_still_there(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(held)) => identity(there) == identity(held),
        _ => false,
    }
}

/// Windows: the lock file is never removed.
#[cfg(not(unix))]
fn is_still_there(_: &Path, _: &File) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_second_writer_waits_and_then_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("v");
        let target = Target::new(&vault).unwrap();
        let held = WriteLock::take(&vault, &target, Duration::ZERO).unwrap();
        let begun = Instant::now();
        let error = WriteLock::take(&vault, &target, Duration::from_millis(60)).unwrap_err();
        assert!(matches!(error, VaultError::Busy { .. }), "{error}");
        assert!(begun.elapsed() >= Duration::from_millis(60));
        drop(held);
        drop(WriteLock::take(&vault, &target, Duration::ZERO).unwrap());
        if cfg!(unix) {
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn only_one_of_many_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("v");
        let target = Target::new(&vault).unwrap();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let lock = WriteLock::take(&vault, &target, Duration::from_secs(30));
                        let lock = lock.unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::sleep(Duration::from_micros(300));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
