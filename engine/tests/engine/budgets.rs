//! What may be spent: one refused use of a domain account on a machine, one attempt of its own
//! account on a PC.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{AccountBudget, RunEnd, RunPlan, RunReport, SpentTry, exit_code};
use fleetmend_model::{CredentialUse, Event, HostEvent, HostName, Record};
use jiff::Timestamp;
use serde_json::json;

use super::support::{
    Act, MemoryBudget, MemoryJournal, Pc, World, outcomes, quiet, resume_world, run_world,
};

fn with_budget(world: &Arc<World>) -> Arc<MemoryBudget> {
    let budget = Arc::new(MemoryBudget::default());
    share(world, &budget);
    budget
}

fn share(world: &Arc<World>, budget: &Arc<MemoryBudget>) {
    *world.budget.lock().unwrap() = budget.clone() as Arc<dyn AccountBudget>;
}

fn logging_on(world: &Arc<World>, user: &str) -> RunPlan {
    let mut plan = world.plan();
    for host in &mut plan.hosts {
        Arc::make_mut(host).user = Some(user.to_owned());
    }
    plan
}

fn refusing() -> Pc {
    Pc {
        refuses_logon: true,
        ..Pc::default()
    }
}

fn world(pcs: impl IntoIterator<Item = Pc>) -> Arc<World> {
    World::new(pcs, MemoryJournal::new(None))
}

fn logons(world: &World) -> usize {
    world.logons.lock().unwrap().len()
}

fn uses(world: &World) -> Vec<(String, String, bool)> {
    let records = world.journal.records().into_iter();
    let uses = records.filter_map(|record: Record| match record.event {
        Event::Host {
            host,
            what:
                HostEvent::CredentialUsed {
                    credential,
                    what_for,
                    ..
                },
        } => Some((host.0, credential.0, what_for == CredentialUse::Logon)),
        _ => None,
    });
    uses.collect()
}

