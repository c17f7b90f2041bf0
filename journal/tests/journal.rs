//! The journal against real files: many writers, damage, and a process that was killed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fleetmend_engine::Journal;
use fleetmend_journal::{JournalReader, SCHEMA_VERSION, SqliteJournal, StorageError};
use fleetmend_model::{
    Event, HostEvent, HostName, HostResult, Outcome, Phase, RunMode, StepEnd, StepRef,
};
use serde_json::json;

fn started(hosts: usize) -> Event {
    Event::RunStarted {
        mode: RunMode::Repair,
        subject: "trust-repair".into(),
        digest: "00".into(),
        version: "0.1.0".into(),
        hosts: (0..hosts).map(host).collect(),
        operator: None,
    }
}

fn host(index: usize) -> HostName {
    HostName(format!("教室-{index:03}"))
}

fn step(index: usize, n: usize) -> Event {
    let step = StepRef {
        phase: Phase::Diagnose,
        rung: None,
        step: format!("s{n}"),
    };
    let answer = json!({"n": n, "text": "このワークステーション", "x": "y".repeat(200)});
    let what = HostEvent::StepEnded {
        step,
        end: StepEnd::Answered { answer },
        elapsed_ms: 5,
    };
    Event::Host {
        host: host(index),
        what,
    }
}

