//! A wrong password is spent once.
//!
//! Until an account has been seen to work, one PC at a time may use it; then five; then all.
//! The first refusal closes it for the rest of the run. Three kinds of account stand behind the
//! gate: credentials that are handed to PCs, domain accounts for logging on, and the one with
//! which the controller itself speaks to the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fleetmend_model::{CredentialRef, HostName, Place};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How many PCs follow the first one together.
const TRIAL: usize = 5;
/// How many PCs in turn may be handed a credential of which no step tells whether it works.
pub(super) const DOUBTS: usize = 3;

/// What is guarded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A credential that rungs hand to PCs.
    Credential(CredentialRef),
    /// A domain account for logging on, in lower case.
    Logon(String),
    /// The controller's own account in the directory.
    Directory,
}

/// Guards every account whose refusal may lock it for the whole domain.
#[derive(Debug)]
pub(super) struct CredentialGate {
    entries: Mutex<BTreeMap<Key, Arc<Entry>>>,
    first: OnceLock<Refusal>,
}

/// Where an account was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) account: String,
    pub(super) host: HostName,
    /// On the PC, or in the directory while something was done for the PC.
    pub(super) place: Place,
    /// The Win32 code; a refused logon has none.
    pub(super) code: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Never seen to work; so many uses told nothing.
    Canary {
        doubts: usize,
    },
    /// It worked once; so many of the five have ended since.
    Trial {
        ends: usize,
    },
    Open,
    Refused,
    /// Nobody tells whether it works.
    Doubted,
}

#[derive(Debug)]
struct Entry {
    /// A logon that tells nothing has not reached the domain; a step that was handed the
    /// credential may have.
    doubt_closes: bool,
    stage: watch::Sender<Stage>,
    permits: Arc<Semaphore>,
    refusal: OnceLock<Refusal>,
}

/// The account must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It was refused.
    Refused,
    /// It was used on [`DOUBTS`] PCs, and none told whether it works.
    Doubted,
    /// The gate does not know it.
    Unknown,
}

/// Leave to use an account, until dropped.
#[derive(Debug)]
pub(super) struct Pass {
    entry: Arc<Entry>,
    permit: Option<OwnedSemaphorePermit>,
    used: AtomicBool,
    proven: AtomicBool,
}

impl CredentialGate {
    /// Returns a gate for these credentials; domain accounts come as they are met.
    pub(super) fn new(names: BTreeSet<CredentialRef>) -> Self {
        let entries = names
            .into_iter()
            .map(|name| (Key::Credential(name), Arc::new(Entry::new(true))))
            .collect();
        Self {
            entries: Mutex::new(entries),
            first: OnceLock::new(),
        }
    }

    /// Waits until this PC may use the account.
    pub(super) async fn enter(&self, key: &Key) -> Result<Pass, Closed> {
        let entry = self.entry(key).ok_or(Closed::Unknown)?;
        let mut stage = entry.stage.subscribe();
        let mut permit = None;
        loop {
            let now = *stage.borrow_and_update();
            match now {
                Stage::Refused => return Err(Closed::Refused),
                Stage::Doubted => return Err(Closed::Doubted),
                Stage::Open => return Ok(Pass::new(entry.clone(), None)),
                Stage::Canary { .. } | Stage::Trial { .. } if permit.is_some() => {
                    return Ok(Pass::new(entry.clone(), permit));
                }
                Stage::Canary { .. } | Stage::Trial { .. } => {}
            }
            tokio::select! {
                got = entry.permits.clone().acquire_owned() => permit = got.ok(),
                changed = stage.changed() => changed.map_err(|_| Closed::Unknown)?,
            }
        }
    }

    /// Closes the gate for this account.
    pub(super) fn refuse(&self, key: &Key, refusal: &Refusal) {
        if let Some(entry) = self.entry(key) {
            // Before the stage: who sees it closed must find out why.
            let _ = entry.refusal.set(refusal.clone());
            entry.stage.send_replace(Stage::Refused);
        }
        // The run's first one stands.
        let _ = self.first.set(refusal.clone());
    }

