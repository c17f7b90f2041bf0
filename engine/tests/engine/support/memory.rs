//! A journal in memory that can fail at any event.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fleetmend_engine::{Journal, JournalError};
use fleetmend_model::{Event, HostEvent, Record, RunId, StepRef};
use jiff::Timestamp;
use tokio::sync::watch;

pub struct MemoryJournal {
    records: Mutex<Vec<Record>>,
    by_host: Mutex<BTreeMap<String, Vec<HostEvent>>>,
    count: watch::Sender<usize>,
    fail_at: Option<usize>,
    /// Stores no more than this, and never answers after it: the process is about to be killed.
    freeze_at: Option<usize>,
    pub failed: AtomicBool,
    /// Panic instead of failing; hang instead of failing.
    pub panics: bool,
    pub hangs: bool,
}

impl MemoryJournal {
    pub fn new(fail_at: Option<usize>) -> Self {
        Self {
            records: Mutex::default(),
            by_host: Mutex::default(),
            count: watch::Sender::new(0),
            fail_at,
            freeze_at: None,
            failed: AtomicBool::new(false),
            panics: false,
            hangs: false,
        }
    }

    /// A journal that has these already.
    pub fn with(records: Vec<Record>) -> Self {
        let journal = Self::new(None);
        for record in &records {
            if let Event::Host { host, what } = &record.event {
                let mut by_host = journal.by_host.lock().unwrap();
                let events = by_host.entry(host.0.clone()).or_default();
                events.push(what.clone());
            }
        }
        journal.count.send_replace(records.len());
        *journal.records.lock().unwrap() = records;
        journal
    }

    pub fn frozen_at(self, freeze_at: Option<usize>) -> Self {
        Self { freeze_at, ..self }
    }

    pub fn failing_at(self, at: usize) -> Self {
        Self {
            fail_at: Some(at),
            ..self
        }
    }

    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub fn of(&self, host: &str) -> Vec<HostEvent> {
        self.by_host
            .lock()
            .unwrap()
            .get(host)
            .cloned()
            .unwrap_or_default()
    }

    /// The step that the journal says is about to run on this PC.
    pub fn announced(&self, host: &str) -> Option<StepRef> {
        match self.by_host.lock().unwrap().get(host)?.last() {
            Some(HostEvent::StepStarted { step, .. }) => Some(step.clone()),
            _ => None,
        }
    }
}

/// Tells whether a step was announced that has no end.
pub fn is_amid_step(events: &[HostEvent]) -> bool {
    let of_steps = |event: &&HostEvent| {
        matches!(
            event,
            HostEvent::StepStarted { .. } | HostEvent::StepEnded { .. }
        )
    };
    let last = events.iter().rev().find(of_steps);
    matches!(last, Some(HostEvent::StepStarted { .. }))
}

/// Tells whether the last word is that the PC is to restart.
pub fn is_ordered(events: &[HostEvent]) -> bool {
    matches!(events.last(), Some(HostEvent::RebootOrdered { .. }))
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, event: Event) -> Result<Record, JournalError> {
        // As a disk would: others run in the meantime.
        tokio::task::yield_now().await;
        let frozen = |most| self.records.lock().unwrap().len() >= most;
        if self.freeze_at.is_some_and(frozen) {
            std::future::pending::<()>().await;
        }
        let record = {
            let mut records = self.records.lock().unwrap();
            let seq = records.len() as u64 + 1;
            if self.fail_at == Some(records.len()) {
                self.failed.fetch_or(!self.hangs, Ordering::SeqCst);
                None
            } else {
                let run = RunId(uuid::Uuid::nil());
                let record = Record {
                    run,
                    seq,
                    at: Timestamp::UNIX_EPOCH,
                    event,
                };
                if let Event::Host { host, what } = &record.event {
                    let mut by_host = self.by_host.lock().unwrap();
                    by_host
                        .entry(host.0.clone())
                        .or_default()
                        .push(what.clone());
                }
                records.push(record.clone());
                self.count.send_replace(records.len());
                Some(record)
            }
        };
        if record.is_none() && self.hangs {
            // Nobody knows of it before the engine gives up.
            let _given_up = GivenUp(&self.failed);
            std::future::pending::<()>().await;
        }
        assert!(
            record.is_some() || !self.panics,
            "the journal panics as told"
        );
        record.ok_or_else(|| JournalError {
            detail: "disk full".into(),
        })
    }
}

struct GivenUp<'a>(&'a AtomicBool);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
