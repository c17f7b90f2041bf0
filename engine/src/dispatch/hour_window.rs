//! The hours of the day in which PCs may be restarted.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;

/// From one time of the day to another, over midnight if the end is not after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourWindow {
    from: Time,
    to: Time,
}

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no window of hours; write it as 22:00-05:00")]
pub struct NoWindow(String);

impl HourWindow {
    /// Returns how long the window is still open at this time of the day; nothing if it is
    /// closed.
    pub fn open_for(&self, now: Time) -> Option<Duration> {
        let seconds = |time: Time| {
            i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
        };
        let day = 24 * 3600;
        let length = (seconds(self.to) - seconds(self.from) - 1).rem_euclid(day) + 1;
        let passed = (seconds(now) - seconds(self.from)).rem_euclid(day);
        u64::try_from(length - passed)
            .ok()
            .filter(|left| *left > 0)
            .map(Duration::from_secs)
    }
}

impl fmt::Display for HourWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from.hour(),
            from.minute(),
            to.hour(),
            to.minute()
        )
    }
}

impl FromStr for HourWindow {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let none = || NoWindow(text.to_owned());
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = text.split_once('-').ok_or_else(none)?;
        Ok(Self {
            from: time(from).ok_or_else(none)?,
            to: time(to).ok_or_else(none)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(window: &str, hour: i8, minute: i8) -> Option<u64> {
        let window: HourWindow = window.parse().unwrap();
        let left = window.open_for(Time::new(hour, minute, 0, 0).unwrap());
        left.map(|left| left.as_secs() / 60)
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        assert_eq!(left("22:00-05:00", 22, 0), Some(7 * 60));
        assert_eq!(left("22:00-05:00", 4, 59), Some(1));
        assert_eq!(left("22:00-05:00", 5, 0), None);
        assert_eq!(left("22:00-05:00", 21, 59), None);
        assert_eq!(left("09:00-17:30", 12, 0), Some(330));
        assert_eq!(left("09:00-17:30", 8, 0), None);
        // The whole day.
        assert_eq!(left("00:00-00:00", 13, 0), Some(11 * 60));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "22:00", "22-05", "25:00-05:00", "22:00-05:60", "a-b"] {
            assert_eq!(text.parse::<HourWindow>(), Err(NoWindow(text.to_owned())));
        }
        assert_eq!(
            "22:00 - 5:00".parse::<HourWindow>().unwrap().to_string(),
            "22:00-05:00"
        );
    }
}
