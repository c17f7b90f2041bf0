//! Host patterns: `pc-[001:120].corp.example.jp`, `db-[a:f]`, `node[1:10:2]`, `pc-01:5986`.

use thiserror::Error;

use fleetmend_yaml::Position;

/// Why a range makes no hosts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeProblem {
    /// `[1:]`.
    #[error("has no end")]
    NoEnd,
    /// `[1:2:3:4]`.
    #[error("has more than a begin, an end and a step")]
    TooManyParts,
    /// `[9:1]`.
    #[error("runs backwards: {begin} comes after {end}")]
    Reversed {
        /// Its begin.
        begin: String,
        /// Its end.
        end: String,
    },
    /// `[001:99]`.
    #[error("pads {begin} with zeros, but {end} is not as long")]
    UnequalWidth {
        /// Its begin.
        begin: String,
        /// Its end.
        end: String,
    },
    /// `[a:5]`, `[aa:ac]`.
    #[error("must run from number to number or from letter to letter, not from {begin} to {end}")]
    Mixed {
        /// Its begin.
        begin: String,
        /// Its end.
        end: String,
    },
    /// `[1:9:0]`, `[1:9:x]`.
    #[error("has the step {step}, which is not a number above zero")]
    BadStep {
        /// Its step.
        step: String,
    },
    /// A bracket that belongs to no range.
    #[error("has a bracket without its partner or without a colon")]
    StrayBracket,
    /// More names than anyone has.
    #[error("makes more than {max} names")]
    TooMany {
        /// The cap.
        max: usize,
    },
}

impl RangeProblem {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnequalWidth { .. } => {
                Some("write both ends with the same number of digits: `[001:120]`")
            }
            Self::NoEnd | Self::StrayBracket => {
                Some("write a range as `[1:20]`, `[001:120]` or `[a:f]`")
            }
            _ => None,
        }
    }
}

/// What a host pattern stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// The names, the first range turning slowest.
    pub(crate) names: Vec<String>,
    /// The port that followed the pattern.
    pub(crate) port: Option<u16>,
}

/// Expands a pattern into at most `max` names.
pub(crate) fn expand(pattern: &str, max: usize) -> Result<Expansion, RangeProblem> {
    let (pattern, port) = split_port(pattern);
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((head, after)) = rest.split_once('[') {
        let (inner, tail) = after.split_once(']').ok_or(RangeProblem::StrayBracket)?;
        if head.contains(']') || !inner.contains(':') {
            return Err(RangeProblem::StrayBracket);
        }
        let items = items(inner, max)?;
        if names.len().saturating_mul(items.len()) > max {
            return Err(RangeProblem::TooMany { max });
        }
        names = names
            .iter()
            .flat_map(|name| items.iter().map(move |item| format!("{name}{head}{item}")))
            .collect();
        rest = tail;
    }
    if rest.contains(']') {
        return Err(RangeProblem::StrayBracket);
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(Expansion { names, port })
}

/// Splits `name:5986` and `[2001:db8::1]:5986`; a bare IPv6 address has no port.
fn split_port(pattern: &str) -> (&str, Option<u16>) {
    if pattern.parse::<std::net::Ipv6Addr>().is_ok() {
        return (pattern, None);
    }
    let Some((host, digits)) = pattern.rsplit_once(':') else {
        return (pattern, None);
    };
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = digits.parse::<u16>().ok().filter(|_| all_digits) else {
        return (pattern, None);
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match bracketed.filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()) {
        Some(inner) => (inner, Some(port)),
        None if balanced(host) && outside_brackets(host, ':').is_none() => (host, Some(port)),
        None => (pattern, None),
    }
}

/// Finds a character that stands in no brackets.
pub(crate) fn outside_brackets(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0_u32;
    for (index, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if character == wanted && depth == 0 => return Some(index),
            _ => {}
        }
    }
    None
}

fn balanced(text: &str) -> bool {
    text.matches('[').count() == text.matches(']').count()
}

/// The members of one range, without its brackets.
fn items(inner: &str, max: usize) -> Result<Vec<String>, RangeProblem> {
    let mut parts = inner.split(':');
    let begin = parts
        .next()
        .filter(|begin| !begin.is_empty())
        .unwrap_or("0");
    let end = parts
        .next()
        .filter(|end| !end.is_empty())
        .ok_or(RangeProblem::NoEnd)?;
    let step = parts.next().unwrap_or("1");
    if parts.next().is_some() {
        return Err(RangeProblem::TooManyParts);
    }
    let bad_step = || RangeProblem::BadStep {
        step: step.to_owned(),
    };
    let step: usize = step
        .parse()
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(bad_step)?;
    match (letter(begin), letter(end)) {
        (Some(first), Some(last)) => {
            if first > last {
                return Err(reversed(begin, end));
            }
            let letters = ('a'..='z')
                .chain('A'..='Z')
                .skip(first)
                .take(last - first + 1);
            Ok(letters.step_by(step).map(String::from).collect())
        }
        _ => numbers(begin, end, step, max),
    }
}

