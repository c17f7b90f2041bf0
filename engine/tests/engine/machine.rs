//! The pure machine under random PCs, random stops and replays.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::program;
use fleetmend_engine::Program;
use fleetmend_engine::machine::{Action, Context, PcState, Stop, Work, next};
use fleetmend_model::{HostEvent, HostName, Outcome, Phase, RunMode, StepEnd, TransportKind};
use fleetmend_playbooks::Situation;
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
        (Phase::Repair | Phase::Exec, _) => json!({"credential_error": 0}),
    }
}

/// Drives the machine by chance until it is done; returns its events.
fn drive(program: &Program, mode: RunMode, chance: &[Dice]) -> Vec<HostEvent> {
    let situation = Situation {
        credentials: ["domain".to_owned()].into(),
        credentials_for_pcs: ["domain".to_owned()].into(),
        ..Situation::default()
    };
    let mut refused = BTreeMap::new();
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
            refused.insert("domain".to_owned(), "refused on pc-1".to_owned());
        }
        let context = Context {
            mode,
            stop,
            situation: &situation,
            refused: &refused,
            directory_refused: None,
            overdue: dice.overdue,
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
            Action::Run(call) => {
                let plan = program.step(&call.step).unwrap();
                let end = end(dice, call.step.phase);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_pc_ends_once_and_by_the_contract(
        chance in prop::collection::vec(dice(), 1..80),
        check in prop::bool::weighted(0.2),
    ) {
        let program = program();
        let mode = if check { RunMode::Check } else { RunMode::Repair };
        let events = drive(&program, mode, &chance);

        let results: Vec<_> = events.iter().filter_map(|event| match event {
            HostEvent::Finished { result } => Some(result),
            _ => None,
        }).collect();
        prop_assert_eq!(results.len(), 1, "exactly one result");
        prop_assert!(matches!(events.last(), Some(HostEvent::Finished { .. })), "and it is last");
        let outcome = &results[0].outcome;

        // The contract.
        let repairs: Vec<_> = events.iter().filter_map(|event| match event {
            HostEvent::StepEnded { step, end, .. } if step.phase == Phase::Repair
                && !matches!(end, StepEnd::NotRun { .. }) => Some(step.clone()),
            _ => None,
        }).collect();
        let once: BTreeSet<String> = repairs.iter().map(ToString::to_string).collect();
        prop_assert_eq!(once.len(), repairs.len(), "no repair step twice");
        if check {
            prop_assert!(repairs.is_empty());
        }
        let connects = events.iter().filter(|e| matches!(e, HostEvent::Connecting)).count();
        prop_assert!(connects <= 2);
        let proof = events.iter().rev().find_map(|event| match event {
            HostEvent::RungEnded { verified, rung } => Some((*verified, rung.clone())),
            _ => None,
        });
        match outcome {
            Outcome::Repaired { rung } => {
                prop_assert_eq!(proof, Some((true, rung.clone())));
                let evidence = events.iter().rev().find_map(|event| match event {
                    HostEvent::StepEnded { step, end: StepEnd::Answered { answer }, .. }
                        if step.phase == Phase::Verify => Some(answer["proof"].clone()),
                    _ => None,
                });
                prop_assert_eq!(evidence, Some(json!("yes")), "only verify calls it repaired");
            }
            Outcome::Healthy => prop_assert!(repairs.is_empty(), "healthy PCs are not touched"),
            Outcome::Skipped { why } if why == "interrupted" => {
                prop_assert!(repairs.iter().all(|step| step.step == "prepare"), "{:?}", repairs);
            }
            _ => {}
        }
    }

    #[test]
    fn replaying_gives_the_same_state_and_the_next_step_at_every_prefix(
        chance in prop::collection::vec(dice(), 1..40),
    ) {
        let program = program();
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
    ) {
        let program = program();
        let events = drive(&program, RunMode::Repair, &chance);
        let state = replay(&events[..cut.min(events.len())]);
        let situation = Situation::default();
        let refused = BTreeMap::new();
        let context = Context {
            mode: RunMode::Repair, stop: Stop::No, situation: &situation, refused: &refused,
            directory_refused: None,
            overdue: false,
        };
        let action = next(Work::Playbook(&program), &context, &state);
        if state.result.is_some() {
            prop_assert_eq!(action, Action::Done);
        } else if let Some(running) = &state.running {
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
    ) {
        let program = program();
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
            };
            let action = next(Work::Playbook(&program), &context, &state);
            prop_assert_eq!(action == Action::Done, state.result.is_some());
        }
    }
}
