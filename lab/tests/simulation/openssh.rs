//! OpenSSH's client, which nobody here wrote, against a simulated PC.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use fleetmend_lab::ssh::SshOptions;
use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::common::scripts;

#[tokio::test(flavor = "multi_thread")]
async fn openssh_runs_commands_on_a_simulated_pc() {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let ssh = SshOptions {
        accepted_keys: vec![key.public_key().clone()],
        ..SshOptions::default()
    };
    let plan = vec![PcPlan::new(Scenario::PasswordMismatch).over(TransportKind::Ssh)];
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ssh,
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(
        &key_file,
        key.to_openssh(LineEnding::LF).unwrap().as_bytes(),
    )
    .unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, lab.known_hosts()).unwrap();
    let address = lab.pcs()[0].address;

    let run = |line: &'static str, input: Vec<u8>| {
        let mut command = Command::new("ssh");
        command
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(["-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
            .arg("-i")
            .arg(&key_file)
            .args(["-p", &address.port().to_string()])
            .arg(format!("fleetadmin@{}", address.ip()))
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        async move {
            let mut child = command.spawn()?;
            let mut stdin = child.stdin.take().expect("a pipe");
            let feed = async move {
                // A command that does not read its input may end first.
                let _ = stdin.write_all(&input).await;
            };
            let (output, ()) = tokio::join!(child.wait_with_output(), feed);
            output
        }
    };
    let run = async |line, input| -> std::io::Result<Output> {
        let limit = Duration::from_secs(30);
        tokio::time::timeout(limit, run(line, input))
            .await
            .expect("ssh ends in time")
    };

    let first = match run("nltest /sc_query:corp.example.jp & exit 5", Vec::new()).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: openssh_runs_commands_on_a_simulated_pc, because there is no ssh");
            return;
        }
        other => other.unwrap(),
    };
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(
        text.contains("Status = 5 0x5 ERROR_ACCESS_DENIED"),
        "{text}{complaint}"
    );
    assert_eq!(first.status.code(), Some(5));
    let big: Vec<u8> = (0..3 << 20).map(|n| (n % 253) as u8).collect();
    let second = run("more", big.clone()).await.unwrap();
    assert!(
        second.stdout == big,
        "{} bytes came back",
        second.stdout.len()
    );
    let third = run("frobnicate", Vec::new()).await.unwrap();
    assert!(third.stderr.starts_with(b"'frobnicate' is not recognized"));
    assert_eq!(third.status.code(), Some(1));
}
