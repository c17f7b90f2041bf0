//! The audit trail: every way to change it shows, and everything that must be on it is.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleetmend_engine::Journal;
use fleetmend_journal::{
    AuditEntry, Beginning, Fault, HeadClaim, JournalReader, SqliteJournal, StorageError, Verdict,
    note,
};
use fleetmend_model::{
    Boot, CredentialRef, CredentialUse, Event, HostEvent, HostName, Operator, Phase, Place, RunId,
    RunMode, StepEnd, StepRef,
};
use rusqlite::{Connection, params};
use serde_json::json;

fn started() -> Event {
    Event::RunStarted {
        mode: RunMode::Repair,
        subject: "trust-repair".into(),
        digest: "00".into(),
        version: "0.1.0".into(),
        hosts: vec![HostName("教室-001".into()), HostName("教室-002".into())],
        operator: Some(Operator {
            account: "root".into(),
            behind: Some("情報 太郎".into()),
            controller: "管理端末".into(),
            from: Some("2001:db8::7".into()),
        }),
    }
}

fn on(what: HostEvent) -> Event {
    Event::Host {
        host: HostName("教室-001".into()),
        what,
    }
}

fn step(name: &str) -> StepRef {
    StepRef {
        phase: Phase::Repair,
        rung: Some("reset".into()),
        step: name.into(),
    }
}

/// A repair with everything that belongs on the trail, and some that does not.
fn story() -> Vec<Event> {
    let used = |what_for| HostEvent::CredentialUsed {
        credential: CredentialRef("local-admin".into()),
        account: "管理者".into(),
        what_for,
    };
    let ended = |name: &str, answer| HostEvent::StepEnded {
        step: step(name),
        end: StepEnd::Answered { answer },
        elapsed_ms: 5,
    };
    let began = |name: &str, changes, place| HostEvent::StepStarted {
        step: step(name),
        changes,
        place,
    };
    let rung = || "reset".to_owned();
    [
        HostEvent::Connecting,
        used(CredentialUse::Logon),
        HostEvent::RungStarted {
            rung: rung(),
            caution: None,
        },
        used(CredentialUse::Rung { rung: rung() }),
        began("account", true, Place::Controller),
        ended(
            "account",
            json!({"dn": "CN=教室-001,DC=corp", "done": true}),
        ),
        began("look", false, Place::Pc),
        ended("look", json!({"dn": "a PC's word"})),
        began("write", true, Place::Pc),
        ended("write", json!({"dn": "a PC's word"})),
        HostEvent::RebootOrdered {
            step: step("write"),
            boot: Boot {
                last_boot_unix: 1.0,
                boot_id: Some(3),
                uptime_seconds: 5.0,
            },
            ordered: jiff::Timestamp::UNIX_EPOCH,
        },
        HostEvent::RungEnded {
            rung: rung(),
            verified: true,
        },
    ]
    .map(on)
    .into()
}

async fn store(journal: &SqliteJournal, events: impl IntoIterator<Item = Event>) {
    for event in events {
        journal.append(event).await.unwrap();
    }
}

/// A journal with two whole runs, of which the first was cut and gone on with.
async fn journal(folder: &Path) -> (PathBuf, RunId) {
    let path = folder.join("journal.sqlite");
    let beginning = Beginning {
        plan: Some("{\"計画\":1}".into()),
        terms: Some(json!({"parameters": {"site": "大阪"}, "allow_credential_on_pcs": true})),
    };
    let first = SqliteJournal::begin(&path, beginning).unwrap();
    store(&first, [started()]).await;
    store(&first, story()).await;
    let run = first.run();
    first.close().await;

    let second = SqliteJournal::create(&path).unwrap();
    store(&second, [started()]).await;
    store(&second, story().into_iter().take(5)).await;
    store(&second, [Event::Interrupted { cut: true }]).await;
    store(&second, [Event::RunEnded { exit_code: 130 }]).await;
    second.close().await;

    let terms = json!({"operator": {"account": "花子", "controller": "管理端末"}});
    let first = SqliteJournal::resume_with(&path, run, Some(terms), |_| ()).unwrap();
    let resumed = Event::Resumed {
        version: "0.1.0".into(),
        by: Some("花子".into()),
    };
    store(&first, [resumed, Event::RunEnded { exit_code: 0 }]).await;
    first.close().await;
    (path, run)
}

