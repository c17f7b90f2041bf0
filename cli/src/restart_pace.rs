//! How long things around a restart take, for tests with simulated PCs.

use std::time::Duration;

use fleetmend_engine::RestartLimits;

/// A number below 1 that all waits around restarts are multiplied by. Simulated PCs are back
/// within a second; for real ones this is nothing, so it is not among the options.
const VARIABLE: &str = "FLEETMEND_RESTART_PACE";

/// Returns the waits, shortened if the environment says so.
pub(crate) fn restart_limits() -> RestartLimits {
    let value = std::env::var(VARIABLE).ok();
    at_pace(value.and_then(|value| value.parse().ok()))
}

fn at_pace(pace: Option<f64>) -> RestartLimits {
    let limits = RestartLimits::default();
    let Some(pace) = pace.filter(|pace| (0.001..1.0).contains(pace)) else {
        return limits;
    };
    let short = |wait: Duration| wait.mul_f64(pace);
    RestartLimits {
        delay: short(limits.delay),
        poll: short(limits.poll),
        settle: short(limits.settle),
        refused: short(limits.refused),
        lost: short(limits.lost),
        facts: short(limits.facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortens() {
        let seconds = |pace| at_pace(pace).poll.as_secs_f64();
        assert_eq!(seconds(None), 5.0);
        assert_eq!(seconds(Some(0.02)), 0.1);
        for odd in [0.0, 1.5, -1.0, f64::NAN] {
            assert_eq!(seconds(Some(odd)), 5.0);
        }
    }
}
