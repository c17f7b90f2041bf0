//! What all PCs of one lab share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answers::Answers;
use crate::domain::Domain;
use crate::registry::ScriptRegistry;

/// How long simulated work takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Multiplies the time that each step and command takes; 0: none at all.
    pub scale: f64,
}

impl Pace {
    /// Nothing takes time: for tests.
    pub const NONE: Self = Self { scale: 0.0 };

    /// Returns how long work of this length takes on a PC of this slowness.
    pub fn of(self, base: Duration, slowness: f64) -> Duration {
        Duration::try_from_secs_f64(base.as_secs_f64() * self.scale * slowness)
            .unwrap_or(Duration::ZERO)
    }
}

/// What happened in a lab so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Logons that were accepted.
    pub logons_accepted: u64,
    /// Logons that were refused.
    pub logons_refused: u64,
    /// Processes started.
    pub processes: u64,
    /// Steps that were answered, or that hang.
    pub steps: u64,
    /// Steps whose script the lab did not know.
    pub unknown_scripts: u64,
    /// Commands typed by hand.
    pub commands: u64,
}

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) logons_accepted: AtomicU64,
    pub(crate) logons_refused: AtomicU64,
    pub(crate) processes: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) unknown_scripts: AtomicU64,
    pub(crate) commands: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            logons_accepted: of(&self.logons_accepted),
            logons_refused: of(&self.logons_refused),
            processes: of(&self.processes),
            steps: of(&self.steps),
            unknown_scripts: of(&self.unknown_scripts),
            commands: of(&self.commands),
        }
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Which PCs are amid a restart, by site.
#[derive(Debug, Default)]
pub struct RestartCounts {
    sites: Mutex<BTreeMap<String, AtOnce>>,
}

/// How many PCs of one site are amid a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtOnce {
    /// Now: from the order until the PC is back, or gone for good.
    pub now: usize,
    /// At most so far.
    pub most: usize,
    /// How many restarts were begun.
    pub begun: usize,
}

impl RestartCounts {
    pub(crate) fn begin(&self, site: &str) {
        let mut sites = lock(&self.sites);
        let counts = sites.entry(site.to_owned()).or_default();
        counts.now += 1;
        counts.begun += 1;
        counts.most = counts.most.max(counts.now);
    }

    pub(crate) fn end(&self, site: &str) {
        if let Some(counts) = lock(&self.sites).get_mut(site) {
            counts.now = counts.now.saturating_sub(1);
        }
    }

    /// Returns the counts of every site in which a PC has restarted.
    pub fn by_site(&self) -> BTreeMap<String, AtOnce> {
        lock(&self.sites).clone()
    }
}

/// What all PCs of one lab share: the domain, the known scripts, the pace, the way to end.
#[derive(Debug)]
pub struct Shared {
    domain: Mutex<Domain>,
    /// The scripts that the lab knows.
    pub scripts: ScriptRegistry,
    /// Scripted answers.
    pub answers: Answers,
    /// How long things take.
    pub pace: Pace,
    /// Which PCs are amid a restart.
    pub restarts: RestartCounts,
    /// Ends every simulated process.
    pub(crate) cancel: CancellationToken,
    /// Every task that the lab started.
    pub(crate) tasks: TaskTracker,
    pub(crate) counters: Counters,
}

impl Shared {
    /// Returns what PCs of this domain share.
    pub fn new(domain: Domain, scripts: ScriptRegistry, answers: Answers, pace: Pace) -> Self {
        Self {
            domain: Mutex::new(domain),
            scripts,
            answers,
            pace,
            restarts: RestartCounts::default(),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            counters: Counters::default(),
        }
    }

    /// Returns it with the tasks and the end of a lab.
    pub(crate) fn under(self, cancel: CancellationToken, tasks: TaskTracker) -> Self {
        Self {
            cancel,
            tasks,
            ..self
        }
    }

    /// Returns the domain. A PC's own lock, where both are held, is taken first.
    pub fn domain(&self) -> MutexGuard<'_, Domain> {
        lock(&self.domain)
    }

    /// Returns what happened so far.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }
}

/// Locks; a panic elsewhere leaves plain data that is still worth reading.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
