//! The pure machine around restarts, one case after another.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::rejoin_program;
use fleetmend_engine::Program;
use fleetmend_engine::machine::{
    Action, Context, DID_NOT_RESTART, NOT_BACK, OTHER_CONTROLLER, PcState, RESTART_REFUSED, Stop,
    Work, kept_account, next,
};
use fleetmend_model::{
    Boot, Cause, HostEvent, Phase, Place, RunMode, StepEnd, StepRef, TransportKind,
};
use fleetmend_playbooks::{RebootWindow, SecretFrom, Situation};
use jiff::Timestamp;
use serde_json::{Value, json};

fn step(phase: Phase, rung: Option<&str>, step: &str) -> StepRef {
    StepRef {
        phase,
        rung: rung.map(str::to_owned),
        step: step.into(),
    }
}

fn repair(name: &str) -> StepRef {
    step(Phase::Repair, Some("rejoin"), name)
}

fn started(step: &StepRef, changes: bool, place: Place) -> HostEvent {
    HostEvent::StepStarted {
        step: step.clone(),
        changes,
        place,
    }
}

fn ended(step: &StepRef, end: StepEnd) -> HostEvent {
    HostEvent::StepEnded {
        step: step.clone(),
        end,
        elapsed_ms: 1,
    }
}

fn answered(answer: Value) -> StepEnd {
    StepEnd::Answered { answer }
}

fn failed(id: &str) -> StepEnd {
    StepEnd::Failed {
        error_id: id.into(),
        code: None,
        message: "失敗".into(),
    }
}

fn ran(step: &StepRef, changes: bool, place: Place, end: StepEnd) -> [HostEvent; 2] {
    [started(step, changes, place), ended(step, end)]
}

fn connected() -> HostEvent {
    HostEvent::Connected {
        transport: TransportKind::WinrmHttp,
        address: "pc:5985".into(),
    }
}

fn ordered(name: &str) -> HostEvent {
    HostEvent::RebootOrdered {
        step: repair(name),
        boot: Boot {
            last_boot_unix: 1.7e9,
            boot_id: Some(1),
            uptime_seconds: 100.0,
        },
        ordered: Timestamp::UNIX_EPOCH,
    }
}

fn diagnosed() -> Vec<HostEvent> {
    let diagnose = step(Phase::Diagnose, None, "diagnose");
    let facts = answered(json!({"cause": "mismatch"}));
    let mut events = vec![HostEvent::Connecting, connected()];
    events.extend(ran(&diagnose, false, Place::Pc, facts));
    events.push(HostEvent::Diagnosed {
        cause: Cause::new("mismatch"),
    });
    events
}

fn looked_at() -> Vec<HostEvent> {
    let mut events = diagnosed();
    let safety = step(Phase::Preflight, Some("rejoin"), "safety");
    let account = step(Phase::Preflight, Some("rejoin"), "account");
    events.extend(ran(
        &safety,
        false,
        Place::Pc,
        answered(json!({"safe": true})),
    ));
    events.extend(ran(&account, false, Place::Controller, answered(json!({}))));
    events
}

/// The rung is begun, and the PC was told to restart.
fn restarting() -> Vec<HostEvent> {
    let mut events = looked_at();
    let held = answered(json!({"held": true}));
    events.extend(ran(&repair("lock"), false, Place::Pc, held));
    events.push(HostEvent::RungStarted {
        rung: "rejoin".into(),
        caution: Some("注意".into()),
    });
    for left_out in ["rescue", "blob", "keep_blob"] {
        let step = repair(left_out);
        events.push(HostEvent::StepSkipped { step });
    }
    events.push(started(&repair("restart_1"), true, Place::Pc));
    events.push(ordered("restart_1"));
    events
}

fn restarted() -> Vec<HostEvent> {
    let mut events = restarting();
    events.push(connected());
    events.push(ended(&repair("restart_1"), answered(json!({}))));
    events
}

fn situation() -> Situation {
    Situation {
        max_reboots: 2,
        ..Situation::default()
    }
}

fn fold(events: &[HostEvent]) -> PcState {
    events
        .iter()
        .fold(PcState::default(), |state, event| state.apply(event))
}

struct Asked<'a> {
    mode: RunMode,
    stop: Stop,
    aged: bool,
    situation: Situation,
    program: &'a Program,
}

impl Asked<'_> {
    fn next(&self, state: &PcState) -> Action {
        let refused = BTreeMap::new();
        let context = Context {
            mode: self.mode,
            stop: self.stop,
            situation: &self.situation,
            refused: &refused,
            directory_refused: None,
            overdue: false,
            aged: self.aged,
        };
        next(Work::Playbook(self.program), &context, state)
    }
}

