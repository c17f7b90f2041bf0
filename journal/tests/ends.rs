//! How PCs ended before: what a canary knows.

#![expect(clippy::unwrap_used, reason = "tests")]

use fleetmend_engine::Journal as _;
use fleetmend_journal::{End, JournalReader, SqliteJournal};
use fleetmend_model::{
    Cause, ErrorsSpent, Event, HostEvent, HostName, HostResult, Outcome, RunId, RunMode,
};
use jiff::{SignedDuration, Timestamp};

fn name(index: usize) -> HostName {
    HostName(format!("教室-{index:03}"))
}

fn host(index: usize, what: HostEvent) -> Event {
    Event::Host {
        host: name(index),
        what,
    }
}

fn finished(index: usize, outcome: Outcome) -> Event {
    let result = HostResult {
        host: name(index),
        outcome,
        cause: None,
        reason: String::new(),
        next: String::new(),
        evidence: None,
        elapsed_ms: 1,
    };
    host(index, HostEvent::Finished { result })
}

fn rung(index: usize, verified: bool) -> Event {
    let rung = "sc-reset".to_owned();
    host(index, HostEvent::RungEnded { rung, verified })
}

fn blocked(guard: &str) -> Outcome {
    Outcome::Blocked {
        guard: guard.into(),
    }
}

async fn run(path: &std::path::Path, subject: &str, events: Vec<Event>) -> RunId {
    let journal = SqliteJournal::create(path).unwrap();
    let started = Event::RunStarted {
        mode: RunMode::Repair,
        subject: subject.into(),
        digest: "00".into(),
        version: "0.1.0".into(),
        hosts: (0..3).map(name).collect(),
        operator: None,
    };
    let first = journal.append(started).await.unwrap();
    for event in events {
        journal.append(event).await.unwrap();
    }
    journal.close().await;
    first.run
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_end_is_told_once_and_with_whether_a_rung_ran() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let lost = || Outcome::NotRepaired {
        cause: Cause {
            code: Some(1786),
            ..Cause::new("local-secret-missing")
        },
    };
    let first = run(
        &path,
        "trust-repair",
        vec![
            finished(0, lost()),
            rung(1, false),
            finished(1, lost()),
            rung(2, true),
            finished(2, Outcome::Healthy),
        ],
    )
    .await;
    run(&path, "trust-repair", vec![finished(0, lost())]).await;
    run(&path, "time-sync", vec![finished(0, blocked("other"))]).await;
    let spent = |new: Option<&str>| {
        Event::ErrorsSpent(ErrorsSpent {
            batch: 1,
            of: 2,
            class: "blocked".into(),
            new: new.map(str::to_owned),
            count: 1,
            allowed: 0,
            hosts: vec![name(0)],
            left: 2,
        })
    };
    // Nobody has agreed to what a canary found.
    let canary = vec![
        finished(0, blocked("new")),
        spent(Some("blocked(new)")),
        finished(1, blocked("beside-it")),
    ];
    run(&path, "trust-repair", canary).await;
    let budget = vec![finished(0, blocked("known")), spent(None)];
    let last = run(&path, "trust-repair", budget).await;

    let reader = JournalReader::open(&path).unwrap();
    let hour = Timestamp::now() - SignedDuration::from_hours(1);
    let ends = |since, but| {
        let mut ends = reader.ends("trust-repair", since, but).unwrap();
        ends.sort_by_key(|end| (end.outcome.to_string(), end.tried));
        ends
    };
    let end = |outcome, tried| End { outcome, tried };
    let all = vec![
        end(blocked("known"), false),
        end(Outcome::Healthy, false),
        end(lost(), false),
        end(lost(), true),
    ];
    assert_eq!(ends(hour, None), all);
    assert_eq!(ends(hour, Some(last)), all[1..]);
    assert_eq!(
        ends(hour, Some(first)),
        [end(blocked("known"), false), end(lost(), false)]
    );
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(ends(later, None), []);
}
