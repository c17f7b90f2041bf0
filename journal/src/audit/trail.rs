//! What a run's events put on the trail.

use std::collections::BTreeMap;

use fleetmend_model::{Event, HostEvent, HostName, Place, RunId, StepEnd, StepRef};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::entry::field;
use super::head::hex;
use crate::sum;

/// Counts up whenever the hash over events is made in another way.
const VERSION: &[u8] = b"fleetmend-events/1";

/// One stored event, column by column.
pub(crate) struct Row<'a> {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) host: Option<&'a str>,
    pub(crate) kind: &'a str,
    /// SHA-256 of its body in its place ([`sum::digest_of_event`]), which the writer makes for
    /// the sum anyway.
    pub(crate) digest: [u8; 32],
    pub(crate) sum: Option<i64>,
}

/// Follows the events of one run, for its entries and for the hash over its rows. The writer and
/// the verifier use the same, so that they cannot mean different things.
#[derive(Clone)]
pub(crate) struct Trail {
    run: RunId,
    rows: Sha256,
    /// Steps that change something and have no end yet.
    open: BTreeMap<(HostName, String), Place>,
}

impl Trail {
    pub(crate) fn new(run: RunId) -> Self {
        let mut rows = Sha256::new();
        rows.update(VERSION);
        rows.update(run.0.as_bytes());
        Self {
            run,
            rows,
            open: BTreeMap::new(),
        }
    }

    /// Takes the next row in.
    pub(crate) fn row(&mut self, row: &Row<'_>) {
        let hash = &mut self.rows;
        hash.update(row.seq.to_be_bytes());
        hash.update(row.at.to_be_bytes());
        field(hash, row.host.map(str::as_bytes));
        field(hash, Some(row.kind.as_bytes()));
        hash.update(row.digest);
        field(
            hash,
            row.sum.map(i64::to_be_bytes).as_ref().map(|sum| &sum[..]),
        );
    }

    /// Returns the hash over all rows so far.
    pub(crate) fn events(&self) -> [u8; 32] {
        self.rows.clone().finalize().into()
    }

    /// Returns what the next event puts on the trail: kind and body. What the writer alone knows
    /// (`terms`, `plan`) is not in it.
    pub(crate) fn told(&mut self, event: &Event) -> Option<(&'static str, Value)> {
        Some(match event {
            Event::RunStarted {
                mode,
                subject,
                digest,
                version,
                hosts,
                operator,
            } => {
                let body = json!({
                    "operator": operator, "mode": mode, "subject": subject, "digest": digest,
                    "version": version, "pcs": hosts.len(), "pcs_digest": list_digest(hosts),
                    "names": hosts,
                });
                ("run-begun", body)
            }
            Event::Resumed { version, by } => {
                ("run-resumed", json!({"version": version, "by": by}))
            }
            Event::Interrupted { cut } => ("interrupted", json!({"cut": cut})),
            Event::BatchStarted { .. } => return None,
            Event::ErrorsSpent(spent) => {
                let body = json!({
                    "class": spent.class, "count": spent.count, "allowed": spent.allowed,
                    "left": spent.left,
                });
                ("errors-spent", body)
            }
            Event::RunEnded { exit_code } => ("run-ended", json!({"exit_code": exit_code})),
            Event::Host { host, what } => return self.on_pc(host, what),
        })
    }

    fn on_pc(&mut self, host: &HostName, what: &HostEvent) -> Option<(&'static str, Value)> {
        Some(match what {
            HostEvent::CredentialUsed {
                credential,
                account,
                what_for,
            } => {
                let body = json!({
                    "credential": credential, "account": account, "for": what_for,
                });
                ("credential-used", body)
            }
            HostEvent::RungStarted { rung, .. } => ("rung-begun", json!({"rung": rung})),
            HostEvent::RungEnded { rung, verified } => {
                ("rung-ended", json!({"rung": rung, "verified": verified}))
            }
            HostEvent::StepStarted {
                step,
                changes: true,
                place,
            } => {
                self.open.insert((host.clone(), step.to_string()), *place);
                ("step-begun", step_body(step, *place))
            }
            // Most steps ask only.
            HostEvent::StepEnded { .. } if self.open.is_empty() => return None,
            HostEvent::StepEnded { step, end, .. } => {
                let place = self.open.remove(&(host.clone(), step.to_string()))?;
                let mut body = step_body(step, place);
                ended(&mut body, place, end);
                ("step-ended", body)
            }
            HostEvent::RebootOrdered { step, .. } => {
                ("restart-ordered", json!({"step": step.to_string()}))
            }
            HostEvent::HandedIn(handed) => {
                let body = json!({
                    "stick": handed.stick, "file": handed.file, "computer": handed.computer,
                    "by": handed.by, "began": handed.began, "ended": handed.ended,
                    "credential_given": handed.credential_given,
                    "outcome": handed.result.outcome,
                });
                ("handed-in", body)
            }
            HostEvent::Connecting
            | HostEvent::Connected { .. }
            | HostEvent::ConnectFailed { .. }
            | HostEvent::StepStarted { changes: false, .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::Diagnosed { .. }
            | HostEvent::Finished { .. } => return None,
        })
    }
}

fn step_body(step: &StepRef, place: Place) -> Value {
    json!({"step": step.to_string(), "place": place})
}

/// How a step that changes ended; of one in the directory, the account that it wrote. What a PC
/// answers is the PC's word, and not for a trail.
fn ended(body: &mut Value, place: Place, end: &StepEnd) {
    let Some(fields) = body.as_object_mut() else {
        return;
    };
    let word = match end {
        StepEnd::Answered { answer } => {
            let account = answer.get("dn").filter(|_| place == Place::Controller);
            if let Some(account) = account {
                fields.insert("account".to_owned(), account.clone());
            }
            "answered"
        }
        StepEnd::Failed { error_id, code, .. } => {
            fields.insert("error".to_owned(), json!(error_id));
            fields.insert("code".to_owned(), json!(code));
            "failed"
        }
        StepEnd::NotRun { .. } => "not-run",
        StepEnd::Unknown { .. } => "unknown",
    };
    fields.insert("end".to_owned(), json!(word));
}

/// Returns SHA-256 over the names, each with its length.
fn list_digest(hosts: &[HostName]) -> String {
    let mut hash = Sha256::new();
    for host in hosts {
        field(&mut hash, Some(host.0.as_bytes()));
    }
    hex(&hash.finalize())
}

/// Takes in all stored events of a run, as when it is gone on with; returns the number of the last.
pub(crate) fn fold(
    connection: &Connection,
    run_id: i64,
    trail: &mut Trail,
) -> Result<i64, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT seq, at, host, kind, body, sum FROM events WHERE run_id = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![run_id])?;
    let mut last = 0;
    while let Some(row) = rows.next()? {
        let (host, kind, body): (Option<String>, String, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let place = u64::try_from(seq).unwrap_or_default();
        let row = Row {
            seq,
            at,
            host: host.as_deref(),
            kind: &kind,
            digest: sum::digest_of_event(trail.run, place, at, &body),
            sum: row.get(5)?,
        };
        trail.row(&row);
        // An event that cannot be read opens no step; reading it for a resume has failed before.
        if let Ok(event) = serde_json::from_str(&body) {
            trail.told(&event);
        }
        last = row.seq;
    }
    Ok(last)
}
