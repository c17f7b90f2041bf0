//! pywinrm and pypsrp, clients nobody here wrote, run commands on a lab PC.

#![expect(clippy::unwrap_used, reason = "tests")]

mod winrm_support;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use fleetmend_lab::winrm::WinrmOptions;
use serde_json::json;
use tokio::process::Command;
use winrm_support::{Lab, PASSWORD, USER};

/// Returns a Python that has both clients: `FLEETMEND_PEERS_PYTHON` or `target/venv-peers`.
fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let from_environment = std::env::var_os("FLEETMEND_PEERS_PYTHON").map(PathBuf::from);
    let found = from_environment.unwrap_or_else(|| root.join("target/venv-peers/bin/python"));
    found.is_file().then_some(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pywinrm_and_pypsrp_run_commands() {
    let Some(python) = python() else {
        println!("SKIPPED: pywinrm and pypsrp, because no Python with them was found");
        return;
    };
    let lab = Lab::new(WinrmOptions::default()).await;
    assert_eq!(lab.fingerprint.len(), 64);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(folder.join("ca.pem"), &lab.ca).unwrap();
    let cases = json!([
        {"line": ["echo", "日本", "語"], "stdout": "日本 語\r\n"},
        {"line": ["exit", "-1073741502"], "stdout": "", "exit": -1_073_741_502},
        {"line": ["both"], "stdout": "out\r\n", "stderr": "err\r\n", "exit": 1},
        {"line": ["cat"], "stdin": "標準入力\n", "stdout": "標準入力\n"},
        {"line": ["big", "700000"], "stdout_length": 700_000},
        {"line": ["sleep", "300"], "stdout": ""},
    ]);
    let count = cases.as_array().unwrap().len() as u64;
    std::fs::write(folder.join("cases.json"), cases.to_string()).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/pywinrm_pypsrp.py");
    let run = Command::new(python)
        .arg(script)
        .args(["--host", "127.0.0.1", "--user", USER])
        .args([
            "--http-port",
            &lab.http.to_string(),
            "--https-port",
            &lab.https.to_string(),
        ])
        .arg("--ca")
        .arg(folder.join("ca.pem"))
        .arg("--password-file")
        .arg(folder.join("password"))
        .arg("--cases")
        .arg(folder.join("cases.json"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), run)
        .await
        .unwrap()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ways = 6;
    assert!(
        stdout.ends_with(&format!("{} passed, 0 failed\n", ways * (count + 1))),
        "{stdout}\n{stderr}"
    );
    let values = lab.winrm.counters().values();
    assert_eq!(values.shells_open, 0);
    assert_eq!(values.shells_created, ways * count);
    assert_eq!(values.commands_started, ways * count);
    assert_eq!(values.unseal_failures, 0);
    let refused = lab
        .pc
        .logons
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, accepted)| !accepted)
        .count();
    assert_eq!(refused as u64, ways);
}
