//! What goes wrong on purpose on one PC.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Action;

/// Faults of one PC's WinRM. Numbers count from 1, per PC.
#[derive(Clone, Debug, Default)]
pub struct WinrmFaults {
    /// Time that each HTTP request takes on the way, there and back together.
    pub latency: Duration,
    /// Time that a new connection takes before its first byte is read.
    pub connect_latency: Duration,
    /// Connections cut at an operation.
    pub drops: Vec<Drop>,
    /// How many Creates are refused with the shell quota fault, from the first on.
    pub quota_faults: u32,
    /// How many HTTP requests are answered 503, from the first on.
    pub busy: u32,
    /// Answers trickle.
    pub slow: Option<Slow>,
    /// A sealed answer with a wrong signature.
    pub wrong_signature: Option<Nth>,
    /// An answer in clear to a sealed request.
    pub unsealed_answer: Option<Nth>,
    /// Every logon is refused, whatever the password.
    pub always_401: bool,
}

/// One request among those of a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nth {
    /// Of which operation.
    pub action: Action,
    /// Which one, from 1.
    pub number: u64,
}

/// A cut connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drop {
    /// At which request.
    pub at: Nth,
    /// At which moment.
    pub point: DropPoint,
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropPoint {
    /// The request is read and nothing is done.
    BeforeRunning,
    /// What was asked for is done, the answer is lost.
    BeforeAnswering,
    /// The answer has left.
    AfterAnswering,
}

/// Answers in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Bytes in a piece.
    pub bytes: usize,
    /// Time between two pieces.
    pub every: Duration,
}

impl WinrmFaults {
    /// Returns whether and when the connection is cut at this request.
    pub(crate) fn drop_at(&self, action: Action, number: u64) -> Option<DropPoint> {
        let at = Nth { action, number };
        self.drops
            .iter()
            .find(|drop| drop.at == at)
            .map(|drop| drop.point)
    }
}

/// A fault that happens a number of times.
#[derive(Debug)]
pub(crate) struct Left(AtomicU32);

impl Left {
    pub(crate) fn new(times: u32) -> Self {
        Self(AtomicU32::new(times))
    }

    /// Takes one; false once none is left.
    pub(crate) fn take(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
}
