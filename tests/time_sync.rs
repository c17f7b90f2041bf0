//! time-sync over PCs whose clocks are wrong for every reason it knows, through the real binary.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use fleetmend_lab::machine::{Machine, RepairFault, StartMode};
use fleetmend_lab::time_service::SyncType;
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, scripts, with};

/// 41 minutes.
const AHEAD: i64 = 2_460_370;

/// What is wrong with a PC, and how a run ends there: plain, and with all parameters set.
struct Row {
    name: &'static str,
    scenario: Scenario,
    wrong: fn(&mut Machine),
    plain: &'static str,
    allowed: &'static str,
}

fn row(
    name: &'static str,
    scenario: Scenario,
    wrong: fn(&mut Machine),
    plain: &'static str,
    allowed: &'static str,
) -> Row {
    Row {
        name,
        scenario,
        wrong,
        plain,
        allowed,
    }
}

/// Every cause and every rung, with the end of a PC that is mended by each.
fn rows() -> Vec<Row> {
    use Scenario::{
        DomainController, Healthy, NoController, PasswordMismatch, TimeSkew, Workgroup,
    };
    let same = |name, scenario, wrong, end| row(name, scenario, wrong, end, end);
    vec![
        same("right", Healthy, |_| {}, "healthy"),
        same("skewed", TimeSkew, |_| {}, "repaired(resync)"),
        same(
            "behind, the service is stopped",
            TimeSkew,
            |pc| {
                pc.clock_offset_ms = -AHEAD;
                pc.w32time.running = false;
            },
            "repaired(resync)",
        ),
        row(
            "disabled",
            TimeSkew,
            |pc| {
                pc.w32time.running = false;
                pc.w32time.start = StartMode::Disabled;
            },
            "blocked(enable-service)",
            "repaired(resync)",
        ),
        same(
            "years behind, beyond the limits",
            TimeSkew,
            |pc| {
                pc.clock_offset_ms = -700_000_000_000;
                pc.time.limits = (54_000, 54_000);
            },
            "repaired(set-clock)",
        ),
        row(
            "NTP is blocked",
            TimeSkew,
            |pc| pc.time.ntp_blocked = true,
            "blocked(sources-agree)",
            "repaired(set-clock)",
        ),
        same(
            "somebody else answers NTP",
            TimeSkew,
            |pc| pc.time.false_ntp_ms = Some(AHEAD),
            "blocked(sources-agree)",
        ),
        same(
            "the trust is broken",
            PasswordMismatch,
            |pc| pc.clock_offset_ms = AHEAD,
            "repaired(temporary-peer)",
        ),
        same(
            "the trust is broken, and a policy names the source",
            PasswordMismatch,
            |pc| {
                pc.clock_offset_ms = AHEAD;
                pc.time.policy = Some(SyncType::Domain);
            },
            "repaired(set-clock)",
        ),
        row(
            "nobody is asked",
            TimeSkew,
            |pc| pc.time.sync_type = SyncType::Nobody,
            "blocked(use-domain-time)",
            "repaired(domain-hierarchy)",
        ),
        same(
            "nobody is asked, by policy",
            TimeSkew,
            |pc| pc.time.policy = Some(SyncType::Nobody),
            "blocked(set-by-policy)",
        ),
        row(
            "silent servers",
            TimeSkew,
            |pc| {
                pc.time.sync_type = SyncType::Servers;
                pc.time.servers_answer = false;
            },
            "repaired(set-clock)",
            "repaired(domain-hierarchy)",
        ),
        row(
            "a wrong host",
            TimeSkew,
            |pc| pc.time.host_offset_ms = Some(AHEAD),
            "blocked(ignore-host-time)",
            "repaired(ignore-host-time)",
        ),
        same(
            "left by a cut run",
            Healthy,
            |pc| pc.time.use_temporary_server("dc01.corp.example.jp"),
            "repaired(resync)",
        ),
        same(
            "cut while the server is a temporary one",
            PasswordMismatch,
            |pc| {
                pc.clock_offset_ms = AHEAD;
                pc.repair_fault = RepairFault::DiesInBetween;
            },
            "",
        ),
        same(
            "no controller",
            NoController,
            |_| {},
            "not-repaired(no-dc(1355))",
        ),
        same(
            "workgroup",
            Workgroup,
            |_| {},
            "skipped(not-a-domain-member)",
        ),
        same(
            "controller",
            DomainController,
            |_| {},
            "skipped(domain-controller)",
        ),
    ]
}

async fn site(rows: &[Row]) -> Site {
    let plan = rows.iter().map(|row| PcPlan::new(row.scenario)).collect();
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await;
    for (pc, row) in site.lab.pcs().iter().zip(rows) {
        (row.wrong)(&mut pc.sim.machine());
    }
    site
}

