//! How many PCs are begun in a time, evenly.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// How far behind its times a throttle may be and still make up for it: timers wake a little late.
const SLACK: Duration = Duration::from_millis(10);

/// How many PCs are begun a second or a minute, evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pcs: u32,
    a_minute: bool,
}

/// A text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write how many PCs (1 to 100000) a second or a minute, as 5/s or 30/m")]
pub struct NoRate(pub String);

impl Rate {
    /// Returns the time between two PCs.
    pub fn pause(self) -> Duration {
        let all = Duration::from_secs(if self.a_minute { 60 } else { 1 });
        all / self.pcs.max(1)
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no_rate = || NoRate(text.to_owned());
        let (pcs, unit) = text.split_once('/').ok_or_else(no_rate)?;
        let a_minute = match unit {
            "s" => false,
            "m" | "min" => true,
            _ => return Err(no_rate()),
        };
        if !pcs.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_rate());
        }
        match pcs.parse() {
            Ok(pcs @ 1..=100_000) => Ok(Self { pcs, a_minute }),
            Ok(_) | Err(_) => Err(no_rate()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.a_minute { "m" } else { "s" };
        write!(f, "{}/{unit}", self.pcs)
    }
}

/// Says when the next PC may be begun.
#[derive(Debug)]
pub(super) struct Throttle {
    pause: Duration,
    next: Instant,
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self {
            pause: rate.map_or(Duration::ZERO, Rate::pause),
            next: Instant::now(),
        }
    }

    /// Returns when the next PC may be begun.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn is_early(&self) -> bool {
        Instant::now() < self.next
    }

    /// Notes that a PC is begun now. Time in which none could be is not made up for by a burst.
    pub(super) fn begun(&mut self) {
        let now = Instant::now();
        let since = self.next.max(now.checked_sub(SLACK).unwrap_or(now));
        self.next = since + self.pause;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::{advance, sleep_until};

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn reads_rates_and_nothing_else() {
        assert_eq!(rate("5/s").pause(), Duration::from_millis(200));
        assert_eq!(rate("30/m").pause(), Duration::from_secs(2));
        assert_eq!(rate("30/min").to_string(), "30/m");
        for wrong in [
            "", "5", "/s", "0/s", "5/h", "5 /s", "-5/s", "+5/s", "5.5/s", "100001/s",
        ] {
            assert_eq!(wrong.parse::<Rate>(), Err(NoRate(wrong.into())));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_even_and_makes_up_for_nothing() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Some(rate("300/s")));
        for _ in 0..600 {
            sleep_until(throttle.next()).await;
            throttle.begun();
        }
        let took = start.elapsed().as_secs_f64();
        assert!((1.95..=2.1).contains(&took), "{took}");
        advance(Duration::from_secs(60)).await;
        let mut burst = 0;
        while !throttle.is_early() {
            throttle.begun();
            burst += 1;
        }
        assert!(burst <= 5, "{burst}");
        let free = Throttle::new(None);
        assert!(!free.is_early());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(pcs in 1..=100_000_u32, a_minute: bool) {
            let rate = Rate { pcs, a_minute };
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
