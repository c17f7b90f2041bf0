//! Going on with a run: after a kill at any byte, with damaged files, and not twice at once.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use fleetmend_engine::Journal;
use fleetmend_journal::{JournalReader, SqliteJournal, StorageError};
use fleetmend_model::{Event, HostEvent, HostName, Record, RunId, RunMode};

fn started() -> Event {
    Event::RunStarted {
        mode: RunMode::Repair,
        subject: "trust-repair".into(),
        digest: "00".into(),
        version: "0.1.0".into(),
        hosts: vec![HostName("教室-001".into())],
        operator: None,
    }
}

fn event(n: usize) -> Event {
    let what = HostEvent::ConnectFailed {
        why: "refused".into(),
        reason: format!("{n} 応答がありません {}", "x".repeat(n % 7 * 30)),
    };
    let host = HostName(format!("教室-{:03}", n % 5));
    Event::Host { host, what }
}

fn resumed() -> Event {
    Event::Resumed {
        version: "0.1.0".into(),
        by: Some("保守".into()),
    }
}

/// A run of so many events in transactions of their own, as it lies on the disk while its process
/// still lives: the file and its write-ahead log.
async fn living(folder: &Path, events: usize) -> (PathBuf, RunId, SqliteJournal) {
    let path = folder.join("journal.sqlite");
    let journal = SqliteJournal::create_with_plan(&path, "{\"計画\":1}".into()).unwrap();
    journal.append(started()).await.unwrap();
    for n in 1..events {
        journal.append(event(n)).await.unwrap();
    }
    (path, journal.run(), journal)
}

fn resume(path: &Path, run: RunId) -> Result<(SqliteJournal, Vec<Record>), StorageError> {
    let mut records = Vec::new();
    let journal = SqliteJournal::resume(path, run, |record| records.push(record))?;
    Ok((journal, records))
}

fn locks(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".lock")).count()
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    let path = to.join("journal.sqlite");
    std::fs::copy(from, &path).unwrap();
    let wal = |path: &Path| path.with_file_name("journal.sqlite-wal");
    if wal(from).exists() {
        std::fs::copy(wal(from), wal(&path)).unwrap();
    }
    path
}

#[tokio::test]
async fn the_second_of_two_is_refused_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run, journal) = living(folder.path(), 4).await;
    let reader = JournalReader::open(&path).unwrap();
    assert!(reader.is_held(run));
    let error = resume(&path, run).unwrap_err();
    assert!(matches!(error, StorageError::Held { .. }), "{error:?}");
    // Another run in the same file is nobody's business.
    SqliteJournal::create(&path).unwrap().close().await;
    journal.close().await;
    assert!(!reader.is_held(run));

    let (journal, records) = resume(&path, run).unwrap();
    assert!(reader.is_held(run));
    let numbers: Vec<u64> = records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let record = journal.append(resumed()).await.unwrap();
    assert_eq!((record.run, record.seq), (run, 5));
    assert!(record.at >= records[3].at);
    assert!(resume(&path, run).is_err());
    journal
        .append(Event::RunEnded { exit_code: 1 })
        .await
        .unwrap();
    journal.close().await;
    let summary = reader.latest_run().unwrap().unwrap();
    assert_eq!((summary.run, summary.exit_code), (run, Some(1)));
    assert_eq!(reader.records(run).unwrap().len(), 6);
    assert_eq!(reader.plan(run).unwrap().as_deref(), Some("{\"計画\":1}"));
    assert_eq!(locks(folder.path()), 0, "an ended run leaves no lock");
}

#[tokio::test]
async fn cut_at_any_byte_of_the_log_what_is_left_is_a_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run, journal) = living(folder.path(), 40).await;
    let whole = JournalReader::open(&path).unwrap().records(run).unwrap();
    assert_eq!(whole.len(), 40);
    let wal = std::fs::read(path.with_file_name("journal.sqlite-wal")).unwrap();
    // A frame of the log is a header of 24 bytes and a page; the log's own header has 32.
    let frame = 24 + 4096;
    let mut cuts: Vec<usize> = (0..wal.len()).step_by(4_777).collect();
    for at in (32..wal.len()).step_by(frame) {
        cuts.extend([at, at + 1, at + 23, at + 24, at + frame - 1]);
    }
    cuts.push(wal.len());
    let (mut shortest, mut seen) = (usize::MAX, std::collections::BTreeSet::new());
    for cut in cuts.into_iter().filter(|cut| *cut <= wal.len()) {
        let copied = tempfile::tempdir().unwrap();
        let torn = copy(&path, copied.path());
        std::fs::write(torn.with_file_name("journal.sqlite-wal"), &wal[..cut]).unwrap();
        let (journal, records) = match resume(&torn, run) {
            Ok(resumed) => resumed,
            Err(error) => {
                // Cut before the run's first event: nothing had been touched.
                let none = matches!(
                    error,
                    StorageError::NoSuchRun { .. } | StorageError::Empty { .. }
                );
                assert!(none, "cut at {cut}: {error:?}");
                continue;
            }
        };
        assert_eq!(records, whole[..records.len()], "cut at {cut}");
        let record = journal.append(resumed()).await.unwrap();
        assert_eq!(record.seq, records.len() as u64 + 1);
        shortest = shortest.min(records.len());
        seen.insert(records.len());
        journal.close().await;
    }
    assert_eq!(shortest, 1);
    assert_eq!(seen.len(), 40, "every event was once the last: {seen:?}");
    journal.close().await;
}

