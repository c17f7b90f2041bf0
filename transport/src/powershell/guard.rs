//! Bounds on waits that must hold even if a wire does not keep its own.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{Limits, Received, SessionError};

/// How much later than its deadline a wire may come back: it may have to close an exchange.
const GRACE: Duration = Duration::from_secs(15);

/// Waits for a call to a wire, which obeys `limits` itself; a wire that does not is cut off.
pub(super) async fn bounded<T>(
    limits: &Limits,
    call: impl Future<Output = Result<T, SessionError>> + Send,
) -> Result<T, SessionError> {
    let cancelled_long_ago = async {
        limits.cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        result = timeout_at(limits.deadline + GRACE, call) => {
            result.unwrap_or(Err(SessionError::Deadline { limit: Duration::ZERO }))
        }
        () = cancelled_long_ago => Err(SessionError::Cancelled { sent: true }),
    }
}

/// Keeps a wire that returns empty-handed at once from being asked in a tight loop.
#[derive(Debug, Default)]
pub(super) struct Pace {
    empty: u32,
}

impl Pace {
    /// Waits a little if nothing came, longer each time, at most a fifth of a second.
    pub(super) async fn wait(&mut self, received: &Received, limits: &Limits) {
        if !received.stdout.is_empty() || !received.stderr.is_empty() {
            self.empty = 0;
            return;
        }
        self.empty = (self.empty + 1).min(20);
        if self.empty > 2 {
            let until = Instant::now() + Duration::from_millis(u64::from(self.empty) * 10);
            tokio::select! {
                () = sleep_until(until.min(limits.deadline)) => {}
                () = limits.cancel.cancelled() => {}
            }
        }
    }
}
