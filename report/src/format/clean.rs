//! Text from PCs, made safe for a terminal.

use std::borrow::Cow;

/// Returns the text with control characters made visible, so that nothing a PC says can move
/// the cursor, recolour the terminal or forge a row. Tabs and line feeds stay where `lines` is
/// true and become blanks where it is false; a carriage return before a line feed goes.
pub(crate) fn clean(text: &str, lines: bool) -> Cow<'_, str> {
    if !text.contains(char::is_control) && !text.contains(is_bidi) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' if lines => cleaned.push(c),
            '\n' | '\t' | '\r' => cleaned.push(' '),
            c if c.is_control() || is_bidi(c) => cleaned.extend(c.escape_unicode()),
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// Tells whether the character turns the direction of the text that follows.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn escapes_what_steers_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb", true), "a\\u{1b}[2Jb");
        assert_eq!(clean("a\r\nb\tc\n", true), "a\nb\tc\n");
        assert_eq!(clean("a\r\nb\rc", false), "a b c");
        assert_eq!(clean("x\u{202e}y", false), "x\\u{202e}y");
        assert_eq!(clean("信頼関係", false), "信頼関係");
    }
}
