//! Records in, lines out.

use fleetmend_model::{
    Cause, Event, HostEvent, HostName, HostResult, Outcome, Phase, Record, RunId, RunMode, StepRef,
};
use jiff::{SignedDuration, Timestamp};

use super::fleet::Fleet;
use super::lines::{Room, finished, fit, lines, numbers};

const START: &str = "2026-07-24T08:00:00Z";

fn at(ms: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_millis(ms)
}

fn record(ms: i64, event: Event) -> Record {
    Record {
        run: RunId(uuid::Uuid::nil()),
        seq: 1,
        at: at(ms),
        event,
    }
}

fn host(ms: i64, name: &str, what: HostEvent) -> Record {
    record(
        ms,
        Event::Host {
            host: HostName(name.into()),
            what,
        },
    )
}

fn end(name: &str, outcome: Outcome) -> HostResult {
    HostResult {
        host: HostName(name.into()),
        outcome,
        cause: None,
        reason: "no answer\nin time".into(),
        next: String::new(),
        evidence: None,
        elapsed_ms: 2_100,
    }
}

fn step(phase: Phase, rung: Option<&str>) -> HostEvent {
    let step = StepRef {
        phase,
        rung: rung.map(str::to_owned),
        step: "s".into(),
    };
    HostEvent::StepStarted {
        step,
        changes: false,
        place: fleetmend_model::Place::Pc,
    }
}

/// Ten PCs: four ended, four at work, two waiting.
fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    let hosts: Vec<HostName> = (1..=10).map(|n| HostName(format!("pc-{n:03}"))).collect();
    let mut records = vec![record(
        0,
        Event::RunStarted {
            mode: RunMode::Repair,
            subject: "trust-repair".into(),
            digest: String::new(),
            version: String::new(),
            hosts,
            operator: None,
        },
    )];
    for n in 1..=8 {
        records.push(host(n, &format!("pc-{n:03}"), HostEvent::Connecting));
    }
    let outcomes = [
        Outcome::Healthy,
        Outcome::Healthy,
        Outcome::Repaired {
            rung: "sc-reset".into(),
        },
        Outcome::Unreachable {
            why: "timed-out".into(),
        },
    ];
    for (n, outcome) in (1..).zip(outcomes) {
        let name = format!("pc-{n:03}");
        let result = end(&name, outcome);
        records.push(host(1_000 * n, &name, HostEvent::Finished { result }));
    }
    records.push(host(500, "pc-005", step(Phase::Diagnose, None)));
    records.push(host(
        600,
        "pc-006",
        HostEvent::RungStarted {
            rung: "sc-reset".into(),
            caution: None,
        },
    ));
    records.push(host(900, "pc-007", step(Phase::Verify, Some("sc-reset"))));
    for record in &records {
        fleet.apply(record);
    }
    fleet
}

