//! One writer at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::VaultError;
use super::replace::keep_rights;
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
            let taken = try_take(&lock, &target.path);
            let is_late = begun.elapsed() >= patience;
            match taken {
                Ok(Some(file)) => return Ok(Self { path: lock, file }),
                // One of our group makes it at this moment: it is theirs before it is the group's.
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied
                        && lock.exists()
                        && !is_late => {}
                Err(error) => return Err(failed(error)),
                Ok(None) => {}
            }
            if is_late {
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

fn try_take(path: &Path, vault: &Path) -> io::Result<Option<File>> {
    let file = match make(path, vault) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match OpenOptions::new().write(true).open(path) {
                // It went between the two.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            }
        }
        made => made?,
    };
    match file.try_lock() {
        Ok(()) => Ok(is_still_there(path, &file).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the lock file. Who may write the vault may lock it, also when this process is killed and
/// leaves the file.
fn make(path: &Path, vault: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    if let Ok(vault) = fs::metadata(vault) {
        keep_rights(&file, &vault)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Who may read a vault and write its folder can replace it, also where the vault
            // itself may not be written.
            let mode = file.metadata()?.permissions().mode();
            let mode = mode | 0o600 | (mode & 0o040) >> 1;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(file)
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

    #[cfg(unix)]
    #[test]
    fn who_may_write_the_vault_may_lock_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("v");
        fs::write(&vault, "").unwrap();
        let target = Target::new(&vault).unwrap();
        for (mode, expected) in [
            (0o660, 0o660),
            (0o600, 0o600),
            (0o440, 0o660),
            (0o640, 0o660),
        ] {
            fs::set_permissions(&vault, fs::Permissions::from_mode(mode)).unwrap();
            let _held = WriteLock::take(&vault, &target, Duration::ZERO).unwrap();
            let lock = fs::metadata(target.lock()).unwrap();
            assert_eq!(lock.permissions().mode() & 0o777, expected);
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