    /// Returns where this account was refused, if it was.
    pub(super) fn refusal_of(&self, key: &Key) -> Option<Refusal> {
        self.entry(key)?.refusal.get().cloned()
    }

    /// Returns the first refusal of the run, if there was one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.first.get()
    }

    fn entry(&self, key: &Key) -> Option<Arc<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Key::Logon(_) | Key::Directory, false) = (key, entries.contains_key(key)) {
            entries.insert(key.clone(), Arc::new(Entry::new(false)));
        }
        entries.get(key).cloned()
    }
}

impl Refusal {
    /// Returns what is said of it on the PCs where the account was not used any more.
    pub(super) fn story_elsewhere(&self) -> String {
        format!("{}; it was not used here", self.story())
    }

    /// Returns account, PC and number in words.
    pub(super) fn story(&self) -> String {
        let Self {
            account,
            host,
            place,
            code,
        } = self;
        let code = code.map_or_else(String::new, |code| format!(" (Win32 {code})"));
        let place = match place {
            Place::Pc => format!("on {host}"),
            Place::Controller => format!("by the directory, first asked for {host}"),
        };
        format!("the account {account} was refused {place}{code}")
    }
}

impl Entry {
    fn new(doubt_closes: bool) -> Self {
        Self {
            doubt_closes,
            stage: watch::Sender::new(Stage::Canary { doubts: 0 }),
            permits: Arc::new(Semaphore::new(1)),
            refusal: OnceLock::new(),
        }
    }

    /// One more of the five has ended, and its permit with it.
    fn ended(stage: &mut Stage, ends: usize) {
        *stage = if ends + 1 >= TRIAL {
            Stage::Open
        } else {
            Stage::Trial { ends: ends + 1 }
        };
    }

    fn prove(&self) {
        self.stage.send_modify(|stage| match *stage {
            Stage::Canary { doubts } => {
                *stage = Stage::Trial { ends: 0 };
                // The one that proves gives no permit back.
                let others = if self.doubt_closes || doubts == 0 {
                    0
                } else {
                    TRIAL - 1
                };
                self.permits.add_permits(TRIAL - others);
            }
            Stage::Trial { ends } => Self::ended(stage, ends),
            Stage::Open | Stage::Refused | Stage::Doubted => {}
        });
    }

    /// A use ended without a word on the account; returns whether its permit is used up.
    fn doubt(&self) -> bool {
        let mut used_up = false;
        self.stage.send_modify(|stage| match *stage {
            Stage::Canary { doubts } => {
                let doubts = doubts + 1;
                *stage = Stage::Canary { doubts };
                if self.doubt_closes && doubts >= DOUBTS {
                    *stage = Stage::Doubted;
                } else if !self.doubt_closes && doubts == 1 {
                    self.permits.add_permits(TRIAL - 1);
                }
            }
            // It is known to work: this one was just not refused.
            Stage::Trial { ends } => {
                Self::ended(stage, ends);
                used_up = true;
            }
            Stage::Open | Stage::Refused | Stage::Doubted => {}
        });
        used_up
    }
}

