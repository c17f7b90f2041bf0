//! The rungs that need no domain credential on the PC: a password made in the directory, stored
//! by the PC, and changed by the PC itself afterwards.

use crate::common::{Channel, request, run, scripts, start_line, text_of};
use fleetmend_lab::machine::RepairFault;
use fleetmend_lab::{Lab, LabCommand, LabOptions, LabPc, Mix, PcPlan, Scenario};
use jiff::Timestamp;
use serde_json::{Value, json};

const USER: &str = "fleetadmin";
const STORE: &str = "trust-repair/store-machine-password.ps1";
const ROTATE: &str = "trust-repair/rotate-machine-password.ps1";
const KSETUP: &str = "trust-repair/ksetup-machine-password.ps1";

async fn lab(scenario: Scenario) -> Lab {
    Lab::start(LabOptions {
        mix: Mix::Plan(vec![PcPlan::new(scenario)]),
        ..LabOptions::new(0, scripts())
    })
    .await
    .unwrap()
}

fn only(lab: &Lab) -> &LabPc {
    &lab.pcs()[0]
}

/// Resets the account's password, as the controller does over LDAPS.
fn reset(lab: &Lab, password: &str) {
    let mut domain = lab.shared().domain();
    let dc = "dc01.corp.example.jp";
    domain
        .set_computer_password_at("PC-001", password, dc, Timestamp::now())
        .unwrap();
}

fn store(password: &str) -> Value {
    json!({
        "domain": "corp.example.jp",
        "domain_controller": "dc01.corp.example.jp",
        "machine_password": password,
    })
}

fn at(dc: &str) -> Value {
    json!({ "domain": "corp.example.jp", "domain_controller": dc })
}

async fn diagnose(channel: &mut Channel) -> Value {
    let params = json!({ "domain_controller": null, "event_hours": 72, "tcp_timeout_ms": 3000 });
    channel.answer("trust-repair/diagnose.ps1", &params).await
}

/// Both numbers of both runs, at the controller that was written to.
async fn proven(channel: &mut Channel, after: &Value) -> bool {
    let params = json!({
        "domain": "corp.example.jp",
        "domain_controller": "dc01.corp.example.jp",
        "after_record_id": after["event_record_id"],
    });
    let verified = channel.answer("trust-repair/verify.ps1", &params).await;
    verified["runs"].as_array().unwrap().iter().all(|run| {
        run["connection_status"] == 0 && run["trust_status"] == 0 && run["dc_is_expected"] == true
    }) && verified["new_events"]["netlogon_3210"] == 0
        && verified["new_events"]["netlogon_5719"] == 0
}

#[tokio::test]
async fn the_password_of_the_directory_mends_and_another_does_not() {
    for scenario in [
        Scenario::PasswordMismatch,
        Scenario::MismatchWithoutNltest,
        Scenario::LostSecret,
    ] {
        let lab = lab(scenario).await;
        let mut channel = Channel::open(&only(&lab).sim, USER);
        reset(&lab, "first");
        reset(&lab, "right");
        for _ in 0..2 {
            let done = channel.answer(STORE, &store("wrong")).await;
            assert_eq!(done["stored"], true);
            assert_eq!(done["netlogon"]["trust_status"], 5);
            assert!(!proven(&mut channel, &done).await, "{scenario:?}");
        }
        let done = channel.answer(STORE, &store("right")).await;
        assert_eq!((&done["stored"], &done["error"]), (&json!(true), &json!(0)));
        assert_eq!(done["netlogon"]["trust_status"], 0);
        assert_eq!(done["netlogon"]["dc"], "dc01.corp.example.jp");
        assert!(proven(&mut channel, &done).await, "{scenario:?}: {done}");
        let again = channel.answer(STORE, &store("right")).await;
        assert!(proven(&mut channel, &again).await, "twice does no harm");
    }
}

#[tokio::test]
async fn a_lost_secret_is_created_and_a_kept_one_is_read_first() {
    for (scenario, opened, created, queried) in [
        (Scenario::LostSecret, 0xC000_0034_u32, json!(0), json!(null)),
        (Scenario::PasswordMismatch, 0, json!(null), json!(0)),
    ] {
        let lab = lab(scenario).await;
        let mut channel = Channel::open(&only(&lab).sim, USER);
        let lsa = channel.answer(STORE, &store("right")).await["lsa"].clone();
        assert_eq!(lsa["open_secret"], opened);
        assert_eq!(
            (&lsa["create_secret"], &lsa["query_secret"]),
            (&created, &queried)
        );
        assert_eq!(lsa["set_secret"], 0);
    }
}

