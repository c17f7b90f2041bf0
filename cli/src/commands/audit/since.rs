//! From when on.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A time in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(pub(super) Timestamp);

impl FromStr for Since {
    type Err = String;

    /// Reads `7d`, `12h`, `30m`, `2026-11-22` (the operator's midnight) or a whole time.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "it must read 7d, 12h, 30m, 2026-11-22 or 2026-11-22T08:00:00Z".to_owned();
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        if let Ok(date) = text.parse::<Date>() {
            let midnight = date.to_zoned(TimeZone::system()).map_err(|_| wrong())?;
            return Ok(Self(midnight.timestamp()));
        }
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number = text.strip_suffix(unit).unwrap_or_default();
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let hours = match unit {
            'd' => number.checked_mul(24 * 60),
            'h' => number.checked_mul(60),
            'm' => Some(number),
            _ => None,
        };
        let minutes = hours.filter(|minutes| (0..=5_000_000_000).contains(minutes));
        let ago = SignedDuration::from_mins(minutes.ok_or_else(wrong)?);
        let since = Timestamp::now().checked_sub(ago);
        Ok(Self(since.unwrap_or(Timestamp::MIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_spans_days_and_times() {
        let ago = |text: &str| {
            let since = text.parse::<Since>().unwrap().0;
            Timestamp::now().duration_since(since).as_mins()
        };
        assert_eq!(ago("30m"), 30);
        assert_eq!(ago("12h"), 720);
        assert_eq!(ago("7d"), 7 * 1440);
        let time = "2026-11-22T08:00:00Z";
        assert_eq!(time.parse::<Since>().unwrap().0.to_string(), time);
        assert!("2026-11-22".parse::<Since>().is_ok());
        for wrong in [
            "",
            "7",
            "d",
            "-1d",
            "7w",
            "gestern",
            "七d",
            "99999999999999999999d",
        ] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
