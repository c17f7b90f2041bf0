//! Batches, budgets of failures, the canary, and how fast PCs are begun.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::resume::after;
use crate::support::{
    Act, MemoryJournal, Pc, World, directory_program, outcomes, ports, quiet, resume_world,
    run_world, wait_until,
};
use fleetmend_engine::{Job, Pace, RunEnd, RunPlan, RunReport, exit_code, run};
use fleetmend_model::{ErrorsSpent, Event, Host, HostEvent, Record};
use serde_json::{Value, json};
use tokio::time::Instant;

fn world(pcs: impl IntoIterator<Item = Pc>) -> Arc<World> {
    World::new(pcs, MemoryJournal::new(None))
}

/// Nothing helps it, and the domain takes the account that it is given.
fn hopeless() -> Pc {
    Pc::broken("").on("join", &[Act::Answer(json!({"credential_error": 0}))])
}

fn batches(sizes: &str) -> Pace {
    Pace {
        batches: sizes.parse().unwrap(),
        expected: vec!["any".parse().unwrap()],
        ..Pace::default()
    }
}

fn stops(budgets: &str) -> Pace {
    Pace {
        max_errors: budgets.parse().unwrap(),
        ..Pace::default()
    }
}

fn at(pace: Pace, world: &World) -> RunPlan {
    RunPlan {
        pace,
        ..world.plan()
    }
}

/// Gives each PC variables by its place.
fn with_vars(mut plan: RunPlan, vars: impl Fn(usize) -> Value) -> RunPlan {
    for (index, host) in plan.hosts.iter_mut().enumerate() {
        let vars = vars(index).as_object().unwrap().clone();
        let host: &mut Host = Arc::make_mut(host);
        host.vars = vars.into_iter().collect();
    }
    plan
}

fn spent(report: &RunReport) -> &ErrorsSpent {
    assert_eq!(report.exit_code, exit_code::SAFETY);
    match &report.end {
        RunEnd::ErrorsSpent(spent) => spent,
        other => panic!("{other:?}"),
    }
}

fn said(records: &[Record]) -> Vec<&ErrorsSpent> {
    let events = records.iter().map(|record| &record.event);
    let spent = events.filter_map(|event| match event {
        Event::ErrorsSpent(spent) => Some(spent),
        _ => None,
    });
    spent.collect()
}

/// The batches in the order of the journal, each with the PCs that were connected to in it. None
/// is begun while a PC of the one before has no result.
fn begun(records: &[Record]) -> Vec<(usize, BTreeSet<String>)> {
    let mut batches: Vec<(usize, BTreeSet<String>)> = Vec::new();
    let mut open = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::BatchStarted { number, of, hosts } => {
                assert!(number <= of && *hosts > 0);
                assert!(
                    open.is_empty(),
                    "batch {number} began before {open:?} ended"
                );
                batches.push((*number, BTreeSet::new()));
            }
            Event::Host { host, what } => match what {
                HostEvent::Connecting => {
                    open.insert(host.0.clone());
                    let (_, pcs) = batches.last_mut().unwrap();
                    pcs.insert(host.0.clone());
                }
                HostEvent::Finished { .. } => {
                    open.remove(&host.0);
                }
                _ => {}
            },
            _ => {}
        }
    }
    batches
}

fn names(range: std::ops::Range<usize>) -> BTreeSet<String> {
    range.map(|index| format!("pc-{index:04}")).collect()
}

#[tokio::test(start_paused = true)]
async fn batches_follow_each_other_in_the_order_of_the_plan() {
    let slow = |index: usize| Pc {
        delay: Duration::from_millis(50 + (index as u64 * 37) % 900),
        ..if index.is_multiple_of(3) {
            Pc::broken("reset")
        } else {
            Pc::default()
        }
    };
    let world = world((0..40).map(slow));
    let plan = at(batches("1,5,10%,rest"), &world);
    let report = run_world(&world, plan, quiet()).await;
    assert!(matches!(report.end, RunEnd::Complete), "{:?}", report.end);
    assert_eq!(
        begun(&world.journal.records()),
        [
            (1, names(0..1)),
            (2, names(1..6)),
            (3, names(6..10)),
            (4, names(10..40))
        ]
    );
    // Without any nothing is said of them.
    let world = self::world(vec![Pc::default(); 3]);
    run_world(&world, world.plan(), quiet()).await;
    let records = world.journal.records();
    let told = |record: &&Record| matches!(record.event, Event::BatchStarted { .. });
    assert_eq!(records.iter().filter(told).count(), 0);
}

