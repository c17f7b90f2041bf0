//! One run's events against the trail's entries.

use std::iter::Peekable;
use std::vec::IntoIter;

use fleetmend_model::{Event, HostEvent, RunId};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::chain::RUN_FOUND;
use super::fault::Fault;
use super::head::hex;
use super::trail::{Row, Trail};
use crate::{kind, sum};

/// What stands in an entry that no event says: what the run was begun with, by whom it is gone on
/// with.
pub(crate) const TERMS: &str = "terms";
/// SHA-256 of the plan, in the entry of a run's beginning.
pub(crate) const PLAN: &str = "plan";

/// An entry of the run.
struct Entry {
    number: u64,
    at: i64,
    seq: i64,
    host: Option<String>,
    kind: String,
    body: String,
    events: Vec<u8>,
}

/// The walk along a run's events, beside its entries.
struct Walk<'a> {
    run: &'a str,
    trail: Trail,
    entries: Peekable<IntoIter<Entry>>,
    /// Up to here the run is older than the trail.
    found: i64,
    /// The last event whose hash over events fitted.
    proven: i64,
    /// A difference shows in all later hashes; it is told once.
    events_differ: bool,
    plan: Option<String>,
    /// The run has ended and was not gone on with.
    over: bool,
    line: Line,
    seen: Line,
    faults: &'a mut Vec<Fault>,
}

/// The run in the list of runs.
#[derive(Default, PartialEq)]
struct Line {
    started_at: i64,
    mode: Option<String>,
    subject: Option<String>,
    hosts: i64,
    ended_at: Option<i64>,
    exit_code: Option<i32>,
}

/// Compares a run with its entries; returns whether events stand behind its last entry.
pub(super) fn check_run(
    connection: &Connection,
    (id, run): (i64, &str),
    faults: &mut Vec<Fault>,
) -> Result<bool, rusqlite::Error> {
    let (line, plan) = line(connection, id)?;
    let entries = entries(connection, run)?;
    let found = entries.first().filter(|entry| entry.kind == RUN_FOUND);
    let run_id = RunId(run.parse().unwrap_or_default());
    let mut walk = Walk {
        run,
        trail: Trail::new(run_id),
        found: found.map_or(0, |entry| entry.seq),
        entries: entries.into_iter().peekable(),
        proven: 0,
        events_differ: false,
        plan,
        over: false,
        line,
        seen: Line::default(),
        faults,
    };
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, host, kind, body, sum FROM events WHERE run_id = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![id])?;
    let mut last = 0;
    while let Some(row) = rows.next()? {
        let (host, kind, body): (Option<String>, String, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let row = Row {
            seq,
            at,
            host: host.as_deref(),
            kind: &kind,
            digest: sum::digest_of_event(run_id, whole(seq), at, &body),
            sum: row.get(5)?,
        };
        if row.seq != last + 1 {
            walk.event(last + 1, "is missing");
        }
        last = row.seq;
        walk.step(&row, &body);
    }
    walk.end(last);
    Ok(walk.proven < last)
}

fn line(connection: &Connection, id: i64) -> Result<(Line, Option<String>), rusqlite::Error> {
    let row = connection
        .prepare_cached(
            "SELECT started_at, mode, subject, hosts, ended_at, exit_code, plan FROM runs \
             WHERE id = ?1",
        )?
        .query_row(params![id], |row| {
            let line = Line {
                started_at: row.get(0)?,
                mode: row.get(1)?,
                subject: row.get(2)?,
                hosts: row.get(3)?,
                ended_at: row.get(4)?,
                exit_code: row.get(5)?,
            };
            Ok((line, row.get(6)?))
        })
        .optional()?;
    Ok(row.unwrap_or_default())
}

fn entries(connection: &Connection, run: &str) -> Result<Vec<Entry>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT number, at, seq, host, kind, body, events FROM audit WHERE run = ?1 \
         ORDER BY number",
    )?;
    let entry = |row: &rusqlite::Row<'_>| {
        let number: i64 = row.get(0)?;
        let (seq, events): (Option<i64>, Option<Vec<u8>>) = (row.get(2)?, row.get(6)?);
        Ok(Entry {
            number: u64::try_from(number).unwrap_or_default(),
            at: row.get(1)?,
            seq: seq.unwrap_or_default(),
            host: row.get(3)?,
            kind: row.get(4)?,
            body: row.get(5)?,
            events: events.unwrap_or_default(),
        })
    };
    statement.query_map(params![run], entry)?.collect()
}

