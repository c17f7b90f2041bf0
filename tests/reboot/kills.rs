//! The controller is interrupted or killed while PCs restart.
//!
//! `FLEETMEND_KILLS=200` kills as often (20 otherwise); `FLEETMEND_SEED=N` kills at the same times
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use fleetmend_lab::{Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, finish, with};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::bench::{Bench, all, done_once, marks, pcs, quick};

const REPAIRED: &str = "repaired(mark-and-restart)";

/// More kills than this on one fleet would let none of its PCs come to an end.
const KILLS_A_FLEET: usize = 8;

async fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(sent.unwrap().success());
}

async fn slow_fleet(count: usize) -> Bench {
    let bench = Bench::start(pcs(count)).await;
    bench.each(|_, machine| machine.restarts.down_for = Duration::from_millis(1500));
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_a_pc_is_down_lets_it_be_finished() {
    let bench = slow_fleet(4).await;
    let child = bench.spawn(&["--max-reboots", "2", "--max-rebooting", "1"]);
    bench
        .until("ordered", |machine| machine.boot.orders == 1)
        .await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    interrupt(&child).await;
    let ended = finish(child).await;
    assert_eq!(ended.code, Some(130), "{}", ended.err());
    let outcomes = ended.outcomes();
    let of = |class: &str| {
        outcomes
            .values()
            .filter(|found| found.starts_with(class))
            .count()
    };
    assert_eq!((of(REPAIRED), of("skipped(")), (1, 3), "{outcomes:?}");
    let mut restarts = Vec::new();
    for pc in bench.site.lab.pcs() {
        restarts.push(pc.sim.machine().boot.restarts);
    }
    restarts.sort_unstable();
    assert_eq!(
        restarts,
        [0, 0, 0, 2],
        "one is finished, the others are left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_pc_is_down_the_run_goes_on_and_orders_nothing_again() {
    for restart in [1, 2] {
        let bench = slow_fleet(1).await;
        let mut child = bench.spawn(&["--max-reboots", "2"]);
        bench
            .until("ordered", |machine| machine.boot.orders == restart)
            .await;
        let pc = &bench.site.lab.pcs()[0];
        while pc.sim.is_up() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        let ended = bench.resume().await;
        all(&ended, REPAIRED);
        done_once(&bench);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_was_back_long_ago_is_taken_up_where_it_stood() {
    let bench = slow_fleet(1).await;
    let mut child = bench.spawn(&["--max-reboots", "2"]);
    bench
        .until("ordered", |machine| machine.boot.orders == 1)
        .await;
    child.kill().await.unwrap();
    bench
        .until("back", |machine| machine.boot.restarts == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    all(&bench.resume().await, REPAIRED);
    done_once(&bench);
}

struct Chance(u64);

impl Chance {
    /// A number below `end` (xorshift64).
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

async fn events(bench: &Bench) -> Vec<Value> {
    let all = with(Vec::new(), ["show", "-o", "jsonl", "--data-dir"]);
    let ended = bench.site.run(with(all, [bench.site.data()])).await;
    let text = ended.out();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// PCs on which a step was cut whose end nobody knows: its rung may be begun once more.
fn cut_amid_a_change(events: &[Value]) -> BTreeSet<String> {
    let cut = events.iter().filter(|event| {
        let what = &event["what"];
        what["what"] == "step-ended" && what["end"]["end"] == "unknown"
    });
    cut.map(|event| event["host"].as_str().unwrap().to_owned())
        .collect()
}

/// What the journal has of one PC, a line an event.
fn story(events: &[Value], host: &str) -> String {
    let own = events.iter().filter(|event| event["host"] == host);
    own.map(|event| format!("{}\n", event["what"])).collect()
}

/// Where the newest run stands: `cut`, `ended`, … or nothing, if there is none.
async fn state(bench: &Bench) -> Option<String> {
    if !bench.site.data().join("journal.sqlite").exists() {
        return None;
    }
    let all = with(Vec::new(), ["runs", "--json", "--data-dir"]);
    let ended = bench.site.run(with(all, [bench.site.data()])).await;
    if ended.code != Some(0) {
        // Killed while the journal itself was being made; the next run makes it.
        assert!(ended.err().contains("it is empty"), "{}", ended.err());
        return None;
    }
    let runs = ended.json();
    let newest = runs.as_array().unwrap().first()?;
    Some(newest["state"].as_str().unwrap().to_owned())
}

/// What a run came to that was killed after its end.
async fn report(bench: &Bench) -> Ended {
    let all = with(Vec::new(), ["show", "-o", "json", "--data-dir"]);
    bench.site.run(with(all, [bench.site.data()])).await
}

async fn mixed_fleet() -> Bench {
    let pc = PcPlan::new(Scenario::Healthy);
    let mut options = pcs(0);
    options.latency = Duration::from_millis(2);
    options.mix = Mix::Plan(vec![
        pc,
        pc.over(TransportKind::WinrmHttps),
        pc.over(TransportKind::Ssh),
        pc.japanese(),
        pc,
        pc.over(TransportKind::Ssh).japanese(),
    ]);
    let bench = Bench::start(options).await;
    bench.each(|_, machine| machine.restarts = quick());
    bench
}

/// Kills and goes on until the run comes to its end; returns how often it was killed.
async fn killed(bench: &Bench, chance: &mut Chance, most: usize) -> usize {
    let mut kills = 0;
    let mut begun = false;
    loop {
        let arguments = if begun {
            let all = ["resume", "--yes", "--output", "json", "--data-dir"];
            let all = with(with(Vec::new(), all), [bench.site.data()]);
            // More often than a PC is shown a password whose answers were cut.
            let user = bench.site.lab.local_credential().user.clone();
            with(all, ["--try-again", &user])
        } else {
            let more = ["--max-reboots", "4", "--max-rebooting", "3"];
            bench.arguments("run", &more)
        };
        let mut child = bench.command(arguments).spawn().unwrap();
        if kills < most {
            let wait = Duration::from_millis(20 + chance.below(1200));
            if tokio::time::timeout(wait, child.wait()).await.is_err() {
                child.kill().await.unwrap();
                kills += 1;
                let state = state(bench).await;
                begun = state.is_some();
                if state.as_deref().is_none_or(|state| state == "cut") {
                    continue;
                }
                assert_eq!(state.as_deref(), Some("ended"));
                judge(bench, &report(bench).await).await;
                return kills;
            }
        }
        judge(bench, &finish(child).await).await;
        return kills;
    }
}

/// Every PC came to its end, and nothing was done to it twice.
async fn judge(bench: &Bench, ended: &Ended) {
    let found: BTreeMap<String, String> = ended.outcomes();
    let events = events(bench).await;
    let cut = cut_amid_a_change(&events);
    for pc in bench.site.lab.pcs() {
        let machine = pc.sim.machine();
        let done = (marks(&machine), machine.boot.orders, machine.boot.restarts);
        let outcome = &found[&pc.name];
        if cut.contains(&pc.name) {
            assert!(machine.boot.orders <= 4, "{}: {done:?}", pc.name);
            let honest = ["repaired(", "not-repaired(", "blocked("];
            let is = honest.iter().any(|class| outcome.starts_with(class));
            assert!(is, "{}: {outcome}, {done:?}", pc.name);
        } else {
            let story = story(&events, &pc.name);
            assert_eq!(outcome, REPAIRED, "{}: {done:?}\n{story}", pc.name);
            assert_eq!(done, (2, 2, 2), "{}: marks, orders, restarts", pc.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_each_restart_is_ordered_once() {
    let by_time = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(now.unwrap().as_nanos() % 1_000_000_007).unwrap()
    };
    let seed = number("FLEETMEND_SEED").unwrap_or_else(by_time).max(1);
    let goal = usize::try_from(number("FLEETMEND_KILLS").unwrap_or(20)).unwrap();
    println!("FLEETMEND_SEED={seed}");
    let mut chance = Chance(seed);
    let (mut kills, mut fleets) = (0, 0);
    while kills < goal {
        let bench = mixed_fleet().await;
        kills += killed(&bench, &mut chance, KILLS_A_FLEET.min(goal - kills)).await;
        fleets += 1;
    }
    println!("{kills} kills on {fleets} fleets");
}