fn verify(path: &Path) -> Verdict {
    JournalReader::open(path).unwrap().verify(&[]).unwrap()
}

fn entries(path: &Path, run: Option<RunId>) -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    let reader = JournalReader::open(path).unwrap();
    reader
        .for_each_entry(run, None, |entry| entries.push(entry))
        .unwrap();
    entries
}

fn head_file(path: &Path) -> PathBuf {
    path.with_file_name("journal.sqlite.head")
}

/// A copy of the journal and of the file with its end, to be changed.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn of(path: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(path, folder.path().join("journal.sqlite")).unwrap();
        std::fs::copy(head_file(path), folder.path().join("journal.sqlite.head")).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.sqlite")
    }

    fn sql(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn faults(&self) -> Vec<Fault> {
        verify(&self.path()).faults
    }
}

#[tokio::test]
async fn everything_that_must_be_on_the_trail_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run) = journal(folder.path()).await;
    let verdict = verify(&path);
    assert_eq!(verdict.faults, []);
    assert_eq!((verdict.runs, verdict.runs_before), (2, 0));
    assert_eq!(verdict.open, []);
    let all = entries(&path, None);
    let numbers: Vec<u64> = all.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.last().unwrap().head, verdict.head);
    assert_eq!(all[0].kind, "trail-begun");

    let of_run = entries(&path, Some(run));
    let kinds: Vec<&str> = of_run.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "run-begun",
            "credential-used",
            "rung-begun",
            "credential-used",
            "step-begun",
            "step-ended",
            "step-begun",
            "step-ended",
            "restart-ordered",
            "rung-ended",
            "run-resumed",
            "run-ended",
        ]
    );
    let begun = &of_run[0].what;
    assert_eq!(begun["operator"]["behind"], "情報 太郎");
    assert_eq!(begun["operator"]["from"], "2001:db8::7");
    assert_eq!(begun["pcs"], 2);
    assert_eq!(begun["names"], json!(["教室-001", "教室-002"]));
    assert_eq!(begun["terms"]["allow_credential_on_pcs"], true);
    assert_eq!(begun["plan"].as_str().unwrap().len(), 64);
    assert_eq!(of_run[1].what["credential"], "local-admin");
    assert_eq!(of_run[1].what["account"], "管理者");
    assert_eq!(of_run[1].host, Some(HostName("教室-001".into())));
    assert_eq!(of_run[3].what["for"]["rung"], "reset");
    assert_eq!(of_run[5].what["account"], "CN=教室-001,DC=corp");
    assert!(
        of_run[7].what.get("account").is_none(),
        "{}",
        of_run[7].what
    );
    assert_eq!(of_run[10].what["terms"]["operator"]["account"], "花子");
    assert_eq!(of_run[11].what["exit_code"], 0);
}

/// Every bit of every column of every entry, with the file of the end and without.
#[tokio::test]
async fn every_changed_byte_of_an_entry_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = journal(folder.path()).await;
    let copy = Copy::of(&path);
    let sql = copy.sql();
    let count = entries(&path, None).len() as i64;
    let mut tried = 0;
    for number in 1..=count {
        for column in ["at", "seq", "run", "host", "kind", "body", "events", "hash"] {
            let value: rusqlite::types::Value = sql
                .query_row(
                    &format!("SELECT {column} FROM audit WHERE number = ?1"),
                    [number],
                    |row| row.get(0),
                )
                .unwrap();
            for other in others(&value) {
                let set = format!("UPDATE audit SET {column} = ?2 WHERE number = ?1");
                sql.execute(&set, params![number, other]).unwrap();
                let faults = copy.faults();
                assert_eq!(
                    faults.first().and_then(Fault::entry),
                    Some(number as u64),
                    "{column} of {number}: {value:?} -> {other:?}: {faults:?}"
                );
                tried += 1;
            }
            let set = format!("UPDATE audit SET {column} = ?2 WHERE number = ?1");
            sql.execute(&set, params![number, value]).unwrap();
        }
    }
    assert_eq!(copy.faults(), []);
    assert!(tried > 500, "{tried}");
}