impl Walk<'_> {
    fn event(&mut self, seq: i64, what: &'static str) {
        let run = self.run.to_owned();
        let seq = whole(seq);
        self.faults.push(Fault::Event { run, seq, what });
    }

    /// Takes the next event, with the entries that are of it.
    fn step(&mut self, row: &Row<'_>, body: &str) {
        self.trail.row(row);
        let place = whole(row.seq);
        if row.sum.is_some_and(|sum| sum != sum::short(&row.digest)) {
            self.event(row.seq, "is not what was stored");
        }
        // Entries of events that are not there.
        while let Some(entry) = self.entries.next_if(|entry| entry.seq < row.seq) {
            self.orphan(&entry);
        }
        let told = match serde_json::from_str::<Event>(body) {
            Ok(event) => {
                if kind::kind(&event) != row.kind {
                    self.event(row.seq, "is listed under another kind");
                }
                self.place(row, &event);
                self.note(row, &event);
                self.trail.told(&event)
            }
            Err(_) => {
                self.event(row.seq, "cannot be read");
                None
            }
        };
        if row.seq <= self.found {
            if let Some(entry) = self.entries.next_if(|entry| entry.seq == row.seq) {
                self.hash(&entry);
            }
            return;
        }
        match (told, self.entries.next_if(|entry| entry.seq == row.seq)) {
            (None, None) => {}
            (Some(told), Some(entry)) => {
                self.hash(&entry);
                self.compare(row, told, &entry);
            }
            (Some((kind, _)), None) => self.faults.push(Fault::NoEntry {
                run: self.run.to_owned(),
                seq: place,
                kind: kind.to_owned(),
            }),
            (None, Some(entry)) => self.differs(&entry, "such an event has no entry".to_owned()),
        }
    }

    /// Behind the end of a run only results that are handed in may stand, until somebody goes on
    /// with it. No later entry would prove what else stands there.
    fn place(&mut self, row: &Row<'_>, event: &Event) {
        let handed_in = matches!(
            event,
            Event::Host {
                what: HostEvent::HandedIn(_),
                ..
            }
        );
        match event {
            Event::RunEnded { .. } => self.over = true,
            Event::Resumed { .. } => self.over = false,
            _ if self.over && !handed_in && row.seq > self.found => {
                self.event(row.seq, "stands behind the end of its run");
            }
            _ => {}
        }
    }

    /// Compares the hash over all events so far.
    fn hash(&mut self, entry: &Entry) {
        if self.events_differ {
            return;
        }
        if entry.events == self.trail.events() {
            self.proven = entry.seq;
            return;
        }
        self.events_differ = true;
        self.faults.push(Fault::Events {
            number: entry.number,
            run: self.run.to_owned(),
            after: whole(self.proven),
            until: whole(entry.seq),
        });
    }

    fn compare(&mut self, row: &Row<'_>, (kind, told): (&str, Value), entry: &Entry) {
        if entry.kind != kind {
            return self.differs(entry, format!("{} instead of {kind}", entry.kind));
        }
        if entry.at != row.at {
            return self.differs(entry, "the time".to_owned());
        }
        if entry.host.as_deref() != row.host {
            return self.differs(entry, "the PC".to_owned());
        }
        let Ok(Value::Object(mut body)) = serde_json::from_str(&entry.body) else {
            return; // told by the pass over the chain
        };
        body.remove(TERMS);
        if kind == "run-begun" {
            let plan = self.plan.as_deref().map(|plan| hex(&digest(plan)));
            if body.remove(PLAN) != plan.map(Value::from) {
                self.differs(entry, "the plan".to_owned());
            }
        }
        let wrong = body
            .iter()
            .find(|(name, value)| told.get(name.as_str()) != Some(value));
        if let Some((name, _)) = wrong {
            self.differs(entry, name.clone());
        }
    }

    fn differs(&mut self, entry: &Entry, what: String) {
        self.faults.push(Fault::Differs {
            number: entry.number,
            run: self.run.to_owned(),
            seq: whole(entry.seq),
            what,
        });
    }

    fn orphan(&mut self, entry: &Entry) {
        // A run without an event was found so.
        if entry.kind == RUN_FOUND && entry.seq == 0 {
            return self.hash(entry);
        }
        self.faults.push(Fault::NoEvent {
            number: entry.number,
            run: self.run.to_owned(),
            seq: whole(entry.seq),
        });
    }

    /// Keeps what the list of runs must say.
    fn note(&mut self, row: &Row<'_>, event: &Event) {
        if row.seq == 1 {
            self.seen.started_at = row.at;
        }
        match event {
            Event::RunStarted {
                mode,
                subject,
                hosts,
                ..
            } => {
                let mode = serde_json::to_value(mode).unwrap_or_default();
                self.seen.mode = mode.as_str().map(str::to_owned);
                self.seen.subject = Some(subject.clone());
                self.seen.hosts = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
            }
            Event::RunEnded { exit_code } => {
                self.seen.ended_at = Some(row.at);
                self.seen.exit_code = Some(*exit_code);
            }
            _ => {}
        }
    }

    fn end(&mut self, last: i64) {
        while let Some(entry) = self.entries.next() {
            self.orphan(&entry);
        }
        if last == 0 {
            return;
        }
        let (line, seen) = (&self.line, &self.seen);
        let wrong = [
            ("the beginning", line.started_at != seen.started_at),
            ("the mode", line.mode != seen.mode),
            ("the subject", line.subject != seen.subject),
            ("the number of PCs", line.hosts != seen.hosts),
            (
                "the end",
                line.ended_at != seen.ended_at || line.exit_code != seen.exit_code,
            ),
        ];
        for (what, _) in wrong.into_iter().filter(|(_, wrong)| *wrong) {
            let run = self.run.to_owned();
            self.faults.push(Fault::Run { run, what });
        }
    }
}

/// Returns SHA-256 of a plan.
pub(crate) fn digest(plan: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(plan.as_bytes()).into()
}

/// Numbers in the file are never negative, unless somebody wrote them.
fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
