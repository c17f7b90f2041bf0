//! Runs that are killed after any event and go on from their journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Act, Consenting, MemoryJournal, Pc, World, outcomes, ports, posix_program, quiet, resume_world,
    run_world, wait_until,
};
use fleetmend_engine::{Job, Past, ResumeError, RunEnd, RunPlan, exit_code, run};
use fleetmend_model::{Event, Host, HostEvent, HostName, Outcome, Record, RunMode, StepEnd};

const CHANGING: [&str; 7] = [
    "restart",
    "reset",
    "join",
    "reset_account",
    "store",
    "rotate",
    "rejoin",
];

/// How the controller dies once so many events are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Death {
    /// At once: what was being sent never came to the PC.
    AtOnce,
    /// What was sent is done, and nobody hears of it.
    AfterTheActs,
}

pub(crate) type Plan = fn(&World) -> RunPlan;

fn on_pcs() -> Vec<Pc> {
    // The domain always says that it takes the account: how many PCs may doubt it is told elsewhere.
    let taken = vec![Act::Answer(serde_json::json!({"credential_error": 0})); 99];
    let restart = Pc::broken("restart");
    let unprepared = vec![Act::Fail(None); 99];
    let off = Pc {
        dead: true,
        ..Pc::default()
    };
    let closed = Pc {
        refuses_logon: true,
        ..Pc::default()
    };
    let fleet = [
        restart.clone(),
        Pc::broken("reset"),
        Pc::default(),
        Pc::broken("join"),
        off,
        closed,
        restart.on("restart", &[Act::Lose]),
        Pc::broken("join").on("prepare", &unprepared),
        Pc::broken("join"),
        Pc::broken(""),
    ];
    fleet.into_iter().map(|pc| pc.on("join", &taken)).collect()
}

fn through_the_directory() -> Vec<Pc> {
    vec![
        Pc::broken("store"),
        Pc::default(),
        Pc::broken("store").on("reset-computer-password", &[Act::Lose]),
        Pc::broken("store").on("store", &[Act::NotRun]),
        Pc::broken("store").on("read-computer", &[Act::Fail(None)]),
        Pc::broken("join"),
        Pc::broken("rotate"),
    ]
}

fn narrow(world: &World) -> RunPlan {
    let mut plan = world.plan();
    plan.limits.max_concurrency = 3;
    plan
}

fn check(world: &World) -> RunPlan {
    RunPlan {
        mode: RunMode::Check,
        ..world.plan()
    }
}

fn with_directory(world: &World) -> RunPlan {
    RunPlan {
        credentials_on_pcs: true,
        ..world.directory_plan()
    }
}

