//! The demo: the whole path over real sockets, and what it leaves.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{command, run};

#[test]
fn the_demo_ends_as_its_table_expects_and_can_be_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("demo");
    let start = Instant::now();
    let out = run(command()
        .args(["demo", "--output", "json", "--to"])
        .arg(&to));
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(
        out.stderr
            .contains("all 24 PCs ended as the lab's table expects"),
        "{}",
        out.stderr
    );

    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["summary"]["pcs"], 24);
    assert_eq!(document["summary"]["exit_code"], 1);
    let classes: Vec<&str> = document["summary"]["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| count["class"].as_str().unwrap())
        .collect();
    for class in [
        "healthy",
        "repaired",
        "not-repaired",
        "unreachable",
        "access-denied",
    ] {
        assert!(classes.contains(&class), "{classes:?}");
    }
    // Whoever is not well is told why and what to do.
    for host in document["hosts"].as_array().unwrap() {
        if host["well"] == false {
            assert!(!host["reason"].as_str().unwrap().is_empty(), "{host}");
            assert!(!host["next"].as_str().unwrap().is_empty(), "{host}");
        }
    }

    // No password stays on disk, and the journal alone gives the same report.
    for file in std::fs::read_dir(&to).unwrap() {
        let name = file.unwrap().file_name();
        assert!(!name.to_string_lossy().contains("password"), "{name:?}");
    }
    let again = run(command()
        .args(["show", "--output", "json", "--data-dir"])
        .arg(&to));
    assert_eq!(again.code, 0, "{}", again.text());
    assert_eq!(
        serde_json::from_str::<Value>(&again.stdout).unwrap(),
        document
    );

    // The inventory it used is an inventory.
    let out = run(command()
        .args(["inventory", "check", "-i"])
        .arg(to.join("inventory.yaml")));
    assert!(out.stdout.starts_with("24 PCs in "), "{}", out.text());
}

#[test]
fn json_lines_are_records_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let out = run(command()
        .args(["demo", "--pcs", "3", "--output", "jsonl", "--quiet", "--to"])
        .arg(folder.path()));
    assert_eq!(out.code, 0, "{}", out.text());
    assert_eq!(out.stderr, "");
    let records: Vec<Value> = out
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seqs: Vec<u64> = records
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(records.first().unwrap()["event"], "run-started");
    assert_eq!(records.last().unwrap()["event"], "run-ended");
}
