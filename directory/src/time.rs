//! The directory's times: FILETIME and GeneralizedTime.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// From 1601-01-01 to 1970-01-01, in units of 100 ns.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;
/// Units of 100 ns in a second.
const PER_SECOND: i64 = 10_000_000;

/// Returns the instant of a FILETIME: 100 ns since 1601 ([MS-DTYP] 2.3.3). None for 0 and for the
/// largest number, which both mean "never".
pub(crate) fn filetime(value: i64) -> Option<Timestamp> {
    if value <= 0 || value == i64::MAX {
        return None;
    }
    let since = value.checked_sub(UNIX_EPOCH)?;
    let nanosecond = i32::try_from(since.rem_euclid(PER_SECOND) * 100).ok()?;
    Timestamp::new(since.div_euclid(PER_SECOND), 0)
        .ok()?
        .checked_add(jiff::SignedDuration::new(0, nanosecond))
        .ok()
}

/// Returns the duration of a negative interval, as lockout policies hold them; zero or the lowest
/// number mean "for ever" and give none.
pub(crate) fn interval(value: i64) -> Option<std::time::Duration> {
    if value == i64::MIN || value >= 0 {
        return None;
    }
    let units = value.unsigned_abs();
    Some(std::time::Duration::new(
        units / 10_000_000,
        u32::try_from(units % 10_000_000 * 100).ok()?,
    ))
}

/// Reads a GeneralizedTime as controllers write it: `20261122170325.0Z`.
pub(crate) fn generalized(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let whole = digits.split('.').next()?;
    DateTime::strptime("%Y%m%d%H%M%S", whole)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Returns seconds since 1970 with their fraction.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit a double for 250 years to come"
)]
pub(crate) fn unix(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn converts_what_controllers_write() {
        let time = filetime(134_087_562_051_234_560).unwrap();
        assert_eq!(time.to_string(), "2025-11-27T22:30:05.123456Z");
        assert!((unix(time) - 1_764_282_605.123_456).abs() < 1e-6);
        assert_eq!(filetime(UNIX_EPOCH).unwrap(), Timestamp::UNIX_EPOCH);
        let older = filetime(UNIX_EPOCH - 15_000_000).unwrap();
        assert_eq!(older.to_string(), "1969-12-31T23:59:58.5Z");
        for never in [0, i64::MAX, -1, i64::MIN] {
            assert_eq!(filetime(never), None, "{never}");
        }
        let time = generalized("20261122170325.0Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T17:03:25Z");
        for bad in ["", "Z", "20261122170325.0", "20261322170325.0Z", "日本Z"] {
            assert_eq!(generalized(bad), None, "{bad}");
        }
        assert_eq!(
            interval(-18_000_000_000),
            Some(std::time::Duration::from_secs(1800))
        );
        assert_eq!(interval(0), None);
        assert_eq!(interval(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn never_panics(value: i64, text in ".*") {
            let _ = generalized(&text);
            let _ = interval(value);
            if let Some(time) = filetime(value) {
                let back = time.as_nanosecond() / 100 + i128::from(UNIX_EPOCH);
                prop_assert_eq!(back, i128::from(value));
            }
        }
    }
}
