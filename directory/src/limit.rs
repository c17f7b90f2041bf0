//! How long a question may take, and what ends it early.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a question to the directory may take as a whole, and what ends it early.
#[derive(Clone, Debug)]
pub struct Limit {
    until: Instant,
    cancel: CancellationToken,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time was up.
    Deadline,
    /// Whoever asked wants it no more.
    Cancelled,
}

impl Limit {
    /// Returns a limit that starts now.
    pub fn within(deadline: Duration, cancel: &CancellationToken) -> Self {
        Self {
            until: from_now(deadline),
            cancel: cancel.clone(),
        }
    }

    /// Returns the same limit, but at most this long from now.
    #[must_use]
    pub fn at_most(&self, duration: Duration) -> Self {
        Self {
            until: self.until.min(from_now(duration)),
            cancel: self.cancel.clone(),
        }
    }

    /// Tells whether it is over.
    pub(crate) fn ended(&self) -> Option<Ended> {
        if self.cancel.is_cancelled() {
            Some(Ended::Cancelled)
        } else {
            (Instant::now() >= self.until).then_some(Ended::Deadline)
        }
    }

    /// Waits until whoever asked wants it no more, however long that takes.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits for a future within the limit.
    ///
    /// # Errors
    /// The limit came first; the future is dropped.
    pub async fn bound<F: Future>(&self, future: F) -> Result<F::Output, Ended> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Ended::Cancelled),
            output = future => Ok(output),
            () = tokio::time::sleep_until(self.until) => Err(Ended::Deadline),
        }
    }
}

/// A deadline beyond what the clock can tell is as good as a year.
fn from_now(duration: Duration) -> Instant {
    Instant::now() + duration.min(Duration::from_hours(365 * 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_at_the_deadline_and_at_once_when_cancelled() {
        let cancel = CancellationToken::new();
        let limit = Limit::within(Duration::from_secs(5), &cancel);
        let begun = Instant::now();
        let forever = std::future::pending::<()>;
        assert_eq!(limit.bound(forever()).await, Err(Ended::Deadline));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        let longest = Limit::within(Duration::MAX, &cancel);
        assert_eq!(longest.bound(async { 7 }).await, Ok(7));
        let short = longest.at_most(Duration::from_secs(1));
        assert_eq!(short.bound(forever()).await, Err(Ended::Deadline));
        assert_eq!(longest.at_most(Duration::MAX).ended(), None);
        assert_eq!(short.ended(), Some(Ended::Deadline));
        assert_eq!(longest.ended(), None);
        cancel.cancel();
        assert_eq!(short.ended(), Some(Ended::Cancelled));
        assert_eq!(longest.bound(async { 7 }).await, Err(Ended::Cancelled));
    }
}