/// Every class stops the run that allows none of it, and only that one.
#[tokio::test(start_paused = true)]
async fn each_class_has_its_own_budget() {
    let refuses = Pc {
        refuses_logon: true,
        ..Pc::default()
    };
    let dead = Pc {
        dead: true,
        ..Pc::default()
    };
    let no_diagnosis = Pc::default().on("diagnose", &[Act::Fail(None)]);
    let lost = Pc {
        once: true,
        ..Pc::broken("restart").on("restart", &[Act::Lose])
    };
    // (PC, class, whether the account for the last rung may be handed out)
    let cases = [
        (dead, "unreachable", true),
        (refuses, "access-denied", true),
        (Pc::broken("store"), "blocked", false),
        (Pc::broken("join"), "verify-failed", false),
        (hopeless(), "verify-failed", true),
        (lost, "unknown", true),
        (no_diagnosis, "needs-hands", true),
    ];
    for (bad, class, allowed) in &cases {
        let pcs = std::iter::once(bad.clone()).chain(vec![Pc::default(); 9]);
        let pcs: Vec<Pc> = pcs.collect();
        let with = async |budget: &str| {
            let world = world(pcs.clone());
            let mut plan = at(stops(budget), &world);
            plan.pace.batches = "1,rest".parse().unwrap();
            plan.pace.expected = vec!["any".parse().unwrap()];
            plan.credentials_on_pcs = *allowed;
            if *class == "blocked" {
                // Its first rung goes through the directory, which is not there.
                plan.job = Job::Playbook(Arc::new(directory_program().into()));
            }
            let report = run_world(&world, plan, quiet()).await;
            (world, report)
        };
        let (world, report) = with(&format!("{class}=0")).await;
        let found = spent(&report);
        assert_eq!(
            (found.class.as_str(), found.count, found.allowed),
            (*class, 1, 0)
        );
        assert_eq!((found.batch, found.of, found.left), (1, 2, 9), "{class}");
        assert_eq!(found.hosts[0].0, "pc-0000");
        assert_eq!(outcomes(&report)["skipped(error-budget)"], 9, "{class}");
        assert_eq!(said(&world.journal.records()), [found], "{class}");
        assert!(world.sent().iter().all(|(host, _)| host == "pc-0000"));
        // One is allowed; and each other class may fail as often as it will.
        for budget in [format!("{class}=1"), "not-repaired=0".to_owned()] {
            let (_, report) = with(&budget).await;
            assert!(matches!(report.end, RunEnd::Complete), "{class} {budget}");
            assert_eq!(outcomes(&report)["healthy"], 9);
        }
        // What counts for all does not count the unreachable.
        let (_, report) = with("0").await;
        let complete = matches!(report.end, RunEnd::Complete);
        assert_eq!(complete, *class == "unreachable", "{class}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_option_nothing_stops_a_run() {
    let world = world((0..50).map(|_| hopeless()));
    let report = run_world(&world, world.plan(), quiet()).await;
    assert!(matches!(report.end, RunEnd::Complete));
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
    assert_eq!(outcomes(&report)["not-repaired(mismatch)"], 50);
}

/// What runs when the budget is spent: a rung that was begun is finished and proven, a PC that
/// was only looked at is left as it is.
#[tokio::test(start_paused = true)]
async fn what_runs_comes_to_its_end_and_nothing_is_begun() {
    let refuses = Pc {
        refuses_logon: true,
        delay: Duration::from_secs(1),
        ..Pc::default()
    };
    // The logon is refused at about a second; this one is amid its step then.
    let amid = Pc {
        delay: Duration::from_millis(450),
        ..Pc::broken("restart")
    };
    let looking = Pc {
        delay: Duration::from_secs(5),
        ..Pc::broken("restart")
    };
    let waiting = vec![Pc::broken("restart"); 20];
    let world = world([refuses, amid, looking].into_iter().chain(waiting));
    let mut plan = at(stops("access-denied=0"), &world);
    plan.limits.ramp_start = 3;
    plan.limits.ramp_interval = Duration::from_secs(3600);
    let report = run_world(&world, plan, quiet()).await;
    // Three more had been let in and waited for a worker's slot.
    assert_eq!(spent(&report).left, 17);
    let ends: Vec<String> = report
        .results
        .iter()
        .map(|result| result.outcome.to_string())
        .collect();
    assert_eq!(
        ends[..4],
        [
            "access-denied(logon)",
            "repaired(restart)",
            "skipped(error-budget)",
            "skipped(error-budget)"
        ]
    );
    let reason = &report.results[3].reason;
    assert_eq!(reason, "stopped (error-budget); nothing was changed");
    let touched: BTreeSet<String> = world.sent().into_iter().map(|(host, _)| host).collect();
    assert!(touched.is_subset(&names(1..3)), "{touched:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_kind_of_failure_in_a_canary_stops_the_run() {
    let canary = |pace: Pace, bad: usize| async move {
        let pcs = (0..12).map(|index| {
            if index == bad {
                hopeless()
            } else {
                Pc::default()
            }
        });
        let world = world(pcs);
        let pace = Pace {
            batches: "2,rest".parse().unwrap(),
            ..pace
        };
        run_world(&world, at(pace, &world), quiet()).await
    };
    let kind = "verify-failed(mismatch)";
    let report = canary(Pace::default(), 1).await;
    assert_eq!(spent(&report).new.as_deref(), Some(kind));
    assert_eq!(outcomes(&report)["skipped(error-budget)"], 10);
    let known = Pace {
        known: [kind.to_owned()].into(),
        ..Pace::default()
    };
    let expected = Pace {
        expected: vec![kind.parse().unwrap()],
        ..Pace::default()
    };
    for (pace, bad) in [(known, 1), (expected, 1), (Pace::default(), 2)] {
        let report = canary(pace, bad).await;
        assert!(matches!(report.end, RunEnd::Complete), "{:?}", report.end);
        assert_eq!(outcomes(&report)["healthy"], 11);
    }
    // One that is known counts all the same.
    let both = Pace {
        known: [kind.to_owned()].into(),
        ..stops("verify-failed=0")
    };
    let report = canary(both, 1).await;
    assert_eq!(spent(&report).new, None);
}

/// Cut after any event, a run goes on in the batch in which it was cut.
#[tokio::test(start_paused = true)]
async fn a_run_goes_on_in_its_batch() {
    let pcs = || {
        (0..9_usize).map(|index| {
            if index.is_multiple_of(2) {
                Pc::broken("reset")
            } else {
                Pc::default()
            }
        })
    };
    let plan = |world: &World| at(batches("2,3,rest"), world);
    let whole = world(pcs());
    run_world(&whole, plan(&whole), quiet()).await;
    let all = whole.journal.records().len();
    for cut in (1..all).step_by(3) {
        let first = World::new(pcs(), MemoryJournal::new(None).frozen_at(Some(cut)));
        let (reader, mut told) = tokio::sync::mpsc::channel(64);
        let running = tokio::spawn(run(plan(&first), ports(&first, reader, quiet())));
        let reading = tokio::spawn(async move { while told.recv().await.is_some() {} });
        wait_until(&first, cut).await;
        running.abort();
        assert!(running.await.is_err());
        reading.await.unwrap();
        let next = after(&first, None);
        let before = next.journal.records();
        let report = resume_world(&next, plan(&next)).await;
        let records = next.journal.records();
        assert!(matches!(report.end, RunEnd::Complete), "cut at {cut}");
        // Each batch is begun once, in order, and no PC of a later one before.
        let numbers: Vec<usize> = begun(&records)
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        assert_eq!(numbers, [1, 2, 3], "cut at {cut}");
        let last = before.iter().rev().find_map(|record| match record.event {
            Event::BatchStarted { number, .. } => Some(number),
            _ => None,
        });
        let first_of = |number: usize| [0, 2, 5][number - 1];
        let earlier = names(0..last.map_or(0, first_of));
        for record in &records[before.len()..] {
            if let Event::Host { host, .. } = &record.event {
                assert!(!earlier.contains(&host.0), "cut at {cut}: {host} had ended");
            }
        }
    }
}

/// A run that was stopped, and killed before every PC had its result, begins nothing when it goes
/// on.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_stays_so() {
    let pcs = || {
        let refuses = Pc {
            refuses_logon: true,
            ..Pc::default()
        };
        std::iter::once(refuses).chain(vec![Pc::default(); 5])
    };
    let plan = |world: &World| {
        let mut plan = at(stops("access-denied=0"), world);
        plan.pace.batches = "1,rest".parse().unwrap();
        plan.pace.expected = vec!["any".parse().unwrap()];
        plan
    };
    let whole = world(pcs());
    run_world(&whole, plan(&whole), quiet()).await;
    let records = whole.journal.records();
    let is_stop = |record: &Record| matches!(record.event, Event::ErrorsSpent(_));
    let stop = records.iter().position(is_stop).unwrap();
    // With the stop in the journal, and before it came there.
    for cut in [stop + 2, stop] {
        let next = World::new(pcs(), MemoryJournal::with(records[..cut].to_vec()));
        let report = resume_world(&next, plan(&next)).await;
        assert_eq!(spent(&report).left, 5);
        assert_eq!(outcomes(&report)["skipped(error-budget)"], 5);
        assert!(next.connects.lock().unwrap().is_empty());
        assert_eq!(said(&next.journal.records()).len(), 1, "said once");
    }
}

/// How many PCs of each lane were between two events at most.
fn most_at_once(
    world: &World,
    lane: impl Fn(&str) -> String,
    begins: impl Fn(&HostEvent) -> bool,
    ends: impl Fn(&HostEvent) -> bool,
) -> BTreeMap<String, usize> {
    let mut now: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut most = BTreeMap::new();
    for record in world.journal.records() {
        let Event::Host { host, what } = record.event else {
            continue;
        };
        let lane = lane(&host.0);
        let here = now.entry(lane.clone()).or_default();
        if begins(&what) {
            here.insert(host.0.clone());
        }
        if ends(&what) {
            here.remove(&host.0);
        }
        let most = most.entry(lane).or_insert(0);
        *most = here.len().max(*most);
    }
    most
}

fn place(host: &str) -> usize {
    host.trim_start_matches("pc-").parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_site_never_has_more_than_its_number_and_holds_up_no_other() {
    let world = world((0..120_usize).map(|index| Pc {
        // A third of every site is off.
        dead: index.is_multiple_of(3),
        ..Pc::broken("restart")
    }));
    // Of 120 PCs the first 60 are of one site, 20 have none.
    let site = |index: usize| match index {
        0..60 => json!({"site": "東京"}),
        60..100 => json!({"site": "Osaka "}),
        _ => json!({}),
    };
    let pace = Pace {
        per_site: Some(3),
        ..Pace::default()
    };
    let plan = with_vars(at(pace, &world), site);
    let start = Instant::now();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(outcomes(&report)["repaired(restart)"], 80);
    let lane = |host: &str| site(place(host))["site"].to_string();
    let most = most_at_once(
        &world,
        lane,
        |what| matches!(what, HostEvent::Connected { .. }),
        |what| matches!(what, HostEvent::Finished { .. }),
    );
    assert_eq!((most["\"東京\""], most["\"Osaka \""]), (3, 3));
    assert!(most["null"] > 5, "{most:?}");
    // 40 living ones of a site, three at a time and about a second each; were the dead to hold
    // places at it, 20 times 10 s would come on top.
    let took = start.elapsed().as_secs();
    assert!(took < 40, "{took} s");
    // The others did not wait for the first site: they have ended long before it has.
    let records = world.journal.records();
    let ended = |range: std::ops::Range<usize>| {
        let of = names(range);
        let last = records.iter().rposition(|record| {
            matches!(&record.event, Event::Host { host, what: HostEvent::Finished { result } }
                if of.contains(&host.0) && result.outcome.class().is_well())
        });
        last.unwrap()
    };
    assert!(ended(100..120) < ended(60..100) && ended(60..100) < ended(0..60));
}

#[tokio::test(start_paused = true)]
async fn a_domain_controller_never_has_more_repairs_than_its_number() {
    // Half of the PCs tell it, a quarter have it in the inventory, the others nobody knows.
    let facts = |index: usize| match index % 4 {
        0 | 1 => json!({"dc": {"name": "DC1"}}),
        _ => json!({}),
    };
    let pcs = (0..80).map(|index| Pc {
        facts: facts(index),
        ..Pc::broken("reset")
    });
    let world = world(pcs);
    let pace = Pace {
        per_dc: Some(4),
        ..Pace::default()
    };
    let plan = with_vars(at(pace, &world), |index| match index % 4 {
        2 => json!({"domain_controller": "dc2"}),
        _ => json!({}),
    });
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(reset)".into(), 80)].into());
    let lane = |host: &str| ["dc1", "dc1", "dc2", "none"][place(host) % 4].to_owned();
    let most = most_at_once(
        &world,
        lane,
        |what| matches!(what, HostEvent::RungStarted { .. }),
        |what| {
            matches!(
                what,
                HostEvent::RungEnded { .. } | HostEvent::Finished { .. }
            )
        },
    );
    assert_eq!((most["dc1"], most["dc2"]), (4, 4));
    assert!(most["none"] > 10, "{most:?}");
}

/// All limits at once, with restarts, over a resume: nobody waits for another in a circle.
#[tokio::test(start_paused = true)]
async fn the_limits_do_not_lock_each_other_out() {
    let pcs = || {
        (0..24).map(|index| Pc {
            facts: json!({"site": format!("s{}", index % 2), "dc": {"name": format!("dc{}", index % 3)}}),
            cause: Some("mismatch"),
            cure: "rejoin",
            ..Pc::default()
        })
    };
    let plan = |world: &World| {
        let pace = Pace {
            per_site: Some(2),
            per_dc: Some(1),
            ..batches("6,rest")
        };
        let mut plan = RunPlan {
            pace,
            ..world.rejoin_plan()
        };
        plan.reboots.at_once = 1;
        with_vars(plan, |index| json!({"site": format!("v{}", index % 3)}))
    };
    for cut in [60, 150, 260, 400] {
        let first = World::new(pcs(), MemoryJournal::new(None).frozen_at(Some(cut)));
        let (reader, mut told) = tokio::sync::mpsc::channel(64);
        let running = tokio::spawn(run(plan(&first), ports(&first, reader, quiet())));
        let reading = tokio::spawn(async move { while told.recv().await.is_some() {} });
        wait_until(&first, cut).await;
        running.abort();
        assert!(running.await.is_err());
        reading.await.unwrap();
        let next = after(&first, None);
        let going = resume_world(&next, plan(&next));
        let report = tokio::time::timeout(Duration::from_secs(24 * 3600), going).await;
        let report = report.expect("they wait for each other");
        assert!(matches!(report.end, RunEnd::Complete));
        assert_eq!(outcomes(&report)["repaired(rejoin)"], 24, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn pcs_are_begun_evenly() {
    let world = world(vec![Pc::default(); 60]);
    let pace = Pace {
        ramp: Some("10/s".parse().unwrap()),
        ..Pace::default()
    };
    let plan = at(pace, &world);
    let running = tokio::spawn({
        let world = world.clone();
        async move { run_world(&world, plan, quiet()).await }
    });
    let mut counts = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let records = world.journal.records();
        let connecting = |record: &&Record| {
            matches!(
                &record.event,
                Event::Host {
                    what: HostEvent::Connecting,
                    ..
                }
            )
        };
        counts.push(records.iter().filter(connecting).count());
    }
    for (second, count) in counts.iter().enumerate() {
        let even = 10 * (second + 1);
        assert!((even..=even + 2).contains(count), "{counts:?}");
    }
    assert_eq!(outcomes(&running.await.unwrap())["healthy"], 60);
}

/// The living are done in about the time that they need alone, though three times as many dead
/// ones stand before them.
#[tokio::test(start_paused = true)]
async fn the_dead_cost_the_living_next_to_nothing() {
    let pc = |dead| Pc {
        dead,
        ..Pc::default()
    };
    let finished_after = |world: &Arc<World>| {
        let world = world.clone();
        let start = Instant::now();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let records = world.journal.records();
                let well = |record: &&Record| {
                    matches!(&record.event, Event::Host { what: HostEvent::Finished { result }, .. }
                        if result.outcome.class().is_well())
                };
                if records.iter().filter(well).count() == 500 {
                    return start.elapsed();
                }
            }
        })
    };
    let living = world((0..500).map(|_| pc(false)));
    let alone = finished_after(&living);
    run_world(&living, living.plan(), quiet()).await;
    let alone = alone.await.unwrap();

    let mixed = world((0..2_000).map(|index| pc(index < 1_500)));
    let together = finished_after(&mixed);
    let start = Instant::now();
    let report = run_world(&mixed, mixed.plan(), quiet()).await;
    let whole = start.elapsed();
    let together = together.await.unwrap();
    println!("500 living alone {alone:?}, after 1500 dead {together:?}, the run {whole:?}");
    assert_eq!(outcomes(&report)["unreachable(timed-out)"], 1_500);
    assert!(
        together <= alone + Duration::from_secs(1),
        "{together:?}, alone {alone:?}"
    );
    // The dead wait side by side: little more than one connect timeout.
    assert!(whole < Duration::from_secs(12), "{whole:?}");
}
