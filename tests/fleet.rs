//! Every PC of the lab ends as the lab's table says, whatever it is reached over, and a second
//! run touches nothing that is well.

use std::collections::BTreeMap;

use fleetmend_lab::Scenario;
use fleetmend_model::OutcomeClass;
use fleetmend_tests::{Site, with};

/// What a repair could change: the secret on either side, the services, the clock, the membership.
fn states(site: &Site) -> Vec<String> {
    let domain = site.lab.shared().domain();
    site.lab
        .pcs()
        .iter()
        .map(|pc| {
            let machine = pc.sim.machine();
            let account = domain.computer(&machine.name);
            format!(
                "{:?} {:?} {:?} {:?} {:?} {:?}",
                machine.secret,
                machine.netlogon,
                machine.w32time,
                machine.clock_offset_ms,
                machine.domain,
                account
            )
        })
        .collect()
}

fn expected(site: &Site) -> BTreeMap<String, String> {
    site.lab
        .pcs()
        .iter()
        .map(|pc| (pc.name.clone(), pc.expected.to_string()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pc_ends_as_the_table_says() {
    let site = Site::demo(24).await;
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    assert_eq!(ended.outcomes(), expected(&site), "{}", ended.err());
    assert_eq!(ended.code, Some(1), "some PCs of the demo cannot be mended");
    assert_eq!(site.lab.counts().unknown_scripts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_leaves_the_mended_alone() {
    let site = Site::demo(24).await;
    site.run(site.run_arguments()).await;
    let before = states(&site);
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    let outcomes = ended.outcomes();
    for ((pc, before), after) in site.lab.pcs().iter().zip(before).zip(states(&site)) {
        if pc.expected.class().is_well() {
            assert_eq!(outcomes[&pc.name], "healthy", "{}", pc.name);
            assert_eq!(after, before, "{} was touched", pc.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_changes_nothing_and_says_what_run_would_do() {
    let site = Site::demo(24).await;
    let before = states(&site);
    let mut arguments = site.run_arguments();
    arguments[0] = "check".into();
    let ended = site.run(with(arguments, ["--output", "json"])).await;
    let outcomes = ended.outcomes();
    for pc in site.lab.pcs() {
        let found = &outcomes[&pc.name];
        match pc.expected.class() {
            OutcomeClass::Repaired => {
                assert!(found.starts_with("would-repair("), "{}: {found}", pc.name);
            }
            OutcomeClass::Healthy => assert_eq!(found, "healthy", "{}", pc.name),
            _ => assert!(!found.starts_with("repaired"), "{}: {found}", pc.name),
        }
    }
    assert_eq!(states(&site), before, "check changed a PC");
    assert_eq!(ended.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_fleet_exits_with_zero() {
    let site = Site::demo(24).await;
    let healthy = site
        .lab
        .pcs()
        .iter()
        .filter(|pc| pc.scenario == Scenario::Healthy)
        .map(|pc| pc.name.clone())
        .collect::<Vec<_>>();
    assert!(!healthy.is_empty());
    let ended = site
        .run(with(site.run_arguments(), ["--limit", &healthy.join(",")]))
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_domain_credential_no_pc_gets_one() {
    let site = Site::demo(24).await;
    let mut arguments: Vec<_> = vec!["run".into(), "trust-repair".into(), "--yes".into()];
    arguments.extend(site.logon_arguments());
    let ended = site.run(with(arguments, ["--output", "json"])).await;
    let outcomes = ended.outcomes();
    for pc in site.lab.pcs() {
        if pc.expected.to_string() == "repaired(secure-channel-repair)" {
            assert_eq!(
                outcomes[&pc.name], "blocked(needs-directory)",
                "{}",
                pc.name
            );
        }
    }
    assert_eq!(
        site.lab
            .shared()
            .domain()
            .user("trust-repair")
            .unwrap()
            .bad_passwords_total,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_password_is_spent_once() {
    let site = Site::demo(48).await;
    std::fs::write(site.path("domain.pw"), "not-the-password-1A").unwrap();
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    let spent = site
        .lab
        .shared()
        .domain()
        .user("trust-repair")
        .unwrap()
        .bad_passwords_total;
    assert_eq!(spent, 1, "{}", ended.err());
    assert_eq!(ended.code, Some(3), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_local_password_is_tried_once_on_each_pc() {
    let site = Site::demo(24).await;
    std::fs::write(site.path("local.pw"), "not-the-password-1A").unwrap();
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    for (name, outcome) in ended.outcomes() {
        let pc = site.lab.pc(&name).unwrap();
        if matches!(pc.scenario, Scenario::Off | Scenario::Silent) {
            assert!(outcome.starts_with("unreachable("), "{name}: {outcome}");
        } else {
            assert_eq!(outcome, "access-denied(logon)", "{name}");
        }
        if let Some(winrm) = &pc.winrm {
            assert_eq!(winrm.counters().values().logons_refused, 1, "{name}");
        }
    }
    assert_eq!(ended.code, Some(1));
}

/// A logon as a domain account spends that account's password, not one of each PC.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_logon_is_spent_once() {
    let site = Site::demo(24).await;
    let path = site.path("lab.yaml");
    let inventory = std::fs::read_to_string(&path).unwrap();
    let local = &site.lab.local_credential().user;
    assert!(inventory.contains(local.as_str()), "{inventory}");
    std::fs::write(&path, inventory.replace(local.as_str(), r"CORP\bob")).unwrap();
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    let outcomes = ended.outcomes();
    let spent = outcomes
        .values()
        .filter(|outcome| *outcome == "access-denied(logon)")
        .count();
    assert_eq!(spent, 1, "{outcomes:?}");
    assert_eq!(site.lab.counts().logons_refused, 1);
    assert_eq!(ended.code, Some(3), "{}", ended.err());
}
