//! Logons of which nothing comes back after the password was sent: they count as perhaps refused,
//! however they end.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{AccountBudget, Pace, RunEnd, RunPlan, control, exit_code};

use super::support::{MemoryBudget, MemoryJournal, Pc, World, outcomes, quiet, run_world};

const BOB: &str = "CORP\\bob";

fn losing() -> Pc {
    Pc {
        loses_answer: true,
        ..Pc::default()
    }
}

fn world(pcs: impl IntoIterator<Item = Pc>) -> Arc<World> {
    World::new(pcs, MemoryJournal::new(None))
}

fn share(world: &Arc<World>, budget: &Arc<MemoryBudget>) {
    *world.budget.lock().unwrap() = budget.clone() as Arc<dyn AccountBudget>;
}

/// All PCs are logged on to as one account of the domain.
fn as_bob(world: &World) -> RunPlan {
    let mut plan = world.plan();
    for host in &mut plan.hosts {
        Arc::make_mut(host).user = Some(BOB.to_owned());
    }
    plan
}

fn logons(world: &World) -> usize {
    world.logons.lock().unwrap().len()
}

async fn one_logon(world: &World) {
    while logons(world) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many tries of the budget may have been refused, and nobody knows.
fn doubts(budget: &MemoryBudget) -> usize {
    let tries = budget.tries(BOB);
    assert!(tries.iter().all(|one| one.perhaps), "{tries:?}");
    assert_eq!(budget.under_way(), 0);
    tries.len()
}

#[tokio::test(start_paused = true)]
async fn three_end_the_run_and_spend_the_account() {
    let budget = Arc::new(MemoryBudget::default());
    for seen in [3, 0] {
        let world = world((0..12).map(|_| losing()));
        share(&world, &budget);
        let report = run_world(&world, as_bob(&world), quiet()).await;
        assert_eq!(logons(&world), seen);
        assert_eq!(report.exit_code, exit_code::SAFETY);
        assert_eq!(doubts(&budget), 3);
        assert!(budget.tries(BOB).iter().all(|one| one.host.is_some()));
        let RunEnd::AccountSpared {
            account,
            why,
            not_reached,
        } = &report.end
        else {
            panic!("{:?}", report.end);
        };
        assert_eq!(account, "bob@corp");
        assert_eq!(not_reached.len(), 12 - seen);
        let words = match seen {
            0 => "nobody knows the answer",
            _ => "nothing came back after the password was sent",
        };
        assert!(why.contains(words), "{why}");
        let mut expected = outcomes(&report);
        assert_eq!(
            expected.remove("blocked(credential-refused)"),
            Some(12 - seen)
        );
        assert_eq!(
            expected.remove("unreachable(unanswered)").unwrap_or(0),
            seen
        );
        assert!(expected.is_empty(), "{expected:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operator_who_stops_a_slow_logon_again_and_again_spends_three() {
    let budget = Arc::new(MemoryBudget::default());
    for times in [1, 2, 3, 1, 1] {
        let slow = || Pc {
            delay: Duration::from_secs(600),
            ..losing()
        };
        let world = world((0..4).map(|_| slow()));
        share(&world, &budget);
        let before = doubts(&budget);
        let (sender, receiver) = control();
        let running = tokio::spawn({
            let world = world.clone();
            async move { run_world(&world, as_bob(&world), receiver).await }
        });
        if before == 3 {
            let report = running.await.unwrap();
            assert_eq!((logons(&world), report.exit_code), (0, exit_code::SAFETY));
            continue;
        }
        one_logon(&world).await;
        for _ in 0..times {
            sender.interrupt();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let report = running.await.unwrap();
        assert_eq!(report.exit_code, exit_code::INTERRUPTED);
        assert_eq!(logons(&world), 1);
        assert_eq!(doubts(&budget), before + 1);
    }
    assert_eq!(doubts(&budget), 3);
}

#[tokio::test(start_paused = true)]
async fn a_logon_that_panics_counts_too() {
    let budget = Arc::new(MemoryBudget::default());
    let world = world((0..5).map(|_| Pc {
        connect_panics: true,
        ..losing()
    }));
    share(&world, &budget);
    let report = run_world(&world, as_bob(&world), quiet()).await;
    assert_eq!((logons(&world), doubts(&budget)), (3, 3));
    assert_eq!(report.exit_code, exit_code::SAFETY);
}

#[tokio::test(start_paused = true)]
async fn pcs_of_which_nothing_came_before_the_password_left_cost_nothing() {
    let budget = Arc::new(MemoryBudget::default());
    let world = world((0..6).map(|index| Pc {
        connect_panics: index < 5,
        ..Pc::default()
    }));
    share(&world, &budget);
    let report = run_world(&world, as_bob(&world), quiet()).await;
    assert_eq!((logons(&world), doubts(&budget)), (6, 0));
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
}

#[tokio::test(start_paused = true)]
async fn a_healthy_fleet_bears_pcs_that_lose_answers() {
    // One in ten; half of them at once, half after half a minute.
    let pcs = (0..200).map(|index| match index % 20 {
        9 => losing(),
        19 => Pc {
            delay: Duration::from_secs(30),
            ..losing()
        },
        _ => Pc::default(),
    });
    let world = world(pcs);
    let budget = Arc::new(MemoryBudget::default());
    share(&world, &budget);
    let mut plan = as_bob(&world);
    plan.limits.max_concurrency = 20;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        outcomes(&report),
        [
            ("healthy".into(), 180),
            ("unreachable(unanswered)".into(), 20)
        ]
        .into()
    );
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
    assert!(matches!(report.end, RunEnd::Complete), "{:?}", report.end);
    assert_eq!(doubts(&budget), 0, "it was accepted after all of them left");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_accepted_no_more_is_used_three_times_more_at_most() {
    let pcs = (0..60).map(|index| if index < 20 { Pc::default() } else { losing() });
    let world = world(pcs);
    let budget = Arc::new(MemoryBudget::default());
    share(&world, &budget);
    let mut plan = as_bob(&world);
    plan.limits.max_concurrency = 1;
    plan.pace.batches = "20,rest".parse().unwrap();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!((logons(&world), doubts(&budget)), (23, 3));
    assert_eq!(report.exit_code, exit_code::SAFETY);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_first_batch_tells_all_pcs_that_were_left_out() {
    for pace in [
        Pace {
            batches: "1,5,10%,rest".parse().unwrap(),
            ..Pace::default()
        },
        Pace {
            max_errors: "2".parse().unwrap(),
            ..Pace::default()
        },
    ] {
        let world = world((0..12).map(|_| Pc {
            refuses_logon: true,
            ..Pc::default()
        }));
        let mut plan = as_bob(&world);
        plan.pace = pace;
        let report = run_world(&world, plan, quiet()).await;
        assert_eq!((logons(&world), report.exit_code), (1, exit_code::SAFETY));
        match &report.end {
            RunEnd::CredentialRefused { not_reached, .. } => assert_eq!(not_reached.len(), 11),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_in_the_first_batch_tell_all_pcs_that_were_left_out() {
    let world = world((0..12).map(|_| losing()));
    let mut plan = as_bob(&world);
    plan.pace.batches = "5,rest".parse().unwrap();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!((logons(&world), report.exit_code), (3, exit_code::SAFETY));
    match &report.end {
        RunEnd::AccountSpared { not_reached, .. } => assert_eq!(not_reached.len(), 9),
        other => panic!("{other:?}"),
    }
}