#[tokio::test]
async fn afterwards_nobody_but_pc_and_domain_knows_the_password() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    reset(&lab, "right");
    let done = channel.answer(ROTATE, &at("dc01.corp.example.jp")).await;
    assert_eq!(
        (&done["attempted"], &done["rotated"]),
        (&json!(false), &json!(false))
    );
    channel.answer(STORE, &store("right")).await;
    let elsewhere = channel.answer(ROTATE, &at("dc02.corp.example.jp")).await;
    assert_eq!(elsewhere["attempted"], false, "the channel ends at dc01");

    only(&lab).sim.machine().repair_fault = RepairFault::RefusesRotation;
    let refused = channel.answer(ROTATE, &at("dc01.corp.example.jp")).await;
    assert_eq!(
        (&refused["rotated"], &refused["code"]),
        (&json!(false), &json!(5))
    );
    assert!(proven(&mut channel, &refused).await, "as good as before");

    only(&lab).sim.machine().repair_fault = RepairFault::None;
    let done = channel.answer(ROTATE, &at("dc01.corp.example.jp")).await;
    assert_eq!((&done["rotated"], &done["code"]), (&json!(true), &json!(0)));
    assert!(proven(&mut channel, &done).await);
    let mut domain = lab.shared().domain();
    let known = domain.password_id("right");
    assert_ne!(domain.computer("PC-001").unwrap().current, known);
}

#[tokio::test]
async fn an_isolated_identity_is_seen_and_takes_nothing() {
    let lab = lab(Scenario::IsolationEnforced).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let isolation = diagnose(&mut channel).await["machine_identity_isolation"].clone();
    assert_eq!(
        (&isolation["configured"], &isolation["enforced"]),
        (&json!(2), &json!(true))
    );
    let before = only(&lab).sim.machine().secret;
    let done = channel.answer(STORE, &store("right")).await;
    assert_eq!(done["stored"], false);
    assert_eq!(done["netlogon"]["running"], Value::Null, "left alone");
    assert_eq!(only(&lab).sim.machine().secret, before);
}

#[tokio::test]
async fn cut_between_the_two_writes_the_pc_is_mended_by_beginning_again() {
    let lab = lab(Scenario::StoreCutShort).await;
    let pc = only(&lab).sim.clone();
    let before = pc.machine().secret;
    reset(&lab, "first");
    let command = LabCommand {
        user: USER.into(),
        line: start_line(),
        through_shell: true,
        code_page: None,
    };
    let input = request(1, &text_of(STORE), &store("first"));
    let (stdout, _, code) = run(std::sync::Arc::new(pc.clone()), command, &input).await;
    assert_eq!((stdout, code), (Vec::new(), 1), "no answer");
    assert_eq!(pc.machine().secret, before, "the directory is ahead");

    let mut channel = Channel::open(&pc, USER);
    reset(&lab, "second");
    let done = channel.answer(STORE, &store("second")).await;
    assert!(proven(&mut channel, &done).await);
}

#[tokio::test]
async fn what_ksetup_stores_works_after_a_restart() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    reset(&lab, "right");
    let params = json!({
        "domain_controller": "dc01.corp.example.jp", "machine_password": "right",
    });
    let done = channel.answer(KSETUP, &params).await;
    assert_eq!(
        (&done["set"], &done["exit_code"]),
        (&json!(true), &json!(0))
    );
    assert!(!proven(&mut channel, &done).await);
    only(&lab).sim.machine().restart(Timestamp::now());
    let facts = diagnose(&mut channel).await;
    assert_eq!(facts["channel"]["verify"]["trust_status"], 0);
}

#[tokio::test]
async fn who_is_behind_shows_in_the_times() {
    for (scenario, source, newer) in [
        (Scenario::Healthy, "event-5823", false),
        (Scenario::PasswordMismatch, "lsa", false),
        (Scenario::PcNewerThanAd, "lsa", true),
    ] {
        let lab = lab(scenario).await;
        let mut channel = Channel::open(&only(&lab).sim, USER);
        let own = diagnose(&mut channel).await["machine_secret"].clone();
        assert_eq!(own["source"], source, "{scenario:?}");
        let set = lab
            .shared()
            .domain()
            .computer("PC-001")
            .unwrap()
            .password_set;
        let theirs = set.as_millisecond() as f64 / 1000.0;
        let ahead = own["last_set_unix"].as_f64().unwrap() - theirs;
        assert_eq!(ahead > 3600.0, newer, "{scenario:?}: {ahead}");
    }
    let lab = lab(Scenario::LostSecret).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let own = diagnose(&mut channel).await["machine_secret"].clone();
    assert_eq!(own["source"], "event-5823", "the LSA has nothing to tell");
}

/// The table for runs with a directory names an end for every PC, and never one that would need
/// the domain credential.
#[test]
fn with_the_directory_no_end_needs_a_credential_on_the_pc() {
    let transport = fleetmend_model::TransportKind::WinrmHttp;
    let mut repaired = 0;
    for scenario in Scenario::ALL {
        let end = scenario.expected_with_directory(transport).to_string();
        assert_ne!(end, "repaired(secure-channel-repair)", "{scenario:?}");
        repaired += usize::from(end == "repaired(machine-password-reset)");
    }
    assert_eq!(repaired, 4);
}
