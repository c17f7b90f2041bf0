//! machine-password-age over a fleet, through the real binary.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Site, scripts, with};

const PLAN: [Scenario; 7] = [
    Scenario::Healthy,
    Scenario::Healthy,
    Scenario::Healthy,
    Scenario::Healthy,
    Scenario::PasswordMismatch,
    Scenario::Workgroup,
    Scenario::DomainController,
];

/// As Windows is; 90 days by somebody; 90 days by policy; never, by somebody; and the rest.
async fn site() -> Site {
    let plan = PLAN.into_iter().map(PcPlan::new).collect();
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await;
    for (at, pc) in site.lab.pcs().iter().enumerate() {
        let mut machine = pc.sim.machine();
        match at {
            1 => machine.rotation.maximum_age_days = Some(90),
            2 => {
                machine.rotation.maximum_age_days = Some(90);
                machine.rotation.age_by_policy = true;
            }
            3 => machine.rotation.changes_disabled = Some(1),
            6 => machine.rotation.changes_refused = Some(1),
            _ => {}
        }
    }
    site
}

fn arguments(site: &Site, command: &str, set: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        command.into(),
        "machine-password-age".into(),
        "--yes".into(),
    ];
    arguments.extend(site.logon_arguments());
    for value in set {
        arguments = with(arguments, ["--set", value]);
    }
    with(arguments, ["--output", "json"])
}

async fn outcomes(site: &Site, command: &str, set: &[&str]) -> Vec<String> {
    let ended = site.run(arguments(site, command, set)).await;
    let found: BTreeMap<String, String> = ended.outcomes();
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| found[&pc.name].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rotation_is_reported_set_and_not_fought() {
    let site = site().await;
    let rest = [
        "healthy",
        "skipped(not-a-domain-member)",
        "needs-hands(controller-refuses-changes)",
    ];
    let told = |first: [&str; 4]| {
        let all = first.into_iter().chain(rest);
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let rotations = || {
        let pcs = site.lab.pcs().iter();
        pcs.map(|pc| pc.sim.machine().rotation).collect::<Vec<_>>()
    };

    let before = rotations();
    let would = "would-repair(set-rotation)";
    let expected = told(["healthy", would, "blocked(set-by-policy)", would]);
    assert_eq!(outcomes(&site, "check", &[]).await, expected);
    assert_eq!(rotations(), before);

    let done = "repaired(set-rotation)";
    let expected = told(["healthy", done, "blocked(set-by-policy)", done]);
    assert_eq!(outcomes(&site, "run", &[]).await, expected);
    let after = rotations();
    assert_eq!(after[0], before[0], "a PC that is as wanted is not touched");
    assert_eq!(after[1].maximum_age_days, Some(30));
    assert_eq!(after[2], before[2], "a policy is not fought");
    assert_eq!(after[3].changes_disabled, Some(0));

    let expected = told(["healthy", "healthy", "blocked(set-by-policy)", "healthy"]);
    assert_eq!(outcomes(&site, "run", &[]).await, expected);
    assert_eq!(rotations(), after);
    assert_eq!(site.lab.counts().unknown_scripts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn never_is_set_only_by_who_takes_the_risk() {
    let site = site().await;
    let first = |outcomes: Vec<String>| outcomes.into_iter().next().unwrap();
    let never = ["disable_changes=true"];
    let outcome = first(outcomes(&site, "run", &never).await);
    assert_eq!(outcome, "blocked(accept-risk)");
    assert_eq!(
        site.lab.pcs()[0].sim.machine().rotation.changes_disabled,
        None
    );
    let never = ["disable_changes=true", "accept_risk=true"];
    let outcome = first(outcomes(&site, "run", &never).await);
    assert_eq!(outcome, "repaired(set-rotation)");
    assert_eq!(
        site.lab.pcs()[0].sim.machine().rotation.changes_disabled,
        Some(1)
    );
}
