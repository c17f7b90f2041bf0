//! The pure machine under random PCs, random stops and replays.

use std::collections::BTreeMap;

use crate::support::{CAUTION, NO_PREFLIGHT, directory_program, program, rejoin_program};
use fleetmend_engine::machine::{
    Action, Context, DID_NOT_RESTART, Link, NOT_BACK, OTHER_CONTROLLER, PcState, RESTART_REFUSED,
    Running, Stop, Work, next,
};
use fleetmend_engine::{Program, StepRun};
use fleetmend_model::{
    Boot, HostEvent, HostName, Outcome, Phase, Place, RunMode, StepEnd, StepRef, TransportKind,
};
use fleetmend_playbooks::Situation;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What one event of chance is.
#[derive(Clone, Debug)]
struct Dice {
    end: u8,
    fact: u8,
    stop: u8,
    refuse: bool,
    overdue: bool,
}

fn dice() -> impl Strategy<Value = Dice> {
    (
        0..20u8,
        0..8u8,
        0..60u8,
        prop::bool::weighted(0.02),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(end, fact, stop, refuse, overdue)| Dice {
            end,
            fact,
            stop,
            refuse,
            overdue,
        })
}

/// One of the three playbooks.
fn any(which: usize) -> Program {
    match which {
        0 => program(),
        1 => directory_program(),
        _ => rejoin_program(),
    }
}

/// What a step that restarts the PC stores.
fn restart(dice: &Dice, step: StepRef) -> Vec<HostEvent> {
    let ordered = HostEvent::RebootOrdered {
        step: step.clone(),
        boot: Boot {
            last_boot_unix: 1.7e9,
            boot_id: None,
            uptime_seconds: 1e6,
        },
        ordered: Timestamp::UNIX_EPOCH,
    };
    let started = HostEvent::StepStarted {
        step: step.clone(),
        changes: true,
        place: Place::Pc,
    };
    let failed = |error_id: &str| StepEnd::Failed {
        error_id: error_id.into(),
        code: Some(5),
        message: "失敗".into(),
    };
    let reason = || "lost".to_owned();
    let not_connected = |why: &str| HostEvent::ConnectFailed {
        why: why.into(),
        reason: reason(),
    };
    let (between, end) = match dice.end {
        0 => (None, StepEnd::Unknown { reason: reason() }),
        1 => (None, StepEnd::NotRun { reason: reason() }),
        2 => (None, failed(RESTART_REFUSED)),
        3 => (None, failed(DID_NOT_RESTART)),
        4 => (None, failed(OTHER_CONTROLLER)),
        5 => (Some(not_connected("after-reboot")), failed(NOT_BACK)),
        6 => (Some(not_connected("logon")), failed(NOT_BACK)),
        _ => (
            Some(HostEvent::Connected {
                transport: TransportKind::WinrmHttp,
                address: "pc:5985".into(),
            }),
            StepEnd::Answered { answer: json!({}) },
        ),
    };
    let mut events = vec![started, ordered];
    events.extend(between);
    events.push(HostEvent::StepEnded {
        step,
        end,
        elapsed_ms: 1,
    });
    events
}

fn end(dice: &Dice, phase: Phase) -> StepEnd {
    match dice.end {
        0 => StepEnd::Unknown {
            reason: "lost".into(),
        },
        1 => StepEnd::NotRun {
            reason: "closed".into(),
        },
        2 => StepEnd::Failed {
            error_id: "E".into(),
            code: Some(5),
            message: "失敗".into(),
        },
        3 => StepEnd::Answered {
            answer: json!({"odd": 1}),
        },
        4 => StepEnd::Answered {
            answer: json!("text"),
        },
        _ => StepEnd::Answered {
            answer: answer(dice.fact, phase),
        },
    }
}

fn answer(fact: u8, phase: Phase) -> Value {
    match (phase, fact) {
        (Phase::Diagnose, 0 | 7) => json!({"cause": "healthy"}),
        (Phase::Diagnose, 3) => json!({"cause": "dc"}),
        (Phase::Diagnose, _) => json!({"cause": "mismatch"}),
        (Phase::Verify, 0 | 4) => json!({"proof": "yes"}),
        (Phase::Verify, 3) => json!({"proof": "reboot"}),
        (Phase::Verify, _) => json!({"proof": "no"}),
        (Phase::Repair | Phase::Exec, 0) => json!({"credential_error": 1326}),
        (Phase::Repair | Phase::Exec, 1..=3) => json!({"credential_error": null}),
        (Phase::Preflight, 0) => json!({"safe": false}),
        (Phase::Preflight | Phase::Repair | Phase::Exec, _) => json!({"credential_error": 0}),
    }
}

