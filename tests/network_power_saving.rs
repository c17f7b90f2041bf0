//! network-power-saving over the lab: adapters that Windows may turn off are told not to be, the
//! session that tells it stays, and the restart shows that it lasts.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;

use fleetmend_lab::machine::{Adapter, Machine};
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, Site, scripts, with};

async fn site() -> Site {
    let plan = [TransportKind::WinrmHttps, TransportKind::Ssh];
    let mut plan = plan
        .map(|transport| PcPlan::new(Scenario::Healthy).over(transport))
        .to_vec();
    plan.push(PcPlan::new(Scenario::Healthy).japanese());
    Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await
}

/// Gives each PC two adapters, one of which Windows may turn off.
fn tick_the_box(site: &Site, takes_up_late: bool) {
    each(site, |machine| {
        machine.adapters = vec![Adapter::new(1), Adapter::new(2)];
        machine.adapters[1].allowed = 2;
        machine.adapters[1].capabilities = Some(0x100);
        machine.adapters[1].takes_up_late = takes_up_late;
    });
}

fn each(site: &Site, mut change: impl FnMut(&mut Machine)) {
    for pc in site.lab.pcs() {
        change(&mut pc.sim.machine());
    }
}

async fn run(site: &Site, mode: &str, more: &[&str]) -> Ended {
    let mut arguments: Vec<OsString> = vec![mode.into(), "network-power-saving".into()];
    arguments.extend(site.logon_arguments());
    let arguments = with(arguments, ["--yes", "--output", "json"]);
    let ended = site.run(with(arguments, more.iter().copied())).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0);
    ended
}

fn all(ended: &Ended, outcome: &str) {
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), 3, "{}", ended.err());
    for (pc, found) in outcomes {
        assert_eq!(found, outcome, "{pc}: {}", ended.out());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_at_once_is_proven_and_stays() {
    let site = site().await;
    tick_the_box(&site, false);
    let check = run(&site, "check", &[]).await;
    all(&check, "would-repair(adapters-stay-on)");
    each(&site, |machine| assert_eq!(machine.adapters[1].allowed, 2));

    all(&run(&site, "run", &[]).await, "repaired(adapters-stay-on)");
    each(&site, |machine| {
        // The other bits are somebody else's.
        assert_eq!(machine.adapters[1].capabilities, Some(0x118));
        assert_eq!(machine.sleeps_after, 1800, "nobody asked for that");
    });
    all(&run(&site, "run", &[]).await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_restart_is_proven_after_it() {
    let site = site().await;
    tick_the_box(&site, true);
    let ended = run(&site, "run", &[]).await;
    let outcomes = ended.outcomes();
    assert!(
        outcomes
            .values()
            .all(|outcome| outcome.starts_with("reboot-pending")),
        "{outcomes:?}"
    );
    all(
        &run(&site, "run", &[]).await,
        "needs-hands(restart-awaited)",
    );
    each(&site, |machine| {
        let now = machine.booted;
        machine.restart(now);
    });
    all(&run(&site, "run", &[]).await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_shall_not_sleep_sleeps_no_more() {
    let site = site().await;
    let never = ["--set", "never_sleep_on_mains=true"];
    all(&run(&site, "run", &[]).await, "healthy");
    all(&run(&site, "run", &never).await, "repaired(no-sleep)");
    each(&site, |machine| assert_eq!(machine.sleeps_after, 0));

    tick_the_box(&site, false);
    each(&site, |machine| machine.sleeps_after = 900);
    all(
        &run(&site, "run", &never).await,
        "repaired(adapters-stay-on)",
    );
    each(&site, |machine| assert_eq!(machine.sleeps_after, 0));
    all(&run(&site, "run", &never).await, "healthy");
}