/// Other values of the same type: one for every third byte, and none at all where that may be.
fn others(value: &rusqlite::types::Value) -> Vec<rusqlite::types::Value> {
    use rusqlite::types::Value;
    match value {
        Value::Integer(number) => (0..63)
            .step_by(9)
            .map(|bit| (number ^ (1 << bit)).into())
            .collect(),
        Value::Text(text) => (0..text.len())
            .step_by(if text.len() > 40 { 11 } else { 3 })
            .filter_map(|at| {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                String::from_utf8(bytes).ok().map(Value::Text)
            })
            .collect(),
        Value::Blob(bytes) => (0..bytes.len())
            .step_by(5)
            .map(|at| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x80;
                Value::Blob(bytes)
            })
            .chain([Value::Blob(bytes[1..].to_vec())])
            .collect(),
        Value::Null | Value::Real(_) => Vec::new(),
    }
}

#[tokio::test]
async fn what_is_cut_out_put_in_or_exchanged_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = journal(folder.path()).await;
    let count = entries(&path, None).len() as i64;
    for number in 1..=count {
        let copy = Copy::of(&path);
        copy.sql()
            .execute("DELETE FROM audit WHERE number = ?1", [number])
            .unwrap();
        let faults = copy.faults();
        assert!(!faults.is_empty(), "{number} cut out");
        assert!(
            faults
                .iter()
                .any(|fault| fault.entry() == Some(number as u64)),
            "{number}: {faults:?}"
        );

        // Cut out, and the numbers closed up.
        let copy = Copy::of(&path);
        let sql = copy.sql();
        sql.execute("DELETE FROM audit WHERE number = ?1", [number])
            .unwrap();
        for later in number + 1..=count {
            sql.execute(
                "UPDATE audit SET number = ?1 - 1 WHERE number = ?1",
                [later],
            )
            .unwrap();
        }
        assert!(!copy.faults().is_empty(), "{number} closed up");

        // Exchanged with the next.
        if number < count {
            let copy = Copy::of(&path);
            let sql = copy.sql();
            for (from, to) in [(number, -1), (number + 1, number), (-1, number + 1)] {
                sql.execute("UPDATE audit SET number = ?2 WHERE number = ?1", [from, to])
                    .unwrap();
            }
            assert_eq!(copy.faults()[0].entry(), Some(number as u64));
        }

        // Put in behind it, as it is.
        let copy = Copy::of(&path);
        let sql = copy.sql();
        for later in (number + 1..=count).rev() {
            sql.execute(
                "UPDATE audit SET number = ?1 + 1 WHERE number = ?1",
                [later],
            )
            .unwrap();
        }
        sql.execute(
            "INSERT INTO audit SELECT number + 1, at, run, seq, host, kind, body, events, hash \
             FROM audit WHERE number = ?1",
            [number],
        )
        .unwrap();
        assert!(!copy.faults().is_empty(), "{number} doubled");
    }
}

/// By somebody who knows how the chain is made: the tail is cut off clean, with the events and
/// runs of which it tells. Only an end noted elsewhere shows it.
#[tokio::test]
async fn a_clean_cut_shows_by_an_end_that_was_noted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run) = journal(folder.path()).await;
    let noted: HeadClaim = JournalReader::open(&path)
        .unwrap()
        .head()
        .unwrap()
        .short()
        .parse()
        .unwrap();
    let copy = Copy::of(&path);
    let sql = copy.sql();
    // The last two entries: the run was gone on with, and ended.
    let count = entries(&path, None).len() as i64;
    sql.execute("DELETE FROM audit WHERE number > ?1", [count - 2])
        .unwrap();
    sql.execute(
        "DELETE FROM events WHERE seq > 13 AND run_id = (SELECT id FROM runs WHERE run = ?1)",
        [run.to_string()],
    )
    .unwrap();
    sql.execute(
        "UPDATE runs SET ended_at = NULL, exit_code = NULL WHERE run = ?1",
        [run.to_string()],
    )
    .unwrap();
    let faults = copy.faults();
    assert!(
        matches!(faults.as_slice(), [Fault::Head { .. }]),
        "{faults:?}"
    );
    assert!(faults[0].to_string().contains("was cut"), "{}", faults[0]);

    // The next run neither hides it nor is it hindered.
    let next = SqliteJournal::create(&copy.path()).unwrap();
    store(&next, [started()]).await;
    store(&next, story()).await;
    store(&next, [Event::RunEnded { exit_code: 0 }]).await;
    next.close().await;
    let faults = copy.faults();
    assert!(
        matches!(faults.as_slice(), [Fault::Head { .. }]),
        "{faults:?}"
    );

    // Without that file, that it is not there shows; with an end from elsewhere, the cut does.
    std::fs::remove_file(head_file(&copy.path())).unwrap();
    assert_eq!(copy.faults(), [Fault::NoHeadFile]);
    let reader = JournalReader::open(&copy.path()).unwrap();
    let verdict = reader.verify(std::slice::from_ref(&noted)).unwrap();
    assert!(matches!(verdict.faults.as_slice(), [Fault::Head { .. }]));
    let whole = JournalReader::open(&path).unwrap();
    assert!(whole.verify(&[noted]).unwrap().is_whole());
}