/// Opens a damaged copy; whatever is wrong, it is said, or nothing that counts was hit.
fn damaged(bytes: &[u8], run: RunId, whole: &[Record], about: &str) -> Option<StorageError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    std::fs::write(&path, bytes).unwrap();
    let plan = JournalReader::open(&path).and_then(|reader| reader.plan(run));
    match resume(&path, run) {
        Err(error) => Some(error),
        Ok((_, records)) => {
            assert_eq!(records, whole, "{about}");
            match plan {
                Err(error) => Some(error),
                Ok(plan) => {
                    assert_eq!(plan.as_deref(), Some("{\"計画\":1}"), "{about}");
                    None
                }
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_byte_is_never_taken_for_a_stored_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run, journal) = living(folder.path(), 60).await;
    journal.close().await;
    let whole = JournalReader::open(&path).unwrap().records(run).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (mut said, mut harmless) = (0, 0);
    for at in (0..bytes.len()).step_by(37) {
        for mask in [0x01, 0x80] {
            let mut hurt = bytes.clone();
            hurt[at] ^= mask;
            match damaged(&hurt, run, &whole, &format!("byte {at} ^ {mask:#x}")) {
                Some(error) => {
                    assert!(!error.to_string().is_empty());
                    said += 1;
                }
                None => harmless += 1,
            }
        }
    }
    println!("{said} damages were told, {harmless} hit nothing that counts");
    assert!(said > 100, "{said} of {}", said + harmless);
}

#[tokio::test]
async fn a_file_that_lost_its_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run, journal) = living(folder.path(), 60).await;
    journal.close().await;
    let whole = JournalReader::open(&path).unwrap().records(run).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(1_024) {
        let error = damaged(&bytes[..length], run, &whole, &format!("cut to {length}"));
        assert!(error.is_some(), "cut to {length}");
    }
}

#[tokio::test]
async fn a_journal_of_the_first_schema_is_read_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run, journal) = living(folder.path(), 3).await;
    journal.close().await;
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "ALTER TABLE runs DROP COLUMN plan; ALTER TABLE runs DROP COLUMN plan_sum;
         ALTER TABLE events DROP COLUMN sum; DROP TABLE audit; DROP TABLE spent_tries;
         DROP TABLE trials; DROP TABLE account_policies; PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let reader = JournalReader::open(&path).unwrap();
    assert_eq!(reader.plan(run).unwrap(), None);
    assert_eq!(reader.records(run).unwrap().len(), 3);
    drop(reader);
    let (journal, records) = resume(&path, run).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(journal.append(resumed()).await.unwrap().seq, 4);
    let next = SqliteJournal::create_with_plan(&path, "neu".into()).unwrap();
    next.append(started()).await.unwrap();
    let reader = JournalReader::open(&path).unwrap();
    assert_eq!(reader.plan(next.run()).unwrap().as_deref(), Some("neu"));
    assert_eq!(reader.records(run).unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let run = RunId(uuid::Uuid::now_v7());
    let error = resume(&path, run).unwrap_err();
    assert!(matches!(error, StorageError::Open { .. }), "{error:?}");
    let journal = SqliteJournal::create(&path).unwrap();
    let error = resume(&path, run).unwrap_err();
    assert!(matches!(error, StorageError::NoSuchRun { .. }), "{error:?}");
    let never = journal.run();
    journal.close().await;
    assert!(matches!(
        resume(&path, never),
        Err(StorageError::NoSuchRun { .. })
    ));
    assert_eq!(locks(folder.path()), 0, "no lock is left behind");
}
