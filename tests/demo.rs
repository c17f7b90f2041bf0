//! `fleetmend demo`: the first thing that a new user tries.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use fleetmend_tests::{Site, with};

fn demo(site: &Site) -> Vec<OsString> {
    vec!["demo".into(), "--to".into(), site.path("demo").into()]
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_as_promised_within_half_a_minute() {
    let site = Site::demo(1).await;
    let started = Instant::now();
    let ended = site.run(with(demo(&site), ["--output", "json"])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), 24);
    for class in [
        "healthy",
        "repaired(machine-password-reset)",
        "not-repaired(time-skew",
        "blocked(needs-reboot)",
        "blocked(enable-accounts)",
        "not-repaired(no-dc",
        "access-denied(logon)",
        "unreachable(",
        "skipped(domain-controller)",
    ] {
        assert!(
            outcomes.values().any(|outcome| outcome.starts_with(class)),
            "no {class}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leaves_an_inventory_and_a_journal_that_tell_of_it() {
    let site = Site::demo(1).await;
    let ended = site.run(with(demo(&site), ["--pcs", "3"])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let folder = site.path("demo");
    assert!(
        ended.err().contains(folder.to_str().unwrap()),
        "{}",
        ended.err()
    );
    let inventory = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "yaml"))
        .unwrap();
    let listed = site
        .run([
            "inventory",
            "list",
            "--json",
            "-i",
            inventory.to_str().unwrap(),
        ])
        .await;
    assert_eq!(
        listed.json()["_meta"]["hostvars"]
            .as_object()
            .unwrap()
            .len(),
        3
    );
    let shown = site
        .run([
            "show",
            "--data-dir",
            folder.to_str().unwrap(),
            "--output",
            "json",
        ])
        .await;
    assert_eq!(shown.outcomes().len(), 3, "{}", shown.err());
}
