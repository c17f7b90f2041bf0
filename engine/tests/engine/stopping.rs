//! Runs that are stopped: by the operator, by a broken journal, by a refused credential.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Act, MemoryJournal, Pc, World, outcomes, quiet, run_world, wait_until};
use fleetmend_engine::{RunEnd, RunPlan, control, exit_code};
use fleetmend_model::{Event, HostEvent, Outcome, OutcomeClass, Phase, StepEnd};
use serde_json::json;

/// A few PCs that together go every way, two at a time.
fn fleet() -> Vec<Pc> {
    vec![
        Pc::broken("restart"),
        Pc::broken("reset"),
        Pc::default(),
        Pc::broken("join"),
        Pc {
            dead: true,
            ..Pc::default()
        },
        Pc::broken("restart").on("restart", &[Act::Lose]),
        Pc::broken("restart").on("restart", &[Act::Hang]),
        Pc::broken(""),
    ]
}

fn narrow(world: &World) -> fleetmend_engine::RunPlan {
    let mut plan = world.plan();
    plan.limits.max_concurrency = 2;
    plan.limits.probe_concurrency = 3;
    plan
}

/// The number of records of an undisturbed run.
async fn length() -> usize {
    let world = World::new(fleet(), MemoryJournal::new(None));
    run_world(&world, narrow(&world), quiet()).await;
    world.journal.records().len()
}

/// Steps of repairs that change nothing.
const READS: [&str; 2] = ["lock", "prepare"];

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_journal_failed_wherever_it_fails() {
    let length = length().await;
    assert!(length > 80, "{length}");
    for fail_at in 0..length {
        let mut journal = MemoryJournal::new(Some(fail_at));
        journal.panics = fail_at % 3 == 1;
        journal.hangs = fail_at % 3 == 2;
        let world = World::new(fleet(), journal);
        // `run_world` looks for anything sent after the failure.
        let report = run_world(&world, narrow(&world), quiet()).await;
        assert!(matches!(report.end, RunEnd::JournalLost(_)), "{fail_at}");
        let expected = if fail_at == 0 {
            exit_code::NOTHING_TOUCHED
        } else {
            exit_code::NOT_ALL_WELL
        };
        assert_eq!(report.exit_code, expected);
        for result in &report.results {
            let events = world.journal.of(&result.host.0);
            let changing = events
                .iter()
                .any(|event| matches!(event, HostEvent::StepStarted { changes: true, .. }));
            let sent = world.sent().iter().any(|(host, step)| {
                *host == result.host.0 && ["restart", "reset", "join"].contains(&step.as_str())
            });
            assert!(changing || !sent, "sent without its intent stored");
            // What may have been changed is not called skipped.
            assert!(
                !sent || result.outcome.class() != OutcomeClass::Skipped,
                "{fail_at}: {result:?}"
            );
        }
    }
}

