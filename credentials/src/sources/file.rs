//! A password in a file that nobody else can read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use zeroize::Zeroizing;

use super::ended;
use super::password_text::{self, MAX_BYTES, Unfit};
use crate::{Found, Scope, Source, SourceError, Subject};

/// A file does not give a password. Holds nothing of its content.
#[derive(Debug)]
pub struct PasswordFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: PasswordFileFault,
}

/// What is wrong with a file that should hold a password: words that follow its name.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileFault {
    /// It is not there, or may not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The group or others may read it.
    #[error("holds a password and can be read by others (mode {mode:04o})")]
    Shared {
        /// Its permissions.
        mode: u32,
    },
    /// It is a pipe or a device.
    #[error("is no plain file")]
    NotPlain,
    /// Its content is no password.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl std::fmt::Display for PasswordFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match &self.fault {
            PasswordFileFault::Unreadable(why) => write!(f, "failed to read {path}: {why}"),
            fault => write!(f, "{path} {fault}"),
        }
    }
}

impl std::error::Error for PasswordFileError {}

impl PasswordFileError {
    /// Returns what to do about it, if anything can be said.
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            PasswordFileFault::Shared { .. } => Some(format!("chmod 600 {}", self.path.display())),
            fault => fault.hint().map(str::to_owned),
        }
    }
}

impl PasswordFileFault {
    /// Returns what to do about it without naming the file.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(_) => None,
            Self::Shared { .. } => Some("let only its owner read it: chmod 600"),
            Self::NotPlain => Some("it is read when it is needed, which may be often; name a file"),
            Self::Unfit(unfit) => unfit.hint(),
        }
    }
}

/// Reads a password from a file: its text without one line end at the end. A pipe is read to
/// its end, however long that takes.
///
/// # Errors
/// The file is missing, empty, not text, or readable by others.
pub fn read_password_file(path: &Path) -> Result<Secret, PasswordFileError> {
    read(path).map_err(|fault| PasswordFileError {
        path: path.to_owned(),
        fault,
    })
}

fn read(path: &Path) -> Result<Secret, PasswordFileFault> {
    let file = File::open(path).map_err(PasswordFileFault::Unreadable)?;
    refuse_shared(&file)?;
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(PasswordFileFault::Unreadable)?;
    Ok(password_text::password(&bytes)?)
}

/// Reads a password that may be wanted again, which a pipe cannot give; and an open of a pipe
/// that nobody writes to never ends.
pub(super) fn read_plain(path: &Path) -> Result<Secret, PasswordFileFault> {
    let metadata = std::fs::metadata(path).map_err(PasswordFileFault::Unreadable)?;
    match metadata.is_file() {
        true => read(path),
        false => Err(PasswordFileFault::NotPlain),
    }
}

/// Refuses a plain file that the group or others can read, as ssh does with keys.
#[cfg(unix)]
fn refuse_shared(file: &File) -> Result<(), PasswordFileFault> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata().map_err(PasswordFileFault::Unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(PasswordFileFault::Shared { mode });
    }
    Ok(())
}

/// Windows: the folder's access list decides, which a mode cannot say.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix twin refuses")]
fn refuse_shared(_: &File) -> Result<(), PasswordFileFault> {
    Ok(())
}

/// A password in a file. Keeps nothing: the file is read each time.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// Returns the source of a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Source for FileSource {
    fn describe(&self) -> String {
        format!("the file {}", self.path.display())
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    async fn fetch(&self, _: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let there = path.symlink_metadata();
            let is_absent = there.is_err_and(|why| why.kind() == io::ErrorKind::NotFound);
            (!is_absent).then(|| read_plain(&path))
        });
        let read = limit.bound(read).await;
        let read = read.map_err(|why| ended(self, why))?;
        let failed = |why: String| SourceError::new(self.describe(), why, "");
        match read.map_err(|error| failed(error.to_string()))? {
            None => {
                let why = "there is no such file";
                Err(SourceError::absent(self.describe(), why, ""))
            }
            Some(Ok(password)) => Ok(Found {
                user: None,
                password,
                ssh: None,
            }),
            Some(Err(fault)) => {
                let why = format!("it {fault}");
                let path = self.path.clone();
                let next = PasswordFileError { path, fault }.hint();
                Err(SourceError::new(
                    self.describe(),
                    why,
                    next.unwrap_or_default(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
        }
        #[cfg(not(unix))]
        let _ = mode;
        file
    }

    #[test]
    fn one_line_end_goes_and_blanks_stay() {
        for (content, password) in [
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("\u{feff}ひみつ", "ひみつ"),
            (" two words ", " two words "),
        ] {
            let file = file(content.as_bytes(), 0o600);
            assert_eq!(read_password_file(file.path()).unwrap().reveal(), password);
        }
    }

    #[test]
    fn bad_files_are_refused_without_telling_their_content() {
        let long = vec![b'x'; 5_000];
        for content in [&b""[..], b"\n", b"secret\xff", b"secret\nsecret\n", &long] {
            let file = file(content, 0o600);
            let error = read_password_file(file.path()).unwrap_err();
            let told = format!("{error} {error:?} {:?}", error.hint());
            assert!(!told.contains("secret") && !told.contains("xxx"), "{told}");
        }
    }

    /// Holds for root too, whom no mode keeps out.
    #[cfg(unix)]
    #[test]
    fn files_that_others_read_are_refused() {
        for mode in [0o644, 0o640, 0o604, 0o660, 0o602] {
            let file = file(b"hunter2\n", mode);
            let error = read_password_file(file.path()).unwrap_err();
            assert!(error.hint().unwrap().starts_with("chmod 600 "), "{error}");
            let told = format!("can be read by others (mode {mode:04o})");
            assert!(error.to_string().ends_with(&told), "{error}");
        }
        for mode in [0o600, 0o400] {
            assert!(read_password_file(file(b"hunter2\n", mode).path()).is_ok());
        }
    }
}