impl Pass {
    fn new(entry: Arc<Entry>, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            entry,
            permit,
            used: AtomicBool::new(false),
            proven: AtomicBool::new(false),
        }
    }

    /// Notes that the account may have been shown to the domain.
    pub(super) fn used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Notes that the account works, and lets others in. A refusal stands.
    pub(super) fn prove(&self) {
        if !self.proven.swap(true, Ordering::Relaxed) && self.permit.is_some() {
            self.entry.prove();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let proven = *self.proven.get_mut();
        if proven || (*self.used.get_mut() && self.entry.doubt()) {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn join() -> Key {
        Key::Credential(CredentialRef("join".into()))
    }

    fn logon() -> Key {
        Key::Logon("corp\\bob".into())
    }

    fn gate() -> Arc<CredentialGate> {
        Arc::new(CredentialGate::new([CredentialRef("join".into())].into()))
    }

    fn refusal(code: i64) -> Refusal {
        Refusal {
            account: "CORP\\join".into(),
            host: HostName("pc-1".into()),
            place: Place::Pc,
            code: Some(code),
        }
    }

    /// Enters as often as the gate lets in at once, up to twenty times.
    async fn crowd(gate: &CredentialGate, key: &Key) -> Vec<Pass> {
        let mut passes = Vec::new();
        while passes.len() < 20 {
            match timeout(Duration::from_secs(1), gate.enter(key)).await {
                Ok(pass) => passes.push(pass.unwrap()),
                Err(_) => break,
            }
        }
        passes
    }

    #[tokio::test(start_paused = true)]
    async fn one_then_five_then_all() {
        for key in [join(), logon()] {
            let gate = gate();
            let canary = crowd(&gate, &key).await;
            assert_eq!(canary.len(), 1);
            canary[0].prove();
            canary[0].prove();
            let five = crowd(&gate, &key).await;
            assert_eq!(five.len(), 5);
            drop(canary);
            five[..4].iter().for_each(Pass::prove);
            assert_eq!(crowd(&gate, &key).await.len(), 0);
            // Known to work, so one that says nothing counts as well.
            five[4].used();
            drop(five);
            assert_eq!(crowd(&gate, &key).await.len(), 20);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_not_used_gives_its_place_to_another() {
        let gate = gate();
        for _ in 0..10 {
            assert_eq!(crowd(&gate, &join()).await.len(), 1);
        }
        crowd(&gate, &join()).await[0].prove();
        for _ in 0..10 {
            assert_eq!(crowd(&gate, &join()).await.len(), 5);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_credential_of_which_nobody_tells_is_not_used_for_ever() {
        let gate = gate();
        for _ in 0..DOUBTS {
            let canary = crowd(&gate, &join()).await;
            assert_eq!(canary.len(), 1);
            canary[0].used();
        }
        assert_eq!(gate.enter(&join()).await.unwrap_err(), Closed::Doubted);
        assert!(gate.refusal().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn logons_that_tell_nothing_neither_stop_nor_open_the_gate() {
        let gate = gate();
        crowd(&gate, &logon()).await[0].used();
        for _ in 0..10 {
            let five = crowd(&gate, &logon()).await;
            assert_eq!(five.len(), 5);
            five.iter().for_each(Pass::used);
        }
        let mut five = crowd(&gate, &logon()).await;
        five.remove(0).prove();
        five.extend(crowd(&gate, &logon()).await);
        assert_eq!(five.len(), 5);
        five.iter().for_each(Pass::prove);
        assert_eq!(crowd(&gate, &logon()).await.len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_closes_for_those_who_wait_and_stands() {
        let gate = gate();
        let first = gate.enter(&join()).await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(&join()).await.is_err() }
        });
        tokio::task::yield_now().await;
        gate.refuse(&join(), &refusal(1909));
        first.prove();
        drop(first);
        assert!(waiting.await.unwrap());
        assert_eq!(gate.enter(&join()).await.unwrap_err(), Closed::Refused);
        gate.refuse(&join(), &refusal(1326));
        assert_eq!(gate.refusal().and_then(|first| first.code), Some(1909));
        assert_eq!(
            gate.refusal_of(&join()).unwrap().story_elsewhere(),
            "the account CORP\\join was refused on pc-1 (Win32 1909); it was not used here"
        );
        // Others are none the worse for it.
        assert!(gate.enter(&logon()).await.is_ok());
        let other = Key::Credential(CredentialRef("other".into()));
        assert_eq!(gate.enter(&other).await.unwrap_err(), Closed::Unknown);
    }
}
