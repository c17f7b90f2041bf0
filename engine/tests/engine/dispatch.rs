//! Whole runs over scripted PCs in virtual time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Act, MemoryJournal, Pc, World, outcomes, quiet, run_world};
use fleetmend_engine::{ExecJob, Job, RunEnd, exit_code};
use fleetmend_model::{HostEvent, Outcome, OutcomeClass, RunMode, StepEnd};
use fleetmend_transport::ExecRequest;
use serde_json::json;
use tokio::time::Instant;

fn world(pcs: impl IntoIterator<Item = Pc>) -> Arc<World> {
    World::new(pcs, MemoryJournal::new(None))
}

async fn one(pc: Pc) -> (Arc<World>, Outcome) {
    let world = world([pc]);
    let report = run_world(&world, world.plan(), quiet()).await;
    (world, report.results[0].outcome.clone())
}

fn repaired(rung: &str) -> Outcome {
    Outcome::Repaired { rung: rung.into() }
}

fn unknown(step: &str) -> Outcome {
    Outcome::Unknown { step: step.into() }
}

fn steps(world: &World) -> Vec<String> {
    world.sent().into_iter().map(|(_, step)| step).collect()
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_pc_comes_to_its_own_end() {
    let odd = || Act::Answer(json!({"odd": 1}));
    let text = || Act::Answer(json!("text"));
    let unspeakable = || Act::Answer(json!({"cause": "mismatch", "unspeakable": 1}));
    let proof = |proof: &str| Act::Answer(json!({"proof": proof}));
    let needs_hands = |why: &str| Outcome::NeedsHands { why: why.into() };
    let cases = [
        (Pc::default(), Outcome::Healthy),
        (Pc::broken("restart"), repaired("restart")),
        (Pc::broken("reset"), repaired("reset")),
        (Pc::broken("join"), repaired("join")),
        (Pc::broken(""), crate::support::not_repaired("mismatch")),
        (
            Pc {
                cause: Some("dc"),
                ..Pc::default()
            },
            Outcome::Skipped { why: "dc".into() },
        ),
        (
            Pc {
                dead: true,
                ..Pc::default()
            },
            Outcome::Unreachable {
                why: "timed-out".into(),
            },
        ),
        (
            Pc {
                refuses_logon: true,
                ..Pc::default()
            },
            Outcome::AccessDenied {
                why: "logon".into(),
            },
        ),
        (
            Pc {
                connect_panics: true,
                ..Pc::default()
            },
            needs_hands("internal-error"),
        ),
        (
            Pc::default().on("diagnose", &[Act::Panic]),
            needs_hands("internal-error"),
        ),
        (
            Pc::default().on("diagnose", &[Act::Fail(Some(5))]),
            needs_hands("diagnose-failed"),
        ),
        (
            Pc::default().on("diagnose", &[odd()]),
            needs_hands("odd-answer"),
        ),
        (
            Pc::default().on("diagnose", &[text()]),
            needs_hands("odd-answer"),
        ),
        (
            Pc::default().on("diagnose", &[unspeakable()]),
            needs_hands("playbook-error"),
        ),
        (
            Pc::default().on("diagnose", &[Act::Answer(json!({}))]),
            needs_hands("playbook-error"),
        ),
        // A lost diagnose is asked once more on a new connection, not for ever.
        (Pc::default().on("diagnose", &[Act::Lose]), Outcome::Healthy),
        (
            Pc::default().on("diagnose", &[Act::Lose, Act::Lose]),
            unknown("diagnose/diagnose"),
        ),
        (
            Pc::default().on("diagnose", &[Act::NotRun, Act::NotRun]),
            Outcome::Unreachable {
                why: "connection-lost".into(),
            },
        ),
        (Pc::default().on("diagnose", &[Act::Hang]), Outcome::Healthy),
        (
            Pc::default().on("diagnose", &[Act::Deaf, Act::Deaf]),
            unknown("diagnose/diagnose"),
        ),
        // A repair step whose end is unknown is diagnosed, not repeated.
        (
            Pc::broken("restart").on("restart", &[Act::Lose]),
            repaired("restart"),
        ),
        (
            Pc::broken("reset").on("restart", &[Act::Hang]),
            repaired("reset"),
        ),
        (
            Pc {
                once: true,
                ..Pc::broken("restart")
            }
            .on("restart", &[Act::Lose]),
            unknown("repair/restart/restart"),
        ),
        (
            Pc::broken("restart").on("restart", &[Act::Panic]),
            unknown("repair/restart/restart"),
        ),
        // It certainly did not run: the same rung is begun anew.
        (
            Pc::broken("restart").on("restart", &[Act::NotRun]),
            repaired("restart"),
        ),
        // A failed step leads to the next rung.
        (
            Pc::broken("reset").on("restart", &[Act::Fail(None)]),
            repaired("reset"),
        ),
        (Pc::broken("join").on("prepare", &[odd()]), repaired("join")),
        // Verify takes its time, breaks, or asks for a reboot.
        (
            Pc::broken("restart").on("verify", &[proof("no")]),
            repaired("restart"),
        ),
        (
            Pc::broken("restart").on("verify", &[proof("no"), proof("no")]),
            repaired("restart"), // by the verify after the second diagnosis
        ),
        (
            Pc::broken("restart").on(
                "verify",
                &[proof("no"), proof("no"), proof("no"), proof("no")],
            ),
            crate::support::not_repaired("mismatch"),
        ),
        (
            Pc::broken("restart").on("verify", &[proof("reboot")]),
            Outcome::RebootPending,
        ),
        (
            Pc::broken("restart").on("verify", &[proof("?")]),
            needs_hands("playbook-error"),
        ),
        (
            Pc::broken("restart").on("verify", &[odd()]),
            needs_hands("odd-answer"),
        ),
        (
            Pc::broken("restart").on("verify", &[Act::Lose]),
            repaired("restart"),
        ),
        (
            Pc::broken("restart").on("verify", &[Act::Fail(None)]),
            repaired("restart"),
        ),
    ];
    let (pcs, expected): (Vec<Pc>, Vec<Outcome>) = cases.into_iter().unzip();
    let all = world(pcs.clone());
    let report = run_world(&all, all.plan(), quiet()).await;
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
    assert!(!report.reader_lost);
    for ((result, expected), pc) in report.results.iter().zip(expected).zip(pcs) {
        assert_eq!(result.outcome, expected, "{pc:?}\n{result:?}");
        if !expected.class().is_well() {
            assert!(
                !result.reason.is_empty() && !result.next.is_empty(),
                "{result:?}"
            );
        }
        let name = &result.host.0;
        let mut sent: Vec<String> = all
            .sent()
            .into_iter()
            .filter(|(host, _)| host == name)
            .map(|(_, s)| s)
            .collect();
        sent.retain(|step| ["restart", "reset", "join"].contains(&step.as_str()));
        let count = sent.len();
        sent.sort();
        sent.dedup();
        let again = pc
            .acts
            .get("restart")
            .is_some_and(|acts| matches!(acts[..], [Act::NotRun]));
        assert!(
            sent.len() == count || again,
            "a repair step went out twice: {name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_of_a_repair_is_as_short_as_can_be() {
    let (world, outcome) = one(Pc::broken("reset")).await;
    assert_eq!(outcome, repaired("reset"));
    assert_eq!(
        steps(&world),
        [
            "diagnose", "restart", "verify", "verify", "diagnose", "prepare", "reset", "verify"
        ]
    );
    let (world, outcome) = one(Pc::default()).await;
    assert_eq!(outcome, Outcome::Healthy);
    assert_eq!(steps(&world), ["diagnose"]);
}

#[tokio::test(start_paused = true)]
async fn check_mode_changes_nothing() {
    let world = world([Pc::default(), Pc::broken("restart"), Pc::broken("")]);
    let mut plan = world.plan();
    plan.mode = RunMode::Check;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(steps(&world), ["diagnose"; 3]);
    assert_eq!(
        outcomes(&report),
        [("healthy".into(), 1), ("would-repair(restart)".into(), 2)].into()
    );
    assert_eq!(report.exit_code, exit_code::NOT_ALL_WELL);
    assert_eq!(
        report.results[1].reason,
        "the passwords differ; restart would be tried first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pc_that_is_not_repaired_tells_what_its_last_rung_lacks() {
    let silent = Act::Answer(json!({"done": true}));
    let world = world([Pc::broken("").on("join", &[silent]), Pc::broken("")]);
    let report = run_world(&world, world.plan(), quiet()).await;
    let reasons: Vec<&str> = report.results.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "reason; tried: join, reset, restart; join is not proven: not yet",
            "reason; tried: join, reset, restart; join is not proven: the controller could not \
             be asked whether it takes the credential",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pcs_of_all_kinds() {
    let kinds = |index: usize| match index % 10 {
        0..=3 => Pc::default(),
        4 | 5 => Pc::broken("restart"),
        6 => Pc::broken("reset"),
        7 => Pc {
            dead: true,
            ..Pc::default()
        },
        8 => Pc::broken("restart").on("restart", &[Act::Panic]),
        _ => Pc::broken("restart").on("restart", &[Act::Hang]),
    };
    let world = world((0..1000).map(kinds));
    let mut plan = world.plan();
    plan.limits.max_concurrency = 64;
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        outcomes(&report),
        [
            ("healthy".into(), 400),
            ("repaired(restart)".into(), 200),
            ("repaired(reset)".into(), 100),
            ("unreachable(timed-out)".into(), 100),
            ("unknown(repair/restart/restart)".into(), 100),
            // Hung without an effect; the next rungs do not help, and the last one never tells
            // whether its credential works.
            ("not-repaired(mismatch)".into(), 3),
            ("blocked(credential-unproven)".into(), 97),
        ]
        .into()
    );
    assert_eq!(world.most_sessions.load(Ordering::SeqCst), 64);
    assert!(matches!(report.end, RunEnd::Complete));
}

#[tokio::test(start_paused = true)]
async fn dead_pcs_do_not_stall_the_living() {
    let slow = |dead| Pc {
        dead,
        ..Pc::default()
    };
    let start = Instant::now();
    let living = world((0..400).map(|_| slow(false)));
    let mut plan = living.plan();
    plan.limits.max_concurrency = 16;
    run_world(&living, plan.clone(), quiet()).await;
    let alone = start.elapsed();

    // Nine dead ones stand before each living one.
    let mixed = world((0..4000).map(|index| slow(index % 10 != 9)));
    plan.hosts = mixed.plan().hosts;
    let start = Instant::now();
    let report = run_world(&mixed, plan, quiet()).await;
    let together = start.elapsed();
    assert_eq!(outcomes(&report)["healthy"], 400);
    // 3600 dead at up to 3072 a time and 10 s each; a worker's slot each would take 2250 s.
    assert!(
        together < Duration::from_secs(45),
        "{together:?} (alone {alone:?})"
    );
    // Beside those that are asked first, those that did not answer at once.
    assert!(mixed.most_probes.load(Ordering::SeqCst) <= 1024 + 2048);
    assert!(mixed.most_sessions.load(Ordering::SeqCst) <= 16);
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_gently() {
    let world = world((0..300).map(|_| Pc {
        delay: Duration::from_secs(5),
        ..Pc::default()
    }));
    let mut plan = world.plan();
    plan.limits.ramp_interval = Duration::from_secs(1);
    let control = fleetmend_engine::control();
    let running = tokio::spawn({
        let world = world.clone();
        async move { run_world(&world, plan, control.1).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.connects.lock().unwrap().len(), 128);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.connects.lock().unwrap().len(), 256);
    assert_eq!(outcomes(&running.await.unwrap())["healthy"], 300);
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_takes_too_long_begins_no_further_step() {
    let pc = Pc {
        delay: Duration::from_secs(50),
        ..Pc::broken("reset")
    };
    let world = world([pc]);
    let mut plan = world.plan();
    plan.limits.phase = Duration::from_secs(30);
    let report = run_world(&world, plan, quiet()).await;
    // `prepare` takes 50 s; `reset` is not begun; one verify each.
    assert_eq!(
        steps(&world),
        [
            "diagnose", "restart", "verify", "diagnose", "prepare", "verify", "join", "verify",
            "diagnose"
        ]
    );
    assert_eq!(
        report.results[0].outcome,
        crate::support::not_repaired("mismatch")
    );
}

#[tokio::test(start_paused = true)]
async fn a_pc_whose_parameters_do_not_fit_is_not_touched() {
    let world = world([Pc::default(), Pc::default()]);
    let mut plan = world.plan();
    let mut host = (*plan.hosts[0]).clone();
    host.vars.insert("misfit".into(), json!(1));
    plan.hosts[0] = Arc::new(host);
    assert_eq!(plan.check().unwrap_err().0.0, "pc-0000");
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        report.results[0].outcome.to_string(),
        "needs-hands(playbook-error)"
    );
    assert_eq!(
        world.sent(),
        [("pc-0001".to_owned(), "diagnose".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_by_hand_runs_once_on_each_pc() {
    let on = |act: Act| Pc::default().on("command", &[act]);
    let world = world([
        Pc::default(),
        on(Act::Answer(json!(5))),
        on(Act::Lose),
        on(Act::NotRun),
        on(Act::Hang),
        Pc {
            dead: true,
            ..Pc::default()
        },
    ]);
    let mut plan = world.plan();
    plan.job = Job::Exec(Arc::new(ExecJob {
        request: ExecRequest::Command(vec!["nltest".into(), "/sc_query:example.jp".into()]),
        subject: "nltest /sc_query:example.jp".into(),
        deadline: Duration::from_secs(60),
    }));
    let report = run_world(&world, plan, quiet()).await;
    let ends: Vec<String> = report
        .results
        .iter()
        .map(|result| result.outcome.to_string())
        .collect();
    assert_eq!(
        ends,
        [
            "healthy",
            "not-repaired(exit-code(5))",
            "unknown(exec/command)",
            "unreachable(connection-lost)",
            "unknown(exec/command)",
            "unreachable(timed-out)",
        ]
    );
    assert_eq!(world.sent().len(), 5);
    let hosts: Vec<&str> = report
        .exec
        .iter()
        .map(|(host, _)| host.0.as_str())
        .collect();
    assert_eq!(hosts, ["pc-0000", "pc-0001"]);
    assert_eq!(report.exec[1].1.stdout, "出力 pc-0001".as_bytes());
    let stored = world.journal.of("pc-0001");
    assert!(stored.iter().any(|event| matches!(
        event,
        HostEvent::StepEnded { end: StepEnd::Answered { answer }, .. }
            if *answer == json!({"exit_code": 5, "stdout": "出力 pc-0001", "stderr": ""})
    )));
    assert_eq!(report.results[0].outcome.class(), OutcomeClass::Healthy);
}

/// The logon's minute begins when its password is there; a source that hangs holds nobody for ever.
#[tokio::test(start_paused = true)]
async fn a_slow_source_of_credentials_has_its_own_time() {
    let needs_hands = Outcome::NeedsHands {
        why: "no-credential".into(),
    };
    for (minutes, end) in [(10, Outcome::Healthy), (30, needs_hands)] {
        let world = world([Pc::default()]);
        *world.fetching.lock().unwrap() = Duration::from_secs(minutes * 60);
        let report = run_world(&world, world.plan(), quiet()).await;
        assert_eq!(report.results[0].outcome, end, "{minutes} minutes");
    }
}
