//! Writes the entries of a run's events, in their transaction.

use fleetmend_model::{Event, HostEvent, RunId};
use rusqlite::Connection;
use serde_json::Value;

use super::chain::{append, last};
use super::entry::Draft;
use super::head::{Head, hex};
use super::run_check::{PLAN, TERMS, digest};
use super::trail::{Row, Trail, fold};

/// What the writer knows of a run that no event says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// What the run was begun with, as `resume` needs it.
    pub(crate) plan: Option<String>,
    /// What it was begun with, or by whom it is gone on with, in words for the trail.
    pub(crate) terms: Option<Value>,
}

/// Writes the entries of one transaction.
pub(crate) struct Scribe<'a> {
    connection: &'a Connection,
    run: String,
    known: &'a Known,
    trail: Trail,
    head: Option<Head>,
}

impl<'a> Scribe<'a> {
    /// Begins with what the run's events were so far; with none, as when a run is gone on with,
    /// they are read.
    pub(crate) fn new(
        connection: &'a Connection,
        (run, run_id): (RunId, i64),
        trail: Option<&Trail>,
        known: &'a Known,
    ) -> Result<Self, rusqlite::Error> {
        // A copy: of a transaction that fails nothing must stay.
        let trail = match trail {
            Some(trail) => trail.clone(),
            None => {
                let mut trail = Trail::new(run);
                fold(connection, run_id, &mut trail)?;
                trail
            }
        };
        Ok(Self {
            connection,
            run: run.to_string(),
            known,
            trail,
            head: None,
        })
    }

    /// Takes an event that has just been stored.
    pub(crate) fn take(&mut self, row: &Row<'_>, event: &Event) -> Result<(), rusqlite::Error> {
        self.trail.row(row);
        let Some((kind, mut body)) = self.trail.told(event) else {
            return Ok(());
        };
        self.add_known(event, &mut body);
        let draft = Draft {
            at: row.at,
            run: Some(&self.run),
            seq: Some(row.seq),
            host: row.host,
            kind,
            body: &body.to_string(),
            events: Some(&self.trail.events()),
        };
        // Read once: nobody else writes while the transaction is open.
        let previous = match self.head {
            Some(head) => head,
            None => last(self.connection)?,
        };
        self.head = Some(append(self.connection, &previous, &draft)?);
        Ok(())
    }

    fn add_known(&self, event: &Event, body: &mut Value) {
        let Some(fields) = body.as_object_mut() else {
            return;
        };
        let is_beginning = matches!(event, Event::RunStarted { .. });
        if let Some(terms) = &self.known.terms
            && (is_beginning || is_hand_in(event) || matches!(event, Event::Resumed { .. }))
        {
            fields.insert(TERMS.to_owned(), terms.clone());
        }
        if let Some(plan) = &self.known.plan
            && is_beginning
        {
            fields.insert(PLAN.to_owned(), hex(&digest(plan)).into());
        }
    }

    /// Returns the end of the trail, if an entry was written, and what the next transaction
    /// begins with.
    pub(crate) fn done(self) -> (Option<Head>, Trail) {
        (self.head, self.trail)
    }
}

fn is_hand_in(event: &Event) -> bool {
    matches!(
        event,
        Event::Host {
            what: HostEvent::HandedIn(_),
            ..
        }
    )
}
