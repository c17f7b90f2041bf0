//! Runs that restart scripted PCs, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Act, CAUTION, MemoryJournal, Pc, World, outcomes, quiet, run_world};
use fleetmend_engine::{RebootPolicy, RunPlan, control, exit_code};
use fleetmend_model::{Event, HostEvent, HostResult, Outcome, OutcomeClass, RunMode, StepEnd};
use serde_json::{Value, json};
use tokio::time::Instant;

pub fn leaver() -> Pc {
    Pc::broken("rejoin")
}

fn world(pcs: impl IntoIterator<Item = Pc>) -> Arc<World> {
    World::new(pcs, MemoryJournal::new(None))
}

async fn one(pc: Pc) -> (Arc<World>, HostResult) {
    let world = world([pc]);
    let report = run_world(&world, world.rejoin_plan(), quiet()).await;
    (world, report.results[0].clone())
}

/// What the steps of a PC answered, by name.
fn answers(world: &World, host: &str) -> BTreeMap<String, Value> {
    let events = world.journal.of(host).into_iter();
    let answers = events.filter_map(|event| match event {
        HostEvent::StepEnded {
            step,
            end: StepEnd::Answered { answer },
            ..
        } => Some((step.step, answer)),
        _ => None,
    });
    answers.collect()
}

/// How a step of a PC failed.
fn failure(world: &World, step: &str) -> Option<(String, Option<i64>)> {
    let events = world.journal.of("pc-0000").into_iter();
    let mut failures = events.filter_map(|event| match event {
        HostEvent::StepEnded {
            step: ended,
            end: StepEnd::Failed { error_id, code, .. },
            ..
        } if ended.step == step => Some((error_id, code)),
        _ => None,
    });
    failures.next()
}

