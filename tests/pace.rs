//! Batches, budgets of failures, the canary and the limits of pace, with the real binary.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;

use fleetmend_lab::{LabOptions, Mix, Pace, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, with};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Starts a lab whose inventory lists these PCs in this order: it has those with an even number
/// first, then the others.
async fn site(order: &[Scenario], pace: f64) -> Site {
    let half = order.len().div_ceil(2);
    let place = |index: usize| {
        if index.is_multiple_of(2) {
            index / 2
        } else {
            half + index / 2
        }
    };
    let plan = (0..order.len()).map(|index| PcPlan::new(order[place(index)]));
    let mut options = LabOptions::new(0, fleetmend_tests::scripts());
    options.mix = Mix::Plan(plan.collect());
    options.pace = Pace { scale: pace };
    let site = Site::start(options).await;
    let path = site.path("lab.yaml");
    let mut text = fs::read_to_string(&path).unwrap();
    for (department, name) in [("経理部", "東京"), ("営業部", "大阪")] {
        let line = format!("        部署: {department}\n");
        text = text.replace(&line, &format!("        site: {name}\n{line}"));
    }
    fs::write(&path, text).unwrap();
    site
}

/// One bad PC before three good ones.
fn after(bad: Scenario) -> [Scenario; 4] {
    [bad, Scenario::Healthy, Scenario::Healthy, Scenario::Healthy]
}

fn arguments(site: &Site, more: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["run".into(), "trust-repair".into(), "--yes".into()];
    all.extend(site.logon_arguments());
    with(all, more.iter().copied())
}

async fn run(site: &Site, more: &[&str]) -> Ended {
    site.run(arguments(site, more)).await
}

async fn show(site: &Site, more: &[&str]) -> Ended {
    let mut all: Vec<OsString> = vec!["show".into(), "--data-dir".into(), site.data().into()];
    all.extend(more.iter().map(OsString::from));
    site.run(all).await
}