fn numbers(begin: &str, end: &str, step: usize, max: usize) -> Result<Vec<String>, RangeProblem> {
    let (Some(first), Some(last)) = (number(begin), number(end)) else {
        return Err(RangeProblem::Mixed {
            begin: begin.to_owned(),
            end: end.to_owned(),
        });
    };
    let padded = begin.len() > 1 && begin.starts_with('0');
    if padded && begin.len() != end.len() {
        return Err(RangeProblem::UnequalWidth {
            begin: begin.to_owned(),
            end: end.to_owned(),
        });
    }
    if first > last {
        return Err(reversed(begin, end));
    }
    let count = (last - first) / u64::try_from(step).unwrap_or(u64::MAX);
    if count >= u64::try_from(max).unwrap_or(u64::MAX) {
        return Err(RangeProblem::TooMany { max });
    }
    let width = if padded { begin.len() } else { 0 };
    Ok((first..=last)
        .step_by(step)
        .map(|number| format!("{number:0width$}"))
        .collect())
}

fn number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The place of a single letter in `a…zA…Z`, Ansible's order.
fn letter(text: &str) -> Option<usize> {
    let mut characters = text.chars();
    let only = characters.next().filter(|_| characters.next().is_none())?;
    ('a'..='z')
        .chain('A'..='Z')
        .position(|letter| letter == only)
}

fn reversed(begin: &str, end: &str) -> RangeProblem {
    RangeProblem::Reversed {
        begin: begin.to_owned(),
        end: end.to_owned(),
    }
}

/// Returns where in the text of a key its first bracket stands, for a plain key on one line.
pub(crate) fn bracket_position(pattern: &str, at: Position) -> Position {
    let before = pattern.chars().take_while(|c| *c != '[').count();
    let offset = if pattern.contains('[') {
        u32::try_from(before).unwrap_or(0)
    } else {
        0
    };
    Position::new(at.line, at.column.saturating_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        expand(pattern, 1000).unwrap().names
    }

    #[test]
    fn expands_as_ansible_does() {
        assert_eq!(
            names("pc-[008:011].例.jp"),
            [
                "pc-008.例.jp",
                "pc-009.例.jp",
                "pc-010.例.jp",
                "pc-011.例.jp"
            ]
        );
        assert_eq!(names("n[9:11]"), ["n9", "n10", "n11"]);
        assert_eq!(names("n[1:10:4]"), ["n1", "n5", "n9"]);
        assert_eq!(names("n[:2]"), ["n0", "n1", "n2"]);
        assert_eq!(names("d-[a:c]"), ["d-a", "d-b", "d-c"]);
        assert_eq!(names("[y:B]"), ["y", "z", "A", "B"]);
        assert_eq!(names("[a:b]-[1:2]x"), ["a-1x", "a-2x", "b-1x", "b-2x"]);
        assert_eq!(names("[3:3]"), ["3"]);
    }

    #[test]
    fn splits_ports() {
        for (pattern, name, port) in [
            ("pc:5986", "pc", Some(5986)),
            ("pc-[1:1]:22", "pc-1", Some(22)),
            ("10.0.0.1:22", "10.0.0.1", Some(22)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]:5986", "2001:db8::1", Some(5986)),
            ("pc", "pc", None),
        ] {
            let expansion = expand(pattern, 10).unwrap();
            assert_eq!(
                (expansion.names, expansion.port),
                (vec![name.to_owned()], port),
                "{pattern}"
            );
        }
    }

    #[test]
    fn refuses_ranges_that_make_no_hosts() {
        for (pattern, message) in [
            ("pc-[1:]", "has no end"),
            ("pc-[:]", "has no end"),
            (
                "pc-[]",
                "has a bracket without its partner or without a colon",
            ),
            (
                "pc-[1:3",
                "has a bracket without its partner or without a colon",
            ),
            (
                "pc-1:3]",
                "has a bracket without its partner or without a colon",
            ),
            ("pc-[20:1]", "runs backwards: 20 comes after 1"),
            ("pc-[f:a]", "runs backwards: f comes after a"),
            ("pc-[001:99]", "pads 001 with zeros, but 99 is not as long"),
            (
                "pc-[a:5]",
                "must run from number to number or from letter to letter, not from a to 5",
            ),
            (
                "pc-[aa:ac]",
                "must run from number to number or from letter to letter, not from aa to ac",
            ),
            (
                "pc-[1:9:0]",
                "has the step 0, which is not a number above zero",
            ),
            ("pc-[1:2:3:4]", "has more than a begin, an end and a step"),
            ("pc-[1:99999999999]", "makes more than 1000 names"),
            ("[1:99][1:99]", "makes more than 1000 names"),
        ] {
            assert_eq!(
                expand(pattern, 1000).unwrap_err().to_string(),
                message,
                "{pattern}"
            );
        }
    }
}