/// As [`a_clean_cut_shows_by_an_end_that_was_noted`], and the file that keeps the end is taken away,
/// too: the next run would write it anew, and everything would fit.
#[tokio::test]
async fn that_the_file_of_the_end_was_gone_stays_on_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = journal(folder.path()).await;
    let copy = Copy::of(&path);
    // The second run, with all that tells of it; the first was gone on with behind it.
    let first_of_second: i64 = copy
        .sql()
        .query_row(
            "SELECT number FROM audit WHERE kind = 'run-begun' ORDER BY number DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    copy.sql()
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF;
             DELETE FROM audit WHERE number >= {first_of_second};
             DELETE FROM events WHERE run_id = 2 OR seq > 13;
             DELETE FROM runs WHERE id = 2;
             UPDATE runs SET ended_at = NULL, exit_code = NULL;"
        ))
        .unwrap();
    std::fs::remove_file(head_file(&copy.path())).unwrap();
    assert_eq!(copy.faults(), [Fault::NoHeadFile]);

    let next = SqliteJournal::create(&copy.path()).unwrap();
    store(&next, [started(), Event::RunEnded { exit_code: 0 }]).await;
    next.close().await;
    let faults = copy.faults();
    let [Fault::HeadWasMissing { end }] = faults.as_slice() else {
        panic!("{faults:?}")
    };
    assert_eq!(end.number, first_of_second as u64);
    assert_eq!(faults[0].entry(), Some(end.number));
    let all = entries(&copy.path(), None);
    let kinds: Vec<&str> = all.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds[first_of_second as usize - 1..],
        ["head-missing", "run-begun", "run-ended"]
    );
    assert_eq!(all[first_of_second as usize - 1].what["file"], "missing");

    // Whoever knows why names that entry; no other end stands for it.
    let reader = JournalReader::open(&copy.path()).unwrap();
    let claim = |head: &str| -> HeadClaim { head.parse().unwrap() };
    assert!(reader.verify(&[claim(&end.short())]).unwrap().is_whole());
    let last = claim(&reader.head().unwrap().to_string());
    assert_eq!(reader.verify(&[last]).unwrap().faults, faults);

    // Later runs find the file, and have nothing more to tell.
    let count = entries(&copy.path(), None).len();
    drop(SqliteJournal::create(&copy.path()).unwrap());
    assert_eq!(entries(&copy.path(), None).len(), count);
}

/// It is gone on with while the file is taken away, or its disk fails.
#[tokio::test]
async fn an_odd_file_of_the_end_is_told_of_once_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = journal(folder.path()).await;
    let missing = |path: &Path| -> Vec<serde_json::Value> {
        let all = entries(path, None).into_iter();
        all.filter(|entry| entry.kind == "head-missing")
            .map(|entry| entry.what)
            .collect()
    };
    std::fs::write(head_file(&path), "of a later fleetmend").unwrap();
    for _ in 0..3 {
        let next = SqliteJournal::create(&path).unwrap();
        store(&next, [started(), Event::RunEnded { exit_code: 0 }]).await;
        next.close().await;
    }
    let told = missing(&path);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["file"], "odd");
    let kept = std::fs::read_to_string(head_file(&path)).unwrap();
    assert_eq!(kept, "of a later fleetmend");

    // While the journal is open, and not only before it is opened.
    let next = SqliteJournal::create(&path).unwrap();
    store(&next, [started()]).await;
    std::fs::remove_file(head_file(&path)).unwrap();
    store(&next, [Event::RunEnded { exit_code: 0 }]).await;
    next.close().await;
    assert_eq!(missing(&path).len(), 2);
    assert!(head_file(&path).exists());
}