fn asked(program: &Program) -> Asked<'_> {
    Asked {
        mode: RunMode::Repair,
        stop: Stop::No,
        aged: false,
        situation: situation(),
        program,
    }
}

/// What the machine does next, in a word.
fn word(action: &Action) -> String {
    match action {
        Action::Connect => "connect".into(),
        Action::Run(call) => format!("run {}", call.step),
        Action::Await(call) => format!("await {}", call.step),
        Action::Note(HostEvent::RungStarted { rung, .. }) => format!("begin {rung}"),
        Action::Note(HostEvent::RungEnded { rung, .. }) => format!("end {rung}"),
        Action::Note(HostEvent::StepSkipped { step }) => format!("skip {step}"),
        Action::Note(HostEvent::StepEnded { step, end, .. }) => match end {
            StepEnd::NotRun { .. } => format!("not run {step}"),
            StepEnd::Unknown { .. } => format!("unknown {step}"),
            StepEnd::Failed { error_id, .. } => format!("failed {step} {error_id}"),
            StepEnd::Answered { .. } => format!("answered {step}"),
        },
        Action::Note(event) => format!("{event:?}"),
        Action::Finish(ending) => ending.outcome.to_string(),
        Action::Done => "done".into(),
    }
}

fn with(mut events: Vec<HostEvent>, more: impl IntoIterator<Item = HostEvent>) -> Vec<HostEvent> {
    events.extend(more);
    events
}

#[test]
fn what_follows_an_event_of_a_restart() {
    let not_connected = |why: &str| HostEvent::ConnectFailed {
        why: why.into(),
        reason: "応答なし".into(),
    };
    let first = repair("restart_1");
    let end = |end: StepEnd| vec![ended(&first, end)];
    let back = |why: &str| vec![not_connected(why), ended(&first, failed(NOT_BACK))];
    let safety = step(Phase::Preflight, Some("rejoin"), "safety");
    let account = step(Phase::Preflight, Some("rejoin"), "account");
    let lock = |held: bool| {
        ran(
            &repair("lock"),
            false,
            Place::Pc,
            answered(json!({"held": held})),
        )
    };
    let lost = StepEnd::Unknown { reason: "x".into() };
    let cases = [
        (diagnosed(), "run preflight/rejoin/safety"),
        (
            with(
                diagnosed(),
                ran(&safety, false, Place::Pc, answered(json!({"safe": true}))),
            ),
            "run preflight/rejoin/account",
        ),
        (
            with(
                diagnosed(),
                ran(&safety, false, Place::Pc, answered(json!({"safe": false}))),
            ),
            "run preflight/rejoin/account",
        ),
        (
            with(diagnosed(), ran(&safety, false, Place::Pc, failed("X"))),
            "blocked(preflight)",
        ),
        (
            with(diagnosed(), ran(&safety, false, Place::Pc, lost.clone())),
            "connect",
        ),
        (
            with(looked_at(), ran(&account, false, Place::Controller, lost)),
            "blocked(preflight)",
        ),
        (looked_at(), "run repair/rejoin/lock"),
        (with(looked_at(), lock(true)), "begin rejoin"),
        (with(looked_at(), lock(false)), "blocked(other-controller)"),
        (restarting(), "await repair/rejoin/restart_1"),
        (restarted(), "run repair/rejoin/rejoin"),
        (
            with(restarting(), end(failed(RESTART_REFUSED))),
            "end rejoin",
        ),
        (with(restarting(), end(failed(DID_NOT_RESTART))), "connect"),
        (
            with(restarting(), end(failed(OTHER_CONTROLLER))),
            "blocked(other-controller)",
        ),
        (
            with(restarting(), back("after-reboot")),
            "unreachable(after-reboot)",
        ),
        (with(restarting(), back("logon")), "access-denied(logon)"),
        (
            with(restarting(), [not_connected("after-reboot")]),
            "failed repair/rejoin/restart_1 NotBackAfterReboot",
        ),
    ];
    let program = rejoin_program();
    for (events, wanted) in cases {
        let action = asked(&program).next(&fold(&events));
        assert_eq!(word(&action), wanted, "{events:#?}");
    }
}

