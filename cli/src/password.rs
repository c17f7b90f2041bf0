//! Passwords: from a file that others cannot read, or from the terminal. Never from an argument
//! or an environment variable.

use std::path::{Path, PathBuf};

use fleetmend_credentials::sources::{
    PasswordFileFault, PromptError, ask_password, read_password_file,
};
use fleetmend_model::{CredentialRef, Secret};

use crate::error::CliError;

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
    read_password_file(path).map_err(|error| {
        // The password itself, put there by mistake, is not shown.
        let told = match (named_by(path), &error.fault) {
            (Some(variable), PasswordFileFault::Unreadable(why)) => CliError::config(format!(
                "failed to read the file that {variable} names: {why}"
            )),
            _ => CliError::config(error.to_string()),
        };
        match error.hint() {
            Some(hint) => told.hint(hint),
            None => told,
        }
    })
}

/// Returns the variable that names this file as one that holds a password.
fn named_by(path: &Path) -> Option<String> {
    let mut all = std::env::vars_os();
    let named = all.find(|(name, value)| {
        let name = name.to_string_lossy();
        let is_ours = name.starts_with("FLEETMEND_") && name.ends_with("_FILE");
        is_ours && Path::new(value) == path
    });
    named.map(|(name, _)| name.to_string_lossy().into_owned())
}

/// Asks for a password on the terminal, without echo.
///
/// # Errors
/// There is no terminal, or the input was empty or cut.
pub(crate) fn ask(prompt: &str, otherwise: &str) -> Result<Secret, CliError> {
    ask_password(prompt).map_err(|error| {
        let told = match error {
            PromptError::Interrupted { .. } => CliError::interrupted(error.to_string()),
            _ => CliError::config(error.to_string()),
        };
        match error.hint(otherwise) {
            Some(hint) => told.hint(hint),
            None => told,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_words_and_their_hints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pw");
        let told = read(&path).unwrap_err().to_string();
        let expected = format!("failed to read {}: ", path.display());
        assert!(told.starts_with(&expected), "{told}");
        std::fs::write(&path, "").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |mode| {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            };
            mode(0o644);
            let error = read(&path).unwrap_err();
            let expected = format!(
                "{} holds a password and can be read by others (mode 0644)",
                path.display()
            );
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.lines().1, [format!("chmod 600 {}", path.display())]);
            mode(0o600);
        }
        let error = read(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is empty", path.display()));
        assert_eq!(
            error.lines().1,
            ["Windows refuses empty passwords over the network"]
        );
    }

    #[test]
    fn variables_are_named_after_credentials() {
        let named = |name: &str| variable(&CredentialRef(name.into()));
        assert_eq!(named("local-admin"), "FLEETMEND_LOCAL_ADMIN_PASSWORD_FILE");
        assert_eq!(named("site b.1"), "FLEETMEND_SITE_B_1_PASSWORD_FILE");
    }
}
