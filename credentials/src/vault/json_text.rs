//! Takes the escapes out of a JSON string into memory that is wiped.
//!
//! `serde_json` does that in a buffer of its own, which nobody wipes.

use fleetmend_model::Secret;
use zeroize::Zeroizing;

/// Returns the text of a JSON string that stands in its quotes; nothing if it is none.
pub(super) fn unescape(raw: &str) -> Option<Secret> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // No escape is shorter than what it stands for: the text never moves.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => escaped(&mut chars)?,
            '"' => return None,
            plain => plain,
        });
    }
    Some(Secret::new(std::mem::take(&mut *text)))
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => match unit(chars)? {
            high @ 0xD800..0xDC00 => {
                if (chars.next()?, chars.next()?) != ('\\', 'u') {
                    return None;
                }
                let low = unit(chars).filter(|low| (0xDC00..0xE000).contains(low))?;
                char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))?
            }
            unit => char::from_u32(unit)?,
        },
        _ => return None,
    })
}

/// Four hexadecimal digits.
fn unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::unescape;

    #[test]
    fn every_escape_is_known_and_halves_are_refused() {
        let text = |raw| unescape(raw).map(|secret| secret.reveal().to_owned());
        assert_eq!(
            text(r#""\"\\\/\b\f\n\r\t\u3042\ud83d\uDE00""#).unwrap(),
            "\"\\/\u{8}\u{c}\n\r\tあ😀"
        );
        for raw in [
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\udE00""#,
            r#""\x""#,
            r#""\u12""#,
            "\"",
            "7",
            "null",
            r#""a"b""#,
            r#""\""#,
        ] {
            assert_eq!(text(raw), None, "{raw}");
        }
    }

    proptest! {
        /// `serde_json` is the judge, in both directions.
        #[test]
        fn undoes_what_serde_json_writes(text: String) {
            let raw = serde_json::to_string(&text).unwrap();
            let ours = unescape(&raw).unwrap();
            prop_assert_eq!(ours.reveal(), text);
        }

        #[test]
        fn agrees_with_serde_json(inner in r#"([a-z"あ]|\\[bfnrtux"\\/]|\\u[d0-9][8-f0-9]{3}){0,12}"#) {
            let raw = format!("\"{inner}\"");
            let theirs: Option<String> = serde_json::from_str(&raw).ok();
            prop_assert_eq!(unescape(&raw).map(|ours| ours.reveal().to_owned()), theirs);
        }
    }
}