fn drawn(room: Room) -> String {
    lines(&fleet(), room, at(5_000))
        .iter()
        .map(|line| console::strip_ansi_codes(line).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn at_100_columns_with_a_bar() {
    insta::assert_snapshot!(drawn(Room { columns: 100, pcs: 8 }), @"
    ━━━━━━━━━━────────────────  4/10 done, 2 healthy, 1 repaired, 1 failed, 4 running, 0.8/s, 7 s left
      ⠼ pc-005  diagnose                    5.0 s
      ⠧ pc-006  repair sc-reset             5.0 s
      ⠋ pc-007  verify sc-reset             5.0 s
      ⠸ pc-008  connect                     5.0 s
    ");
}

#[test]
fn at_80_columns_and_little_height() {
    insta::assert_snapshot!(drawn(Room { columns: 80, pcs: 3 }), @"
    ━━────  4/10 done, 2 healthy, 1 repaired, 1 failed, 4 running, 0.8/s, 7 s left
      ⠼ pc-005  diagnose                    5.0 s
      ⠧ pc-006  repair sc-reset             5.0 s
      … 2 more at work
    ");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut fleet = fleet();
    fleet.apply(&host(
        1_200,
        "経理部の受付にある古いノートパソコン一号機",
        HostEvent::Connecting,
    ));
    for columns in [10, 20, 40, 80, 160] {
        for line in lines(&fleet, Room { columns, pcs: 8 }, at(5_000)) {
            assert!(
                console::measure_text_width(&line) <= columns,
                "{columns}: {line}"
            );
        }
    }
}

#[test]
fn numbers_say_the_same_without_a_terminal() {
    insta::assert_snapshot!(numbers(&fleet(), at(5_000)), @"4/10 done, 2 healthy, 1 repaired, 1 failed, 4 running, 0.8/s, 7 s left");
}

#[test]
fn interrupts_show_and_time_left_goes() {
    let mut fleet = fleet();
    fleet.apply(&record(5_000, Event::Interrupted { cut: false }));
    let line = numbers(&fleet, at(5_000));
    assert!(
        line.ends_with("stopping") && !line.contains("left"),
        "{line}"
    );
    fleet.apply(&record(5_100, Event::Interrupted { cut: true }));
    assert!(numbers(&fleet, at(5_100)).ends_with("cutting"));
}

#[test]
fn the_batch_shows_and_that_too_many_failed() {
    let mut fleet = fleet();
    let (number, of, hosts) = (2, 4, 5);
    fleet.apply(&record(5_000, Event::BatchStarted { number, of, hosts }));
    let line = numbers(&fleet, at(5_000));
    assert!(line.starts_with("4/10 done, batch 2 of 4, "), "{line}");
    let spent = fleetmend_model::ErrorsSpent {
        batch: 2,
        of,
        class: "blocked".to_owned(),
        new: None,
        count: 1,
        allowed: 0,
        hosts: Vec::new(),
        left: 2,
    };
    fleet.apply(&record(5_100, Event::ErrorsSpent(spent)));
    assert!(numbers(&fleet, at(5_100)).ends_with("stopping"));
}

#[test]
fn the_rate_looks_at_the_last_half_minute() {
    let fleet = fleet();
    assert_eq!(
        fleet.rate(at(4_000)).map(|rate| rate.round() as i64),
        Some(1)
    );
    assert_eq!(fleet.rate(at(60_000)), None);
    assert_eq!(Fleet::default().rate(at(0)), None);
}

#[test]
fn a_clock_set_back_is_survived() {
    let fleet = fleet();
    assert!(
        !lines(
            &fleet,
            Room {
                columns: 80,
                pcs: 8
            },
            at(-3_600_000)
        )
        .is_empty()
    );
}

#[test]
fn an_empty_fleet_draws() {
    let drawn = lines(
        &Fleet::default(),
        Room {
            columns: 80,
            pcs: 8,
        },
        at(0),
    );
    assert_eq!(drawn.len(), 1);
}

#[test]
fn a_finished_pc_is_one_line() {
    let bad = end(
        "pc-004",
        Outcome::Unreachable {
            why: "timed-out".into(),
        },
    );
    insta::assert_snapshot!(finished(&fleet(), &bad, true), @"[ 4/10] pc-004: unreachable(timed-out) (2.1 s): no answer in time");
    let good = end(
        "pc-003",
        Outcome::Repaired {
            rung: "sc-reset".into(),
        },
    );
    let line = finished(&fleet(), &good, false);
    let narrow = fit(&line, 20);
    assert_eq!(console::measure_text_width(&narrow), 20, "{narrow}");
    assert_eq!(fit(&line, 120), line);
    insta::assert_snapshot!(console::strip_ansi_codes(&line), @"✚ pc-003  repaired(sc-reset)                   2.1 s");
}

#[test]
fn a_command_by_hand_is_neither_healthy_nor_repaired() {
    let mut fleet = Fleet::default();
    fleet.apply(&record(
        0,
        Event::RunStarted {
            mode: RunMode::Exec,
            subject: "hostname".into(),
            digest: String::new(),
            version: String::new(),
            hosts: vec![HostName("pc-1".into()), HostName("pc-2".into())],
            operator: None,
        },
    ));
    let good = end("pc-1", Outcome::Healthy);
    let cause = Cause {
        code: Some(5),
        ..Cause::new("exit-code")
    };
    let bad = end("pc-2", Outcome::NotRepaired { cause });
    for result in [&good, &bad] {
        let what = HostEvent::Finished {
            result: result.clone(),
        };
        fleet.apply(&host(10, &result.host.0, what));
    }
    assert_eq!(
        numbers(&fleet, at(20)),
        "2/2 done, 1 exit 0, 1 failed, 0 running"
    );
    assert_eq!(finished(&fleet, &good, true), "[2/2] pc-1: exit 0 (2.1 s)");
    assert!(finished(&fleet, &bad, true).starts_with("[2/2] pc-2: exit 5 (2.1 s)"));
}
