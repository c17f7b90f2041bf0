//! The audit trail's commands where there is none, and what they say of themselves.

use crate::support::{command, fleetmend, run};

#[test]
fn its_help_tells_what_is_compared_and_what_is_not_proven() {
    let out = fleetmend(["audit", "verify", "--help"]);
    assert_eq!(out.code, 0);
    for words in [
        "only a head that was noted elsewhere proves more",
        "Exit codes: 0 whole; 1 broken; 2 there is no journal or no trail.",
    ] {
        let flat = out.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{}", out.stdout);
    }
}

#[test]
fn without_a_journal_nothing_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    for view in ["list", "verify", "head"] {
        let out = run(command()
            .args(["audit", view, "--data-dir"])
            .arg(folder.path()));
        assert_eq!(out.code, 2, "{}", out.text());
        assert!(out.stdout.is_empty(), "{}", out.stdout);
        assert!(
            out.stderr.contains("there is no journal at"),
            "{}",
            out.stderr
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_head_and_no_time_is_a_usage_error() {
    for (args, words) in [
        (
            ["audit", "verify", "--head", "55:5f2f"],
            "16 to 64 hexadecimal digits",
        ),
        (["audit", "list", "--since", "gestern"], "it must read 7d"),
    ] {
        let out = fleetmend(args);
        assert_eq!(out.code, 2, "{}", out.text());
        assert!(out.stderr.contains(words), "{}", out.stderr);
    }
}
