//! `fleetmend handoff`: its words, and what it refuses before it writes anything.

use std::fs;

use crate::support::{command, fleetmend, run};

#[test]
fn help_says_for_whom_it_is() {
    let out = fleetmend(["handoff", "--help"]);
    assert_eq!(out.code, 0);
    for text in [
        "needs-hands, unreachable or access-denied",
        "asks before it changes anything and holds no password",
        "--sign-with <FILE>",
        "fleetmend handoff import",
    ] {
        assert!(out.stdout.contains(text), "{text}\n{}", out.stdout);
    }
    let out = fleetmend(["handoff", "import", "--help"]);
    assert!(out.stdout.contains("FILE|FOLDER"), "{}", out.stdout);
}

#[test]
fn a_certificate_password_needs_a_certificate() {
    let out = fleetmend(["handoff", "--sign-password-file", "x"]);
    assert_eq!(out.code, 2);
    assert!(out.stderr.contains("--sign-with"), "{}", out.stderr);
}

#[test]
fn without_a_journal_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let results = folder.path().join("r.json");
    fs::write(&results, "{}").unwrap();
    for args in [
        vec![
            "handoff".into(),
            "--output".into(),
            folder.path().join("out"),
        ],
        vec!["handoff".into(), "import".into(), results],
    ] {
        let mut command = command();
        command.args(&args).arg("--data-dir").arg(&data);
        let out = run(&mut command);
        assert_eq!(out.code, 2, "{}", out.stderr);
        assert!(out.stderr.contains("there is no journal"), "{}", out.stderr);
    }
    assert!(!folder.path().join("out").exists());
}

/// A demo keeps no plan, so nobody could say which playbook was run how.
#[test]
fn a_run_without_a_plan_is_not_handed_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = command();
    demo.args(["demo", "--pcs", "8", "-q", "--to"]).arg(&data);
    let out = run(&mut demo);
    assert!(out.code <= 1, "{}", out.stderr);
    let mut handoff = command();
    handoff
        .arg("handoff")
        .arg("--output")
        .arg(folder.path().join("out"));
    let out = run(handoff.arg("--data-dir").arg(&data));
    assert_eq!(out.code, 2);
    assert!(out.stderr.contains("keeps no plan"), "{}", out.stderr);
    assert!(!folder.path().join("out").exists());
}
