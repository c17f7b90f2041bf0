//! What the C runtime of a Windows program makes of a command line.

/// Splits a line into its words by the rules of the C runtime (2008 and later): double quotes
/// hold words together and go away, backslashes count only before a quote.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = word(rest);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Takes one word off a line.
fn word(line: &str) -> (String, &str) {
    let mut word = String::new();
    let (mut quoted, mut backslashes) = (false, 0);
    let mut characters = line.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        let before = std::mem::take(&mut backslashes);
        if character != '"' {
            word.extend(std::iter::repeat_n('\\', before));
            if character.is_whitespace() && !quoted {
                return (word, line.get(at..).unwrap_or_default());
            }
            word.push(character);
            continue;
        }
        word.extend(std::iter::repeat_n('\\', before / 2));
        let escaped = before % 2 == 1;
        if escaped || quoted && characters.next_if(|(_, next)| *next == '"').is_some() {
            word.push('"');
        } else {
            quoted = !quoted;
        }
    }
    word.extend(std::iter::repeat_n('\\', backslashes));
    (word, "")
}

/// Splits a line into its program, without quotes, and the rest as it stands.
pub(crate) fn split_program(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"').unwrap_or((rest, "")),
        None => line.split_at(line.find(char::is_whitespace).unwrap_or(line.len())),
    }
}

/// Returns the name of a program without folder and `.exe`, in small letters.
pub(crate) fn program_name(program: &str) -> String {
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program);
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_is_quoted() {
        assert_eq!(words(r#"echo "a  b" c"" """#), ["echo", "a  b", "c", ""]);
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(
            words(r#"x "say \"hi\"" C:\a\ "C:\b c\\" "1""2" a\\\"b"#),
            [
                "x",
                r#"say "hi""#,
                r"C:\a\",
                r"C:\b c\",
                r#"1"2"#,
                r#"a\"b"#
            ]
        );
    }

    #[test]
    fn programs_are_split_off() {
        assert_eq!(
            split_program(r#""C:\a b\x.exe" -y "z""#),
            (r"C:\a b\x.exe", r#" -y "z""#)
        );
        assert_eq!(split_program("hostname"), ("hostname", ""));
        assert_eq!(program_name(r"C:\Windows\System32\CMD.EXE"), "cmd");
    }
}
