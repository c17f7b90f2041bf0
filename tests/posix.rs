//! `fleetmend exec` on posix hosts: Debian's own OpenSSH server, run by the test.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

// The server of the transport's own suite, so that there is one way of starting it.
#[path = "../transport/tests/conformance/sshd.rs"]
mod sshd;

use std::fs;
use std::path::Path;
use std::time::Instant;

use fleetmend_tests::{Ended, binary, finish};
use serde_json::Value;
use sshd::{Account, PASSWORD, Sshd};
use tempfile::TempDir;
use tokio::process::Command;

/// A server, its inventory and what a run needs.
struct Site {
    sshd: Sshd,
    folder: TempDir,
}

impl Site {
    /// `None`, and a visible word, where there can be no server.
    fn start(account: Account) -> Option<Self> {
        let sshd = Sshd::start(account)?;
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            sshd,
        };
        let known_hosts = site.sshd.known_hosts("known_hosts", "host.pub");
        let mut inventory = format!(
            "all:\n  vars: {{platform: posix, transport: ssh, user: '{}'}}\n  hosts:\n    \
             linux-1:\n      address: 127.0.0.1\n      port: {}\n      ssh:\n        \
             known_hosts: '{}'\n",
            site.sshd.user,
            site.sshd.port,
            known_hosts.display()
        );
        if account == Account::Own {
            let key = site.sshd.path("client");
            inventory.push_str(&format!("        key_file: '{}'\n", key.display()));
        }
        fs::write(site.path("inventory.yaml"), inventory).unwrap();
        private(&site.path("pw"), PASSWORD);
        Some(site)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn exec(&self, options: &[&str], command: &[&str]) -> Ended {
        let child = Command::new(binary())
            .arg("exec")
            .arg("-i")
            .arg(self.path("inventory.yaml"))
            .arg("--data-dir")
            .arg(self.path("data"))
            .args(options)
            .arg("--")
            .args(command)
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        finish(child).await
    }

    /// Runs a command and returns what the host said.
    async fn said(&self, command: &[&str]) -> (Value, Option<i32>) {
        let ended = self.exec(&["--output", "json"], command).await;
        let said = ended.json()["hosts"][0]["exec"].clone();
        assert!(said.is_object(), "{}{}", ended.out(), ended.err());
        (said, ended.code)
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_and_end_as_they_do_by_hand() {
    let Some(site) = Site::start(Account::Own) else {
        return;
    };
    let words = [
        "経理部 共有",
        "it's",
        "a\\\"b$HOME",
        "",
        "*",
        "%PATH%",
        "a & b; c | d > e\nf",
    ];
    let script = r#"printf '[%s]' "$@"; echo 失敗 >&2; exit 7"#;
    let (said, code) = site
        .said(&[&["sh", "-c", script, "x"][..], &words].concat())
        .await;
    let printed: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(said["stdout"], printed);
    assert_eq!(
        (&said["stderr"], &said["exit_code"]),
        (&"失敗\n".into(), &7.into())
    );
    assert_eq!(code, Some(1));

    let (said, code) = site.said(&["true"]).await;
    assert_eq!((&said["exit_code"], code), (&0.into(), Some(0)));
    let (said, code) = site.said(&["no-such-program"]).await;
    assert_eq!((&said["exit_code"], code), (&127.into(), Some(1)));
    assert!(
        said["stderr"].as_str().unwrap().contains("no-such-program"),
        "{said}"
    );
    // Killed by a signal, as a shell tells it.
    let (said, _) = site.said(&["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(said["exit_code"], 137);
    // Waits for input, and gets none.
    let (said, _) = site.said(&["sort"]).await;
    assert_eq!(
        (&said["exit_code"], &said["stdout"]),
        (&0.into(), &"".into())
    );
    let (said, _) = site.said(&["sh", "-c", "yes x | head -c 5000000"]).await;
    assert_eq!(said["stdout"].as_str().unwrap().len(), 5_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn powershell_is_refused_there_and_nothing_runs() {
    let Some(site) = Site::start(Account::Own) else {
        return;
    };
    let ended = site
        .exec(&["--powershell", "--output", "json"], &["hostname"])
        .await;
    let report = ended.json();
    assert!(report["hosts"][0]["exec"].is_null(), "{report}");
    assert!(ended.out().contains("no Windows PowerShell"), "{report}");
    assert_eq!(ended.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_end_is_ended_there_too() {
    let Some(site) = Site::start(Account::Own) else {
        return;
    };
    let mark = format!("1{:09}", site.sshd.port);
    let began = Instant::now();
    let ended = site
        .exec(&["--timeout", "2s", "--output", "json"], &["sleep", &mark])
        .await;
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.outcomes()["linux-1"].starts_with("unknown"),
        "{}",
        ended.out()
    );
    let until = Instant::now() + std::time::Duration::from_secs(10);
    while runs(&mark) && Instant::now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(!runs(&mark), "the process was left behind");
}

/// Tells whether a `sleep` with this argument runs.
fn runs(mark: &str) -> bool {
    let all = std::process::Command::new("ps")
        .args(["-A", "-o", "args="])
        .output()
        .unwrap();
    let wanted = format!("sleep {mark}");
    String::from_utf8_lossy(&all.stdout)
        .lines()
        .any(|line| line.trim() == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_logs_on_and_a_wrong_one_is_tried_once() {
    let Some(site) = Site::start(Account::Fleet) else {
        return;
    };
    let file = site.path("pw");
    let options = [
        "--password-file",
        file.to_str().unwrap(),
        "--output",
        "json",
    ];
    let ended = site.exec(&options, &["id", "-un"]).await;
    assert_eq!(
        ended.json()["hosts"][0]["exec"]["stdout"],
        "fleet\n",
        "{}",
        ended.err()
    );
    assert_eq!(ended.code, Some(0));
    private(&file, "wrong");
    let ended = site.exec(&options, &["id", "-un"]).await;
    assert_eq!(ended.outcomes()["linux-1"], "access-denied(logon)");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        site.sshd.count_in_log("Failed password for fleet"),
        1,
        "{}",
        site.sshd.log()
    );
}