async fn events(site: &Site) -> Vec<Value> {
    let text = show(site, &["-o", "jsonl"]).await.out();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The kind of an event, of a PC or of the run.
fn kind(event: &Value) -> &str {
    let what = event.pointer("/what/what").unwrap_or(&event["event"]);
    what.as_str().unwrap()
}

fn host(event: &Value) -> String {
    event["host"].as_str().unwrap().to_owned()
}

fn hosts(events: &[Value]) -> Vec<String> {
    let names = events[0]["hosts"].as_array().unwrap();
    let names = names.iter().map(|name| name.as_str().unwrap().to_owned());
    names.collect()
}

/// The PCs that were begun in each batch, as the journal tells it; no batch begins while a PC of
/// the one before has no result.
fn batches(events: &[Value]) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut open: BTreeSet<String> = BTreeSet::new();
    for event in events {
        match kind(event) {
            "batch-started" => {
                assert!(open.is_empty(), "{open:?} had not ended");
                batches.push(Vec::new());
                assert_eq!(event["number"], batches.len());
            }
            "connecting" => {
                open.insert(host(event));
                let batch = batches.last_mut().unwrap();
                if !batch.contains(&host(event)) {
                    batch.push(host(event));
                }
            }
            "finished" => {
                open.remove(&host(event));
            }
            _ => {}
        }
    }
    for batch in &mut batches {
        batch.sort();
    }
    batches
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_follow_each_other_in_the_order_of_the_inventory() {
    let site = site(&[Scenario::Healthy; 9], 0.0).await;
    let ended = run(&site, &["--batches", "1,20%,4,rest"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(
        ended
            .err()
            .contains("batches   4: 1, 1, 4, 3 PCs; a new kind of failure in the first stops"),
        "{}",
        ended.err()
    );
    let events = events(&site).await;
    let names = hosts(&events);
    assert_eq!(
        batches(&events),
        [
            sorted(&names[..1]),
            sorted(&names[1..2]),
            sorted(&names[2..6]),
            sorted(&names[6..])
        ]
    );
}

/// The way on after a stop is the one that the words give.
#[tokio::test(flavor = "multi_thread")]
async fn each_class_stops_the_run_and_the_rest_can_be_gone_on_with() {
    for (bad, class) in [
        (Scenario::Off, "unreachable"),
        (Scenario::WrongLocalPassword, "access-denied"),
        (Scenario::LostSecret, "blocked"),
        (Scenario::AccountDeleted, "not-repaired"),
        (Scenario::RepairLies, "verify-failed"),
    ] {
        let site = site(&after(bad), 0.0).await;
        // So that a rung is tried which lies.
        let domain = site.lab.domain_credential().user.clone();
        let password = site.path("domain.pw");
        let mut more = vec!["--batches", "1,rest", "--expect", "any", "-o", "json"];
        if class == "verify-failed" {
            more.extend(["--domain-user", &domain, "--allow-credential-on-pcs"]);
            more.extend(["--domain-password-file", password.to_str().unwrap()]);
        }
        let none = format!("{class}=0");
        let ended = run(&site, &[&more[..], &["--max-errors", &none]].concat()).await;
        assert_eq!(
            ended.code,
            Some(3),
            "{class}: {} {}",
            ended.err(),
            ended.out()
        );
        let names = hosts(&events(&site).await);
        let outcomes = ended.outcomes();
        for rest in &names[1..] {
            assert_eq!(outcomes[rest], "skipped(error-budget)", "{class}");
        }
        let stopped = &ended.json()["summary"]["stopped"];
        assert_eq!(stopped["class"], class);
        assert_eq!((&stopped["batch"], &stopped["of"]), (&1.into(), &2.into()));
        let said = ended.err();
        let told = format!(
            "stopped in batch 1 of 2: 1 failure of class {class}, 0 allowed, on 1 PC: {}; 3 PCs \
             were not reached",
            names[0]
        );
        assert!(said.contains(&told), "{told}: {said}");
        assert!(said.contains("--limit @rest.txt"), "{said}");
        let text = show(&site, &[]).await.out();
        assert!(
            text.contains("stopped in batch 1 of 2: 1 failure of class"),
            "{text}"
        );

        if class == "verify-failed" {
            // Its verify is patient; the way on is the same.
            continue;
        }
        let rest = show(&site, &["--names", "error-budget"]).await.out();
        assert_eq!(rest.lines().collect::<Vec<_>>(), names[1..]);
        let file = site.path("rest.txt");
        fs::write(&file, rest).unwrap();
        let limit = format!("@{}", file.display());
        let again = run(&site, &["--limit", &limit, "-o", "json"]).await;
        assert_eq!(again.code, Some(0), "{}", again.err());
        assert_eq!(again.outcomes().len(), 3);

        // One is allowed; and by default the unreachable are not counted.
        for (budget, code) in [
            (format!("{class}=1"), 1),
            ("0".to_owned(), if class == "unreachable" { 1 } else { 3 }),
        ] {
            let ended = run(&site, &[&more[..], &["--max-errors", &budget]].concat()).await;
            assert_eq!(ended.code, Some(code), "{class} {budget}: {}", ended.err());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kind_of_failure_in_the_canary_stops_until_somebody_agrees() {
    let site = site(&after(Scenario::WrongLocalPassword), 0.0).await;
    let canary = ["--batches", "1,rest"];
    let kind = "access-denied(logon)";
    // That a canary has found it does not make it known.
    for _ in 0..2 {
        let ended = run(&site, &canary).await;
        assert_eq!(ended.code, Some(3), "{}", ended.err());
        let said = ended.err();
        assert!(
            said.contains(&format!(
                "a new kind of failure, {kind}, in the first batch, on 1 PC"
            )),
            "{said}"
        );
        assert!(said.contains(&format!("--expect \"{kind}\"")), "{said}");
    }
    let ended = run(&site, &[&canary[..], &["--expect", kind]].concat()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    // From then on it is known, for this playbook.
    let ended = run(&site, &canary).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let mut other = arguments(&site, &canary);
    other[1] = "time-sync".into();
    let ended = site.run(other).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    // Of several batches only.
    let other = with(arguments(&site, &[]), ["--batches", "rest"]);
    assert_eq!(site.run(other).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_goes_on_in_its_batch() {
    let site = site(&[Scenario::PasswordMismatch; 8], 1.0).await;
    let mut all = site.run_arguments();
    all.extend(["--batches", "2,3,rest", "--expect", "any", "-o", "jsonl"].map(OsString::from));
    let mut child = site.spawn(all);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut second = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap();
        second |= kind(&event) == "batch-started" && event["number"] == 2;
        if second && kind(&event) == "diagnosed" {
            break;
        }
    }
    assert!(second);
    child.kill().await.unwrap();
    let before = events(&site).await;
    let names = hosts(&before);
    let mut resume: Vec<OsString> = vec!["resume".into(), "--yes".into(), "--data-dir".into()];
    resume.push(site.data().into());
    let ended = site.run(resume).await;
    assert!(ended.err().contains("batches   "), "{}", ended.err());
    assert!(ended.code.is_some_and(|code| code < 2), "{}", ended.err());
    let events = events(&site).await;
    let numbers = |events: &[Value]| -> Vec<u64> {
        let started = events.iter().filter(|event| kind(event) == "batch-started");
        started
            .map(|event| event["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&before), [1, 2]);
    assert_eq!(numbers(&events), [1, 2, 3]);
    let resumed = events
        .iter()
        .position(|event| kind(event) == "resumed")
        .unwrap();
    let touched = |events: &[Value]| -> BTreeSet<String> {
        let begun = events.iter().filter(|event| kind(event) == "connecting");
        begun.map(host).collect()
    };
    let third = events
        .iter()
        .position(|event| kind(event) == "batch-started" && event["number"] == 3)
        .unwrap();
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    assert!(touched(&events[resumed..third]).is_subset(&set(&names[2..5])));
    assert_eq!(touched(&events[third..]), set(&names[5..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pcs_are_begun_evenly() {
    let site = site(&[Scenario::Healthy; 12], 0.0).await;
    let ended = run(&site, &["--ramp", "10/s"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let events = events(&site).await;
    let begun = events.iter().filter(|event| kind(event) == "connecting");
    let times: Vec<jiff::Timestamp> = begun
        .map(|event| event["at"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(times.len(), 12);
    // However busy this machine is, never faster than was asked; and not much slower in the end.
    for (index, time) in times.iter().enumerate() {
        let since = time.duration_since(times[0]).as_secs_f64();
        let least = index as f64 / 10.0;
        assert!(since > least - 0.08, "{index} after {since} s: {times:?}");
    }
    let whole = times[11].duration_since(times[0]).as_secs_f64();
    assert!(whole < 3.0, "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_never_has_more_pcs_than_its_number() {
    let mut order = [Scenario::Healthy; 20];
    // One that is off does not count.
    order[0] = Scenario::Off;
    let site = site(&order, 0.3).await;
    let ended = run(&site, &["--max-per-site", "2"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let events = events(&site).await;
    let names = hosts(&events);
    let place = |name: &String| usize::from(names[10..].contains(name));
    let mut now: BTreeMap<usize, usize> = BTreeMap::new();
    let mut most = [0, 0, 0];
    let mut connected = BTreeSet::new();
    for event in &events {
        match kind(event) {
            "connected" => {
                connected.insert(host(event));
                *now.entry(place(&host(event))).or_default() += 1;
            }
            "finished" if connected.remove(&host(event)) => {
                *now.entry(place(&host(event))).or_default() -= 1;
            }
            _ => continue,
        }
        for (place, pcs) in &now {
            most[*place] = most[*place].max(*pcs);
        }
        most[2] = most[2].max(now.values().sum());
    }
    // Both sites at once, each up to its number.
    assert_eq!(most, [2, 2, 4]);
}
