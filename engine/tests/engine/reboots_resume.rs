//! Runs with restarts that are killed after any event and go on from their journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::reboots::leaver;
use crate::resume::{Death, after, assert_looked_between, fresh, kill};
use crate::support::{Act, Consenting, MemoryJournal, Pc, World, quiet, resume_world, run_world};
use fleetmend_engine::{RebootPolicy, RunPlan};
use fleetmend_model::{Event, HostEvent, Record};

fn fleet() -> Vec<Pc> {
    vec![
        leaver(),
        Pc::default(),
        leaver().restarts(|life| life.takes = Duration::from_secs(300)),
        leaver().on("engine/restart", &[Act::Lose]),
    ]
}

fn plan(world: &World) -> RunPlan {
    let mut plan = world.rejoin_plan();
    // A rung that is begun anew restarts the PC anew.
    plan.reboots = RebootPolicy {
        max: 9,
        ..RebootPolicy::default()
    };
    plan.params.insert("rescue_admin".into(), "rescue".into());
    plan
}

fn of<'a>(records: &'a [Record], host: &'a str) -> impl Iterator<Item = &'a HostEvent> {
    records
        .iter()
        .filter_map(move |record| match &record.event {
            Event::Host { host: of, what } if of.0 == host => Some(what),
            _ => None,
        })
}

/// The step that was under way on a PC when its events ended, and whether it was told to restart.
fn under_way(records: &[Record], host: &str) -> Option<(String, bool)> {
    let mut open = None;
    for event in of(records, host) {
        match event {
            HostEvent::StepStarted { step, .. } => open = Some((step.step.clone(), false)),
            HostEvent::RebootOrdered { .. } => {
                open = open.map(|(step, _)| (step, true));
            }
            HostEvent::StepEnded { .. } => open = None,
            _ => {}
        }
    }
    open
}

fn begun(records: &[Record], host: &str) -> usize {
    of(records, host)
        .filter(|event| matches!(event, HostEvent::RungStarted { .. }))
        .count()
}

fn ended_steps(records: &[Record], host: &str, name: &str) -> usize {
    of(records, host)
        .filter(|event| matches!(event, HostEvent::StepEnded { step, .. } if step.step == name))
        .count()
}

/// A restart that was ordered was ordered once, and the PC between two is finished.
fn assert_finished(world: &World, before: &[Record], about: &str) {
    let records = world.journal.records();
    let pcs = world.pcs.lock().unwrap();
    for (host, pc) in pcs.iter() {
        assert_eq!(pc.life.orders as u64, pc.life.boot - 1, "{about}: {host}");
        if pc.life.orders == 0 {
            continue;
        }
        let amid = begun(before, host) > 0
            && !of(before, host).any(|event| matches!(event, HostEvent::RungEnded { .. }));
        let restarting = ended_steps(before, host, "restart_1") > 0;
        let under_way = under_way(before, host);
        let ordered = under_way.as_ref().is_some_and(|(_, ordered)| *ordered);
        let unheard = under_way.is_some_and(|(step, _)| step == "rejoin");
        if amid && (restarting || ordered) && !unheard {
            assert_eq!(begun(&records, host), 1, "{about}: {host} was begun anew");
            assert_eq!(pc.life.orders, 2, "{about}: {host}");
        }
        let refused =
            of(&records, host).any(|event| matches!(event, HostEvent::ConnectFailed { .. }));
        assert!(!refused, "{about}: {host}");
    }
}

async fn whole() -> (BTreeMap<String, String>, usize) {
    let world = World::new(fleet(), MemoryJournal::new(None));
    let report = run_world(&world, plan(&world), quiet()).await;
    let results = report.results.iter();
    let ends = results.map(|result| (result.host.0.clone(), result.outcome.to_string()));
    (ends.collect(), world.journal.records().len())
}

async fn goes_on(world: &Arc<World>, wanted: &BTreeMap<String, String>, about: &str) {
    let before = world.journal.records();
    let report = resume_world(world, plan(world)).await;
    for result in &report.results {
        let got = result.outcome.to_string();
        assert_eq!(got, wanted[&result.host.0], "{about}: {result:?}");
    }
    assert_looked_between(&world.sent(), about);
    assert_finished(world, &before, about);
}

#[tokio::test(start_paused = true)]
async fn cut_after_any_event_each_restart_is_ordered_once() {
    let (wanted, length) = whole().await;
    assert_eq!(wanted["pc-0000"], "repaired(rejoin)");
    for at in 1..length {
        for death in [Death::AtOnce, Death::AfterTheActs] {
            let world = fresh(fleet(), at);
            kill(&world, plan(&world), at, death).await;
            let about = format!("cut after {at} of {length}, {death:?}");
            goes_on(&after(&world, None), &wanted, &about).await;
        }
    }
}