#[test]
fn what_follows_a_cut_around_a_restart() {
    let second = || {
        let rejoin = repair("rejoin");
        with(
            restarted(),
            ran(&rejoin, true, Place::Pc, answered(json!({}))),
        )
    };
    let announced = |events: Vec<HostEvent>, name: &str| {
        with(events, [started(&repair(name), true, Place::Pc)])
    };
    let mut first = restarting();
    first.pop();
    let logon = HostEvent::ConnectFailed {
        why: "logon".into(),
        reason: "401".into(),
    };
    let gone = HostEvent::ConnectFailed {
        why: "after-reboot".into(),
        reason: "応答なし".into(),
    };
    let cases = [
        // Announced, not ordered, and nothing changed before: chosen anew, by new facts.
        (first, "failed repair/rejoin/restart_1 RestartNotOrdered"),
        (restarting(), "await repair/rejoin/restart_1"),
        (
            with(restarting(), [connected()]),
            "await repair/rejoin/restart_1",
        ),
        // A refused account stays refused; a PC that was away is waited for again.
        (
            with(restarting(), [logon]),
            "failed repair/rejoin/restart_1 NotBackAfterReboot",
        ),
        (with(restarting(), [gone]), "await repair/rejoin/restart_1"),
        // Between two restarts: it is finished.
        (restarted(), "connect"),
        (with(restarted(), [HostEvent::Connecting]), "connect"),
        (announced(second(), "restart_2"), "connect"),
        (
            with(announced(second(), "restart_2"), [ordered("restart_2")]),
            "await repair/rejoin/restart_2",
        ),
        // The step between them may have run.
        (
            announced(restarted(), "rejoin"),
            "unknown repair/rejoin/rejoin",
        ),
    ];
    let program = rejoin_program();
    for (events, wanted) in cases {
        let state = fold(&events).resumed();
        let action = asked(&program).next(&state);
        assert_eq!(word(&action), wanted, "{events:#?}");
        // A second cut before anything else happened changes nothing.
        let again = asked(&program).next(&state.resumed());
        assert_eq!(word(&again), wanted, "{events:#?}");
    }
    // What was not ordered is ordered once there is a session, and the PC held again.
    let state = fold(&announced(second(), "restart_2")).resumed();
    let state = [HostEvent::Connecting, connected()]
        .iter()
        .fold(state, |state, event| state.apply(event));
    assert_eq!(
        word(&asked(&program).next(&state)),
        "run repair/rejoin/lock"
    );
    let held = ran(
        &repair("lock"),
        false,
        Place::Pc,
        answered(json!({"held": true})),
    );
    let state = held.iter().fold(state, |state, event| state.apply(event));
    assert_eq!(
        word(&asked(&program).next(&state)),
        "run repair/rejoin/restart_2"
    );
}

#[test]
fn why_a_pc_is_not_held_is_told() {
    let program = rejoin_program();
    let lock = |end: StepEnd| {
        let events = with(looked_at(), ran(&repair("lock"), false, Place::Pc, end));
        match asked(&program).next(&fold(&events)) {
            Action::Finish(ending) => ending.reason,
            other => panic!("{other:?}"),
        }
    };
    let held = answered(json!({"held": false, "error": null}));
    assert_eq!(lock(held), "another controller works on the PC");
    let error = json!({"code": 5, "error_id": "UnauthorizedAccessException"});
    let closed = answered(json!({"held": false, "error": error}));
    assert!(lock(closed).ends_with("UnauthorizedAccessException, code 5"));
    assert!(lock(failed("ScriptBroken")).ends_with("失敗 (ScriptBroken)"));
}

#[test]
fn windows_and_budgets_are_for_beginnings() {
    let program = rejoin_program();
    let window = |open: Option<u64>| {
        Some(RebootWindow {
            text: "22:00-05:00".into(),
            open_for: open.map(Duration::from_secs),
        })
    };
    let cases = [
        (2, 0, None, "run repair/rejoin/lock"),
        (2, 0, window(Some(3600)), "run repair/rejoin/lock"),
        (2, 0, window(Some(60)), "blocked(reboot-window)"),
        (2, 0, window(None), "blocked(reboot-window)"),
        (1, 0, None, "blocked(needs-reboot)"),
        (0, 0, None, "blocked(needs-reboot)"),
    ];
    for (max_reboots, reboots, reboot_window, wanted) in cases {
        let situation = Situation {
            max_reboots,
            reboots,
            reboot_window: reboot_window.clone(),
            ..Situation::default()
        };
        let asked = Asked {
            situation,
            ..asked(&program)
        };
        assert_eq!(word(&asked.next(&fold(&looked_at()))), wanted);
        // Amid the rung nobody asks any more: the second restart is allowed.
        let second = with(
            restarted(),
            ran(&repair("rejoin"), true, Place::Pc, answered(json!({}))),
        );
        let action = asked.next(&fold(&second));
        assert_eq!(word(&action), "run repair/rejoin/restart_2");
    }
}

