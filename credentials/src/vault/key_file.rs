//! A file of age keys, as `age-keygen` writes it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use age::x25519;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::VaultError;
use super::lock::Recipient;

/// No key file is longer, in bytes.
const LIMIT: usize = 65_536;

/// The keys of a key file. They open what is locked to one of them.
#[derive(Clone)]
pub struct Keys {
    path: PathBuf,
    identities: Vec<x25519::Identity>,
}

/// A key file is of no use. Never quotes what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The group or others can read it.
    #[error("it can be read by others (mode {mode:04o}); chmod 600 it")]
    Shared {
        /// Its permission bits.
        mode: u32,
    },
    /// It is too long.
    #[error("it is longer than {limit} bytes")]
    Long {
        /// How long it may be.
        limit: usize,
    },
    /// A line is no X25519 key of age.
    #[error(
        "line {line} is no age key (AGE-SECRET-KEY-1…); keys of plugins and encrypted key files are not known"
    )]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// There is no key in it.
    #[error("it has no key")]
    Empty,
}

impl Keys {
    /// Reads a key file.
    ///
    /// # Errors
    /// It is missing, can be read by others, or has a line that is no key.
    pub fn read(path: &Path) -> Result<Self, VaultError> {
        read(path).map_err(|source| VaultError::KeyFile {
            path: path.to_owned(),
            source,
        })
    }

    /// Makes a key and its file, which only its owner can read.
    ///
    /// # Errors
    /// Something is there already, or the folder cannot be written.
    pub fn make(path: &Path) -> Result<Self, VaultError> {
        make(path).map_err(|source| VaultError::KeyFile {
            path: path.to_owned(),
            source: source.into(),
        })
    }

    /// Returns what a vault is locked to so that these keys open it.
    pub fn recipients(&self) -> Vec<Recipient> {
        let public = |identity: &x25519::Identity| Recipient::from(identity.to_public());
        self.identities.iter().map(public).collect()
    }

    /// Returns the key file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn identities(&self) -> &[x25519::Identity] {
        &self.identities
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("path", &self.path)
            .field("keys", &self.identities.len())
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let file = File::open(path)?;
    refuse_shared(&file)?;
    let mut buffer = Zeroizing::new(Vec::with_capacity(LIMIT + 2));
    file.take(LIMIT as u64 + 1).read_to_end(&mut buffer)?;
    if buffer.len() > LIMIT {
        return Err(KeyFileError::Long { limit: LIMIT });
    }
    let mut identities = Vec::new();
    for (line, text) in (1..).zip(buffer.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let key = std::str::from_utf8(text).ok().map(str::parse);
        let Some(Ok(identity)) = key else {
            return Err(KeyFileError::Line { line });
        };
        identities.push(identity);
    }
    if identities.is_empty() {
        return Err(KeyFileError::Empty);
    }
    Ok(Keys {
        path: path.to_owned(),
        identities,
    })
}

/// As `age-keygen` writes it: two comments, then the key.
fn make(path: &Path) -> io::Result<Keys> {
    let identity = x25519::Identity::generate();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    let public = identity.to_public();
    let written = (|| {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(file, "# created: {now}\n# public key: {public}\n")?;
        let secret = identity.to_string();
        let line = Zeroizing::new([secret.expose_secret().as_bytes(), b"\n"].concat());
        file.write_all(&line)?;
        file.sync_all()
    })();
    if let Err(error) = written {
        // Half a key opens nothing, and would be in the way of the next try.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(Keys {
        path: path.to_owned(),
        identities: vec![identity],
    })
}

/// Refuses a plain file that the group or others can read, as ssh does with keys.
#[cfg(unix)]
fn refuse_shared(file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(KeyFileError::Shared { mode });
    }
    Ok(())
}

/// Windows: the folder's access list decides, which a mode cannot say.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix twin refuses")]
fn refuse_shared(_: &File) -> Result<(), KeyFileError> {
    Ok(())
}
