//! The sources of passwords on this machine.
#![expect(clippy::unwrap_used, reason = "tests")]

#[cfg(unix)]
mod command;
mod env;
mod file;
mod keyring;
mod prompt;

use std::time::Duration;

use fleetmend_credentials::{Source, SourceError, Subject};
use fleetmend_directory::Limit;
use tokio_util::sync::CancellationToken;

fn limit() -> Limit {
    Limit::within(Duration::from_secs(20), &CancellationToken::new())
}

/// Fetches a password, in plain sight.
async fn fetch(source: &dyn Source) -> Result<String, SourceError> {
    let found = source.fetch(Subject::Run, &limit()).await?;
    assert!(found.user.is_none() && found.ssh.is_none());
    Ok(found.password.reveal().to_owned())
}

/// Everything that an error says.
fn told(error: &SourceError) -> String {
    format!("{error} | {} | {error:?}", error.next)
}

fn private_file(folder: &std::path::Path, name: &str, content: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    set_mode(&path, 0o600);
    path
}

fn set_mode(path: &std::path::Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}