/// Killed again and again, each time some events further on.
#[tokio::test(start_paused = true)]
async fn killed_over_and_over_each_restart_is_ordered_once() {
    let (wanted, _) = whole().await;
    for stride in [2, 3, 4, 7, 11] {
        let mut world = fresh(fleet(), stride);
        let mut kills = 0;
        loop {
            let records = world.journal.records();
            let over = records
                .iter()
                .any(|record| matches!(record.event, Event::RunEnded { .. }));
            if over || kills > 60 {
                break;
            }
            let at = records.len() + stride;
            let next = if kills == 0 {
                world
            } else {
                after(&world, Some(at))
            };
            let at = if kills == 0 { stride } else { at };
            let death = [Death::AtOnce, Death::AfterTheActs][kills % 2];
            // Killed amid one logon after the other.
            *next.budget.lock().unwrap() = Arc::new(Consenting);
            let planned = plan(&next);
            let killed = kill(&next, planned, at, death);
            let _ = tokio::time::timeout(Duration::from_secs(7200), killed).await;
            kills += 1;
            world = next;
        }
        let world = after(&world, None);
        *world.budget.lock().unwrap() = Arc::new(Consenting);
        let ended = |record: &Record| matches!(record.event, Event::RunEnded { .. });
        let about = format!("killed {kills} times, every {stride} events");
        assert!(kills > 3, "{about}");
        if !world.journal.records().iter().any(ended) {
            let report = resume_world(&world, plan(&world)).await;
            for result in &report.results {
                assert_eq!(
                    result.outcome.to_string(),
                    wanted[&result.host.0],
                    "{about}"
                );
            }
        }
        for (host, pc) in world.pcs.lock().unwrap().iter() {
            assert_eq!(pc.life.orders as u64, pc.life.boot - 1, "{about}: {host}");
        }
    }
}

/// A controller that dies while the PC is down finds it up hours later.
#[tokio::test(start_paused = true)]
async fn hours_later_the_pc_is_finished() {
    let world = World::new([leaver()], MemoryJournal::new(None));
    run_world(&world, plan(&world), quiet()).await;
    let ordered = world.journal.records().iter().position(|record| {
        matches!(
            &record.event,
            Event::Host {
                what: HostEvent::RebootOrdered { .. },
                ..
            }
        )
    });
    let at = ordered.unwrap() + 1;
    let world = fresh(vec![leaver()], at);
    kill(&world, plan(&world), at, Death::AfterTheActs).await;
    tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
    let world = after(&world, None);
    let report = resume_world(&world, plan(&world)).await;
    assert_eq!(report.results[0].outcome.to_string(), "repaired(rejoin)");
    assert_eq!(world.pc("pc-0000").life.orders, 2);
    // The account that was chosen before the cut is the one after it.
    let logons = world.logons.lock().unwrap();
    assert!(
        logons.iter().all(|(_, user)| user == "rescue"),
        "{logons:?}"
    );
    assert_eq!(begun(&world.journal.records(), "pc-0000"), 1);
}

/// Without a number the boot is known by how long Windows runs.
#[tokio::test(start_paused = true)]
async fn a_boot_without_a_number_is_known_after_a_cut() {
    let uncounted = || vec![leaver().restarts(|life| life.counts = false)];
    let ordered = |record: &Record| {
        matches!(
            &record.event,
            Event::Host {
                what: HostEvent::RebootOrdered { .. },
                ..
            }
        )
    };
    let world = World::new(uncounted(), MemoryJournal::new(None));
    run_world(&world, plan(&world), quiet()).await;
    let at = world.journal.records().iter().position(ordered).unwrap() + 1;
    for minutes in [0, 3, 60] {
        let world = fresh(uncounted(), at);
        kill(&world, plan(&world), at, Death::AfterTheActs).await;
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        let world = after(&world, None);
        let report = resume_world(&world, plan(&world)).await;
        assert_eq!(report.results[0].outcome.to_string(), "repaired(rejoin)");
        assert_eq!(
            world.pc("pc-0000").life.orders,
            2,
            "after {minutes} minutes"
        );
    }
}

/// A PC that is off when the run goes on is waited for, and then told of.
#[tokio::test(start_paused = true)]
async fn a_pc_that_is_gone_when_the_run_goes_on_is_waited_for() {
    let gone = || vec![leaver().restarts(|life| life.lost = true)];
    let world = World::new(gone(), MemoryJournal::new(None));
    run_world(&world, plan(&world), quiet()).await;
    let length = world.journal.records().len();
    let ordered = world.journal.records().iter().position(|record| {
        matches!(
            &record.event,
            Event::Host {
                what: HostEvent::RebootOrdered { .. },
                ..
            }
        )
    });
    for at in ordered.unwrap() + 1..length - 1 {
        let world = fresh(gone(), at);
        kill(&world, plan(&world), at, Death::AfterTheActs).await;
        let world = after(&world, None);
        let report = resume_world(&world, plan(&world)).await;
        let result = &report.results[0];
        assert_eq!(
            result.outcome.to_string(),
            "unreachable(after-reboot)",
            "cut after {at}"
        );
        assert!(
            result.reason.contains("rejoin had done: rescue"),
            "{result:?}"
        );
        assert_eq!(world.pc("pc-0000").life.orders, 1, "cut after {at}");
    }
}
