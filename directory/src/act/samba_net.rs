//! Samba's `net` as a child process.

use std::path::Path;
use std::process::{Output, Stdio};

use fleetmend_model::Secret;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::failure::failed;
use crate::{ActionError, Limit};

/// The first Samba that has `net offlinejoin`.
const OLDEST: (u32, u32) = (4, 15);

/// A longer line is no words for people but may be the blob, which is as good as the password.
const LONGEST_WORDS: usize = 256;

/// What is to be made.
pub(super) struct Blob<'a> {
    /// NetBIOS name of the computer.
    pub(super) machine: &'a str,
    /// NetBIOS name of the domain.
    pub(super) netbios: &'a str,
    pub(super) domain: &'a str,
    pub(super) dc: &'a str,
    pub(super) ou: Option<&'a str>,
}

/// How `net` failed: its exit code, and what it printed for people.
pub(super) struct Failure {
    pub(super) code: Option<i32>,
    pub(super) said: String,
}

/// Fails unless Samba's `net` is here and can make offline join blobs.
pub(super) async fn available(limit: &Limit) -> Result<(), ActionError> {
    let missing = |why: String| failed("OfflineJoinUnavailable", why);
    let mut command = Command::new("net");
    command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match limit.bound(command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(missing(format!("Samba's `net` cannot be run: {error}"))),
        Err(_) => return Err(missing("`net --version` gave no answer".to_owned())),
    };
    match version(&String::from_utf8_lossy(&output.stdout)) {
        Some(found) if output.status.success() && found >= OLDEST => Ok(()),
        Some((major, minor)) => Err(missing(format!(
            "Samba {major}.{minor} has no `net offlinejoin`; it came with {}.{}",
            OLDEST.0, OLDEST.1
        ))),
        None => Err(missing(
            "the `net` of this machine is not Samba's".to_owned(),
        )),
    }
}

/// Reads `Version 4.17.12-Debian`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .trim()
        .strip_prefix("Version ")?
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Makes the blob; the account's authentication file is given on standard input. The outer error
/// says that `net` did not end by itself or never began, the inner one that it failed.
pub(super) async fn provision_blob(
    wanted: &Blob<'_>,
    stdin: &str,
    limit: &Limit,
) -> Result<Result<Secret, Failure>, ActionError> {
    let nowhere = |why: String| failed("OfflineJoinUnavailable", format!("no folder: {why}"));
    let folder = tokio::task::spawn_blocking(TempDir::new)
        .await
        .map_err(|error| nowhere(error.to_string()))?
        .map_err(|error| nowhere(error.to_string()))?;
    let output = run(command(wanted, folder.path()), stdin, limit).await;
    // Its removal touches the disk as well.
    tokio::task::spawn_blocking(move || drop(folder));
    Ok(blob(output?))
}

fn command(wanted: &Blob<'_>, folder: &Path) -> Command {
    let Blob {
        machine,
        netbios,
        domain,
        dc,
        ou,
    } = wanted;
    let mut command = Command::new("net");
    command
        .args(["offlinejoin", "provision", "reuse", "printblob"])
        .arg(format!("domain={domain}"))
        .arg(format!("machine_name={machine}"))
        .arg(format!("dcname={dc}"))
        .args(ou.map(|ou| format!("machine_account_ou={ou}")))
        .args(["--configfile=/dev/null", "--authentication-file=/dev/stdin"])
        .arg(format!("--option=netbios name={machine}"))
        .arg(format!("--option=workgroup={netbios}"))
        .arg(format!("--option=realm={}", domain.to_uppercase()))
        .arg("--option=security=ads");
    // Its databases: this machine's own Samba, if it has one, is left alone, and no root is needed.
    for place in [
        "private dir",
        "lock directory",
        "state directory",
        "cache directory",
    ] {
        command.arg(format!("--option={place}={}", folder.display()));
    }
    command
        .env("LC_ALL", "C")
        .env("KRB5CCNAME", "MEMORY:fleetmend")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command, stdin: &str, limit: &Limit) -> Result<Output, ActionError> {
    let unavailable = |error: std::io::Error| {
        failed(
            "OfflineJoinUnavailable",
            format!("Samba's `net` cannot be run: {error}"),
        )
    };
    let mut child = command.spawn().map_err(unavailable)?;
    let pipe = child.stdin.take();
    let running = async {
        if let Some(mut pipe) = pipe {
            // A child that ends early says why in its answer.
            let _ = pipe.write_all(stdin.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    // From here on the account may have been written.
    let unknown = |why: String| ActionError::Unknown {
        message: format!("`net offlinejoin provision` {why}"),
    };
    match limit.bound(running).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(unknown(format!("cannot be waited for: {error}"))),
        Err(_) => Err(unknown("was ended before it was done".to_owned())),
    }
}

fn blob(output: Output) -> Result<Secret, Failure> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let stdout = Zeroizing::new(output.stdout);
    let text = Zeroizing::new(String::from_utf8_lossy(&stdout).into_owned());
    let mut lines = text.lines().map(str::trim);
    let blob = lines.find(|line| line.len() > LONGEST_WORDS && line.chars().all(base64));
    if let Some(blob) = blob.filter(|_| output.status.success()) {
        return Ok(Secret::new(blob.to_owned()));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().chain(errors.lines()).map(str::trim);
    let said: Vec<_> = lines
        .filter(|line| !line.is_empty() && line.len() <= LONGEST_WORDS)
        .collect();
    Err(Failure {
        code: output.status.code(),
        said: said.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version() {
        assert_eq!(version("Version 4.17.12-Debian\n"), Some((4, 17)));
        assert!(version("Version 4.9.5").is_some_and(|found| found < OLDEST));
        assert_eq!(
            version("The syntax of this command is: NET [ ACCOUNTS"),
            None
        );
    }

    #[cfg(unix)]
    #[test]
    fn takes_the_blob_and_keeps_it_out_of_messages() {
        use std::os::unix::process::ExitStatusExt;
        let output = |code: i32, stdout: String| Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: stdout.into_bytes(),
            stderr: b"ads: 50\n".to_vec(),
        };
        let base64 = "ARAIAMzMzMxw".repeat(40);
        let printed = format!("Successfully provisioned computer 'PC1'\n{base64}\n");
        let made = blob(output(0, printed.clone())).ok().unwrap();
        assert_eq!(made.reveal(), base64);
        let failure = blob(output(5, printed)).err().unwrap();
        assert_eq!(failure.code, Some(5));
        assert!(!failure.said.contains("zMzM") && failure.said.contains("ads: 50"));
    }
}
