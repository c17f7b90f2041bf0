//! Command lines: what cmd.exe and a Windows program make of one.

/// Splits a line into its words; double quotes hold words together and go away.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Takes `cmd.exe /c` (and the quotes that it strips) off a line, as often as it stands there.
/// Returns what remains and whether a shell stood before it.
pub(crate) fn without_shell(line: &str) -> (&str, bool) {
    let mut rest = line.trim();
    let mut shell = false;
    while let Some(inner) = shell_argument(rest) {
        rest = inner;
        shell = true;
    }
    (rest, shell)
}

fn shell_argument(line: &str) -> Option<&str> {
    let (program, rest) = split_program(line)?;
    let name = program
        .rsplit(['\\', '/'])
        .next()
        .unwrap_or(program)
        .to_ascii_lowercase();
    if name != "cmd" && name != "cmd.exe" {
        return None;
    }
    let at = rest.to_ascii_lowercase().find("/c")?;
    let argument = rest.get(at + 2..)?.trim();
    let stripped = argument
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'));
    Some(stripped.unwrap_or(argument).trim())
}

fn split_program(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix('"') {
        Some(rest) => rest.split_once('"'),
        None => line.split_once(char::is_whitespace),
    }
}

/// Splits a line at `&` and `&&` outside quotes; true: only if the one before ended with 0.
pub(crate) fn chain(line: &str) -> Vec<(bool, String)> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let (mut quoted, mut only_if) = (false, false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' if !quoted => {
                parts.push((only_if, std::mem::take(&mut part)));
                only_if = characters.next_if_eq(&'&').is_some();
            }
            c => {
                quoted ^= c == '"';
                part.push(c);
            }
        }
    }
    parts.push((only_if, part));
    parts
        .into_iter()
        .map(|(only_if, part)| (only_if, part.trim().to_owned()))
        .filter(|(_, part)| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_is_quoted() {
        assert_eq!(words(r#"echo "a  b" c"" """#), ["echo", "a  b", "c", ""]);
        assert_eq!(words("  "), Vec::<String>::new());
    }

    #[test]
    fn shells_are_taken_off() {
        let (rest, shell) =
            without_shell(r#""c:\windows\system32\cmd.exe" /c "nltest /sc_query:corp.example.jp""#);
        assert_eq!((rest, shell), ("nltest /sc_query:corp.example.jp", true));
        assert_eq!(without_shell("cmd /c echo x"), ("echo x", true));
        assert_eq!(
            without_shell("nltest /sc_query:x"),
            ("nltest /sc_query:x", false)
        );
    }

    #[test]
    fn chains_split_outside_quotes() {
        assert_eq!(
            chain(r#"chcp 65001 >nul & echo "a&b" && exit 3"#),
            [
                (false, "chcp 65001 >nul".to_owned()),
                (false, r#"echo "a&b""#.to_owned()),
                (true, "exit 3".to_owned())
            ]
        );
    }
}
