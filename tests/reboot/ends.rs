//! How a run with restarts ends, and what it leaves alone.

use std::time::Duration;

use fleetmend_lab::machine::{LoggedOn, RestartFault};
use fleetmend_lab::{Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, finish};
use serde_json::Value;

use crate::bench::{Bench, all, done_once, marks, pcs, quick};

const REPAIRED: &str = "repaired(mark-and-restart)";

/// The host of a run over one PC, as the report tells of it.
fn told(ended: &Ended) -> Value {
    ended.json()["hosts"][0].clone()
}

fn untouched(bench: &Bench) {
    bench.each(|_, machine| {
        let done = (marks(machine), machine.boot.orders, machine.boot.restarts);
        assert_eq!(done, (0, 0, 0), "{}: marks, orders, restarts", machine.name);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pcs_are_marked_restarted_and_found_again_over_every_transport() {
    let pc = PcPlan::new(Scenario::Healthy);
    let mut options = pcs(0);
    options.mix = Mix::Plan(vec![
        pc,
        pc.over(TransportKind::WinrmHttps),
        pc.over(TransportKind::Ssh),
        pc.japanese(),
        pc.over(TransportKind::Ssh).japanese(),
    ]);
    let bench = Bench::start(options).await;
    // Some refuse connections while they are down, some answer nothing at all.
    bench.each(|index, machine| machine.restarts.silent = index % 2 == 1);
    all(
        &finish(
            bench
                .command(bench.arguments("check", &["--max-reboots", "2"]))
                .spawn()
                .unwrap(),
        )
        .await,
        "would-repair(mark-and-restart)",
    );
    untouched(&bench);
    let ended = bench.run(&["--max-reboots", "2"]).await;
    all(&ended, REPAIRED);
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    done_once(&bench);
    all(&bench.run(&["--max-reboots", "2"]).await, "healthy");
    done_once(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_or_outside_the_hours_nothing_is_touched() {
    let bench = Bench::start(pcs(3)).await;
    all(&bench.run(&[]).await, "blocked(needs-reboot)");
    all(
        &bench.run(&["--max-reboots", "1"]).await,
        "blocked(needs-reboot)",
    );
    all(
        &bench.run(&["--max-reboots", "2", "--no-reboot"]).await,
        "blocked(needs-reboot)",
    );
    let now = jiff::Zoned::now();
    let at = |hours: i64| {
        let then = now.checked_add(jiff::SignedDuration::from_hours(hours));
        then.unwrap().strftime("%H:%M").to_string()
    };
    let closed = format!("{}-{}", at(6), at(8));
    all(
        &bench
            .run(&["--max-reboots", "2", "--reboot-window", &closed])
            .await,
        "blocked(reboot-window)",
    );
    untouched(&bench);
    let open = format!("{}-{}", at(-2), at(2));
    all(
        &bench
            .run(&["--max-reboots", "2", "--reboot-window", &open])
            .await,
        REPAIRED,
    );
    done_once(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_on_is_left_alone_unless_the_operator_says_so() {
    let bench = Bench::start(pcs(1)).await;
    bench.each(|_, machine| machine.users.push(LoggedOn::at_screen(r"CORP\田中")));
    all(
        &bench.run(&["--max-reboots", "2"]).await,
        "blocked(nobody-logged-on)",
    );
    untouched(&bench);
    bench.each(|_, machine| assert_eq!(machine.users[0].messages.len(), 0));
    let more = ["--max-reboots", "2", "--even-if-logged-on=0"];
    let child = bench.spawn(&more);
    bench
        .until("told", |machine| {
            machine
                .users
                .first()
                .is_some_and(|user| user.messages == ["再起動します"])
        })
        .await;
    all(&finish(child).await, REPAIRED);
    done_once(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_never_returns_is_unreachable_and_its_story_is_told() {
    let bench = Bench::start(pcs(1)).await;
    bench.patience(Duration::from_secs(3));
    bench.fault(RestartFault::NeverReturns);
    let ended = bench.run(&["--max-reboots", "2"]).await;
    all(&ended, "unreachable(after-reboot)");
    assert_ne!(ended.code, Some(0));
    let told = told(&ended).to_string();
    for word in ["mark-and-restart", "The PC may be marked once only"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    bench.each(|_, machine| assert_eq!((marks(machine), machine.boot.orders), (1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_refused_or_comes_to_nothing_is_no_repair() {
    for fault in [RestartFault::Refused(5), RestartFault::NeverGoesDown] {
        let bench = Bench::start(pcs(1)).await;
        bench.patience(Duration::from_secs(3));
        bench.fault(fault);
        let ended = bench.run(&["--max-reboots", "2"]).await;
        let outcome = ended.outcomes().into_values().next().unwrap();
        assert!(outcome.starts_with("not-repaired("), "{fault:?}: {outcome}");
        let word = match fault {
            RestartFault::Refused(_) => "RestartRefused",
            _ => "DidNotRestart",
        };
        let events = ended.json().to_string();
        assert!(events.contains(word), "{fault:?}: {events}");
        bench.each(|_, machine| {
            let done = (marks(machine), machine.boot.orders, machine.boot.restarts);
            assert_eq!(done, (1, 1, 0), "{fault:?}: nothing follows");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_somebody_else_ordered_or_that_beats_its_answer_counts() {
    for fault in [
        RestartFault::AlreadyScheduled,
        RestartFault::BeforeTheAnswer,
    ] {
        let bench = Bench::start(pcs(1)).await;
        bench.fault(fault);
        all(&bench.run(&["--max-reboots", "2"]).await, REPAIRED);
        done_once(&bench);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_boots_twice_comes_to_an_honest_end() {
    let bench = Bench::start(pcs(4)).await;
    bench.fault(RestartFault::BootsTwice);
    let ended = bench.run(&["--max-reboots", "4"]).await;
    for (pc, outcome) in ended.outcomes() {
        let honest = ["repaired(", "not-repaired(", "unreachable("];
        let is = honest.iter().any(|class| outcome.starts_with(class));
        assert!(is, "{pc}: {outcome}");
    }
    bench.each(|_, machine| assert!(machine.boot.orders <= 4, "{}", machine.boot.orders));
    // Whatever it was, the next run finds a PC that can be mended, or is.
    let again = bench.run(&["--max-reboots", "2"]).await;
    for (pc, outcome) in again.outcomes() {
        assert!(
            outcome == REPAIRED || outcome == "healthy",
            "{pc}: {outcome}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_that_refuses_logons_for_a_while_locks_nobody_out() {
    for (refuses, end) in [
        (Duration::from_millis(350), REPAIRED),
        (Duration::from_secs(60), "access-denied"),
    ] {
        let bench = Bench::start(pcs(1)).await;
        bench.each(|_, machine| {
            machine.restarts = quick();
            machine.restarts.refuses_for = refuses;
        });
        let ended = bench.run(&["--max-reboots", "2"]).await;
        let outcome = ended.outcomes().into_values().next().unwrap();
        assert!(outcome.starts_with(end), "{outcome}: {}", ended.out());
        bench.each(|_, machine| {
            let account = machine.account("fleetadmin").unwrap();
            // At most two for each restart.
            let most = 2 * machine.boot.restarts;
            assert!(account.bad_passwords_total <= most, "{account:?}");
            assert!(!account.locked);
        });
    }
}
