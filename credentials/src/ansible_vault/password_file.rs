//! A password as Ansible's `--vault-password-file` reads it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::Path;
use std::process::Stdio;

use fleetmend_directory::{Ended, Limit};
use fleetmend_model::Secret;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::envelope::DEFAULT_LABEL;
use crate::SourceError;

/// No password is longer; a file that is was named by mistake.
const MAX_BYTES: usize = 4_096;

/// Returns the password that a file holds, or that an executable file prints.
///
/// As in Ansible, blanks and line ends around the text of a file go, of what a program prints only
/// line ends; a program whose name ends with `-client` (before its ending) is given
/// `--vault-id LABEL`. Files that others can read, and programs that others can change, are
/// refused.
///
/// # Errors
/// It cannot be read or run, or gives no password. What it holds is not told.
pub async fn password_file(path: &Path, label: &str, limit: &Limit) -> Result<Secret, SourceError> {
    let file = PasswordFile { path, label };
    match limit.bound(file.password()).await {
        Ok(password) => password,
        Err(Ended::Cancelled) => Err(file.fails("cancelled", "")),
        Err(Ended::Deadline) => Err(file.fails("it gave no password in time", "")),
    }
}

struct PasswordFile<'a> {
    path: &'a Path,
    label: &'a str,
}

impl PasswordFile<'_> {
    async fn password(&self) -> Result<Secret, SourceError> {
        let metadata = tokio::fs::metadata(self.path).await;
        let metadata = metadata.map_err(|error| self.fails(&error.kind().to_string(), ""))?;
        if metadata.is_dir() {
            return Err(self.fails("it is a directory", "name the file itself"));
        }
        let runs = is_program(self.path, &metadata);
        self.refuse_shared(&metadata, runs)?;
        let bytes = if runs {
            self.printed().await?
        } else {
            self.held().await?
        };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| self.fails("the password is no UTF-8 text", ""))?;
        let python_blanks = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
        let text = if runs {
            text.trim_matches(['\r', '\n'])
        } else {
            text.trim_matches(python_blanks)
        };
        if text.is_empty() {
            return Err(self.fails("the password is empty", ""));
        }
        if text.starts_with("$ANSIBLE_VAULT;") {
            let next = "name a file that holds the password itself, or a program that prints it";
            return Err(self.fails("it is itself encrypted by ansible-vault", next));
        }
        Ok(Secret::new(text.to_owned()))
    }

    async fn held(&self) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let file = File::open(self.path).await;
        let mut file = file.map_err(|error| self.fails(&error.kind().to_string(), ""))?;
        self.all_of(&mut file).await
    }

    /// Runs the file. It may ask on the terminal, as Ansible lets it.
    async fn printed(&self) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let path = std::path::absolute(self.path);
        let path = path.map_err(|error| self.fails(&error.kind().to_string(), ""))?;
        let mut command = Command::new(path);
        if is_client(self.path) {
            command.args(["--vault-id", self.label]);
        }
        let started = command
            .stdin(Stdio::inherit())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| {
            let next = format!(
                "if it is no program: chmod 600 {path}",
                path = self.path.display()
            );
            self.fails(&format!("it cannot be run: {}", error.kind()), &next)
        })?;
        let printed = match child.stdout.take() {
            Some(mut output) => self.all_of(&mut output).await?,
            None => Zeroizing::default(),
        };
        let ended = child.wait().await;
        let ended = ended.map_err(|error| self.fails(&error.kind().to_string(), ""))?;
        match ended.code() {
            Some(0) => Ok(printed),
            // Ansible's number for it.
            Some(2) if is_client(self.path) => {
                let why = format!(
                    "the program knows no password `{}` (exit code 2)",
                    self.label
                );
                Err(self.fails(&why, ""))
            }
            Some(code) => Err(self.fails(&format!("the program ended with {code}"), "")),
            None => Err(self.fails("the program was killed", "")),
        }
    }

    async fn all_of(
        &self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        // Never grows: nothing is left behind in memory that was given back.
        let mut bytes = Zeroizing::new(vec![0; MAX_BYTES + 1]);
        let mut length = 0;
        while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
            let read = from.read(room).await;
            match read.map_err(|error| self.fails(&error.kind().to_string(), ""))? {
                0 => break,
                more => length += more,
            }
        }
        if length > MAX_BYTES {
            return Err(self.fails("it is too long for a password", ""));
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    #[cfg(unix)]
    fn refuse_shared(&self, metadata: &Metadata, runs: bool) -> Result<(), SourceError> {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = metadata.permissions().mode() & 0o777;
        let path = self.path.display();
        let (bits, why, next) = if runs {
            (0o022, "changed", format!("chmod go-w {path}"))
        } else {
            (0o077, "read", format!("chmod 600 {path}"))
        };
        // A pipe belongs to whoever opened it.
        if metadata.is_file() && mode & bits != 0 {
            return Err(self.fails(
                &format!("it can be {why} by others (mode {mode:04o})"),
                &next,
            ));
        }
        Ok(())
    }

    /// Windows: the folder's access list decides, which a mode cannot say.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the Unix twin refuses")]
    fn refuse_shared(&self, _: &Metadata, _: bool) -> Result<(), SourceError> {
        Ok(())
    }

    fn fails(&self, why: &str, next: &str) -> SourceError {
        let label = match self.label {
            DEFAULT_LABEL => String::new(),
            label => format!(" `{label}`"),
        };
        SourceError {
            from: format!(
                "the ansible-vault password file{label} {}",
                self.path.display()
            ),
            why: why.to_owned(),
            next: next.to_owned(),
            absent: false,
        }
    }
}

#[cfg(unix)]
fn is_program(_: &Path, metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_program(path: &Path, _: &Metadata) -> bool {
    let ending = path.extension().map(OsStr::to_ascii_lowercase);
    let ending = ending.as_ref().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["exe", "com", "cmd", "bat"].contains(&ending))
}

fn is_client(path: &Path) -> bool {
    let stem = path.file_stem().and_then(OsStr::to_str);
    stem.is_some_and(|stem| stem.ends_with("-client"))
}
