//! What a plain scalar means: the rules of YAML 1.1 as PyYAML applies them.

use crate::Value;
use crate::timestamp;

/// Resolves an untagged plain scalar.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        _ => {}
    }
    if let Some(flag) = boolean(text) {
        return Value::Bool(flag);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Value::String(text.to_owned());
    }
    if let Some(number) = integer(text) {
        return Value::Int(number);
    }
    if let Some(number) = float(text) {
        return Value::Float(number);
    }
    Value::String(timestamp::normalise(text).unwrap_or_else(|| text.to_owned()))
}

/// Reads the eleven spellings of YAML 1.1; `y` and `n` are texts in PyYAML.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Reads decimal, `0x`, `0b`, octal with a leading zero and base 60; `None` also if it does not
/// fit 64 bits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text);
    let magnitude = magnitude(digits)?;
    let signed = if negative { -magnitude } else { magnitude };
    i64::try_from(signed).ok()
}

fn magnitude(digits: &str) -> Option<i128> {
    if digits == "0" {
        return Some(0);
    }
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2);
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return radix(hex, 16);
    }
    if let Some(octal) = digits.strip_prefix('0') {
        return radix(octal, 8);
    }
    if digits.contains(':') {
        sexagesimal(digits)
    } else {
        radix(digits, 10)
    }
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    let mut number = 0_i128;
    let mut any = false;
    for digit in digits.chars().filter(|c| *c != '_') {
        number = number
            .checked_mul(radix.into())?
            .checked_add(digit.to_digit(radix)?.into())?;
        any = true;
    }
    any.then_some(number)
}

/// `190:20:30` is 190 × 3600 + 20 × 60 + 30.
fn sexagesimal(digits: &str) -> Option<i128> {
    let mut parts = digits.split(':');
    let mut number = radix(parts.next()?, 10)?;
    for part in parts {
        number = number
            .checked_mul(60)?
            .checked_add(sixtieth(part)?.into())?;
    }
    Some(number)
}

/// One or two digits below 60.
fn sixtieth(part: &str) -> Option<u32> {
    let fits = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
    part.parse().ok().filter(|number| fits && *number < 60)
}

/// Reads a number with a point; an exponent needs its sign and a point before it, so `1e3` is a
/// text.
pub(crate) fn float(text: &str) -> Option<f64> {
    let (negative, rest) = sign(text);
    let signed = |number: f64| if negative { -number } else { number };
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        _ => {}
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    if rest.contains(':') {
        return sexagesimal_float(rest).map(signed);
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    if !exponent.is_none_or(is_exponent) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.')?;
    let well_formed = if whole.is_empty() {
        rest.len() == text.len() && starts_with_digit(fraction)
    } else {
        starts_with_digit(whole)
    };
    if !well_formed || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    rest.replace('_', "").parse().ok().map(signed)
}

fn sexagesimal_float(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.')?;
    if !starts_with_digit(whole) || !all_digits(fraction) {
        return None;
    }
    let mut parts = whole.split(':');
    let first = parts.next().filter(|part| all_digits(part))?;
    let mut number: f64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        number = number * 60.0 + f64::from(sixtieth(part)?);
    }
    let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
    Some(number + fraction)
}

fn is_exponent(text: &str) -> bool {
    text.strip_prefix(['-', '+'])
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn all_digits(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PyYAML 6 makes of each, taken from a run of it.
    #[test]
    fn agrees_with_pyyaml() {
        let string = |text: &str| Value::String(text.to_owned());
        for (text, value) in [
            ("yes", Value::Bool(true)),
            ("Off", Value::Bool(false)),
            ("y", string("y")),
            ("oN", string("oN")),
            ("~", Value::Null),
            ("nULL", string("nULL")),
            ("0644", Value::Int(420)),
            ("0o644", string("0o644")),
            ("08", string("08")),
            ("010", Value::Int(8)),
            ("+12", Value::Int(12)),
            ("-0x1F", Value::Int(-31)),
            ("0b1010", Value::Int(10)),
            ("1_000", Value::Int(1000)),
            ("190:20:30", Value::Int(685_230)),
            ("5986:1", Value::Int(359_161)),
            ("1:60", string("1:60")),
            ("190:20:30.15", Value::Float(685_230.15)),
            ("1:60.5", string("1:60.5")),
            ("6.8523015e+5", Value::Float(685_230.15)),
            ("1e3", string("1e3")),
            ("1.5e3", string("1.5e3")),
            ("685_230.15", Value::Float(685_230.15)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("-.5", string("-.5")),
            (".", string(".")),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("10.1.2.3", string("10.1.2.3")),
            ("-", string("-")),
            (
                "123456789012345678901234",
                string("123456789012345678901234"),
            ),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("２０", string("２０")),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
        assert!(matches!(resolve(".nan"), Value::Float(number) if number.is_nan()));
    }
}
