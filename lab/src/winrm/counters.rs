//! What happened on one PC's WinRM, counted for tests and benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Action;

/// Counts that only go up, except the open ones.
#[derive(Debug, Default)]
pub struct Counters {
    exchanges: [AtomicU64; Action::COUNT],
    pub(crate) http_requests: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) logons_accepted: AtomicU64,
    pub(crate) logons_refused: AtomicU64,
    pub(crate) shells_created: AtomicU64,
    pub(crate) shells_open: AtomicU64,
    pub(crate) commands_started: AtomicU64,
    pub(crate) unsealed_refused: AtomicU64,
    pub(crate) unseal_failures: AtomicU64,
    pub(crate) faults_sent: AtomicU64,
}

/// All counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterValues {
    /// HTTP requests of any kind.
    pub http_requests: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections open now.
    pub connections_open: u64,
    /// Logons that succeeded.
    pub logons_accepted: u64,
    /// Logons that failed.
    pub logons_refused: u64,
    /// Shells ever created.
    pub shells_created: u64,
    /// Shells open now.
    pub shells_open: u64,
    /// Processes ever started.
    pub commands_started: u64,
    /// SOAP bodies in clear over HTTP, refused.
    pub unsealed_refused: u64,
    /// Sealed bodies that could not be opened.
    pub unseal_failures: u64,
    /// SOAP faults sent.
    pub faults_sent: u64,
}

impl Counters {
    /// Returns how many requests of this kind were understood (answered or dropped alike).
    pub fn exchanges(&self, action: Action) -> u64 {
        self.exchanges
            .get(action as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Returns the sum over all kinds.
    pub fn all_exchanges(&self) -> u64 {
        self.exchanges
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Returns every other count.
    pub fn values(&self) -> CounterValues {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CounterValues {
            http_requests: read(&self.http_requests),
            connections: read(&self.connections),
            connections_open: read(&self.connections_open),
            logons_accepted: read(&self.logons_accepted),
            logons_refused: read(&self.logons_refused),
            shells_created: read(&self.shells_created),
            shells_open: read(&self.shells_open),
            commands_started: read(&self.commands_started),
            unsealed_refused: read(&self.unsealed_refused),
            unseal_failures: read(&self.unseal_failures),
            faults_sent: read(&self.faults_sent),
        }
    }

    /// Counts an exchange and returns its number, from 1.
    pub(crate) fn count(&self, action: Action) -> u64 {
        self.exchanges
            .get(action as usize)
            .map_or(0, |count| count.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Adds one.
pub(crate) fn up(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Takes one away.
pub(crate) fn down(count: &AtomicU64) {
    count.fetch_sub(1, Ordering::Relaxed);
}
