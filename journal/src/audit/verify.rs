//! Whether the trail is what was written.

use std::collections::{BTreeMap, BTreeSet};

use fleetmend_model::RunId;
use rusqlite::{Row, Transaction};
use serde_json::Value;

use super::chain::{HEAD_MISSING, RUN_FOUND, TRAIL_BEGUN};
use super::entry::Draft;
use super::fault::{Fault, HeadSource};
use super::head::{Head, HeadClaim};
use super::head_file::{self, Kept};
use super::run_check::check_run;
use crate::{JournalReader, StorageError};

/// What came of verifying a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The end of the trail.
    pub head: Head,
    /// How many runs were compared with it from their first event on.
    pub runs: u64,
    /// How many runs are older than the trail: nothing is known of who ran them, only that their
    /// events are what they were when the trail began.
    pub runs_before: u64,
    /// Runs whose last events no entry covers yet, because they were cut or go on.
    pub open: Vec<RunId>,
    /// What is wrong, the earliest entry first; nothing: the trail is whole.
    pub faults: Vec<Fault>,
}

impl Verdict {
    /// Tells whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What the pass over the chain gathers for the passes over the runs.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) faults: Vec<Fault>,
    head: Option<Head>,
    /// Each run that has entries, with its first.
    runs: BTreeMap<String, u64>,
    /// Of these, the runs that were there before the trail.
    found: BTreeSet<String>,
    /// Noted ends that no entry has fitted yet.
    claims: Vec<(HeadSource, HeadClaim)>,
}

impl JournalReader {
    /// Verifies the whole trail: its chain, each event against its entry, each run's events
    /// against the hashes over them, and the ends that were noted: in the file beside the journal
    /// and those given. Takes a while on a big journal.
    ///
    /// # Errors
    /// [`StorageError::NoTrail`]; or the journal cannot be read at all. All else is a fault.
    pub fn verify(&self, given: &[HeadClaim]) -> Result<Verdict, StorageError> {
        // Before the trail is read: what is written meanwhile is then only in the trail.
        let kept = head_file::read(&self.path);
        if !self.has_trail() && (kept != Kept::Nothing || !given.is_empty()) {
            return Ok(Verdict {
                head: Head::NONE,
                runs: 0,
                runs_before: 0,
                open: Vec::new(),
                faults: vec![Fault::NoTrail],
            });
        }
        self.must_have_trail()?;
        let mut chain = Chain::default();
        for claim in given {
            chain.claims.push((HeadSource::Given, claim.clone()));
        }
        match kept {
            // Whoever brings an end of their own needs none of the file's.
            Kept::Nothing if given.is_empty() => chain.faults.push(Fault::NoHeadFile),
            Kept::Nothing => {}
            Kept::Odd(detail) => chain.faults.push(Fault::OddHeadFile { detail }),
            Kept::Claim(claim) => chain.claims.push((HeadSource::File, claim)),
        }
        // One look at all of it, also while others write.
        let snapshot = self
            .connection
            .unchecked_transaction()
            .map_err(|error| self.wrap(error))?;
        let mut verdict = Verdict {
            head: Head::NONE,
            runs: 0,
            runs_before: 0,
            open: Vec::new(),
            faults: Vec::new(),
        };
        match self.look(&snapshot, &mut chain, &mut verdict) {
            Ok(()) => {}
            Err(StorageError::Corrupt { detail, .. }) => {
                chain.faults.push(Fault::Damaged { detail });
            }
            Err(error) => return Err(error),
        }
        verdict.faults.append(&mut chain.faults);
        verdict
            .faults
            .sort_by_key(|fault| fault.entry().unwrap_or(u64::MAX));
        Ok(verdict)
    }

