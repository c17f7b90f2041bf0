//! `xs:duration`, as far as WS-Management uses it.

use std::time::Duration;

/// Reads `PT20S`, `PT60.000S`, `P0DT1H30M`; `None` for anything else, also negative ones.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim().strip_prefix('P')?;
    let mut seconds = 0.0;
    let mut in_time = false;
    let mut any = false;
    while !rest.is_empty() {
        if !in_time && let Some(after) = rest.strip_prefix('T') {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        let mut letters = after.chars();
        seconds += number
            * match (in_time, letters.next()?) {
                (false, 'D') => 86_400.0,
                (true, 'H') => 3600.0,
                (true, 'M') => 60.0,
                (true, 'S') => 1.0,
                _ => return None,
            };
        any = true;
        rest = letters.as_str();
    }
    any.then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

/// Writes `PT7200.000S`, the form that Windows gives idle timeouts.
pub(crate) fn idle(time: Duration) -> String {
    format!("PT{}.{:03}S", time.as_secs(), time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        assert_eq!(parse("PT20S"), Some(Duration::from_secs(20)));
        assert_eq!(parse("PT60.500S"), Some(Duration::from_millis(60_500)));
        assert_eq!(parse("P1DT2H3M4S"), Some(Duration::from_secs(93_784)));
        for wrong in [
            "", "P", "PT", "PT-1S", "20", "PT20", "P5S", "PT1e9S", "PT1.1.1S",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(idle(Duration::from_secs(7200)), "PT7200.000S");
    }
}
