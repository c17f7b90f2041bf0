//! Runs that go through the directory: a repair of two halves, questions beside it, a refusal.

use std::sync::Arc;

use crate::support::{
    Act, CAUTION, MADE, MemoryJournal, Pc, World, not_repaired, outcomes, quiet, run_world,
};
use fleetmend_engine::{RunEnd, RunReport, exit_code};
use fleetmend_model::{HostEvent, HostResult, Outcome, Place, RunMode, StepEnd};
use serde_json::{Value, json};

pub const RESET: &str = "reset-computer-password";
pub const READ: &str = "read-computer";
const PC: &str = "pc-0000";

/// A PC that is mended once it has stored the password of its account.
pub fn broken() -> Pc {
    Pc::broken("store")
}

async fn one(pc: Pc) -> (Arc<World>, HostResult) {
    let world = World::new([pc], MemoryJournal::new(None));
    let mut report = run_world(&world, world.directory_plan(), quiet()).await;
    (world, report.results.remove(0))
}

pub fn steps(world: &World) -> Vec<String> {
    world.sent().into_iter().map(|(_, step)| step).collect()
}

pub fn repaired() -> Outcome {
    Outcome::Repaired {
        rung: "account".into(),
    }
}

fn connects(world: &World) -> usize {
    world.connects.lock().unwrap()[PC]
}

/// How often the rung was begun.
fn starts(world: &World) -> usize {
    let events = world.journal.of(PC).into_iter();
    events
        .filter(|event| matches!(event, HostEvent::RungStarted { .. }))
        .count()
}

fn end_of(world: &World, name: &str) -> Option<StepEnd> {
    world
        .journal
        .of(PC)
        .into_iter()
        .find_map(|event| match event {
            HostEvent::StepEnded { step, end, .. } if step.step == name => Some(end),
            _ => None,
        })
}

pub const WAY: [&str; 7] = [
    "diagnose",
    "directory",
    "reset_account",
    "store",
    "rotate",
    "verify",
    "directory",
];

#[tokio::test(start_paused = true)]
async fn a_repair_of_two_halves() {
    let (world, result) = one(broken()).await;
    assert_eq!(result.outcome, repaired());
    assert_eq!(steps(&world), WAY);
    let pc = world.pc(PC);
    assert_eq!(pc.stored, pc.account, "the PC was given what was made");
    assert_eq!(
        result.evidence,
        Some(json!({
            "found": true, "dc": "dc1", "enabled": true, "enabled_before": true,
            "pwd_last_set": "set 1", "pwd_last_set_before": "set 0",
            "controllers": 1, "controllers_answered": 1, "rotated": null,
        }))
    );
    let events = world.journal.of(PC);
    for event in &events {
        if let HostEvent::StepStarted {
            step,
            place,
            changes,
        } = event
        {
            let controller = ["directory", "reset_account"].contains(&step.step.as_str());
            assert_eq!(*place == Place::Controller, controller, "{step}");
            let changing = ["reset_account", "store", "rotate"].contains(&step.step.as_str());
            assert_eq!(*changes, changing, "{step}");
        }
    }
    assert!(events.contains(&HostEvent::RungStarted {
        rung: "account".into(),
        caution: Some(CAUTION.into()),
    }));
    // What was made stands nowhere, even where the directory repeats it.
    let answer = json!({"dc": "dc1", "echo": "***"});
    assert_eq!(
        end_of(&world, "reset_account"),
        Some(StepEnd::Answered { answer })
    );
    let stored = serde_json::to_string(&world.journal.records()).unwrap();
    assert!(!stored.contains(MADE));
}

#[tokio::test(start_paused = true)]
async fn a_pc_that_is_well_costs_the_directory_nothing() {
    let (world, result) = one(Pc::default()).await;
    assert_eq!(result.outcome, Outcome::Healthy);
    assert_eq!(steps(&world), ["diagnose"]);
}

