//! Runs through the directory that are stopped: by the operator, by a broken journal.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::{READ, RESET, WAY, broken, repaired, steps};
use crate::support::{Act, CAUTION, MemoryJournal, Pc, World, quiet, run_world, wait_until};
use fleetmend_engine::{RunEnd, control, exit_code};
use fleetmend_model::{HostEvent, HostResult, StepEnd};

/// Interrupts `times` times while this step runs; returns the report and how long it took.
async fn interrupted(
    pc: Pc,
    step: &'static str,
    times: usize,
) -> (Arc<World>, HostResult, Duration) {
    let world = World::new([pc], MemoryJournal::new(None));
    let (sender, receiver) = control();
    let running = tokio::spawn({
        let world = world.clone();
        async move { run_world(&world, world.directory_plan(), receiver).await }
    });
    while !steps(&world).contains(&step.to_owned()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let start = tokio::time::Instant::now();
    for _ in 0..times {
        sender.interrupt();
    }
    let mut report = running.await.unwrap();
    assert_eq!(report.exit_code, exit_code::INTERRUPTED);
    (world, report.results.remove(0), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_finishes_both_halves_and_begins_no_question() {
    let (world, result, _) = interrupted(broken(), "reset_account", 1).await;
    assert_eq!(result.outcome, repaired());
    assert_eq!(steps(&world), WAY[..6]);
    // A question is cut at once.
    let (_, result, took) = interrupted(broken().on(READ, &[Act::Hang]), "directory", 1).await;
    assert_eq!(result.outcome.to_string(), "skipped(interrupted)");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_cuts_and_says_how_to_finish() {
    for act in [Act::Hang, Act::Deaf] {
        let pc = broken().on(RESET, &[act]);
        let (_, result, took) = interrupted(pc, "reset_account", 2).await;
        assert_eq!(
            result.outcome.to_string(),
            "unknown(repair/account/reset_account)"
        );
        assert!(result.reason.ends_with(CAUTION), "{result:?}");
        assert_eq!(result.next, "run again: account is then begun anew");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

fn fleet() -> Vec<Pc> {
    vec![
        broken(),
        Pc::default(),
        broken().on(RESET, &[Act::Lose]),
        broken().on("store", &[Act::NotRun]),
        broken().on("store", &[Act::Fail(None)]),
        broken().on(READ, &[Act::Fail(None)]),
    ]
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_without_its_intent_wherever_the_journal_fails() {
    let world = World::new(fleet(), MemoryJournal::new(None));
    run_world(&world, world.directory_plan(), quiet()).await;
    let length = world.journal.records().len();
    assert!(length > 100, "{length}");
    for fail_at in 0..length {
        // `run_world` looks for anything that was sent unannounced or after the failure.
        let world = World::new(fleet(), MemoryJournal::new(Some(fail_at)));
        let report = run_world(&world, world.directory_plan(), quiet()).await;
        assert!(matches!(report.end, RunEnd::JournalLost(_)), "{fail_at}");
        for result in &report.results {
            let pc = world.pc(&result.host.0);
            if pc.account.len() > pc.stored.len() && pc.cause.is_some() {
                assert!(result.reason.contains(CAUTION), "{fail_at}: {result:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_the_interrupt_comes_no_pc_is_left_between_the_halves_unsaid() {
    let world = World::new(fleet(), MemoryJournal::new(None));
    run_world(&world, world.directory_plan(), quiet()).await;
    let length = world.journal.records().len();
    for at in 1..length - 1 {
        for times in [1, 2] {
            let world = World::new(fleet(), MemoryJournal::new(None));
            let (sender, receiver) = control();
            let finger = tokio::spawn({
                let world = world.clone();
                async move {
                    wait_until(&world, at).await;
                    for _ in 0..times {
                        sender.interrupt();
                    }
                    sender
                }
            });
            let report = run_world(&world, world.directory_plan(), receiver).await;
            finger.abort();
            for result in &report.results {
                let pc = world.pc(&result.host.0);
                let between = pc.account.last() != pc.stored.last();
                if between {
                    assert!(result.reason.contains(CAUTION), "{at}: {result:?}");
                    assert!(result.next.contains("run again"), "{at}: {result:?}");
                    // The first interrupt lets a sound PC come to its end.
                    let names = world.journal.of(&result.host.0);
                    let lost = names.iter().any(|event| {
                        matches!(
                            event,
                            HostEvent::StepEnded {
                                end: StepEnd::Unknown { .. } | StepEnd::NotRun { .. },
                                ..
                            }
                        )
                    });
                    assert!(times == 2 || lost, "{at}: {result:?}");
                }
            }
        }
    }
}
