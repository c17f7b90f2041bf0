//! Dates, which YAML 1.1 knows as a type of their own and Ansible prints as texts.

/// Returns a date or time as Python's `isoformat` writes it, or nothing if the scalar is none.
///
/// A form that names no real day (`2024-13-45`), which PyYAML refuses, is left a text too.
pub(crate) fn normalise(text: &str) -> Option<String> {
    let (date, rest) = split_date(text)?;
    let (year, month, day) = date;
    if !is_day(year, month, day) {
        return None;
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return (text.len() == 10).then_some(day);
    }
    let (time, zone) = split_time(rest)?;
    Some(format!("{day}T{time}{zone}"))
}

fn split_date(text: &str) -> Option<((u32, u32, u32), &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
    Some(((year, month, day), rest))
}

fn split_time(text: &str) -> Option<(String, String)> {
    let text = match text.strip_prefix(['T', 't']) {
        Some(rest) => rest,
        None => {
            let rest = text.trim_start_matches([' ', '\t']);
            (rest.len() < text.len()).then_some(rest)?
        }
    };
    let (hour, rest) = digits(text, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (second, mut rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if let Some(after) = rest.strip_prefix('.') {
        let fraction: String = after.chars().take_while(char::is_ascii_digit).collect();
        rest = after.get(fraction.len()..)?;
        let micros = format!("{fraction:0<6}");
        let micros = micros.get(..6)?;
        if micros != "000000" {
            time = format!("{time}.{micros}");
        }
    }
    Some((time, zone(rest)?))
}

fn zone(text: &str) -> Option<String> {
    let text = text.trim_start_matches([' ', '\t']);
    match text {
        "" => return Some(String::new()),
        "Z" => return Some("+00:00".to_owned()),
        _ => {}
    }
    let (sign, rest) = text
        .split_at_checked(1)
        .filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
    let (hours, rest) = digits(rest, 1, 2)?;
    let minutes = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2, 2).filter(|(_, rest)| rest.is_empty())?.0,
        None => rest.is_empty().then_some(0)?,
    };
    let total = hours * 60 + minutes;
    if total >= 24 * 60 {
        return None;
    }
    let sign = if total == 0 { "+" } else { sign };
    Some(format!("{sign}{:02}:{:02}", total / 60, total % 60))
}

/// Takes as many digits as it can, between `least` and `most`.
fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let (number, rest) = text.split_at_checked(count).filter(|_| count >= least)?;
    Some((number.parse().ok()?, rest))
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    year >= 1 && day >= 1 && day <= days
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right column is what `ansible-inventory --list` prints.
    #[test]
    fn prints_dates_as_ansible_does() {
        for (text, printed) in [
            ("2024-01-02", Some("2024-01-02")),
            ("2024-01-02 03:04:05", Some("2024-01-02T03:04:05")),
            (
                "2001-12-14t21:59:43.10-05:00",
                Some("2001-12-14T21:59:43.100000-05:00"),
            ),
            ("2001-12-14T21:59:43Z", Some("2001-12-14T21:59:43+00:00")),
            (
                "2001-12-14 21:59:43.1 +9",
                Some("2001-12-14T21:59:43.100000+09:00"),
            ),
            ("2024-1-2", None),
            ("2024-1-2 3:04:05", Some("2024-01-02T03:04:05")),
            ("2024-02-30", None),
            ("2024-01-02 03:04", None),
            ("192.168.10.20", None),
        ] {
            assert_eq!(normalise(text).as_deref(), printed, "{text}");
        }
    }
}