/// A kill between the first commit and the file is no reason to tell of anything.
#[test]
fn a_trail_that_has_only_begun_may_lack_the_file_of_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(SqliteJournal::create(&path).unwrap());
    std::fs::remove_file(head_file(&path)).unwrap();
    drop(SqliteJournal::create(&path).unwrap());
    assert_eq!(verify(&path).faults, []);
    assert_eq!(entries(&path, None).len(), 1);
}

/// The sums are of no use against this: whoever changes an event makes its sum anew.
#[tokio::test]
async fn an_event_that_was_changed_with_its_sum_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, run) = journal(folder.path()).await;
    let events = JournalReader::open(&path).unwrap().records(run).unwrap();
    for record in &events {
        let copy = Copy::of(&path);
        let mut changed = serde_json::to_string(&record.event).unwrap();
        // A blank changes no meaning; it shows all the same.
        changed.insert(1, ' ');
        copy.sql()
            .execute(
                "UPDATE events SET body = ?3, sum = ?4 WHERE seq = ?2 AND run_id = \
                 (SELECT id FROM runs WHERE run = ?1)",
                params![
                    run.to_string(),
                    record.seq as i64,
                    changed,
                    sum(run, record.seq, record.at.as_microsecond(), &changed)
                ],
            )
            .unwrap();
        assert_eq!(copy.sql().changes(), 0);
        let reader = JournalReader::open(&copy.path()).unwrap();
        assert_eq!(
            reader.records(run).unwrap().len(),
            events.len(),
            "the sum fits"
        );
        let faults = copy.faults();
        let Some(Fault::Events { after, until, .. }) = faults.first() else {
            panic!("event {}: {faults:?}", record.seq)
        };
        assert!((after + 1..=*until).contains(&record.seq), "{faults:?}");
    }
    for (change, shows) in [
        ("DELETE FROM events WHERE seq = 8", "8"),
        ("UPDATE events SET kind = 'finished' WHERE seq = 2", "2"),
        ("UPDATE events SET host = NULL WHERE seq = 3", "3"),
        ("UPDATE runs SET exit_code = 1", "the end"),
        ("UPDATE runs SET hosts = 1", "the number of PCs"),
        ("UPDATE runs SET subject = 'time-sync'", "the subject"),
        (
            "UPDATE runs SET plan = '{}' WHERE plan IS NOT NULL",
            "the plan",
        ),
        (
            "DELETE FROM runs WHERE plan IS NOT NULL",
            "not in the journal",
        ),
        (
            "INSERT INTO runs (run, started_at) VALUES ('0192f000-0000-7000-8000-000000000000', 1)",
            "without an entry",
        ),
        (
            "INSERT INTO events (run_id, seq, at, host, kind, body) SELECT a.run_id, (SELECT max(seq) + 1 \
             FROM events WHERE run_id = a.run_id), a.at, a.host, a.kind, a.body FROM events AS a \
             WHERE a.seq = 2",
            "stands behind the end of its run",
        ),
    ] {
        let copy = Copy::of(&path);
        copy.sql()
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}"))
            .unwrap();
        let faults = copy.faults();
        assert!(
            faults.iter().any(|fault| fault.to_string().contains(shows)),
            "{change}: {faults:?}"
        );
    }
}

/// As `journal` makes it.
fn sum(run: RunId, seq: u64, at: i64, body: &str) -> i64 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("{run}/{seq}/{at}/{body}"));
    i64::from_be_bytes(*hash.first_chunk().unwrap())
}

