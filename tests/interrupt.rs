//! Ctrl-C: once starts nothing new and finishes what must not be cut, twice cuts.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_lab::{LabOptions, Mix, Pace, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, finish, scripts, with};

/// A fleet that takes a while, and a run over two PCs at a time, interrupted soon after the first
/// logon.
async fn interrupted(presses: usize) -> (Site, Ended) {
    let mut options = LabOptions::new(12, scripts());
    options.mix = Mix::All(PcPlan::new(Scenario::PasswordMismatch));
    options.pace = Pace { scale: 0.5 };
    let site = Site::start(options).await;
    let more = ["--output", "json", "--max-concurrency", "2"];
    let child = site.spawn(with(site.run_arguments(), more));
    let id = child.id().unwrap().to_string();
    site.until_begun().await;
    for _ in 0..presses {
        let sent = tokio::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .await;
        assert!(sent.unwrap().success());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ended = finish(child).await;
    (site, ended)
}

fn by_class(ended: &Ended) -> BTreeMap<String, usize> {
    let mut classes = BTreeMap::new();
    for outcome in ended.outcomes().values() {
        *classes
            .entry(outcome.split('(').next().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    classes
}

#[tokio::test(flavor = "multi_thread")]
async fn once_leaves_no_pc_half_mended() {
    let (site, ended) = interrupted(1).await;
    assert_eq!(ended.code, Some(130), "{}", ended.err());
    let classes = by_class(&ended);
    assert_eq!(classes.values().sum::<usize>(), site.lab.pcs().len());
    assert!(
        classes.get("skipped").is_some_and(|n| *n >= 8),
        "{classes:?}"
    );
    assert_eq!(classes.get("unknown"), None, "a step was cut: {classes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_cuts_and_says_so() {
    let (site, ended) = interrupted(2).await;
    assert_eq!(ended.code, Some(130), "{}", ended.err());
    let classes = by_class(&ended);
    assert_eq!(classes.values().sum::<usize>(), site.lab.pcs().len());
    assert!(
        classes.get("skipped").is_some_and(|n| *n >= 8),
        "{classes:?}"
    );
}
