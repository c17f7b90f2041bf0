//! Puts a new file in an old one's place, so that at any moment one of the two is there, whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::target::Target;

/// What a disk does, so that tests can let it fail.
pub(super) trait Disk {
    /// Writes all of the bytes.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the file is on the disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Lets a file take another's place.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Opens a folder to sync it later; nothing where no system has a need of that.
    fn open_folder(&self, folder: &Path) -> io::Result<Option<File>>;
    /// Waits until the folder's names are on the disk.
    fn sync_folder(&self, folder: &File) -> io::Result<()>;
}

/// Why nothing new is in the old file's place, or not surely.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// The old file is as it was.
    NotWritten(io::Error),
    /// The new one is in its place; after a power failure the old one may be there again.
    NotConfirmed(io::Error),
}

/// The disk as it is.
pub(super) struct RealDisk;

/// Writes the bytes in the target's place. The caller holds the write lock, so a temporary file
/// that is there was left by a process that was killed.
pub(super) fn replace(target: &Target, bytes: &[u8], disk: &dyn Disk) -> Result<(), ReplaceError> {
    let folder = exchange(target, bytes, disk).map_err(ReplaceError::NotWritten)?;
    let Some(folder) = folder else {
        return Ok(());
    };
    match disk.sync_folder(&folder) {
        // Some network and user file systems have no such thing.
        Err(error) if is_not_supported(&error) => Ok(()),
        result => result.map_err(ReplaceError::NotConfirmed),
    }
}

fn is_not_supported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Lets the new file take the old one's place; returns the folder, which is opened before: that
/// it cannot be is found while nothing has changed.
fn exchange(target: &Target, bytes: &[u8], disk: &dyn Disk) -> io::Result<Option<File>> {
    let old = match fs::metadata(&target.path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let folder = disk.open_folder(&target.folder)?;
    let temporary = target.temporary();
    remove_if_there(&temporary)?;
    let written = write_new(&temporary, bytes, old.as_ref(), disk)
        .and_then(|()| disk.rename(&temporary, &target.path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(folder)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8], old: Option<&Metadata>, disk: &dyn Disk) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    disk.write(&mut file, bytes)?;
    if let Some(old) = old {
        keep_rights(&file, old)?;
    }
    disk.sync(&file)?;
    drop(file);
    // A disk that is full or a share that lost its server may not say so.
    let mut back = Vec::with_capacity(bytes.len() + 1);
    File::open(path)?
        .take(bytes.len() as u64 + 1)
        .read_to_end(&mut back)?;
    if back != bytes {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what was written is not what can be read again",
        ));
    }
    Ok(())
}

/// Gives the new file the owner, group and mode of the old one. Where the owner cannot be kept,
/// as when one of a group writes another's vault, the group can; where neither can, nobody but
/// the writer gets at the file.
#[cfg(unix)]
pub(super) fn keep_rights(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};

    let new = file.metadata()?;
    let mut mode = old.permissions().mode() & 0o777;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
        && new.gid() != old.gid()
        && fchown(file, None, Some(old.gid())).is_err()
    {
        mode &= 0o700;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Windows: the new file inherits the folder's access list.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix twin can fail")]
pub(super) fn keep_rights(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

impl Disk for RealDisk {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(unix)]
    fn open_folder(&self, folder: &Path) -> io::Result<Option<File>> {
        File::open(folder).map(Some)
    }

    /// Windows: NTFS keeps names in its log, and a folder cannot be opened for this.
    #[cfg(not(unix))]
    fn open_folder(&self, _: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    fn sync_folder(&self, folder: &File) -> io::Result<()> {
        folder.sync_all()
    }
}
