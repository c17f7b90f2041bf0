//! A run in which PCs join their domain anew and restart, killed at random: each restart is ordered
//! once, and every PC comes back as a member.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use fleetmend_lab::machine::{RepairFault, Restarts};
use fleetmend_lab::{PcPlan, Scenario, secure_channel};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Site, finish, with};
use serde_json::Value;

use super::{
    Chance, KILLS_A_FLEET, cut_amid_a_change, killed, run_arguments, site_of, spawn, wanted_kills,
    what,
};

/// PCs that only a new join mends, beside some that need no restart.
fn fleet() -> Vec<PcPlan> {
    let isolated = PcPlan::new(Scenario::IsolationEnforced);
    vec![
        isolated,
        isolated.over(TransportKind::WinrmHttps),
        isolated.over(TransportKind::Ssh).japanese(),
        // Its join in place comes to nothing, so that it goes through a workgroup.
        isolated,
        PcPlan::new(Scenario::PasswordMismatch),
        PcPlan::new(Scenario::Healthy),
        PcPlan::new(Scenario::TimeSkew),
    ]
}

const THROUGH_WORKGROUP: usize = 3;

async fn site() -> Site {
    let site = site_of(fleet(), 0.02).await;
    for (index, pc) in site.lab.pcs().iter().enumerate() {
        let mut machine = pc.sim.machine();
        machine.restarts = Restarts {
            down_for: Duration::from_millis(150),
            servicing_for: Duration::from_millis(50),
            logon_ready_after: Duration::from_millis(50),
            ..Restarts::default()
        };
        if index == THROUGH_WORKGROUP {
            machine.repair_fault = RepairFault::LiesInJoinOnce;
        }
    }
    site
}

fn arguments(site: &Site) -> Vec<OsString> {
    with(run_arguments(site), ["--max-reboots", "4"])
}

/// How often each PC was told to restart, and did.
fn restarts(site: &Site) -> BTreeMap<String, (u32, u32)> {
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| {
        let machine = pc.sim.machine();
        let counts = (machine.boot.orders, machine.boot.restarts);
        (pc.name.clone(), counts)
    })
    .collect()
}

/// How many restarts of a PC the journal has as ordered.
fn ordered(events: &[Value], host: &str) -> usize {
    let own = events.iter().filter(|event| event["host"] == host);
    own.filter(|event| what(event) == "reboot-ordered").count()
}

/// Asserts that the domain knows every PC that is said to be repaired.
fn assert_members(site: &Site, outcomes: &BTreeMap<String, String>, about: &str) {
    for pc in site.lab.pcs() {
        if outcomes[&pc.name].starts_with("repaired(") {
            let machine = pc.sim.machine();
            let domain = site.lab.shared().domain();
            let known = secure_channel::is_known(&machine, &domain);
            assert!(
                known && machine.pending_membership.is_none(),
                "{about}: {}",
                pc.name
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_amid_rejoins_it_orders_each_restart_once() {
    let quiet = site().await;
    let wanted = finish(spawn(&quiet, arguments(&quiet))).await.outcomes();
    let wanted_restarts = restarts(&quiet);
    let most = wanted_restarts.values().map(|counts| counts.1).max();
    assert_eq!(most, Some(3), "{wanted:?} {wanted_restarts:?}");
    assert_members(&quiet, &wanted, "unkilled");
    let (seed, goal) = wanted_kills();
    let mut chance = Chance(seed);
    let (mut kills, mut fleets, mut amid) = (0, 0, 0);
    while kills < goal {
        let site = site().await;
        let run = arguments(&site);
        let most = KILLS_A_FLEET.min(goal - kills);
        let story = killed(&site, &run, &mut chance, most, 1500).await;
        let about = format!("seed {seed}, fleet {fleets}");
        let cut = cut_amid_a_change(&story.events);
        let outcomes = story.ended.outcomes();
        assert_members(&site, &outcomes, &about);
        for (host, counts) in restarts(&site) {
            let outcome = &outcomes[&host];
            // An order that was stored and never left is no order to the PC.
            let most = ordered(&story.events, &host);
            assert!(
                counts.0 as usize <= most,
                "{about}: {host}: {counts:?}, {most}"
            );
            if cut.contains(&host) {
                let honest = ["repaired(", "not-repaired(", "blocked(", "needs-hands("];
                let is = honest.iter().any(|class| outcome.starts_with(class));
                assert!(is, "{about}: {host}: {outcome}");
            } else {
                assert_eq!(outcome, &wanted[&host], "{about}: {host}");
                assert_eq!(counts, wanted_restarts[&host], "{about}: {host}");
            }
        }
        kills += story.kills;
        amid += cut.len();
        fleets += 1;
    }
    println!("{kills} kills on {fleets} fleets, {amid} PCs cut amid a change");
}
