//! Whether this machine can make offline join blobs.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Printing its version takes it no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells whether Samba's `net` is there. Windows has a program of that name which is another.
pub(crate) async fn is_possible() -> bool {
    if cfg!(windows) {
        return false;
    }
    let mut command = Command::new("net");
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output.status.success() && output.stdout.starts_with(b"Version "),
        _ => false,
    }
}