#[tokio::test(start_paused = true)]
async fn check_mode_asks_and_writes_nothing() {
    let world = World::new([broken()], MemoryJournal::new(None));
    let mut plan = world.directory_plan();
    plan.mode = RunMode::Check;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].outcome.to_string(),
        "would-repair(account)"
    );
    assert_eq!(steps(&world), ["diagnose", "directory"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_directory_says_decides() {
    let missing = Act::Answer(json!({"found": false}));
    let (world, result) = one(broken().on(READ, &[missing])).await;
    assert_eq!(result.outcome, not_repaired("account-missing"));
    assert_eq!(steps(&world), ["diagnose", "directory"]);
    // And whether a repair is proven.
    let still = || Act::Answer(json!({"found": true, "moved": false}));
    let read = json!({"found": true});
    let pc = broken().on(READ, &[Act::Answer(read), still()]);
    let (world, result) = one(pc).await;
    assert_eq!(result.outcome, repaired(), "at the second look");
    assert_eq!(
        steps(&world)[5..],
        ["verify", "directory", "verify", "directory"]
    );
}

/// A repair that is cut between its halves is done again, with another password.
#[tokio::test(start_paused = true)]
async fn a_rung_that_was_cut_is_begun_once_more() {
    // What happens; how often the PC is connected to.
    let cases = [
        (broken().on(RESET, &[Act::Lose]), 1),
        (broken().on(RESET, &[Act::Hang]), 1),
        (broken().on(RESET, &[Act::Forget]), 1),
        (broken().on("store", &[Act::NotRun]), 2),
        (broken().on("store", &[Act::Hang]), 2),
    ];
    for (pc, times) in cases {
        let (world, result) = one(pc.clone()).await;
        assert_eq!(result.outcome, repaired(), "{pc:?}");
        assert_eq!(starts(&world), 2, "{pc:?}");
        assert_eq!(connects(&world), times, "{pc:?}");
        let end = world.pc(PC);
        assert_eq!(end.stored.last(), end.account.last());
        let way = steps(&world);
        let second = way
            .iter()
            .rposition(|step| step == "reset_account")
            .unwrap();
        assert_eq!(
            way[second - 2..second],
            ["diagnose", "directory"],
            "{way:?}"
        );
        // Evidence compares with how it was before the first password.
        assert_eq!(result.evidence.unwrap()["pwd_last_set_before"], "set 0");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_after_the_act_needs_no_second_password() {
    let (world, result) = one(broken().on("store", &[Act::Lose])).await;
    assert_eq!(result.outcome, repaired());
    assert_eq!((world.resets(PC), starts(&world)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rung_is_not_begun_for_ever() {
    let lost = vec![Act::Lose; 5];
    let (world, result) = one(broken().on(RESET, &lost)).await;
    assert_eq!((starts(&world), world.resets(PC)), (2, 2));
    assert_eq!(result.outcome.to_string(), "blocked(needs-credential)");
    assert!(
        result
            .reason
            .contains("account was cut at reset_account: 接続が切れました"),
        "{result:?}"
    );
    assert!(result.reason.contains(CAUTION), "{result:?}");
    assert_eq!(
        result.next,
        "next; then run again: account is then begun anew"
    );

    let (world, result) = one(broken().on("store", &vec![Act::NotRun; 5])).await;
    assert_eq!(starts(&world), 2);
    assert_eq!(result.outcome, not_repaired("mismatch"));
    assert!(result.reason.contains(CAUTION), "{result:?}");
}

/// The PC answered in an orderly way: another password would not help it.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_and_not_repeated() {
    let (world, result) = one(broken().on("store", &[Act::Fail(Some(5))])).await;
    assert_eq!((starts(&world), world.resets(PC)), (1, 1));
    assert_eq!(result.outcome.to_string(), "blocked(needs-credential)");
    assert_eq!(
        result.reason,
        format!(
            "reason; tried: account; account failed at store: Some(\"***\") は不可 (Failed, code \
             5); {CAUTION}"
        )
    );
    assert!(result.next.contains("run again"), "{result:?}");
}

/// The directory wrote nothing, so the PC is as it was.
#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_told_with_its_code_and_changes_nothing() {
    let (world, result) = one(broken().on(RESET, &[Act::Fail(Some(50))])).await;
    assert_eq!(steps(&world), ["diagnose", "directory", "reset_account"]);
    assert_eq!(
        result.reason,
        "reason; tried: account; account failed at reset_account: 不可 (LDAP 50)"
    );
    assert_eq!(result.next, "next");
}

#[tokio::test(start_paused = true)]
async fn every_rung_that_failed_is_told_not_only_the_last() {
    let world = World::new(
        [Pc::broken("").on(RESET, &[Act::Fail(Some(50))])],
        MemoryJournal::new(None),
    );
    let mut plan = world.directory_plan();
    plan.credentials_on_pcs = true;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].reason,
        "reason; tried: account, join; account failed at reset_account: 不可 (LDAP 50); join is \
         not proven: the controller could not be asked whether it takes the credential"
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_that_brings_nothing_holds_up_no_repair() {
    let odd = || Act::Answer(json!({"odd": 1}));
    for act in [Act::Fail(Some(51)), Act::Lose, Act::Hang, Act::Deaf, odd()] {
        let (world, result) = one(broken().on(READ, &[act.clone(), act.clone()])).await;
        assert_eq!(result.outcome, repaired(), "{act:?}");
        let made = json!({"rotated": null});
        assert_eq!(result.evidence, Some(made), "{act:?}");
        assert_eq!(connects(&world), 1, "the session lives on: {act:?}");
        assert_eq!(steps(&world), WAY, "{act:?}");
    }
    // A PC that is not repaired tells of it.
    let pc = Pc::broken("").on(READ, &[Act::Fail(None)]);
    let (_, result) = one(pc).await;
    let nothing = |reason: &str| reason.contains("the directory could not be asked");
    assert!(!nothing(&result.reason), "the second one was answered");
    let pc = Pc::broken("").on(READ, &vec![Act::Fail(None); 9]);
    let (_, result) = one(pc).await;
    assert!(nothing(&result.reason), "{result:?}");
    // One that cannot be put is not put.
    let nameless = Act::Answer(json!({"cause": "mismatch", "nameless": true}));
    let pc = broken().on("diagnose", &[nameless]);
    let (world, result) = one(pc).await;
    assert_eq!(result.outcome, repaired());
    assert_eq!(
        steps(&world),
        ["diagnose", "reset_account", "store", "rotate", "verify"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_repair_tells_whether_the_pc_renewed_what_it_was_given() {
    for rotated in [true, false] {
        let answer = Act::Answer(json!({"rotated": rotated}));
        let (_, result) = one(broken().on("rotate", &[answer])).await;
        assert_eq!(result.outcome, repaired());
        assert_eq!(result.evidence.unwrap()["rotated"], rotated);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_left_out_whose_condition_does_not_hold() {
    let world = World::new([broken()], MemoryJournal::new(None));
    let mut plan = world.directory_plan();
    plan.params.insert("rotate".into(), json!(false));
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(report.results[0].outcome, repaired());
    let skipped: Vec<String> = world
        .journal
        .of(PC)
        .into_iter()
        .filter_map(|event| match event {
            HostEvent::StepSkipped { step } => Some(step.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, ["repair/account/rotate"]);
    assert!(!steps(&world).contains(&"rotate".to_owned()));
}

fn refused(report: &RunReport) {
    assert_eq!(report.exit_code, exit_code::SAFETY);
    let RunEnd::CredentialRefused {
        account,
        place,
        code,
        ..
    } = &report.end
    else {
        panic!("{:?}", report.end)
    };
    assert_eq!(
        (account.as_str(), *place, *code),
        ("CORP\\svc", Place::Controller, Some(1326))
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_directory_refuses_is_used_exactly_once() {
    let pcs = (0..200).map(|_| broken().on(READ, &[Act::Refuse(1326)]));
    let world = World::new(pcs, MemoryJournal::new(None));
    let report = run_world(&world, world.directory_plan(), quiet()).await;
    let acts = steps(&world)
        .into_iter()
        .filter(|step| ["directory", "reset_account"].contains(&step.as_str()));
    assert_eq!(acts.count(), 1);
    refused(&report);
    assert_eq!(
        outcomes(&report),
        [("blocked(credential-refused)".into(), 200)].into()
    );
    for result in &report.results {
        let story = "the account CORP\\svc was refused by the directory, first asked for pc-";
        assert!(result.reason.contains(story), "{result:?}");
        assert!(!result.next.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_directory_other_rungs_are_still_tried() {
    let pc = || Pc::broken("join").on(READ, &[Act::Refuse(1326)]);
    let world = World::new([pc(), pc()], MemoryJournal::new(None));
    let mut plan = world.directory_plan();
    plan.credentials_on_pcs = true;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(join)".into(), 2)].into());
    refused(&report);

    let world = World::new([broken()], MemoryJournal::new(None));
    let mut plan = world.directory_plan();
    plan.directory = None;
    let report = run_world(&world, plan, quiet()).await;
    let outcome = report.results[0].outcome.to_string();
    assert_eq!(outcome, "blocked(needs-directory)");
    assert_eq!(steps(&world), ["diagnose"]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_panics_costs_one_pc_its_certainty() {
    let (_, result) = one(broken().on(RESET, &[Act::Panic])).await;
    assert_eq!(
        result.outcome.to_string(),
        "unknown(repair/account/reset_account)"
    );
    assert!(result.reason.contains(CAUTION), "{result:?}");
    assert!(result.next.contains("run again"), "{result:?}");
}

#[test]
fn what_was_made_hides_itself() {
    let acted = fleetmend_directory::Acted {
        answer: Value::Null,
        made: Some(fleetmend_model::Secret::new(MADE.to_owned())),
    };
    assert!(!format!("{acted:?}").contains(MADE));
}
