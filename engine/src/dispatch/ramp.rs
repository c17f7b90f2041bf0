//! Permits that grow from a few to their full number.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Permits whose number doubles from tick to tick, so that a run does not begin with a thousand
/// connections in the same instant.
#[derive(Debug)]
pub(super) struct Ramp {
    permits: Arc<Semaphore>,
    given: usize,
    full: usize,
}

impl Ramp {
    pub(super) fn new(start: usize, full: usize) -> Self {
        let full = full.clamp(1, Semaphore::MAX_PERMITS);
        let given = start.clamp(1, full);
        Self {
            permits: Arc::new(Semaphore::new(given)),
            given,
            full,
        }
    }

    pub(super) fn semaphore(&self) -> Arc<Semaphore> {
        self.permits.clone()
    }

    pub(super) fn grows(&self) -> bool {
        self.given < self.full
    }

    pub(super) fn grow(&mut self) {
        let more = self.given.min(self.full - self.given);
        self.permits.add_permits(more);
        self.given += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_bound() {
        let mut ramp = Ramp::new(3, 10);
        let mut steps = vec![ramp.semaphore().available_permits()];
        while ramp.grows() {
            ramp.grow();
            steps.push(ramp.semaphore().available_permits());
        }
        assert_eq!(steps, [3, 6, 10]);
        assert_eq!(Ramp::new(0, 0).semaphore().available_permits(), 1);
    }
}