    fn look(
        &self,
        snapshot: &Transaction<'_>,
        chain: &mut Chain,
        verdict: &mut Verdict,
    ) -> Result<(), StorageError> {
        self.check()?;
        let wrap = |error| self.damaged(error);
        chain.follow(snapshot).map_err(wrap)?;
        verdict.head = chain.head.unwrap_or(Head::NONE);
        chain.judge_claims(verdict.head);
        let mut statement = snapshot
            .prepare("SELECT id, run FROM runs ORDER BY id")
            .map_err(wrap)?;
        let mut rows = statement.query([]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            let (id, run): (i64, String) = (row.get(0).map_err(wrap)?, row.get(1).map_err(wrap)?);
            if chain.runs.remove(&run).is_none() {
                chain.faults.push(Fault::UnknownRun { run });
                continue;
            }
            let before = chain.found.contains(&run);
            let is_open = check_run(snapshot, (id, &run), &mut chain.faults).map_err(wrap)?;
            if let Ok(run) = run.parse()
                && is_open
            {
                verdict.open.push(RunId(run));
            }
            if before {
                verdict.runs_before += 1;
            } else {
                verdict.runs += 1;
            }
        }
        for (run, number) in std::mem::take(&mut chain.runs) {
            chain.faults.push(Fault::NoRun { number, run });
        }
        Ok(())
    }

    /// A value of a wrong type is damage, too.
    fn damaged(&self, error: rusqlite::Error) -> StorageError {
        match self.wrap(error) {
            StorageError::Sqlite { source, .. } => self.corrupt(source.to_string()),
            other => other,
        }
    }
}

impl Chain {
    /// Goes over every entry in order.
    fn follow(&mut self, snapshot: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let mut statement = snapshot.prepare(
            "SELECT number, at, run, seq, host, kind, body, events, hash FROM audit \
             ORDER BY number",
        )?;
        let mut rows = statement.query([])?;
        let mut previous = Head::NONE;
        while let Some(row) = rows.next()? {
            previous = self.entry(row, &previous)?;
        }
        if previous == Head::NONE {
            self.faults.push(Fault::NoBeginning);
        }
        self.head = Some(previous);
        Ok(())
    }

    fn entry(&mut self, row: &Row<'_>, previous: &Head) -> Result<Head, rusqlite::Error> {
        let number: i64 = row.get(0)?;
        let number = u64::try_from(number).unwrap_or_default();
        let run: Option<String> = row.get(2)?;
        let host: Option<String> = row.get(4)?;
        let kind: String = row.get(5)?;
        let body: String = row.get(6)?;
        let events: Option<Vec<u8>> = row.get(7)?;
        let hash: Vec<u8> = row.get(8)?;
        let draft = Draft {
            at: row.get(1)?,
            run: run.as_deref(),
            seq: row.get(3)?,
            host: host.as_deref(),
            kind: &kind,
            body: &body,
            events: events.as_deref(),
        };
        let due = draft.after(previous);
        if due.number != number {
            self.faults.push(Fault::Missing {
                number: due.number,
                found: number,
            });
        } else if due.hash.as_slice() != hash.as_slice() {
            self.faults.push(Fault::Changed { number });
        }
        if (number == 1) != (kind == TRAIL_BEGUN) {
            self.faults.push(Fault::NoBeginning);
        }
        if serde_json::from_str::<Value>(&body).is_err() {
            let what = "it is no JSON";
            self.faults.push(Fault::Unreadable { number, what });
        }
        if let Some(run) = run {
            if kind == RUN_FOUND {
                self.found.insert(run.clone());
            }
            self.runs.entry(run).or_insert(number);
        }
        // What is stored counts for the next, so that one change shows at one place.
        let Ok(hash) = <[u8; 32]>::try_from(hash) else {
            let what = "its hash has another length";
            self.faults.push(Fault::Unreadable { number, what });
            return Ok(Head { number, ..due });
        };
        let head = Head { number, hash };
        // Whoever names just this entry knows of it. A later end proves nothing of what was before.
        let is_known = |(source, claim): &(HeadSource, HeadClaim)| {
            *source == HeadSource::Given && claim.fits(&head)
        };
        if kind == HEAD_MISSING && !self.claims.iter().any(is_known) {
            self.faults.push(Fault::HeadWasMissing { end: head });
        }
        self.claims
            .retain(|(_, claim)| claim.number() != number || !claim.fits(&head));
        Ok(head)
    }

    fn judge_claims(&mut self, now: Head) {
        for (source, claim) in std::mem::take(&mut self.claims) {
            self.faults.push(Fault::Head { source, claim, now });
        }
    }
}