/// Drives the machine by chance until it is done; returns its events.
fn drive(program: &Program, mode: RunMode, chance: &[Dice]) -> Vec<HostEvent> {
    let situation = Situation {
        credentials: ["domain".to_owned()].into(),
        credentials_for_pcs: ["domain".to_owned()].into(),
        directory: true,
        max_reboots: 9,
        params: json!({"rescue_admin": "rescue", "blob": true})
            .as_object()
            .unwrap()
            .clone(),
        ..Situation::default()
    };
    let mut refused = BTreeMap::new();
    let mut shut = None;
    let mut stop = Stop::No;
    let mut state = PcState::default();
    let mut events = Vec::new();
    for dice in chance.iter().cycle().take(400) {
        stop = stop.max(match dice.stop {
            0 => Stop::Soft,
            1 => Stop::Cut,
            _ => Stop::No,
        });
        if dice.refuse {
            if dice.fact % 2 == 0 {
                refused.insert("domain".to_owned(), "refused on pc-1".to_owned());
            } else {
                shut = Some("refused by the directory");
            }
        }
        let context = Context {
            mode,
            stop,
            situation: &situation,
            refused: &refused,
            directory_refused: shut,
            overdue: dice.overdue,
            aged: false,
        };
        let action = next(Work::Playbook(program), &context, &state);
        assert_eq!(
            action,
            next(Work::Playbook(program), &context, &state),
            "the same question, the same answer"
        );
        let new = match action {
            Action::Connect if dice.end == 0 => vec![
                HostEvent::Connecting,
                HostEvent::ConnectFailed {
                    why: "refused".into(),
                    reason: "closed port".into(),
                },
            ],
            Action::Connect => vec![
                HostEvent::Connecting,
                HostEvent::Connected {
                    transport: TransportKind::Ssh,
                    address: "pc:22".into(),
                },
            ],
            Action::Run(call) if call.step.step.starts_with("restart_") => {
                assert!(call.shielded);
                restart(dice, call.step)
            }
            Action::Run(call) => {
                let plan = program.step(&call.step).unwrap();
                let elsewhere = matches!(plan.run, StepRun::Elsewhere(_));
                assert_eq!(call.on.is_some(), elsewhere);
                let phase = if plan.place() == Place::Pc {
                    call.step.phase
                } else {
                    Phase::Exec
                };
                assert!(
                    !matches!(plan.run, StepRun::Action(_)) || shut.is_none(),
                    "{} after the directory refused us",
                    call.step
                );
                let mut end = end(dice, phase);
                if call.step.step == "lock" && matches!(end, StepEnd::Answered { .. }) {
                    let held = dice.fact != 7;
                    end = StepEnd::Answered {
                        answer: json!({"held": held}),
                    };
                }
                vec![
                    HostEvent::StepStarted {
                        step: call.step.clone(),
                        changes: plan.changes,
                        place: plan.place(),
                    },
                    HostEvent::StepEnded {
                        step: call.step,
                        end,
                        elapsed_ms: 1,
                    },
                ]
            }
            Action::Await(call) => panic!("{call:?}"),
            Action::Note(event) => vec![event],
            Action::Finish(ending) => {
                let result = ending.into_result(HostName("pc".into()), 1);
                vec![HostEvent::Finished { result }]
            }
            Action::Done => return events,
        };
        for event in new {
            state = state.apply(&event);
            events.push(event);
        }
    }
    panic!("no end after 400 actions: {events:#?}");
}

fn replay(events: &[HostEvent]) -> PcState {
    events
        .iter()
        .fold(PcState::default(), |state, event| state.apply(event))
}

/// What runs on a PC, with the place, in order; each with its end.
fn ends(events: &[HostEvent]) -> Vec<(StepRef, Place, bool, StepEnd)> {
    let mut open = None;
    let mut ends = Vec::new();
    for event in events {
        match event {
            HostEvent::StepStarted {
                step,
                changes,
                place,
            } => {
                assert!(open.is_none(), "{step} begins amid another step");
                open = Some((step.clone(), *place, *changes));
            }
            HostEvent::StepEnded { step, end, .. } => {
                let (begun, place, changes) = open.take().unwrap();
                assert_eq!(begun, *step, "an end without its beginning");
                ends.push((begun, place, changes, end.clone()));
            }
            _ => {}
        }
    }
    ends
}

