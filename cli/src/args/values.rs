//! Values of arguments.

use std::str::FromStr;
use std::time::Duration;

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The parameter.
    pub(crate) name: String,
    /// Its value as text; the playbook knows the type.
    pub(crate) value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self {
                name: name.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("it must read NAME=VALUE".to_owned()),
        }
    }
}

/// Reads `90`, `90s`, `500ms`, `2m` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number
        .parse()
        .map_err(|_| "it must read 30s, 500ms, 2m or 1h".to_owned())?;
    let scale = match unit {
        "ms" => return positive(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        _ => return Err(format!("{unit} is no unit: use ms, s, m or h")),
    };
    positive(Duration::from_secs(number.saturating_mul(scale)))
}

fn positive(duration: Duration) -> Result<Duration, String> {
    match duration.as_secs() {
        _ if duration.is_zero() => Err("it must be more than nothing".to_owned()),
        0..=86_400 => Ok(duration),
        _ => Err("it must be at most 24h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, ms) in [
            ("90", 90_000),
            ("90s", 90_000),
            ("500ms", 500),
            ("2m", 120_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in [
            "",
            "s",
            "-1",
            "0",
            "0ms",
            "5 s",
            "3d",
            "25h",
            "99999999999999999999",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_keeps_its_value_whole() {
        let setting: Setting = "dc=a=b ".parse().unwrap();
        assert_eq!(
            (setting.name.as_str(), setting.value.as_str()),
            ("dc", "a=b ")
        );
        assert!("=x".parse::<Setting>().is_err() && "x".parse::<Setting>().is_err());
    }
}
