//! A wrong password is spent once.
//!
//! Until a credential has been seen to work, one PC at a time may use it; the first refusal
//! closes it for the rest of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use fleetmend_model::{CredentialRef, HostName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Guards every credential that a run may hand to PCs.
#[derive(Debug)]
pub(super) struct CredentialGate {
    entries: BTreeMap<CredentialRef, Arc<Entry>>,
    first: OnceLock<Refusal>,
}

/// The first refusal of a run.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) credential: CredentialRef,
    pub(super) host: HostName,
    pub(super) code: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untested,
    Proven,
    Refused,
}

#[derive(Debug)]
struct Entry {
    state: watch::Sender<State>,
    canary: Arc<Semaphore>,
}

/// The credential was refused; it must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Leave to use a credential, until dropped.
#[derive(Debug)]
pub(super) struct Pass {
    entry: Arc<Entry>,
    _canary: Option<OwnedSemaphorePermit>,
}

impl CredentialGate {
    /// Returns a gate for these credentials.
    pub(super) fn new(names: BTreeSet<CredentialRef>) -> Self {
        let entries = names
            .into_iter()
            .map(|name| (name, Arc::new(Entry::new())))
            .collect();
        Self {
            entries,
            first: OnceLock::new(),
        }
    }

    /// Waits until this PC may use the credential.
    pub(super) async fn enter(&self, name: &CredentialRef) -> Result<Pass, Closed> {
        let entry = self.entries.get(name).ok_or(Closed)?;
        let mut state = entry.state.subscribe();
        let mut canary = None;
        loop {
            let now = *state.borrow_and_update();
            match now {
                State::Refused => return Err(Closed),
                State::Proven => {
                    return Ok(Pass {
                        entry: entry.clone(),
                        _canary: None,
                    });
                }
                State::Untested if canary.is_some() => {
                    return Ok(Pass {
                        entry: entry.clone(),
                        _canary: canary,
                    });
                }
                State::Untested => {}
            }
            tokio::select! {
                permit = entry.canary.clone().acquire_owned() => canary = permit.ok(),
                changed = state.changed() => changed.map_err(|_| Closed)?,
            }
        }
    }

    /// Closes the gate for this credential; returns whether this was the run's first refusal.
    pub(super) fn refuse(&self, name: &CredentialRef, host: &HostName, code: i64) -> bool {
        if let Some(entry) = self.entries.get(name) {
            entry.state.send_replace(State::Refused);
        }
        let refusal = Refusal {
            credential: name.clone(),
            host: host.clone(),
            code,
        };
        self.first.set(refusal).is_ok()
    }

    /// Tells whether the credential was refused.
    pub(super) fn is_refused(&self, name: &CredentialRef) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| *entry.state.borrow() == State::Refused)
    }

    /// Returns the first refusal, if there was one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.first.get()
    }
}

impl Entry {
    fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Untested),
            canary: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Pass {
    /// Notes that the credential works, and lets all others in. A refusal stands.
    pub(super) fn prove(&self) {
        self.entry.state.send_if_modified(|state| {
            let untested = *state == State::Untested;
            if untested {
                *state = State::Proven;
            }
            untested
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn name() -> CredentialRef {
        CredentialRef("join".into())
    }

    fn gate() -> Arc<CredentialGate> {
        Arc::new(CredentialGate::new([name()].into()))
    }

    async fn waits(gate: &CredentialGate) -> bool {
        timeout(Duration::from_secs(1), gate.enter(&name()))
            .await
            .is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn one_canary_then_all() {
        let gate = gate();
        let first = gate.enter(&name()).await.unwrap();
        assert!(waits(&gate).await);
        let other = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(&name()).await.is_ok() }
        });
        tokio::task::yield_now().await;
        first.prove();
        assert!(other.await.unwrap());
        assert!(!waits(&gate).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_canary_without_evidence_is_followed_by_another() {
        let gate = gate();
        drop(gate.enter(&name()).await.unwrap());
        let _second = gate.enter(&name()).await.unwrap();
        assert!(waits(&gate).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_closes_for_those_who_wait_and_stands() {
        let gate = gate();
        let first = gate.enter(&name()).await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(&name()).await.is_err() }
        });
        tokio::task::yield_now().await;
        assert!(gate.refuse(&name(), &HostName("pc-1".into()), 1909));
        first.prove();
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(gate.enter(&name()).await.is_err());
        assert!(gate.is_refused(&name()));
        assert!(!gate.refuse(&name(), &HostName("pc-2".into()), 1326));
        assert_eq!(gate.refusal().map(|refusal| refusal.code), Some(1909));
        assert!(gate.enter(&CredentialRef("other".into())).await.is_err());
    }
}