fn arguments(site: &Site, command: &str, allowed: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![command.into(), "time-sync".into(), "--yes".into()];
    arguments.extend(site.logon_arguments());
    if allowed {
        for name in [
            "accept_one_source",
            "enable_service",
            "use_domain_time",
            "ignore_host_time",
        ] {
            arguments = with(arguments, ["--set".to_owned(), format!("{name}=true")]);
        }
    }
    with(arguments, ["--output", "json"])
}

/// Returns the outcomes by the names of the rows.
fn by_row(site: &Site, rows: &[Row], ended: &Ended) -> BTreeMap<&'static str, String> {
    let outcomes = ended.outcomes();
    let pcs = site.lab.pcs().iter();
    pcs.zip(rows)
        .map(|(pc, row)| (row.name, outcomes[&pc.name].clone()))
        .collect()
}

fn expected(rows: &[Row], allowed: bool) -> BTreeMap<&'static str, String> {
    let end = |row: &Row| if allowed { row.allowed } else { row.plain };
    rows.iter()
        .map(|row| (row.name, end(row).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_clock_ends_as_the_table_says() {
    let mut rows = rows();
    rows.retain(|row| !row.plain.is_empty());
    for allowed in [false, true] {
        let site = site(&rows).await;
        let ended = site.run(arguments(&site, "run", allowed)).await;
        let wanted = expected(&rows, allowed);
        assert_eq!(by_row(&site, &rows, &ended), wanted, "{}", ended.err());
        assert_eq!(site.lab.counts().unknown_scripts, 0);
        for (pc, row) in site.lab.pcs().iter().zip(&rows) {
            let machine = pc.sim.machine();
            if wanted[row.name].starts_with("repaired") {
                assert!(machine.clock_offset_ms.abs() <= 1000, "{}", row.name);
                assert!(machine.w32time.running, "{}", row.name);
                assert_eq!(machine.time.saved, None, "{}", row.name);
            }
        }
        // Whoever is mended is well the next time, and is left alone.
        let ended = site.run(arguments(&site, "run", allowed)).await;
        for (name, outcome) in by_row(&site, &rows, &ended) {
            if wanted[name].starts_with("repaired") {
                assert_eq!(outcome, "healthy", "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_sets_no_clock() {
    let rows = rows();
    let site = site(&rows).await;
    let state = || {
        let pcs = site.lab.pcs().iter();
        pcs.map(|pc| {
            let pc = pc.sim.machine();
            format!("{} {:?} {:?}", pc.clock_offset_ms, pc.w32time, pc.time)
        })
        .collect::<Vec<_>>()
    };
    let before = state();
    let ended = site.run(arguments(&site, "check", true)).await;
    let outcomes = by_row(&site, &rows, &ended);
    assert_eq!(
        outcomes["skewed"],
        "would-repair(resync)",
        "{}",
        ended.err()
    );
    assert_eq!(
        outcomes["the trust is broken"],
        "would-repair(temporary-peer)"
    );
    assert_eq!(state(), before);
}

/// The temporary server is gone again at the end, whatever cut the rung.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_rung_is_mended_by_the_next_run() {
    let mut rows = rows();
    rows.retain(|row| row.plain.is_empty());
    let site = site(&rows).await;
    let pc = &site.lab.pcs()[0];
    let own = pc.sim.machine().time.clone();
    site.run(arguments(&site, "run", false)).await;
    assert_ne!(pc.sim.machine().time, own, "it was not cut");
    pc.sim.machine().repair_fault = RepairFault::None;
    let ended = site.run(arguments(&site, "run", false)).await;
    let outcome = ended.outcomes().remove(&pc.name).unwrap();
    assert!(
        outcome.starts_with("repaired("),
        "{outcome} {}",
        ended.err()
    );
    assert_eq!(pc.sim.machine().time, own);
    assert!(pc.sim.machine().clock_offset_ms.abs() <= 1000);
}

/// trust-repair waits for the clock; time-sync sets it although the trust is broken.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_trust_with_a_wrong_clock_is_mended_by_one_after_the_other() {
    let rows = vec![row(
        "both",
        Scenario::PasswordMismatch,
        |pc| pc.clock_offset_ms = AHEAD,
        "",
        "",
    )];
    let site = site(&rows).await;
    let trust = || with(site.run_arguments(), ["--output", "json"]);
    let outcome = |ended: &Ended| ended.outcomes().into_values().next().unwrap();
    let first = site.run(trust()).await;
    assert!(outcome(&first).contains("time-skew"), "{}", outcome(&first));
    let clock = site.run(arguments(&site, "run", false)).await;
    assert_eq!(outcome(&clock), "repaired(temporary-peer)");
    let last = site.run(trust()).await;
    assert_eq!(outcome(&last), "repaired(secure-channel-repair)");
}