#[tokio::test]
async fn the_file_of_the_end_is_judged_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = journal(folder.path()).await;
    let copy = Copy::of(&path);
    for text in ["", "{}", "\u{0}", &"x".repeat(10_000)] {
        std::fs::write(head_file(&copy.path()), text).unwrap();
        assert!(
            matches!(copy.faults().as_slice(), [Fault::OddHeadFile { .. }]),
            "{text:.10}"
        );
    }
    // A trail that is gone altogether, as in a file of an older fleetmend.
    let copy = Copy::of(&path);
    copy.sql()
        .execute_batch(
            "DROP TABLE audit; DROP TABLE spent_tries; DROP TABLE trials;
             DROP TABLE account_policies; PRAGMA user_version = 2;",
        )
        .unwrap();
    assert_eq!(copy.faults(), [Fault::NoTrail]);
    std::fs::remove_file(head_file(&copy.path())).unwrap();
    let error = JournalReader::open(&copy.path()).unwrap().verify(&[]);
    assert!(matches!(
        error,
        Err(StorageError::NoTrail { schema: 2, .. })
    ));
}

/// Journals of schema 1 and 2 as their fleetmend left them.
fn older(path: &Path, schema: i64) -> RunId {
    let run = RunId(uuid::Uuid::now_v7());
    let sql = Connection::open(path).unwrap();
    let plan = if schema == 2 {
        ", plan TEXT, plan_sum INTEGER"
    } else {
        ""
    };
    let sums = if schema == 2 { ", sum INTEGER" } else { "" };
    sql.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE runs (id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE,
            started_at INTEGER NOT NULL, mode TEXT, subject TEXT,
            hosts INTEGER NOT NULL DEFAULT 0, ended_at INTEGER, exit_code INTEGER{plan}) STRICT;
         CREATE TABLE events (run_id INTEGER NOT NULL REFERENCES runs (id), seq INTEGER NOT NULL,
            at INTEGER NOT NULL, host TEXT, kind TEXT NOT NULL, body TEXT NOT NULL{sums},
            PRIMARY KEY (run_id, seq)) STRICT, WITHOUT ROWID;
         CREATE INDEX events_by_host ON events (run_id, host, seq) WHERE host IS NOT NULL;
         CREATE INDEX events_by_kind ON events (run_id, kind);
         PRAGMA application_id = {}; PRAGMA user_version = {schema};",
        0x464C_4D44
    ))
    .unwrap();
    sql.execute(
        "INSERT INTO runs (id, run, started_at, mode, subject, hosts) \
         VALUES (1, ?1, 7, 'repair', 'trust-repair', 2)",
        [run.to_string()],
    )
    .unwrap();
    let events = [
        (None, "run-started", started()),
        (Some("教室-001"), "connecting", on(HostEvent::Connecting)),
    ];
    for (seq, (host, kind, event)) in (1..).zip(events) {
        sql.execute(
            "INSERT INTO events (run_id, seq, at, host, kind, body) VALUES (1, ?1, 7, ?2, ?3, ?4)",
            params![seq, host, kind, serde_json::to_string(&event).unwrap()],
        )
        .unwrap();
    }
    run
}

#[tokio::test]
async fn older_journals_are_read_as_they_are_and_the_trail_begins_with_the_next_run() {
    for schema in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let old = older(&path, schema);
        let reader = JournalReader::open(&path).unwrap();
        assert_eq!(reader.runs().unwrap()[0].run, old);
        assert_eq!(reader.records(old).unwrap().len(), 2);
        assert!(!reader.has_trail());
        assert!(matches!(
            reader.verify(&[]),
            Err(StorageError::NoTrail { .. })
        ));
        assert!(matches!(reader.head(), Err(StorageError::NoTrail { .. })));
        drop(reader);

        let next = SqliteJournal::create(&path).unwrap();
        store(&next, [started(), Event::RunEnded { exit_code: 0 }]).await;
        next.close().await;
        let verdict = verify(&path);
        assert_eq!(verdict.faults, []);
        assert_eq!((verdict.runs, verdict.runs_before), (1, 1));
        let kinds: Vec<String> = entries(&path, None).into_iter().map(|e| e.kind).collect();
        assert_eq!(
            kinds,
            ["trail-begun", "run-found", "run-begun", "run-ended"]
        );

        // The old run is gone on with; what it was before stays proven.
        let resumed = Event::Resumed {
            version: "0.1.0".into(),
            by: None,
        };
        let journal = SqliteJournal::resume(&path, old, |_| ()).unwrap();
        store(&journal, [resumed, Event::RunEnded { exit_code: 1 }]).await;
        journal.close().await;
        assert_eq!(verify(&path).faults, []);
        let reader = JournalReader::open(&path).unwrap();
        assert_eq!(reader.records(old).unwrap().len(), 4);
        let copy = Copy::of(&path);
        copy.sql()
            .execute("UPDATE events SET at = 8 WHERE run_id = 1 AND seq = 2", [])
            .unwrap();
        let faults = copy.faults();
        assert!(
            matches!(faults[0], Fault::Events { number: 2, .. }),
            "{faults:?}"
        );
    }
}