fn steps(world: &World) -> Vec<String> {
    world.sent().into_iter().map(|(_, step)| step).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pc_is_restarted_twice_and_repaired() {
    let (world, result) = one(leaver()).await;
    assert_eq!(result.outcome.to_string(), "repaired(rejoin)");
    assert_eq!(steps(&world), ["diagnose", "safety", "rejoin", "verify"]);
    let pc = world.pc("pc-0000");
    assert_eq!((pc.life.orders, pc.life.boot), (2, 3));
    let answers = answers(&world, "pc-0000");
    let first = &answers["restart_1"];
    assert_eq!(first["before"]["boot_id"], 1);
    assert_eq!(first["after"]["boot_id"], 2);
    assert_eq!(first["ready"], true);
    assert_eq!(first["address"], "pc-0000:5985");
    assert_eq!(first["transport"], "winrm-http");
    let seconds = first["seconds"].as_f64().unwrap();
    // It is down for a minute and busy for twenty seconds.
    assert!((80.0..120.0).contains(&seconds), "{seconds}");
    assert_eq!(answers["restart_2"]["after"]["boot_id"], 3);
    let told = &answers["account"];
    assert_eq!(
        (&told["local"], &told["address"]),
        (&json!(true), &json!("pc-0000:5985"))
    );
    // The old boot, the PC held in each session, and nothing else of our own.
    assert_eq!(world.own_count("lock"), 3);
    assert_eq!(world.own_count("restart"), 2);
}

/// What the schemas promise is what the engine answers.
#[tokio::test(start_paused = true)]
async fn answers_fit_their_schemas() {
    use fleetmend_playbooks::Builtin;
    let (world, _) = one(leaver()).await;
    let answers = answers(&world, "pc-0000");
    for (builtin, step) in [
        (Builtin::Reboot, "restart_1"),
        (Builtin::Logon, "account"),
        (Builtin::Lock, "lock"),
    ] {
        let checked = builtin.file().unwrap().check_answer(&answers[step]);
        assert!(checked.is_ok(), "{step}: {checked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_restart_goes_the_pc_comes_to_its_end() {
    let code = |code: i64| Act::Answer(json!({"ordered": code == 0, "code": code}));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let cases: Vec<(&str, Pc, &str, usize)> = vec![
        (
            "boots are not counted",
            leaver().restarts(|life| life.counts = false),
            "repaired(rejoin)",
            2,
        ),
        (
            "slow",
            leaver().restarts(|life| life.takes = minutes(15)),
            "repaired(rejoin)",
            2,
        ),
        (
            "scheduled already",
            leaver().on("engine/restart", &[code(1190)]),
            "repaired(rejoin)",
            2,
        ),
        (
            "in progress",
            leaver().on("engine/restart", &[code(1115)]),
            "repaired(rejoin)",
            2,
        ),
        (
            "the answer is lost",
            leaver().on("engine/restart", &[Act::Lose]),
            "repaired(rejoin)",
            2,
        ),
        (
            "the order is lost",
            leaver().on("engine/restart", &[Act::Forget]),
            "repaired(rejoin)",
            2,
        ),
        (
            "refused once",
            leaver().restarts(|life| life.refusals = 1),
            "repaired(rejoin)",
            2,
        ),
        (
            "busy for long",
            leaver().restarts(|life| life.busy = minutes(7)),
            "repaired(rejoin)",
            2,
        ),
        (
            "refused twice",
            leaver().restarts(|life| life.refusals = 2),
            "access-denied(logon)",
            1,
        ),
        (
            "never back",
            leaver().restarts(|life| life.lost = true),
            "unreachable(after-reboot)",
            1,
        ),
        (
            "too slow",
            leaver().restarts(|life| life.takes = minutes(25)),
            "unreachable(after-reboot)",
            1,
        ),
        (
            "stays up",
            leaver().restarts(|life| life.stays = true),
            "blocked(needs-credential)",
            1,
        ),
        (
            "not allowed",
            leaver().on("engine/restart", &[code(5)]),
            "blocked(needs-credential)",
            0,
        ),
        (
            "the script fails",
            leaver().on("engine/restart", &[Act::Fail(Some(1460))]),
            "blocked(needs-credential)",
            0,
        ),
        (
            "held",
            leaver().restarts(|life| life.held_from = Some(1)),
            "blocked(other-controller)",
            0,
        ),
        (
            "held later",
            leaver().restarts(|life| life.held_from = Some(2)),
            "blocked(other-controller)",
            1,
        ),
        (
            "the lock fails",
            leaver().on("engine/lock", &[Act::Fail(None)]),
            "blocked(other-controller)",
            0,
        ),
    ];
    for (about, pc, outcome, orders) in cases {
        let (world, result) = one(pc).await;
        assert_eq!(result.outcome.to_string(), outcome, "{about}: {result:?}");
        assert_eq!(world.pc("pc-0000").life.orders, orders, "{about}");
        let began = world
            .journal
            .of("pc-0000")
            .iter()
            .any(|event| matches!(event, HostEvent::RungStarted { .. }));
        let harmed = began && result.outcome.class() != OutcomeClass::Repaired && orders > 0;
        assert_eq!(
            result.reason.contains(CAUTION),
            harmed,
            "{about}: {result:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pc_that_never_comes_back_says_what_was_done() {
    let pc = leaver().restarts(|life| life.lost = true);
    let world = world([pc]);
    let mut plan = world.rejoin_plan();
    plan.params.insert("rescue_admin".into(), "rescue".into());
    let start = Instant::now();
    let report = run_world(&world, plan, quiet()).await;
    let result = &report.results[0];
    assert_eq!(result.outcome.to_string(), "unreachable(after-reboot)");
    for words in [
        "within 20 min",
        "rejoin had done: rescue;",
        "restart_1 ordered the restart at 2",
        CAUTION,
    ] {
        assert!(result.reason.contains(words), "{words}: {}", result.reason);
    }
    assert!(result.next.starts_with("go to the PC"), "{}", result.next);
    assert!(result.next.contains("run again: rejoin"), "{}", result.next);
    assert_eq!(
        failure(&world, "restart_1").unwrap().0,
        "NotBackAfterReboot"
    );
    let took = start.elapsed();
    assert!((1200..1300).contains(&took.as_secs()), "{took:?}");
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
}

#[tokio::test(start_paused = true)]
async fn a_refused_order_is_told_with_its_number() {
    let refused = Act::Answer(json!({"ordered": false, "code": 5}));
    let (world, result) = one(leaver().on("engine/restart", &[refused])).await;
    assert_eq!(
        failure(&world, "restart_1"),
        Some(("RestartRefused".into(), Some(5)))
    );
    assert!(
        result.reason.contains("RestartRefused, code 5"),
        "{}",
        result.reason
    );
    let (world, result) = one(leaver().restarts(|life| life.stays = true)).await;
    assert_eq!(
        failure(&world, "restart_1"),
        Some(("DidNotRestart".into(), None))
    );
    assert!(result.reason.contains("old boot"), "{}", result.reason);
}

#[tokio::test(start_paused = true)]
async fn refused_logons_after_a_restart_are_two_and_apart() {
    let pc = leaver().restarts(|life| life.refusals = 9);
    let (world, result) = one(pc).await;
    assert_eq!(result.outcome.to_string(), "access-denied(logon)");
    assert!(
        result.reason.contains("ordered the restart at"),
        "{}",
        result.reason
    );
    assert_eq!(world.pc("pc-0000").life.refusals, 7);
}

/// A restart is no reason to hold a worker's slot.
#[tokio::test(start_paused = true)]
async fn a_pc_that_restarts_holds_up_nobody() {
    let slow = leaver().restarts(|life| life.takes = Duration::from_secs(600));
    let world = world(vec![slow; 8]);
    let mut plan = world.rejoin_plan();
    plan.limits.max_concurrency = 1;
    let start = Instant::now();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(rejoin)".into(), 8)].into());
    // One after another: 8 * 2 * 10 minutes.
    assert!(
        start.elapsed() < Duration::from_secs(40 * 60),
        "{:?}",
        start.elapsed()
    );
    // The PC's own second logon beside the one session.
    assert!(
        world
            .most_sessions
            .load(std::sync::atomic::Ordering::SeqCst)
            <= 2
    );
}

#[tokio::test(start_paused = true)]
async fn the_account_that_is_kept_is_the_one_after_the_restart() {
    let pc = leaver().restarts(|life| life.refuses = &[]);
    let world = world([pc]);
    let mut plan = world.rejoin_plan();
    plan.params.insert("rescue_admin".into(), "rescue".into());
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(report.results[0].outcome.to_string(), "repaired(rejoin)");
    let logons = world.logons.lock().unwrap();
    let users: Vec<&str> = logons.iter().map(|(_, user)| user.as_str()).collect();
    assert_eq!(
        users,
        ["local-admin", "local-admin", "rescue", "rescue", "rescue"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_second_account_is_tried_once_and_nothing_is_changed() {
    let pc = leaver().restarts(|life| life.refuses = &["rescue"]);
    let world = world([pc]);
    let mut plan = world.rejoin_plan();
    plan.params.insert("rescue_admin".into(), "rescue".into());
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].outcome.to_string(),
        "blocked(needs-credential)"
    );
    assert_eq!(failure(&world, "rescue").unwrap().0, "LogonRefused");
    assert_eq!(steps(&world), ["diagnose", "safety"]);
    let logons = world.logons.lock().unwrap();
    let rescue = logons.iter().filter(|(_, user)| user == "rescue");
    assert_eq!(rescue.count(), 1);
}

fn with_blob(world: &World) -> RunPlan {
    let mut plan = world.rejoin_plan();
    plan.params.insert("blob".into(), true.into());
    plan
}

#[tokio::test(start_paused = true)]
async fn another_pc_makes_the_blob_and_the_journal_has_it_not() {
    let world = world(vec![leaver(); 12]);
    world.add_server(Pc::default());
    let report = run_world(&world, with_blob(&world), quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(rejoin)".into(), 12)].into());
    let blob = &answers(&world, "pc-0003")["blob"];
    assert_eq!(blob, &json!({"code": 0, "made": null}));
    let sent = world.sent();
    let count = |host: &str, step: &str| {
        sent.iter()
            .filter(|(on, sent)| on == host && sent == step)
            .count()
    };
    assert_eq!(
        (count("server", "blob"), count("pc-0003", "keep_blob")),
        (12, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_logged_on_to_once_for_the_whole_fleet() {
    let world = world(vec![leaver(); 30]);
    world.add_server(Pc {
        refuses_logon: true,
        ..Pc::default()
    });
    let report = run_world(&world, with_blob(&world), quiet()).await;
    assert_eq!(
        outcomes(&report),
        [("blocked(needs-credential)".into(), 30)].into()
    );
    let logons = world.logons.lock().unwrap();
    let tries = logons.iter().filter(|(host, _)| host == "server");
    assert_eq!(tries.count(), 1);
    assert!(
        report
            .results
            .iter()
            .all(|result| result.reason.contains("server"))
    );
    assert!(
        world
            .pcs
            .lock()
            .unwrap()
            .values()
            .all(|pc| pc.life.orders == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_the_inventory_lacks_is_named() {
    let world = world([leaver()]);
    let report = run_world(&world, with_blob(&world), quiet()).await;
    let result = &report.results[0];
    assert!(
        result.reason.contains("the inventory has no server"),
        "{result:?}"
    );
    assert_eq!(world.pc("pc-0000").life.orders, 0);
}

/// Of one site never more than so many are amid the rung, and all get through.
#[tokio::test(start_paused = true)]
async fn a_lane_never_has_more_than_its_number() {
    let sites = ["東京", "大阪"];
    let pc = |site: usize| Pc {
        facts: json!({"site": sites[site]}),
        ..leaver()
    };
    let world = world((0..200).map(|index| pc(index % 2)));
    let mut plan = world.rejoin_plan();
    plan.reboots.at_once = 10;
    plan.limits.max_concurrency = 40;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(outcomes(&report), [("repaired(rejoin)".into(), 200)].into());
    let mut amid: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut most = BTreeMap::new();
    for record in world.journal.records() {
        let Event::Host { host, what } = record.event else {
            continue;
        };
        let site = world.pc(&host.0).facts["site"].as_str().unwrap().to_owned();
        let now = amid.entry(site.clone()).or_default();
        match what {
            HostEvent::RungStarted { .. } => now.insert(host.0),
            HostEvent::RungEnded { .. } | HostEvent::Finished { .. } => now.remove(&host.0),
            _ => continue,
        };
        let most = most.entry(site).or_insert(0);
        *most = now.len().max(*most);
    }
    assert_eq!(
        most,
        [("東京".to_owned(), 10), ("大阪".to_owned(), 10)].into()
    );
    // Who has waited for long is looked at again before it is touched.
    let diagnosed = steps(&world)
        .iter()
        .filter(|step| *step == "diagnose")
        .count();
    assert!(diagnosed > 300, "{diagnosed}");
    let sessions = world
        .most_sessions
        .load(std::sync::atomic::Ordering::SeqCst);
    assert!(sessions <= 80, "{sessions}");
}

/// While a PC waits for its turn somebody logs on to it.
#[tokio::test(start_paused = true)]
async fn what_has_changed_while_it_waited_counts() {
    let world = world(vec![leaver(); 2]);
    let mut plan = world.rejoin_plan();
    plan.reboots.at_once = 1;
    let busy = world.clone();
    let change = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut pcs = busy.pcs.lock().unwrap();
        for pc in pcs.values_mut().filter(|pc| pc.life.orders == 0) {
            pc.facts = json!({"unsafe": true});
        }
    });
    let report = run_world(&world, plan, quiet()).await;
    change.await.unwrap();
    let expected = [
        ("repaired(rejoin)".into(), 1),
        ("blocked(unsafe)".into(), 1),
    ];
    assert_eq!(outcomes(&report), expected.into());
}

/// While PCs wait until the first one has proven the account, somebody mends them: what was found
/// before a long wait does not count.
#[tokio::test(start_paused = true)]
async fn what_has_changed_while_it_waited_for_an_account_counts() {
    for (seconds, again) in [(40, true), (5, false)] {
        let joined = || Pc {
            delay: Duration::from_secs(seconds),
            ..Pc::broken("join")
        };
        let world = world((0..3).map(|_| joined()));
        let mut plan = world.plan();
        plan.limits.phase = Duration::from_secs(24 * 3600);
        let late = world.clone();
        let change = tokio::spawn(async move {
            // The first one is amid the rung now.
            for _ in 0..100_000 {
                if late.sent().iter().any(|(_, step)| step == "join") {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // Meanwhile the others have come to the gate, too.
            tokio::time::sleep(Duration::from_secs(seconds * 3 / 4)).await;
            let mut pcs = late.pcs.lock().unwrap();
            let joins = late.sent().into_iter().find(|(_, step)| step == "join");
            let first = joins.unwrap().0;
            for (_, pc) in pcs.iter_mut().filter(|(name, _)| **name != first) {
                pc.cause = None;
            }
        });
        let report = run_world(&world, plan, quiet()).await;
        change.await.unwrap();
        let joins = steps(&world).iter().filter(|step| *step == "join").count();
        assert_eq!(joins, if again { 1 } else { 3 }, "{:?}", outcomes(&report));
        // All are well at the end; only those that were handed the account owe it to the join.
        let joined = outcomes(&report).get("repaired(join)").copied();
        assert_eq!(joined, Some(joins), "{:?}", outcomes(&report));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_forbids_is_not_begun() {
    let now = jiff::Zoned::now();
    let window = |from: i64, to: i64| {
        let at = |hours: i64| {
            let time = now.checked_add(jiff::Span::new().hours(hours)).unwrap();
            time.strftime("%H:%M").to_string()
        };
        format!("{}-{}", at(from), at(to)).parse().unwrap()
    };
    let policy = |max, window| RebootPolicy {
        max,
        window,
        ..RebootPolicy::default()
    };
    for (policy, outcome) in [
        (policy(0, None), "blocked(needs-reboot)"),
        (policy(1, None), "blocked(needs-reboot)"),
        (policy(2, Some(window(2, 4))), "blocked(reboot-window)"),
        (policy(2, Some(window(-2, 2))), "repaired(rejoin)"),
    ] {
        let world = world([leaver()]);
        let mut plan = world.rejoin_plan();
        plan.reboots = policy;
        let report = run_world(&world, plan, quiet()).await;
        assert_eq!(report.results[0].outcome.to_string(), outcome);
        if outcome != "repaired(rejoin)" {
            // Not even its preflight, and nobody holds it.
            assert_eq!(steps(&world), ["diagnose"]);
            assert_eq!(world.own_count("lock") + world.own_count("account"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_looks_as_far_as_a_repair_would() {
    let unsafe_pc = Pc {
        facts: json!({"unsafe": true}),
        ..leaver()
    };
    for (pc, outcome) in [
        (leaver(), "would-repair(rejoin)"),
        (unsafe_pc, "blocked(unsafe)"),
        (
            leaver().on("safety", &[Act::Fail(Some(5))]),
            "blocked(preflight)",
        ),
        (
            leaver().on("safety", &[Act::Answer(json!({"odd": 1}))]),
            "blocked(preflight)",
        ),
        // A lost answer is asked for once more.
        (leaver().on("safety", &[Act::Lose]), "would-repair(rejoin)"),
    ] {
        for mode in [RunMode::Check, RunMode::Repair] {
            let world = world([pc.clone()]);
            let plan = RunPlan {
                mode,
                ..world.rejoin_plan()
            };
            let report = run_world(&world, plan, quiet()).await;
            let wanted = match (mode, outcome) {
                (RunMode::Repair, "would-repair(rejoin)") => "repaired(rejoin)",
                _ => outcome,
            };
            assert_eq!(report.results[0].outcome.to_string(), wanted);
            if mode == RunMode::Check {
                assert_eq!(world.own_count("lock") + world.own_count("restart"), 0);
            }
        }
    }
}

/// Ctrl-C while the PC restarts: once, it is finished; twice, nobody waits.
#[tokio::test(start_paused = true)]
async fn who_stops_a_run_amid_a_restart_leaves_no_pc_halfway() {
    for (times, outcome) in [
        (
            1,
            Outcome::Repaired {
                rung: "rejoin".into(),
            },
        ),
        (
            2,
            Outcome::Unknown {
                step: "repair/rejoin/restart_1".into(),
            },
        ),
    ] {
        let world = world([leaver()]);
        let (sender, receiver) = control();
        let plan = world.rejoin_plan();
        let stopping = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(40)).await;
            for _ in 0..times {
                sender.interrupt();
            }
            sender
        });
        let start = Instant::now();
        let report = run_world(&world, plan, receiver).await;
        let _ = stopping.await;
        assert_eq!(report.results[0].outcome, outcome);
        assert_eq!(report.exit_code, exit_code::INTERRUPTED);
        if times == 2 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{:?}",
                start.elapsed()
            );
            assert!(report.results[0].reason.contains(CAUTION));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn wherever_the_journal_fails_nothing_more_goes_to_any_pc() {
    let whole = world([leaver()]);
    run_world(&whole, whole.rejoin_plan(), quiet()).await;
    for at in 1..whole.journal.records().len() {
        let world = World::new([leaver()], MemoryJournal::new(Some(at)));
        // The world itself watches what is sent.
        run_world(&world, world.rejoin_plan(), quiet()).await;
        assert!(world.pc("pc-0000").life.orders <= 2);
    }
}

/// A journal that fails while PCs are waited for ends the wait.
#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_ends_every_wait() {
    let slow = leaver().restarts(|life| life.takes = Duration::from_secs(900));
    let fleet = || {
        [
            slow.clone(),
            slow.clone(),
            Pc::default().on("diagnose", &[Act::Hang]),
        ]
    };
    let whole = World::new(fleet(), MemoryJournal::new(None));
    run_world(&whole, whole.rejoin_plan(), quiet()).await;
    let records = whole.journal.records();
    let ordered = records.iter().rposition(|record| {
        let text = serde_json::to_string(&record.event).unwrap();
        text.contains("reboot-ordered") && text.contains("restart_1")
    });
    let world = World::new(fleet(), MemoryJournal::new(Some(ordered.unwrap() + 1)));
    let start = Instant::now();
    run_world(&world, world.rejoin_plan(), quiet()).await;
    assert!(
        start.elapsed() < Duration::from_secs(300),
        "{:?}",
        start.elapsed()
    );
}

/// Minutes of grace are the PC's, not the deadline's.
#[tokio::test(start_paused = true)]
async fn people_are_given_their_minutes() {
    let world = world([leaver()]);
    let mut plan = world.rejoin_plan();
    plan.params.insert("grace".into(), 30.into());
    let start = Instant::now();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(report.results[0].outcome.to_string(), "repaired(rejoin)");
    assert!(
        start.elapsed() > Duration::from_secs(3600),
        "{:?}",
        start.elapsed()
    );
    // Nobody logs on again and again while people are given time.
    assert!(world.logons.lock().unwrap().len() < 10);
}