fn finished(index: usize) -> Event {
    let result = HostResult {
        host: host(index),
        outcome: Outcome::Healthy,
        cause: None,
        reason: String::new(),
        next: String::new(),
        evidence: None,
        elapsed_ms: 1,
    };
    Event::Host {
        host: host(index),
        what: HostEvent::Finished { result },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_leave_no_gap_and_are_fast() {
    const WRITERS: usize = 256;
    const EACH: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Arc::new(SqliteJournal::create(&path).unwrap());
    journal.append(started(WRITERS)).await.unwrap();
    let start = Instant::now();
    let writers = (0..WRITERS).map(|index| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for n in 0..EACH {
                let record = journal.append(step(index, n)).await.unwrap();
                assert!(record.seq > last, "one writer's events stay in order");
                last = record.seq;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let rate = (WRITERS * EACH) as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} events a second");
    journal
        .append(Event::RunEnded { exit_code: 1 })
        .await
        .unwrap();

    let reader = JournalReader::open(&path).unwrap();
    let records = reader.records(journal.run()).unwrap();
    let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=(WRITERS * EACH) as u64 + 2).collect::<Vec<_>>());
    assert!(records.is_sorted_by_key(|record| record.at));
    let of_one = reader.host_records(journal.run(), &host(7)).unwrap();
    let events: Vec<Event> = of_one.into_iter().map(|record| record.event).collect();
    assert_eq!(events, (0..EACH).map(|n| step(7, n)).collect::<Vec<_>>());
    assert!(rate >= 5_000.0, "only {rate:.0} events a second");
}

#[tokio::test]
async fn runs_follow_one_another_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("日誌.db");
    let first = SqliteJournal::create(&path).unwrap();
    let stored = first.append(started(2)).await.unwrap();
    assert_eq!(stored.seq, 1);
    first
        .append(Event::RunEnded { exit_code: 3 })
        .await
        .unwrap();
    first.close().await;
    assert!(first.append(started(1)).await.is_err(), "closed is closed");

    // Two at once in the same file.
    let second = SqliteJournal::create(&path).unwrap();
    let third = SqliteJournal::create(&path).unwrap();
    second.append(started(1)).await.unwrap();
    third.append(started(4)).await.unwrap();
    second.append(finished(0)).await.unwrap();
    third.append(finished(1)).await.unwrap();

    let reader = JournalReader::open(&path).unwrap();
    let runs = reader.runs().unwrap();
    assert_eq!(
        runs.iter().map(|run| run.run).collect::<Vec<_>>(),
        [third.run(), second.run(), first.run()]
    );
    let oldest = &runs[2];
    assert_eq!((oldest.hosts, oldest.exit_code), (2, Some(3)));
    assert_eq!(
        (oldest.mode, oldest.subject.as_str()),
        (Some(RunMode::Repair), "trust-repair")
    );
    assert_eq!(oldest.started_at, stored.at);
    assert!(oldest.ended_at.is_some() && runs[0].ended_at.is_none());
    assert_eq!(reader.latest_run().unwrap().unwrap().run, third.run());
    assert_eq!(reader.records(second.run()).unwrap()[1].event, finished(0));
    reader.check().unwrap();
    let none = fleetmend_model::RunId(uuid::Uuid::nil());
    assert!(matches!(
        reader.records(none),
        Err(StorageError::NoSuchRun { .. })
    ));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _journal = SqliteJournal::create(&path).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn what_is_no_journal_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    let content = "not a database, but long enough to be looked at ".repeat(40);
    std::fs::write(&text, &content).unwrap();
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    for path in [&text, &other] {
        let before = std::fs::read(path).unwrap();
        let error = SqliteJournal::create(path).unwrap_err();
        assert!(
            matches!(error, StorageError::NotAJournal { .. }),
            "{error:?}"
        );
        let error = JournalReader::open(path).unwrap_err();
        assert!(
            matches!(error, StorageError::NotAJournal { .. }),
            "{error:?}"
        );
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(
        JournalReader::open(&empty),
        Err(StorageError::Empty { .. })
    ));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(SqliteJournal::create(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", SCHEMA_VERSION + 1)
        .unwrap();
    drop(connection);
    for error in [
        SqliteJournal::create(&path).unwrap_err(),
        JournalReader::open(&path).unwrap_err(),
    ] {
        let StorageError::NewerSchema { found, known, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((found, known), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
    }
}

#[test]
fn places_where_no_file_can_be_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    for path in [
        file.join("journal.db"),
        folder.path().join("no/such"),
        folder.path().into(),
    ] {
        let error = SqliteJournal::create(&path).unwrap_err();
        assert!(matches!(error, StorageError::Open { .. }), "{error:?}");
        assert!(JournalReader::open(&path).is_err());
    }
}

#[tokio::test]
async fn damage_is_told_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::create(&path).unwrap();
    for n in 0..300 {
        journal.append(step(1, n)).await.unwrap();
    }
    let run = journal.run();
    journal.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(
        bytes.len() > 60_000,
        "the log was folded in: {}",
        bytes.len()
    );
    // Where the events are.
    for byte in &mut bytes[50_000..60_000] {
        *byte = 0xA5;
    }
    std::fs::write(&path, bytes).unwrap();
    let reader = JournalReader::open(&path).unwrap();
    let error = reader.records(run).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
    assert!(matches!(reader.check(), Err(StorageError::Corrupt { .. })));
}

/// What a killed process leaves: the file and its write-ahead log, cut anywhere.
#[tokio::test]
async fn the_journal_of_a_killed_process_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::create(&path).unwrap();
    let mut stored = vec![journal.append(started(1)).await.unwrap()];
    for n in 0..30 {
        stored.push(journal.append(step(1, n)).await.unwrap());
    }
    let main = std::fs::read(&path).unwrap();
    let log = std::fs::read(wal(&path)).unwrap();
    let mut seen = 0;
    for cut in (0..=log.len()).rev().step_by(997) {
        let copy = folder.path().join(format!("cut-{cut}.db"));
        std::fs::write(&copy, &main).unwrap();
        std::fs::write(wal(&copy), &log[..cut]).unwrap();
        let records = match JournalReader::open(&copy) {
            Ok(reader) => match reader.records(journal.run()) {
                Ok(records) => records,
                // Cut before the run's first event.
                Err(StorageError::NoSuchRun { .. }) => continue,
                Err(error) => panic!("{error:?}"),
            },
            // Cut before the tables.
            Err(StorageError::Empty { .. }) => continue,
            Err(error) => panic!("{error:?}"),
        };
        if cut == log.len() {
            assert_eq!(records, stored, "everything that was acknowledged is there");
        }
        assert_eq!(records, stored[..records.len()], "a prefix, cut at {cut}");
        seen += 1;

        // Such a file takes a new run.
        let next = SqliteJournal::create(&copy).unwrap();
        next.append(started(1)).await.unwrap();
        next.close().await;
        let reader = JournalReader::open(&copy).unwrap();
        assert_eq!(reader.records(journal.run()).unwrap(), records);
        assert_eq!(reader.latest_run().unwrap().unwrap().run, next.run());
    }
    assert!(seen > 20, "only {seen} cuts were readable");
}

fn wal(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[tokio::test]
async fn repairs_are_counted_by_pc_playbook_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    for subject in ["trust-repair", "time-sync", "trust-repair"] {
        let journal = SqliteJournal::create(&path).unwrap();
        let mut begin = started(2);
        if let Event::RunStarted { subject: words, .. } = &mut begin {
            *words = subject.to_owned();
        }
        let mut repaired = finished(0);
        if let Event::Host {
            what: HostEvent::Finished { result },
            ..
        } = &mut repaired
        {
            result.outcome = Outcome::Repaired {
                rung: "sc-reset".into(),
            };
        }
        // The other PC was in order.
        for event in [begin, repaired, finished(1)] {
            journal.append(event).await.unwrap();
        }
        journal.close().await;
    }
    let reader = JournalReader::open(&path).unwrap();
    let count = |subjects: &[&str], since| {
        let repairs = reader.repairs(subjects, since).unwrap();
        (repairs.get(&host(0)).map_or(0, Vec::len), repairs.len())
    };
    assert_eq!(
        count(&["trust-repair"], jiff::Timestamp::UNIX_EPOCH),
        (2, 1)
    );
    assert_eq!(
        count(&["time-sync", "x"], jiff::Timestamp::UNIX_EPOCH),
        (1, 1)
    );
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(count(&["trust-repair"], later), (0, 0));
}