/// Whether the account has a password that the PC was not given, as far as events tell.
fn between(events: &[HostEvent]) -> bool {
    let mut between = false;
    for event in events {
        match event {
            HostEvent::StepEnded { step, end, .. } => match (step.step.as_str(), end) {
                ("reset_account", StepEnd::Answered { .. } | StepEnd::Unknown { .. }) => {
                    between = true;
                }
                ("store", StepEnd::Answered { .. }) => between = false,
                _ => {}
            },
            HostEvent::Diagnosed { cause } if cause.id.0 == "healthy" => between = false,
            HostEvent::RungEnded { verified: true, .. } => between = false,
            _ => {}
        }
    }
    between
}

fn failed_with(end: &StepEnd, id: &str) -> bool {
    matches!(end, StepEnd::Failed { error_id, .. } if error_id == id)
}

fn is_failed(state: &PcState) -> bool {
    matches!(state.link, Link::Failed { .. })
}

fn restarts(running: &Running) -> bool {
    running.step.step.starts_with("restart_")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_pc_ends_once_and_by_the_contract(
        chance in prop::collection::vec(dice(), 1..80),
        check in prop::bool::weighted(0.2),
        which in 0..3usize,
    ) {
        let program = any(which);
        let mode = if check { RunMode::Check } else { RunMode::Repair };
        let events = drive(&program, mode, &chance);

        let results: Vec<_> = events.iter().filter_map(|event| match event {
            HostEvent::Finished { result } => Some(result),
            _ => None,
        }).collect();
        prop_assert_eq!(results.len(), 1, "exactly one result");
        prop_assert!(matches!(events.last(), Some(HostEvent::Finished { .. })), "and it is last");
        let outcome = &results[0].outcome;
        prop_assert!(!results[0].reason.contains(NO_PREFLIGHT), "{:?}", results[0]);

        // The contract.
        let ends = ends(&events);
        let repairs: Vec<_> = ends.iter().filter(|(step, place, _, end)| {
            // What fails in the directory wrote nothing.
            let nothing = *place == Place::Controller && matches!(end, StepEnd::Failed { .. });
            step.phase == Phase::Repair && step.step != "lock"
                && !matches!(end, StepEnd::NotRun { .. }) && !nothing
        }).map(|(step, ..)| step.clone()).collect();
        let mut often: BTreeMap<String, usize> = BTreeMap::new();
        for step in &repairs {
            *often.entry(step.to_string()).or_default() += 1;
        }
        let again = ["repair/account/", "repair/rejoin/"];
        for (step, times) in &often {
            let most = if again.iter().any(|rung| step.starts_with(rung)) { 2 } else { 1 };
            prop_assert!(*times <= most, "{} ran {} times", step, times);
        }
        let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &events {
            if let HostEvent::RungStarted { rung, caution } = event {
                *starts.entry(rung).or_default() += 1;
                let warns = ["account", "rejoin"].contains(&rung.as_str());
                prop_assert_eq!(caution.as_deref() == Some(CAUTION), warns);
            }
        }
        prop_assert!(starts.values().all(|times| *times <= 2), "{:?}", starts);
        if check {
            prop_assert!(repairs.is_empty());
        }
        // A question follows what it asks about.
        for pair in ends.windows(2) {
            let [(before, ..), (step, place, ..)] = pair else { unreachable!() };
            if step.step == "directory" {
                prop_assert_eq!((step.phase, *place), (before.phase, Place::Controller));
                prop_assert_ne!(&before.step, "directory");
            }
        }
        // The controller's steps cost no session.
        for pair in events.windows(2) {
            if let HostEvent::StepEnded { step, .. } = &pair[0]
                && program.step(step).unwrap().place() == Place::Controller
            {
                prop_assert_ne!(&pair[1], &HostEvent::Connecting);
            }
        }
        // A PC is not left between the halves unsaid.
        if between(&events) && !outcome.class().is_well() {
            prop_assert!(results[0].reason.contains(CAUTION), "{:?}", results[0]);
            prop_assert!(results[0].next.contains("run again"), "{:?}", results[0]);
        }
        let connects = events.iter().filter(|e| matches!(e, HostEvent::Connecting)).count();
        // One more for the session that was given up for a PC which then did not restart.
        let stayed = ends.iter().filter(|(.., end)| failed_with(end, DID_NOT_RESTART)).count();
        prop_assert!(connects <= 2 + stayed, "{} connections", connects);
        // Whoever does not come back ends there, and says so.
        let lost = ends.iter().find(|(.., end)| failed_with(end, NOT_BACK));
        if let Some((step, ..)) = lost {
            prop_assert_eq!(&ends.last().unwrap().0, step);
            prop_assert!(
                results[0].reason.contains("ordered the restart at")
                    || matches!(outcome, Outcome::Unknown { .. }),
                "{:?}", results[0]
            );
        }
        let proof = events.iter().rev().find_map(|event| match event {
            HostEvent::RungEnded { verified, rung } => Some((*verified, rung.clone())),
            _ => None,
        });
        match outcome {
            Outcome::Repaired { rung } => {
                prop_assert_eq!(proof, Some((true, rung.clone())));
                let evidence = events.iter().rev().find_map(|event| match event {
                    HostEvent::StepEnded { step, end: StepEnd::Answered { answer }, .. }
                        if step.phase == Phase::Verify && step.step == "verify" => {
                        Some(answer["proof"].clone())
                    }
                    _ => None,
                });
                prop_assert_eq!(evidence, Some(json!("yes")), "only verify calls it repaired");
            }
            Outcome::Healthy => prop_assert!(repairs.is_empty(), "healthy PCs are not touched"),
            Outcome::Skipped { why } if why == "interrupted" => {
                let reads = ["prepare", "rescue"];
                let all_read = repairs.iter().all(|step| reads.contains(&step.step.as_str()));
                prop_assert!(all_read, "{:?}", repairs);
            }
            _ => {}
        }
    }

    #[test]
    fn replaying_gives_the_same_state_and_the_next_step_at_every_prefix(
        chance in prop::collection::vec(dice(), 1..40),
        which in 0..3usize,
    ) {
        let program = any(which);
        let events = drive(&program, RunMode::Repair, &chance);
        let mut state = PcState::default();
        for (index, event) in events.iter().enumerate() {
            state = state.apply(event);
            let stored: Vec<HostEvent> = events[..=index].iter().map(|event| {
                serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap()
            }).collect();
            prop_assert_eq!(&replay(&stored), &state);
        }
    }

    #[test]
    fn a_run_cut_after_any_event_goes_on_to_one_result(
        chance in prop::collection::vec(dice(), 1..40),
        cut in 0usize..60,
        which in 0..3usize,
    ) {
        let program = any(which);
        let events = drive(&program, RunMode::Repair, &chance);
        let state = replay(&events[..cut.min(events.len())]);
        let situation = Situation::default();
        let refused = BTreeMap::new();
        let context = Context {
            mode: RunMode::Repair, stop: Stop::No, situation: &situation, refused: &refused,
            directory_refused: None,
            overdue: false,
            aged: false,
        };
        let action = next(Work::Playbook(&program), &context, &state);
        if state.result.is_some() {
            prop_assert_eq!(action, Action::Done);
        } else if let Some(ordered) = state.awaited().filter(|_| !is_failed(&state)) {
            let awaited = matches!(&action, Action::Await(call) if call.step == ordered.step);
            prop_assert!(awaited, "{:?}", action);
        } else if state.awaited().is_some() {
            let noted = matches!(&action, Action::Note(HostEvent::StepEnded { end, .. })
                if failed_with(end, NOT_BACK));
            prop_assert!(noted, "{:?}", action);
        } else if let Some(running) = state.running.as_ref().filter(|running| !restarts(running)) {
            // Its end is unknown; it is not sent again.
            let noted = matches!(&action, Action::Note(HostEvent::StepEnded {
                step: noted, end: StepEnd::Unknown { .. }, .. }) if *noted == running.step);
            prop_assert!(noted, "{:?}", action);
        }
    }

    #[test]
    fn no_order_of_events_breaks_the_fold(
        chance in prop::collection::vec(dice(), 1..30),
        order in prop::collection::vec(0usize..60, 0..60),
        which in 0..3usize,
    ) {
        let program = any(which);
        let events = drive(&program, RunMode::Repair, &chance);
        let mixed: Vec<HostEvent> =
            order.into_iter().filter_map(|index| events.get(index).cloned()).collect();
        let state = replay(&mixed);
        let situation = Situation::default();
        let refused = BTreeMap::new();
        for stop in [Stop::No, Stop::Soft, Stop::Cut] {
            let context = Context {
                mode: RunMode::Repair, stop, situation: &situation, refused: &refused,
                directory_refused: None,
            overdue: false,
            aged: false,
            };
            let action = next(Work::Playbook(&program), &context, &state);
            prop_assert_eq!(action == Action::Done, state.result.is_some());
        }
    }
}