/// Kills a run (or one that goes on) once the journal holds `at` records.
pub(crate) async fn kill(world: &Arc<World>, plan: RunPlan, at: usize, death: Death) {
    let (reader, mut seen) = tokio::sync::mpsc::channel(64);
    let reading = tokio::spawn(async move { while seen.recv().await.is_some() {} });
    let (sender, control) = fleetmend_engine::control();
    let ports = ports(world, reader, control);
    let records = world.journal.records();
    let running = tokio::spawn(async move {
        if records.is_empty() {
            run(plan, ports).await;
        } else {
            let past = Past::of(&records);
            let _ = fleetmend_engine::resume(plan, ports, past, None).await;
        }
    });
    wait_until(world, at).await;
    if matches!(death, Death::AfterTheActs) {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    running.abort();
    let _ = running.await;
    reading.await.unwrap();
    drop(sender);
}

/// The world as it is, with the controller's journal and nobody working.
pub(crate) fn after(world: &World, freeze_at: Option<usize>) -> Arc<World> {
    let records = world.journal.records();
    let journal = MemoryJournal::with(records).frozen_at(freeze_at);
    let pcs: Vec<Pc> = world.pcs.lock().unwrap().values().cloned().collect();
    let next = World::new(pcs, journal);
    *next.sent.lock().unwrap() = world.sent();
    let made = world.made.load(std::sync::atomic::Ordering::SeqCst);
    next.made.store(made, std::sync::atomic::Ordering::SeqCst);
    next
}

pub(crate) fn fresh(pcs: Vec<Pc>, freeze_at: usize) -> Arc<World> {
    let journal = MemoryJournal::new(None).frozen_at(Some(freeze_at));
    World::new(pcs, journal)
}

pub(crate) fn ended(records: &[Record]) -> BTreeSet<String> {
    let hosts = records.iter().filter_map(|record| match &record.event {
        Event::Host {
            host,
            what: HostEvent::Finished { .. },
        } => Some(host.0.clone()),
        _ => None,
    });
    hosts.collect()
}

/// No step that changes runs twice on a PC without a look at it in between.
pub(crate) fn assert_looked_between(sent: &[(String, String)], about: &str) {
    let mut since: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (host, step) in sent {
        let ran = since.entry(host).or_default();
        if step == "diagnose" {
            ran.clear();
        } else if CHANGING.contains(&step.as_str()) {
            assert!(
                ran.insert(step),
                "{about}: {step} ran twice on {host}: {sent:?}"
            );
        }
    }
}

async fn whole(pcs: Vec<Pc>, plan: Plan) -> (BTreeMap<String, String>, usize, RunEnd) {
    let world = World::new(pcs, MemoryJournal::new(None));
    let report = run_world(&world, plan(&world), quiet()).await;
    let results = report.results.iter();
    let ends = results.map(|result| (result.host.0.clone(), result.outcome.to_string()));
    (ends.collect(), world.journal.records().len(), report.end)
}

/// Tells whether a step that never reached the PC counts as tried: nobody knows, so it is not
/// repeated, and another rung may have to do it.
fn may_differ(events: &[HostEvent], sent_is_done: bool) -> bool {
    let cut = |event: &HostEvent| match event {
        HostEvent::StepEnded {
            step,
            end: StepEnd::Unknown { reason },
            ..
        } => reason == "the run ended under it" && step.rung.as_deref() != Some("account"),
        _ => false,
    };
    !sent_is_done && events.iter().any(cut)
}

/// Goes on in this world, and compares with the run that nobody cut.
pub(crate) async fn goes_on(
    world: &Arc<World>,
    plan: Plan,
    wanted: &BTreeMap<String, String>,
    sent_is_done: bool,
    about: &str,
) {
    let before = world.journal.records();
    let untouchable = ended(&before);
    let sent_before = world.sent().len();
    let report = resume_world(world, plan(world)).await;
    for result in &report.results {
        let events = world.journal.of(&result.host.0);
        let (got, wanted) = (result.outcome.to_string(), &wanted[&result.host.0]);
        if may_differ(&events, sent_is_done) {
            let honest = ["repaired(", "not-repaired("];
            assert!(
                honest.iter().any(|class| got.starts_with(class)),
                "{about}: {result:?}"
            );
            continue;
        }
        assert_eq!(&got, wanted, "{about}: {result:?}: {events:#?}");
    }
    let sent = world.sent();
    let touched = sent[sent_before..].iter().map(|(host, _)| host);
    let connected: Vec<String> = world.connects.lock().unwrap().keys().cloned().collect();
    for host in touched.chain(&connected) {
        assert!(!untouchable.contains(host), "{about}: {host} had ended");
    }
    assert_looked_between(&sent, about);
    let records = world.journal.records();
    let numbers: Vec<usize> = records.iter().map(|record| record.seq as usize).collect();
    assert_eq!(numbers, (1..=records.len()).collect::<Vec<_>>());
    assert!(matches!(records[before.len()].event, Event::Resumed { .. }));
    for (name, pc) in world.pcs.lock().unwrap().iter() {
        let repaired = wanted[name].starts_with("repaired(account");
        assert!(
            !repaired || pc.account.last() == pc.stored.last(),
            "{about}: {name}"
        );
    }
}

async fn cut_everywhere(fleet: fn() -> Vec<Pc>, plan: Plan) -> usize {
    let (wanted, length, _) = whole(fleet(), plan).await;
    for at in 1..length {
        for death in [Death::AtOnce, Death::AfterTheActs] {
            let world = fresh(fleet(), at);
            kill(&world, plan(&world), at, death).await;
            assert_eq!(world.journal.records().len(), at);
            let about = format!("cut after {at} of {length}, {death:?}");
            let sent_is_done = matches!(death, Death::AfterTheActs);
            goes_on(&after(&world, None), plan, &wanted, sent_is_done, &about).await;
        }
    }
    length
}

#[tokio::test(start_paused = true)]
async fn cut_after_any_event_it_comes_to_the_same_ends() {
    assert!(cut_everywhere(on_pcs, narrow).await > 100);
}

#[tokio::test(start_paused = true)]
async fn cut_after_any_event_the_two_halves_are_finished() {
    assert!(cut_everywhere(through_the_directory, with_directory).await > 100);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_was_cut_changes_nothing() {
    cut_everywhere(on_pcs, check).await;
}

/// Killed again and again, each time some events further on.
#[tokio::test(start_paused = true)]
async fn killed_over_and_over_it_comes_to_the_same_ends() {
    for (fleet, plan) in [
        (on_pcs as fn() -> Vec<Pc>, narrow as Plan),
        (through_the_directory, with_directory),
    ] {
        let (wanted, _, _) = whole(fleet(), plan).await;
        for stride in [2, 3, 5, 9, 17] {
            let mut world = fresh(fleet(), stride);
            let mut kills = 0;
            loop {
                let at = world.journal.records().len() + stride;
                let death = [Death::AtOnce, Death::AfterTheActs][kills % 2];
                let next = if kills == 0 {
                    world
                } else {
                    after(&world, Some(at))
                };
                let at = if kills == 0 { stride } else { at };
                // A PC's whole way costs some twenty events.
                if kills > 400 || ended(&next.journal.records()).len() + 2 >= wanted.len() {
                    world = next;
                    break;
                }
                // Killed amid one logon after the other.
                *next.budget.lock().unwrap() = Arc::new(Consenting);
                let planned = plan(&next);
                let killed = kill(&next, planned, at, death);
                let _ = tokio::time::timeout(Duration::from_secs(600), killed).await;
                kills += 1;
                world = next;
            }
            let about = format!("killed {kills} times, every {stride} events");
            let world = after(&world, None);
            *world.budget.lock().unwrap() = Arc::new(Consenting);
            if world
                .journal
                .records()
                .iter()
                .any(|r| matches!(r.event, Event::RunEnded { .. }))
            {
                continue;
            }
            goes_on(&world, plan, &wanted, false, &about).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_stays_refused() {
    let refused = |code| Act::Answer(serde_json::json!({"credential_error": code}));
    let fleet = move || {
        // Whichever is the first.
        vec![Pc::broken("join").on("join", &[refused(1326)]); 3]
    };
    let count = |world: &World| {
        let sent = world.sent();
        sent.iter().filter(|(_, step)| step == "join").count()
    };
    let one_by_one = |world: &World| {
        let mut plan = world.plan();
        plan.limits.max_concurrency = 1;
        plan
    };
    let whole = World::new(fleet(), MemoryJournal::new(None));
    let report = run_world(&whole, one_by_one(&whole), quiet()).await;
    assert!(matches!(report.end, RunEnd::CredentialRefused { .. }));
    let records = whole.journal.records();
    let told = records.iter().position(|record| {
        let text = serde_json::to_string(&record.event).unwrap();
        text.contains("1326")
    });
    for at in told.unwrap() + 1..records.len() {
        let world = fresh(fleet(), at);
        kill(&world, one_by_one(&world), at, Death::AtOnce).await;
        let world = after(&world, None);
        let report = resume_world(&world, one_by_one(&world)).await;
        assert_eq!(count(&world), 1, "cut after {at}");
        assert!(
            matches!(report.end, RunEnd::CredentialRefused { .. }),
            "{:?}",
            report.end
        );
        assert_eq!(report.exit_code, exit_code::SAFETY);
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_refused_us_is_not_asked_again() {
    let fleet = || {
        let first = Pc::broken("store").on("read-computer", &[Act::Refuse(1326)]);
        vec![first, Pc::broken("store")]
    };
    let asked = |world: &World| {
        let sent = world.sent();
        let in_directory = ["directory", "reset_account"];
        sent.iter()
            .filter(|(_, step)| in_directory.contains(&step.as_str()))
            .count()
    };
    let whole = World::new(fleet(), MemoryJournal::new(None));
    run_world(&whole, whole.directory_plan(), quiet()).await;
    let length = whole.journal.records().len();
    let mut refused = 0;
    for at in 1..length {
        let world = fresh(fleet(), at);
        kill(&world, world.directory_plan(), at, Death::AtOnce).await;
        let text = serde_json::to_string(&world.journal.records()).unwrap();
        let before = asked(&world);
        let known = text.contains("LdapInsufficientAccessRights");
        let world = after(&world, None);
        let report = resume_world(&world, world.directory_plan()).await;
        if known {
            refused += 1;
            assert_eq!(asked(&world), before, "cut after {at}");
            assert_eq!(report.exit_code, exit_code::SAFETY);
        }
    }
    assert!(refused > 3, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn another_plan_is_refused_and_nothing_is_stored() {
    let world = fresh(on_pcs(), 30);
    kill(&world, world.plan(), 30, Death::AtOnce).await;
    let records = world.journal.records();
    let past = Past::of(&records);
    let plan = world.plan();
    past.check(&plan).unwrap();
    assert_eq!(past.len(), on_pcs().len());
    assert!(!past.is_empty() && !past.waiting().is_empty());
    let other = |change: fn(&mut RunPlan)| {
        let mut plan = world.plan();
        change(&mut plan);
        past.check(&plan).unwrap_err()
    };
    assert_eq!(
        other(|plan| plan.mode = RunMode::Check),
        ResumeError::OtherMode
    );
    let error = other(|plan| plan.job = Job::Playbook(Arc::new(posix_program().into())));
    assert!(
        matches!(error, ResumeError::OtherPlaybook { now, then } if (now == "01") && (then == "00"))
    );
    let error = other(|plan| plan.hosts.push(Arc::new(Host::new("new"))));
    assert_eq!(error, ResumeError::OtherHosts);
    assert_eq!(Past::default().may_go_on(), Err(ResumeError::NotBegun));
    let (_, control) = fleetmend_engine::control();
    let (reader, _seen) = tokio::sync::mpsc::channel(1);
    let world = after(&world, None);
    let plan = RunPlan {
        mode: RunMode::Check,
        ..plan
    };
    let refused = fleetmend_engine::resume(plan, ports(&world, reader, control), past, None).await;
    assert_eq!(refused.unwrap_err(), ResumeError::OtherMode);
    assert_eq!(world.journal.records(), records);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lacks_only_its_end_gets_it_and_touches_nobody() {
    let world = World::new(on_pcs(), MemoryJournal::new(None));
    let report = run_world(&world, world.plan(), quiet()).await;
    let mut records = world.journal.records();
    assert_eq!(Past::of(&records).may_go_on(), Err(ResumeError::Ended));
    records.pop();
    let past = Past::of(&records);
    assert!(past.waiting().is_empty() && past.amid().is_empty());
    let again = World::new(on_pcs(), MemoryJournal::with(records));
    let resumed = resume_world(&again, again.plan()).await;
    assert_eq!(resumed.results, report.results);
    assert_eq!(resumed.exit_code, report.exit_code);
    assert_eq!(outcomes(&resumed), outcomes(&report));
    assert!(again.sent().is_empty() && again.connects.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_resumed_run_cannot_store_it_does_not_do() {
    let world = fresh(on_pcs(), 40);
    kill(&world, world.plan(), 40, Death::AfterTheActs).await;
    let amid: Vec<HostName> = {
        let past = Past::of(&world.journal.records());
        past.amid()
            .into_iter()
            .map(|(host, _)| host.clone())
            .collect()
    };
    let sent = world.sent().len();
    let world = after(&world, None);
    let full = MemoryJournal::with(world.journal.records()).failing_at(40);
    let pcs: Vec<Pc> = world.pcs.lock().unwrap().values().cloned().collect();
    let world = World::new(pcs, full);
    *world.sent.lock().unwrap() = vec![];
    let report = resume_world(&world, world.plan()).await;
    assert_eq!(report.exit_code, exit_code::NOTHING_TOUCHED);
    assert!(world.sent().is_empty() && sent > 0);
    for result in &report.results {
        let unknown = matches!(result.outcome, Outcome::Unknown { .. });
        assert!(unknown || !amid.contains(&result.host), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_of_which_nobody_tells_is_not_spent_by_kills() {
    // Nothing mends these, and the domain says nothing of the account.
    let fleet = || vec![Pc::broken(""); 6];
    let joins = |world: &World| {
        let sent = world.sent();
        sent.iter().filter(|(_, step)| step == "join").count()
    };
    let whole = World::new(fleet(), MemoryJournal::new(None));
    run_world(&whole, whole.plan(), quiet()).await;
    assert_eq!(joins(&whole), 3);
    let length = whole.journal.records().len();
    for at in (length / 2..length).step_by(3) {
        for death in [Death::AtOnce, Death::AfterTheActs] {
            let world = fresh(fleet(), at);
            kill(&world, world.plan(), at, death).await;
            let world = after(&world, None);
            resume_world(&world, world.plan()).await;
            assert!(
                joins(&world) <= 3,
                "cut after {at}, {death:?}: {}",
                joins(&world)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_domain_logon_stays_refused() {
    let refuses = Pc {
        refuses_logon: true,
        ..Pc::default()
    };
    let fleet = || vec![refuses.clone(); 3];
    let plan = |world: &World| {
        let mut plan = world.plan();
        for host in &mut plan.hosts {
            Arc::make_mut(host).user = Some("CORP\\bob".to_owned());
        }
        plan
    };
    let tries = |world: &World| world.connects.lock().unwrap().values().sum::<usize>();
    let whole = World::new(fleet(), MemoryJournal::new(None));
    let report = run_world(&whole, plan(&whole), quiet()).await;
    assert_eq!((tries(&whole), report.exit_code), (1, exit_code::SAFETY));
    let records = whole.journal.records();
    let refused = records.iter().position(|record| {
        let text = serde_json::to_string(&record.event).unwrap();
        text.contains("domain-logon")
    });
    for at in refused.unwrap() + 1..records.len() {
        let world = fresh(fleet(), at);
        kill(&world, plan(&world), at, Death::AtOnce).await;
        let world = after(&world, None);
        let resumed = resume_world(&world, plan(&world)).await;
        assert_eq!(tries(&world), 0, "cut after {at}");
        assert_eq!(resumed.exit_code, exit_code::SAFETY);
        assert_eq!(outcomes(&resumed), outcomes(&report), "cut after {at}");
    }
}