#[tokio::test]
async fn a_run_that_goes_on_says_what_is_not_proven_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = SqliteJournal::create(&path).unwrap();
    store(&journal, [started()]).await;
    assert_eq!(verify(&path).open, []);
    store(&journal, [on(HostEvent::Connecting)]).await;
    let verdict = verify(&path);
    assert_eq!(verdict.faults, []);
    assert_eq!(verdict.open, [journal.run()]);
    assert_eq!(journal.head(), Some(verdict.head));
}

#[tokio::test]
async fn commands_beside_runs_leave_entries_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let body = json!({"operator": {"account": "花子"}});
    let head = note(&path, "password-shown", Some("教室-001"), &body).unwrap();
    let (_, _) = journal(folder.path()).await;
    let verdict = verify(&path);
    assert_eq!(verdict.faults, []);
    let all = entries(&path, None);
    let entry = all.iter().find(|entry| entry.head == head).unwrap();
    assert_eq!(
        (entry.kind.as_str(), &entry.what),
        ("password-shown", &body)
    );
    assert_eq!(entry.run, None);
}

/// The part of a child process: writes runs until it is killed.
#[tokio::test]
async fn child_writes_until_killed() {
    let Ok(path) = std::env::var("FLEETMEND_TEST_AUDIT_CHILD") else {
        return;
    };
    for _ in 0..10_000 {
        let journal = SqliteJournal::create(Path::new(&path)).unwrap();
        store(&journal, [started()]).await;
        store(&journal, story()).await;
        store(&journal, [Event::RunEnded { exit_code: 0 }]).await;
        journal.close().await;
    }
}

#[test]
fn two_processes_that_are_killed_anywhere_leave_one_whole_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let mut before = 0;
    for round in 0..6_u64 {
        let children: Vec<_> = (0..2)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "child_writes_until_killed"])
                    .env("FLEETMEND_TEST_AUDIT_CHILD", &path)
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(300 + 77 * round));
        for mut child in children {
            assert!(child.try_wait().unwrap().is_none(), "it was at work");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let verdict = verify(&path);
        assert_eq!(verdict.faults, [], "round {round}");
        assert!(verdict.head.number > before + 10, "{:?}", verdict.head);
        before = verdict.head.number;
    }
    let mut runs = std::collections::BTreeSet::new();
    let mut turns = 0;
    let mut last = None;
    for entry in entries(&path, None) {
        turns += u32::from(entry.run != last);
        runs.extend(entry.run);
        last = entry.run;
    }
    assert!(
        turns as usize > runs.len(),
        "their entries stand among each other"
    );
}

/// A run in which every second event has an entry, as amid repairs.
#[tokio::test(flavor = "multi_thread")]
async fn entries_do_not_slow_many_writers_down_much() {
    const WRITERS: usize = 256;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = std::sync::Arc::new(SqliteJournal::create(&path).unwrap());
    store(&journal, [started()]).await;
    let start = std::time::Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|index| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for mut event in story().into_iter().chain(story()).chain(story()) {
                    if let Event::Host { host, .. } = &mut event {
                        *host = HostName(format!("教室-{index:03}"));
                    }
                    store(&journal, [event]).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let events = (WRITERS * story().len() * 3) as f64;
    let rate = events / start.elapsed().as_secs_f64();
    let of_run = entries(&path, Some(journal.run())).len();
    println!("{rate:.0} events a second, {of_run} entries");
    journal.close().await;
    let start = std::time::Instant::now();
    assert_eq!(verify(&path).faults, []);
    println!("verified in {:?}", start.elapsed());
    assert!(rate >= 2_000.0, "only {rate:.0} events a second");
}
