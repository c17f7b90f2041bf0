//! Passwords: from a file that others cannot read, or from the terminal. Never from an argument
//! or an environment variable.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use fleetmend_model::{CredentialRef, Secret};
use zeroize::Zeroizing;

use crate::error::CliError;

/// No password is longer; a file that is was named by mistake.
const MAX_BYTES: u64 = 4_096;

/// Returns the name of the environment variable that names a credential's password file:
/// `local-admin` → `FLEETMEND_LOCAL_ADMIN_PASSWORD_FILE`.
pub(crate) fn variable(credential: &CredentialRef) -> String {
    let name: String = credential
        .0
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("FLEETMEND_{name}_PASSWORD_FILE")
}

/// Returns the file that an environment variable names.
pub(crate) fn file_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Reads a password from a file: its text without one line end at the end.
///
/// # Errors
/// The file is missing, empty, not text, or readable by others.
pub(crate) fn read(path: &Path) -> Result<Secret, CliError> {
    let shown = path.display();
    let failed = |error| CliError::config(format!("failed to read {shown}")).because(error);
    let file = File::open(path).map_err(failed)?;
    refuse_shared(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(MAX_BYTES).unwrap_or(0) + 1,
    ));
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::config(format!(
            "{shown} is too long for a password"
        )));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::config(format!("{shown} is not UTF-8 text")))?;
    // Notepad begins a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(CliError::config(format!("{shown} is empty"))
            .hint("Windows refuses empty passwords over the network"));
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(CliError::config(format!("{shown} has more than one line"))
            .hint("the file must hold one password and nothing else"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Asks for a password on the terminal, without echo.
///
/// # Errors
/// There is no terminal, or the input was empty or cut.
pub(crate) fn ask(prompt: &str, otherwise: &str) -> Result<Secret, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::config(format!(
            "{} is missing and there is no terminal to ask",
            prompt
        ))
        .hint(otherwise));
    }
    let text = rpassword::prompt_password(format!("{prompt}: "))
        .map_err(|error| CliError::config(format!("failed to read {prompt}")).because(error))?;
    if text.is_empty() {
        return Err(CliError::config(format!("{prompt} is empty"))
            .hint("Windows refuses empty passwords over the network"));
    }
    Ok(Secret::new(text))
}

/// Refuses a plain file that the group or others can read, as ssh does with keys.
#[cfg(unix)]
fn refuse_shared(path: &Path, file: &File) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt as _;

    let shown = path.display();
    let metadata = file
        .metadata()
        .map_err(|error| CliError::config(format!("failed to read {shown}")).because(error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(CliError::config(format!(
            "{shown} holds a password and can be read by others (mode {mode:04o})"
        ))
        .hint(format!("chmod 600 {shown}")));
    }
    Ok(())
}

/// Windows: the folder's access list decides, which a mode cannot say.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix twin refuses")]
fn refuse_shared(_: &Path, _: &File) -> Result<(), CliError> {
    Ok(())
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
            assert_eq!(read(file.path()).unwrap().reveal(), password);
        }
    }

    #[test]
    fn bad_files_are_refused_without_telling_their_content() {
        let long = vec![b'x'; 5_000];
        for content in [&b""[..], b"\n", b"secret\xff", b"secret\nsecret\n", &long] {
            let file = file(content, 0o600);
            let error = read(file.path()).unwrap_err().to_string();
            assert!(
                !error.contains("secret") && !error.contains("xxx"),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_that_others_read_are_refused() {
        for mode in [0o644, 0o640, 0o604] {
            let error = read(file(b"hunter2\n", mode).path()).unwrap_err();
            assert!(error.lines().1[0].starts_with("chmod 600"), "{error}");
        }
    }

    #[test]
    fn variables_are_named_after_credentials() {
        let named = |name: &str| variable(&CredentialRef(name.into()));
        assert_eq!(named("local-admin"), "FLEETMEND_LOCAL_ADMIN_PASSWORD_FILE");
        assert_eq!(named("site b.1"), "FLEETMEND_SITE_B_1_PASSWORD_FILE");
    }
}
