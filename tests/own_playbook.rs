//! A playbook written from `docs/playbooks/writing.md` alone, through the real binary.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fleetmend_tests::binary;
use serde_json::{Value, json};
use tempfile::TempDir;

const PLAYBOOK: &str = "kiosk-certificate.yaml";

/// A folder with the shared scripts, as the page says to get them, and our playbook beside them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let exported = playbook(folder.path(), &["export", "update-rollback", "--to", "."]);
    assert!(exported.status.success(), "{}", said(&exported));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("own_playbook");
    let scripts = Path::new(PLAYBOOK).with_extension("");
    fs::create_dir(folder.path().join(&scripts)).unwrap();
    for file in fs::read_dir(own.join(&scripts)).unwrap() {
        let file = file.unwrap();
        let to = folder.path().join(&scripts).join(file.file_name());
        fs::copy(file.path(), to).unwrap();
    }
    fs::copy(own.join(PLAYBOOK), folder.path().join(PLAYBOOK)).unwrap();
    folder
}

fn playbook(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("playbook")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    out.into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn shown(folder: &Path) -> Value {
    let output = playbook(folder, &["show", "--json", PLAYBOOK]);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks the playbook with one text in a file of it replaced: it must be refused.
fn refused(file: &str, from: &str, to: &str) -> String {
    let folder = folder();
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let output = playbook(folder.path(), &["check", PLAYBOOK]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    said(&output)
}

#[test]
fn nothing_is_wrong_with_it() {
    let folder = folder();
    let output = playbook(folder.path(), &["check", PLAYBOOK]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("10 causes, 3 rungs"),
        "{}",
        said(&output)
    );
}

#[test]
fn its_rungs_restarts_and_needs_are_shown() {
    let folder = folder();
    let shown = shown(folder.path());
    let rungs: Vec<_> = shown["rungs"].as_array().unwrap().iter().collect();
    let told: Vec<_> = rungs
        .iter()
        .map(|rung| {
            json!([
                rung["rung"],
                rung["reboots"],
                rung["again_if_cut"],
                rung["needs"]
            ])
        })
        .collect();
    let expected = [
        json!(["renew", 0, false, []]),
        json!([
            "enrol",
            0,
            false,
            [
                "the parameter enrol_url",
                "the credential enrol_account on the PC"
            ]
        ]),
        json!([
            "import",
            1,
            true,
            [
                "the directory",
                "the parameter issuing_host",
                "the credential issuing_admin"
            ]
        ]),
    ];
    assert_eq!(told, expected);
    assert!(rungs[2]["caution"].is_string());
    assert_eq!(
        shown["summary_ja"].as_str().unwrap().chars().next(),
        Some('キ')
    );
}

#[test]
fn each_secret_is_made_and_handed_on() {
    let folder = folder();
    let shown = shown(folder.path());
    let steps = shown["rungs"][2]["steps"].as_array().unwrap();
    let secrets: Vec<_> = steps
        .iter()
        .map(|step| json!([step["name"], step["makes"], step["given"]]))
        .collect();
    let expected = [
        json!(["rescue", null, ["rescue_admin"]]),
        json!(["rescue_logon", null, []]),
        json!(["seal", "pfx_password", []]),
        json!(["issue", "pfx", ["issuing_admin", "pfx_password"]]),
        json!(["install", null, ["pfx", "pfx_password"]]),
        json!(["restart", null, []]),
    ];
    assert_eq!(secrets, expected);
}

#[test]
fn slips_are_named_with_what_to_write() {
    let slips = [
        (
            "again-if-cut",
            "again_if_cut",
            "did you mean `again-if-cut`",
        ),
        (
            "facts.usable is false",
            "facts.useable is false",
            "did you mean `facts.usable`",
        ),
        (
            "      - credential-on-pc: enrol_account\n",
            "",
            "needs: [credential-on-pc: enrol_account]",
        ),
        (
            "        when: params.rescue_admin is not none and not preflight.account.local\n",
            "",
            "when: params.rescue_admin is not none",
        ),
        (
            "        with: {thumbprint: answers.issue.thumbprint}\n",
            "",
            "`thumbprint`",
        ),
    ];
    for (from, to, told) in slips {
        let said = refused(PLAYBOOK, from, to);
        assert!(said.contains(told), "{said}");
        assert!(said.contains(&format!("{PLAYBOOK}:")), "{said}");
    }
    let said = refused(
        "kiosk-certificate/seal.gives.json",
        "\"made\"",
        "\"secret\"",
    );
    assert!(said.contains("a field `made`"), "{said}");
}
