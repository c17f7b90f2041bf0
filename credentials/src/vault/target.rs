//! The file that is really written: what the path names, behind symbolic links.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a vault lies. The names of the files beside it are made of its own, so that every
/// process finds the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The file itself, no link.
    pub(super) path: PathBuf,
    /// The folder that it lies in.
    pub(super) folder: PathBuf,
    name: OsString,
}

impl Target {
    /// Follows the links of a vault that exists.
    pub(super) fn existing(path: &Path) -> io::Result<Self> {
        Self::of(fs::canonicalize(path)?)
    }

    /// Finds the place of a vault that does not exist yet.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Self::of(fs::canonicalize(folder)?.join(name))
    }

    /// Returns the file that a new vault is written to before it takes the old one's place.
    pub(super) fn temporary(&self) -> PathBuf {
        self.beside("fleetmend-new")
    }

    /// Returns the file whose lock keeps other writers out.
    pub(super) fn lock(&self) -> PathBuf {
        self.beside("fleetmend-lock")
    }

    fn of(path: PathBuf) -> io::Result<Self> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            path,
        })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".");
        name.push(ending);
        self.folder.join(name)
    }
}