/// Interrupts once `at` records are stored, `times` times.
async fn interrupted(at: usize, times: usize) -> (Arc<World>, fleetmend_engine::RunReport) {
    let world = World::new(fleet(), MemoryJournal::new(None));
    let (sender, receiver) = control();
    let plan = narrow(&world);
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
    let report = run_world(&world, plan, receiver).await;
    finger.abort();
    (world, report)
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_leaves_every_pc_whole_whenever_it_comes() {
    let length = length().await;
    for at in 1..length - 1 {
        let (world, report) = interrupted(at, 1).await;
        let records = world.journal.records();
        let Some(when) = records
            .iter()
            .position(|record| matches!(record.event, Event::Interrupted { .. }))
        else {
            continue; // It was over.
        };
        assert_eq!(report.exit_code, exit_code::INTERRUPTED, "{at}");
        // A few events may be on their way to the disk while the interrupt is.
        for record in records.iter().skip(when + 8) {
            let Event::Host { host, what } = &record.event else {
                continue;
            };
            assert!(
                !matches!(what, HostEvent::Connecting | HostEvent::RungStarted { .. }),
                "{at}: {host} {what:?}"
            );
        }
        for result in &report.results {
            if matches!(&result.outcome, Outcome::Skipped { why } if why == "interrupted") {
                assert_eq!(result.reason, "stopped (interrupted); nothing was changed");
            }
            let events = world.journal.of(&result.host.0);
            // A change is followed by a verify, or its step is named as unknown.
            let changed = events.iter().rposition(|event| {
                matches!(event, HostEvent::StepEnded { step, end: StepEnd::Answered { .. }, .. }
                    if step.phase == Phase::Repair && !READS.contains(&step.step.as_str()))
            });
            if let Some(changed) = changed {
                let verified = events[changed..].iter().any(|event| {
                    matches!(event, HostEvent::StepEnded { step, end: StepEnd::Answered { .. }, .. }
                        if step.phase == Phase::Verify)
                });
                assert!(verified, "{at}: {events:#?}");
            }
            // A changing step was not cut.
            let cut = events.iter().any(|event| {
                matches!(event, HostEvent::StepEnded { end: StepEnd::Unknown { reason }, step, .. }
                    if reason == "cancelled" && step.phase == Phase::Repair
                        && !READS.contains(&step.step.as_str()))
            });
            assert!(!cut, "{at}: {events:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_ends_at_once_and_names_what_is_unknown() {
    let length = length().await;
    for at in 1..length - 1 {
        let start = tokio::time::Instant::now();
        let (world, report) = interrupted(at, 2).await;
        if !matches!(report.end, RunEnd::Interrupted) {
            continue;
        }
        assert_eq!(report.exit_code, exit_code::INTERRUPTED, "{at}");
        for result in &report.results {
            let events = world.journal.of(&result.host.0);
            let cut = events.iter().find_map(|event| match event {
                HostEvent::StepEnded {
                    end: StepEnd::Unknown { reason },
                    step,
                    ..
                } if reason == "cancelled" => Some(step.to_string()),
                _ => None,
            });
            if let Some(step) = cut {
                assert_eq!(
                    result.outcome,
                    Outcome::Unknown { step },
                    "{at}: {events:#?}"
                );
            }
        }
        assert!(start.elapsed() < Duration::from_secs(400));
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_during_a_hanging_repair_waits_once_and_cuts_at_the_second() {
    let pc = || Pc::broken("restart").on("restart", &[Act::Hang]);
    for (times, limit) in [(1, 70), (2, 10)] {
        let world = World::new([pc(), Pc::default()], MemoryJournal::new(None));
        let mut plan = world.plan();
        plan.limits.max_concurrency = 1;
        let (sender, receiver) = control();
        let running = tokio::spawn({
            let world = world.clone();
            async move { run_world(&world, plan, receiver).await }
        });
        while !world.sent().iter().any(|(_, step)| step == "restart") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let start = tokio::time::Instant::now();
        for _ in 0..times {
            sender.interrupt();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let report = running.await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(limit),
            "{:?}",
            start.elapsed()
        );
        let unknown = Outcome::Unknown {
            step: "repair/restart/restart".into(),
        };
        assert_eq!(report.results[0].outcome, unknown);
    }
}

fn refusing(code: i64) -> Pc {
    Pc::broken("join").on("join", &[Act::Answer(json!({"credential_error": code}))])
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_used_exactly_once() {
    let world = World::new((0..500).map(|_| refusing(1909)), MemoryJournal::new(None));
    let report = run_world(&world, world.plan(), quiet()).await;
    let used = world
        .sent()
        .iter()
        .filter(|(_, step)| step == "join")
        .count();
    assert_eq!(used, 1);
    assert_eq!(
        outcomes(&report),
        [("blocked(credential-refused)".into(), 500)].into()
    );
    assert_eq!(report.exit_code, exit_code::SAFETY);
    assert!(
        matches!(&report.end, RunEnd::CredentialRefused { code: Some(1909), account, .. }
        if account == "join-account")
    );
    let RunEnd::CredentialRefused { host, .. } = &report.end else {
        unreachable!()
    };
    let story = format!("the account join-account was refused on {host} (Win32 1909)");
    for result in &report.results {
        assert!(result.reason.contains(&story), "{result:?}");
        assert_eq!(
            result.reason.contains("it was not used here"),
            result.host != *host
        );
        assert!(!result.next.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn one_canary_proves_the_credential_for_all() {
    let world = World::new(
        (0..300).map(|_| Pc::broken("join")),
        MemoryJournal::new(None),
    );
    let report = run_world(&world, world.plan(), quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(join)".into(), 300)].into());
    assert!(world.most_credential_users.load(Ordering::SeqCst) > 100);
    // The second PC was given it only after the first was repaired.
    let mut joins = 0;
    for record in world.journal.records() {
        match record.event {
            Event::Host {
                what: HostEvent::StepStarted { step, .. },
                ..
            } if step.step == "join" => {
                joins += 1;
            }
            Event::Host {
                what:
                    HostEvent::RungEnded {
                        rung,
                        verified: true,
                    },
                ..
            } if rung == "join" => {
                break;
            }
            _ => {}
        }
    }
    assert_eq!(joins, 1);
    assert_eq!(report.exit_code, exit_code::ALL_WELL);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_proves_nothing_lets_no_crowd_in() {
    // The domain never says yes or no: one at a time, and not for ever.
    let mute = || Pc::broken("").on("join", &[Act::Fail(Some(1355))]);
    let world = World::new((0..20).map(|_| mute()), MemoryJournal::new(None));
    let report = run_world(&world, world.plan(), quiet()).await;
    assert_eq!(world.most_credential_users.load(Ordering::SeqCst), 1);
    assert_eq!(
        outcomes(&report),
        [
            ("not-repaired(mismatch)".into(), 3),
            ("blocked(credential-unproven)".into(), 17)
        ]
        .into()
    );
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
}

fn logons(users: &[&str], refuse: bool) -> (Arc<World>, RunPlan) {
    let pcs = users.iter().map(|_| Pc {
        refuses_logon: refuse,
        ..Pc::default()
    });
    let world = World::new(pcs, MemoryJournal::new(None));
    let mut plan = world.plan();
    for (host, user) in plan.hosts.iter_mut().zip(users) {
        Arc::make_mut(host).user = Some((*user).to_owned());
    }
    (world, plan)
}

fn connects(world: &World) -> usize {
    world.connects.lock().unwrap().values().sum()
}

#[tokio::test(start_paused = true)]
async fn a_refused_domain_logon_is_tried_on_one_pc() {
    for user in ["CORP\\bob", "bob@corp.example.jp"] {
        let (world, plan) = logons(&[user; 300], true);
        let report = run_world(&world, plan, quiet()).await;
        assert_eq!(connects(&world), 1);
        assert_eq!(
            outcomes(&report),
            [
                ("access-denied(logon)".into(), 1),
                ("blocked(credential-refused)".into(), 299)
            ]
            .into()
        );
        assert_eq!(report.exit_code, exit_code::SAFETY);
        for result in &report.results {
            assert!(!result.next.contains("LocalAccountTokenFilterPolicy"));
            assert!(result.next.contains("locked"), "{result:?}");
        }
        let blocked = &report.results[if report.results[0].reason.contains("not used") {
            0
        } else {
            1
        }];
        assert!(blocked.reason.contains(user), "{blocked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_domain_logon_opens_the_way_by_and_by() {
    let (world, plan) = logons(&["CORP\\bob"; 300], false);
    let running = tokio::spawn({
        let world = world.clone();
        async move { run_world(&world, plan, quiet()).await }
    });
    let mut seen = Vec::new();
    for _ in 0..4 {
        // Half a logon's time past each logon's begin.
        tokio::time::sleep(Duration::from_millis(if seen.is_empty() {
            120
        } else {
            200
        }))
        .await;
        seen.push(connects(&world));
    }
    assert_eq!(seen[..2], [1, 6]);
    assert!(seen[2] > 100, "{seen:?}");
    let report = running.await.unwrap();
    assert_eq!(outcomes(&report), [("healthy".into(), 300)].into());
}

#[tokio::test(start_paused = true)]
async fn local_accounts_pass_no_gate() {
    for user in ["admin", ".\\admin", "管理者"] {
        let (world, plan) = logons(&[user; 50], true);
        let report = run_world(&world, plan, quiet()).await;
        assert_eq!(connects(&world), 50);
        assert_eq!(
            outcomes(&report),
            [("access-denied(logon)".into(), 50)].into()
        );
        assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
    }
    let (world, plan) = logons(&["pc-0000\\admin", "PC-0001\\admin"], true);
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(connects(&world), 2);
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_nobody_has_blocks_and_touches_nothing_more() {
    let world = World::new([Pc::broken("join")], MemoryJournal::new(None));
    let mut plan = world.plan();
    plan.params
        .insert("domain".into(), json!("no-such-credential"));
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].outcome.to_string(),
        "blocked(credential-missing)"
    );
    assert!(!world.sent().iter().any(|(_, step)| step == "join"));

    let world = World::new([Pc::broken("join")], MemoryJournal::new(None));
    let mut plan = world.plan();
    plan.credentials_on_pcs = false;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].outcome.to_string(),
        "blocked(needs-credential)"
    );
}