fn not_reached(report: &RunReport) -> usize {
    match &report.end {
        RunEnd::CredentialRefused { not_reached, .. }
        | RunEnd::AccountSpared { not_reached, .. } => not_reached.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_side_by_side_spend_one() {
    let (one, other) = (
        world((0..100).map(|_| refusing())),
        world((0..100).map(|_| refusing())),
    );
    let budget = with_budget(&one);
    share(&other, &budget);
    let (first, second) = tokio::join!(
        run_world(&one, logging_on(&one, "CORP\\bob"), quiet()),
        run_world(&other, logging_on(&other, "bob@corp.example.jp"), quiet()),
    );
    assert_eq!(logons(&one) + logons(&other), 1);
    assert_eq!(budget.tries("CORP\\bob").len(), 1);
    assert_eq!(budget.under_way(), 0);
    for report in [&first, &second] {
        assert_eq!(report.exit_code, exit_code::SAFETY);
    }
    assert_eq!(not_reached(&first) + not_reached(&second), 199);
    let spared = [&first, &second]
        .into_iter()
        .find(|report| matches!(report.end, RunEnd::AccountSpared { .. }))
        .unwrap();
    assert_eq!(
        outcomes(spared),
        [("blocked(credential-refused)".into(), 100)].into()
    );
    let reason = &spared.results[0].reason;
    assert!(
        reason.contains("is spared: it was refused on pc-"),
        "{reason}"
    );
    assert!(reason.contains("it was not used here"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn two_runs_with_a_good_password_both_go_through() {
    let (one, other) = (
        world((0..30).map(|_| Pc::default())),
        world((0..30).map(|_| Pc::default())),
    );
    let budget = with_budget(&one);
    share(&other, &budget);
    let (first, second) = tokio::join!(
        run_world(&one, logging_on(&one, "CORP\\bob"), quiet()),
        run_world(&other, logging_on(&other, "CORP\\bob"), quiet()),
    );
    for report in [&first, &second] {
        assert_eq!(outcomes(report), [("healthy".into(), 30)].into());
    }
    assert_eq!(budget.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_spent_keeps_this_one_from_trying() {
    let world = world((0..5).map(|_| Pc::broken("join")));
    let budget = with_budget(&world);
    budget.spend(
        "join-account",
        SpentTry {
            at: Timestamp::now(),
            host: Some(HostName("端末-1".into())),
            code: Some(1326),
            perhaps: false,
        },
    );
    let report = run_world(&world, world.plan(), quiet()).await;
    assert!(!world.sent().iter().any(|(_, step)| step == "join"));
    assert_eq!(
        outcomes(&report),
        [("blocked(credential-refused)".into(), 5)].into()
    );
    assert!(report.results[0].reason.contains("端末-1"));
    assert_eq!(report.exit_code, exit_code::SAFETY);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_one_path_closes_all_others() {
    // The account logs on to some PCs and is handed to others, in another spelling; whichever
    // comes first is refused.
    for at_once in [1, 5, 100] {
        refused_in_one_path(at_once).await;
    }
}

async fn refused_in_one_path(at_once: usize) {
    let refused = [Act::Answer(json!({"credential_error": 1326}))];
    let mut pcs: Vec<Pc> = (0..20)
        .map(|_| Pc::broken("join").on("join", &refused))
        .collect();
    pcs.extend((0..20).map(|_| refusing()));
    let world = world(pcs);
    let budget = with_budget(&world);
    let mut plan = world.plan();
    for host in &mut plan.hosts[20..] {
        let host = Arc::make_mut(host);
        host.user = Some("JOIN-ACCOUNT@corp.example.jp".to_owned());
    }
    *world.join_user.lock().unwrap() = "CORP\\join-account".to_owned();
    plan.limits.max_concurrency = at_once;
    let report = run_world(&world, plan, quiet()).await;
    let joins = world
        .sent()
        .iter()
        .filter(|(_, step)| step == "join")
        .count();
    let logons = world.logons.lock().unwrap();
    let domain = logons.iter().filter(|(_, user)| user.contains('@')).count();
    assert_eq!(joins + domain, 1, "{:?}", outcomes(&report));
    assert_eq!(budget.tries("CORP\\join-account").len(), 1);
    assert_eq!(report.exit_code, exit_code::SAFETY);
    assert_eq!(not_reached(&report), 39);
}

#[tokio::test(start_paused = true)]
async fn each_use_is_told_before_it_is_made() {
    let world = world([Pc::broken("join")]);
    let report = run_world(&world, world.plan(), quiet()).await;
    assert_eq!(report.exit_code, exit_code::ALL_WELL);
    let pc = || "pc-0000".to_owned();
    assert_eq!(
        uses(&world),
        [
            (pc(), "local-admin".to_owned(), true),
            (pc(), "join-account".to_owned(), false)
        ]
    );
    let kinds: Vec<&str> = world
        .journal
        .of("pc-0000")
        .iter()
        .filter_map(|event| match event {
            HostEvent::CredentialUsed { .. } => Some("used"),
            HostEvent::Connected { .. } => Some("connected"),
            HostEvent::RungStarted { rung, .. } if rung == "join" => Some("join"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["used", "connected", "used", "join"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_local_password_is_tried_only_where_there_is_one() {
    for (passwords, attempts, outcome) in [
        (&["wrong"][..], 1, "access-denied(logon)"),
        (&["wrong", "local"][..], 2, "healthy"),
        (&["wrong", "older", "local"][..], 3, "healthy"),
        (&["wrong", "older"][..], 2, "access-denied(logon)"),
        (&["local", "wrong"][..], 1, "healthy"),
        // One and the same is not tried twice, and ends no list.
        (&["wrong", "wrong"][..], 1, "access-denied(logon)"),
        (&["wrong", "wrong", "local"][..], 2, "healthy"),
    ] {
        let world = world((0..10).map(|_| Pc::default()));
        *world.locals.lock().unwrap() = passwords.to_vec();
        let report = run_world(&world, world.plan(), quiet()).await;
        assert_eq!(outcomes(&report), [(outcome.into(), 10)].into());
        assert_eq!(logons(&world), 10 * attempts, "{passwords:?}");
        assert_eq!(uses(&world).len(), 10 * attempts, "{passwords:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_account_is_never_followed_by_another() {
    let world = world([Pc::default()]);
    *world.locals.lock().unwrap() = vec!["wrong", "local"];
    let plan = logging_on(&world, "CORP\\bob");
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(logons(&world), 1);
    assert_eq!(report.exit_code, exit_code::SAFETY);
    assert_eq!(not_reached(&report), 0);
}

#[tokio::test(start_paused = true)]
async fn the_password_that_a_pc_took_is_used_again_without_the_refused_one() {
    // The connection is lost under diagnose, and made again.
    let world = world([Pc::default().on("diagnose", &[Act::NotRun])]);
    *world.locals.lock().unwrap() = vec!["wrong", "local"];
    let report = run_world(&world, world.plan(), quiet()).await;
    assert_eq!(outcomes(&report), [("healthy".into(), 1)].into());
    assert_eq!(logons(&world), 3, "wrong, good, good");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_pcs_own_account_names_every_reason() {
    let world = world([refusing()]);
    let report = run_world(&world, world.plan(), quiet()).await;
    let result = &report.results[0];
    for reason in [
        "password is wrong",
        "no such account",
        "locked",
        "disabled",
        "S-1-5-113",
        "S-1-5-114",
        "LocalAccountTokenFilterPolicy",
    ] {
        assert!(result.reason.contains(reason), "{reason}: {result:?}");
    }
    for fact in ["4625", "0xC000006A", "0xC0000234", "budgets.md"] {
        assert!(result.next.contains(fact), "{fact}: {result:?}");
    }
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
}

/// Cuts the run amid a logon, so often, and then lets it go on; returns it and its logons.
async fn cut_amid_logon(times: usize) -> (RunReport, usize) {
    let mut all = 0;
    let mut journal = MemoryJournal::new(None);
    for _ in 0..times {
        let slow = Pc {
            delay: Duration::from_secs(30),
            ..refusing()
        };
        let cut = World::new([slow], journal);
        let plan = cut.plan();
        let run = async {
            if cut.journal.records().is_empty() {
                run_world(&cut, plan, quiet()).await
            } else {
                resume_world(&cut, plan).await
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(5), run).await;
        if let Ok(report) = ended {
            return (report, all + logons(&cut));
        }
        all += logons(&cut);
        journal = MemoryJournal::with(cut.journal.records());
    }
    let last = World::new([refusing()], journal);
    let report = resume_world(&last, last.plan()).await;
    (report, all + logons(&last))
}

#[tokio::test(start_paused = true)]
async fn killed_amid_logons_a_pc_sees_two_attempts_at_most() {
    for (times, attempts) in [(1, 2), (2, 2), (5, 2)] {
        let (report, seen) = cut_amid_logon(times).await;
        assert_eq!(seen, attempts, "killed {times} times");
        assert_eq!(
            outcomes(&report),
            [("access-denied(logon)".into(), 1)].into()
        );
    }
}

/// A step of the PC logs on to a server, and the run is killed amid that.
#[tokio::test(start_paused = true)]
async fn killed_amid_logons_at_a_server_they_count_there_and_not_for_the_pc() {
    let mut journal = MemoryJournal::new(None);
    let (mut at_server, mut at_pc) = (0, 0);
    for kill in 0..5 {
        let world = World::new([Pc::broken("rejoin")], journal);
        world.add_server(Pc {
            delay: Duration::from_secs(60),
            ..refusing()
        });
        let mut plan = world.rejoin_plan();
        plan.params.insert("blob".into(), true.into());
        let run = async {
            if kill == 0 {
                run_world(&world, plan, quiet()).await
            } else {
                resume_world(&world, plan).await
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), run).await;
        let logons = world.logons.lock().unwrap().clone();
        let server = logons.iter().filter(|(host, _)| host == "server").count();
        at_server += server;
        at_pc += logons.len() - server;
        if let Ok(report) = ended {
            assert_eq!(kill, 2, "a third is not begun");
            assert_eq!(at_server, 2);
            assert!(at_pc > 2, "the PC itself is logged on to after each kill");
            let result = &report.results[0];
            let denied = result.outcome.to_string().starts_with("access-denied");
            assert!(!denied, "{result:?}");
            return;
        }
        journal = MemoryJournal::with(world.journal.records());
    }
    panic!("{at_server} logons at the server, {at_pc} at the PC");
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_the_account_of_the_journal_is_known_without_its_source() {
    // The credential has another account now; the one that was refused stays so.
    let refused = [Act::Answer(json!({"credential_error": 1326}))];
    let first = world((0..3).map(|_| Pc::broken("join").on("join", &refused)));
    *first.join_user.lock().unwrap() = "CORP\\old".to_owned();
    let mut plan = first.plan();
    plan.limits.max_concurrency = 1;
    run_world(&first, plan, quiet()).await;
    let records = first.journal.records();
    let told = records
        .iter()
        .position(|record| matches!(&record.event, Event::Host { what: HostEvent::StepEnded { step, .. }, .. } if step.step == "join"))
        .unwrap();
    // A fleetmend of before named no account: then the source is asked.
    let named = |record: &&Record| {
        let what = match &record.event {
            Event::Host { what, .. } => Some(what),
            _ => None,
        };
        !matches!(what, Some(HostEvent::CredentialUsed { .. }))
    };
    let then = records[..=told].to_vec();
    let before: Vec<Record> = then.iter().filter(named).cloned().collect();
    for (records, user, joins, asks) in [
        (&then, "old@corp", 0, 0),
        (&then, "CORP\\new", 3, 0),
        (&before, "CORP\\old", 0, 1),
    ] {
        let journal = MemoryJournal::with(records.clone());
        let next = World::new((0..3).map(|_| Pc::broken("join")), journal);
        *next.join_user.lock().unwrap() = user.to_owned();
        let mut plan = next.plan();
        plan.limits.max_concurrency = 1;
        resume_world(&next, plan).await;
        let sent = next.sent();
        let seen = sent.iter().filter(|(_, step)| step == "join").count();
        // The PC on which it was refused has its end already decided.
        assert!(seen == joins || seen + 1 == joins, "{user}: {seen}");
        let asked = next.asked.lock().unwrap();
        let asked = asked.iter().filter(|name| *name == "join-account");
        assert_eq!(asked.count(), asks, "{user}");
    }
}
