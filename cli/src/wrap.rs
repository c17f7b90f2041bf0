//! Long lines folded to the terminal's width, with an indent that shows what belongs together.

use console::measure_text_width;

/// Folds the text at blanks to lines of at most `columns`; further lines begin with `indent`
/// blanks. Words longer than a line stay whole, so that paths can be copied.
pub(crate) fn wrap(text: &str, indent: usize, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    // Whether the line holds no word yet, so that breaking it would gain nothing.
    let mut fresh = true;
    for (place, word) in text.split(' ').enumerate() {
        let width = measure_text_width(word);
        if place > 0 {
            if column + 1 + width > columns && !fresh {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(indent));
                column = indent;
                fresh = true;
            } else {
                wrapped.push(' ');
                column += 1;
            }
        }
        wrapped.push_str(word);
        column += width;
        fresh &= width == 0;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn folds_at_blanks_and_counts_wide_characters_twice() {
        insta::assert_snapshot!(wrap("  PCs  12: pc-001, 経理部の端末, 営業部の端末, pc-004", 7, 24), @"
        PCs  12: pc-001,
             経理部の端末,
             営業部の端末,
             pc-004
        ");
    }

    #[test]
    fn long_words_stay_whole() {
        assert_eq!(
            wrap("at /a/very/long/path end", 2, 8),
            "at\n  /a/very/long/path\n  end"
        );
        assert_eq!(wrap("short", 2, 80), "short");
    }
}
