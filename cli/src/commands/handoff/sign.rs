//! The Authenticode signature of the script, by osslsigncode.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::error::CliError;

const PROGRAM: &str = "osslsigncode";
/// It asks nobody over the network.
const PATIENCE: Duration = Duration::from_secs(60);

/// Signs a script in place.
///
/// # Errors
/// The program is not there, cannot sign scripts (it must be 2.8 or newer), or refuses the
/// certificate.
pub(super) async fn sign(
    script: &Path,
    certificate: &Path,
    password: Option<&Path>,
) -> Result<(), CliError> {
    let signed = script.with_extension("signed");
    let mut command = Command::new(PROGRAM);
    command
        .args(["sign", "-h", "sha256", "-pkcs12"])
        .arg(certificate);
    if let Some(password) = password {
        command.arg("-readpass").arg(password);
    }
    command.arg("-in").arg(script).arg("-out").arg(&signed);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let advice = "Debian: osslsigncode, 2.8 or newer; or sign on Windows with \
                  Set-AuthenticodeSignature, then print the new SHA-256 yourself";
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| CliError::config(format!("{PROGRAM} took longer than a minute")))?
        .map_err(|error| {
            CliError::config(format!("failed to start {PROGRAM}"))
                .because(error)
                .hint(advice)
        })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        let said: Vec<&str> = words.lines().chain(out.lines()).take(4).collect();
        return Err(CliError::user(format!(
            "{PROGRAM} did not sign the script: {}",
            said.join("; ")
        ))
        .hint(advice));
    }
    std::fs::rename(&signed, script).map_err(|error| {
        CliError::config(format!("failed to write {}", script.display())).because(error)
    })
}