#[test]
fn restarts_are_counted_as_they_happen() {
    let first = repair("restart_1");
    let end = |end: StepEnd| with(restarting(), [ended(&first, end)]);
    let unknown = StepEnd::Unknown { reason: "x".into() };
    let not_run = StepEnd::NotRun { reason: "x".into() };
    for (events, reboots) in [
        (looked_at(), 0),
        (restarting(), 0),
        (restarted(), 1),
        (
            with(
                restarting(),
                [
                    ordered("restart_1"),
                    connected(),
                    ended(&first, answered(json!({}))),
                ],
            ),
            1,
        ),
        (end(failed(RESTART_REFUSED)), 0),
        (end(failed(DID_NOT_RESTART)), 0),
        (end(not_run), 0),
        (end(unknown), 1),
        (end(failed(NOT_BACK)), 1),
        (end(failed(OTHER_CONTROLLER)), 1),
    ] {
        assert_eq!(fold(&events).reboots, reboots, "{:?}", events.last());
        assert_eq!(fold(&events).resumed().reboots, reboots);
    }
}

#[test]
fn a_new_diagnosis_forgets_what_was_looked_at() {
    let program = rejoin_program();
    let diagnose = step(Phase::Diagnose, None, "diagnose");
    let facts = answered(json!({"cause": "mismatch"}));
    let again = with(looked_at(), ran(&diagnose, false, Place::Pc, facts));
    assert!(fold(&again).preflights.is_empty());
    // Old facts are gathered anew before they are acted upon.
    let aged = Asked {
        aged: true,
        ..asked(&program)
    };
    assert_eq!(
        word(&aged.next(&fold(&looked_at()))),
        "run diagnose/diagnose"
    );
}

/// Else the machine would ask for the same step for ever.
#[test]
fn what_was_refused_is_not_asked_for_in_a_preflight() {
    let mut program = rejoin_program();
    let rejoin = program.rungs.get_mut("rejoin").unwrap();
    let from = SecretFrom::Credential("domain".into());
    rejoin.preflight[0].secrets = vec![("domain".into(), from)];
    let refused = [("domain".to_owned(), "refused on pc-1".to_owned())].into();
    let situation = situation();
    let context = Context {
        mode: RunMode::Repair,
        stop: Stop::No,
        situation: &situation,
        refused: &refused,
        directory_refused: None,
        overdue: false,
        aged: false,
    };
    let action = next(Work::Playbook(&program), &context, &fold(&diagnosed()));
    assert_eq!(word(&action), "blocked(credential-refused)");
}

#[test]
fn a_check_looks_and_begins_nothing() {
    let program = rejoin_program();
    let check = Asked {
        mode: RunMode::Check,
        ..asked(&program)
    };
    assert_eq!(
        word(&check.next(&fold(&diagnosed()))),
        "run preflight/rejoin/safety"
    );
    assert_eq!(
        word(&check.next(&fold(&looked_at()))),
        "would-repair(rejoin)"
    );
}

#[test]
fn the_first_interrupt_lets_a_restart_end_and_the_second_does_not() {
    let program = rejoin_program();
    let state = fold(&restarting());
    let at = |stop: Stop| {
        let asked = Asked {
            stop,
            ..asked(&program)
        };
        word(&asked.next(&state))
    };
    assert_eq!(at(Stop::Soft), "await repair/rejoin/restart_1");
    assert_eq!(at(Stop::Cut), "unknown repair/rejoin/restart_1");
    // And the rest of the rung.
    let soft = Asked {
        stop: Stop::Soft,
        ..asked(&program)
    };
    assert_eq!(
        word(&soft.next(&fold(&restarted()))),
        "run repair/rejoin/rejoin"
    );
    // Before anything was changed nothing is begun.
    assert_eq!(
        word(&soft.next(&fold(&looked_at()))),
        "skipped(interrupted)"
    );
}

#[test]
fn an_account_is_kept_once_it_was_proven() {
    let program = rejoin_program();
    let rescue = repair("rescue");
    let begun = HostEvent::RungStarted {
        rung: "rejoin".into(),
        caution: None,
    };
    let end = |end: StepEnd| {
        let ran = ran(&rescue, false, Place::Controller, end);
        fold(&with(
            looked_at(),
            std::iter::once(begun.clone()).chain(ran),
        ))
    };
    assert_eq!(kept_account(&program, &fold(&looked_at())), None);
    let kept = end(answered(json!({})));
    assert_eq!(kept_account(&program, &kept), Some("rescue_admin"));
    assert_eq!(
        kept_account(&program, &kept.resumed()),
        Some("rescue_admin")
    );
    let refused = end(failed("LogonRefused"));
    assert_eq!(kept_account(&program, &refused), None);
    assert_eq!(
        refused.refused_logons.as_slice(),
        std::slice::from_ref(&rescue)
    );
    assert!(end(failed("LogonFailed")).refused_logons.is_empty());
}
