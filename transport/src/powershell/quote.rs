//! Quoting of program arguments for Windows.

use crate::CommandLine;

/// An argument that cannot reach the program unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// There is no program.
    #[error("failed to find a program in an empty command")]
    Empty,
    /// Windows has no way to pass it.
    #[error("failed to quote argument {index}: it holds a NUL or, for cmd.exe, a line break")]
    Character {
        /// Which, counted from 0 with the program.
        index: usize,
    },
}

/// Commands that live inside cmd.exe and have no program of their own.
const BUILT_IN: &[&str] = &[
    "assoc", "call", "cd", "chdir", "cls", "copy", "date", "del", "dir", "echo", "endlocal",
    "erase", "exit", "for", "ftype", "if", "md", "mkdir", "mklink", "move", "path", "pause",
    "popd", "prompt", "pushd", "rd", "rem", "ren", "rename", "rmdir", "set", "setlocal", "shift",
    "start", "time", "title", "type", "ver", "verify", "vol",
];

/// Returns the command line for a program and its arguments. Only what cmd.exe alone can run
/// (its built-in commands, `.bat` and `.cmd` files) goes through cmd.exe.
///
/// # Errors
/// [`QuoteError`].
pub fn command_line(words: &[String]) -> Result<CommandLine, QuoteError> {
    let (program, arguments) = words.split_first().ok_or(QuoteError::Empty)?;
    if program.is_empty() {
        return Err(QuoteError::Empty);
    }
    let through_cmd = needs_cmd(program);
    let bad = |word: &String| {
        word.contains('\0') || (through_cmd && (word.contains('\n') || word.contains('\r')))
    };
    if let Some(index) = words.iter().position(bad) {
        return Err(QuoteError::Character { index });
    }
    if through_cmd {
        let line: Vec<String> = words.iter().map(|word| cmd_word(word)).collect();
        return Ok(CommandLine::Windows {
            program: "cmd.exe".to_owned(),
            // /d: no AutoRun; /s: take off exactly the outer quotes; /e:ON: `%cd:~,%` below.
            arguments: format!("/d /e:ON /v:OFF /s /c \"{}\"", line.join(" ")),
        });
    }
    // The program's own name has no backslash rule: quotes, if it holds blanks, and nothing else.
    let program = if program.contains([' ', '\t']) {
        format!("\"{program}\"")
    } else {
        program.clone()
    };
    let arguments: Vec<String> = arguments.iter().map(|word| argument(word)).collect();
    Ok(CommandLine::Windows {
        program,
        arguments: arguments.join(" "),
    })
}

/// Returns one argument quoted so that `CommandLineToArgvW` and the C runtime read it back
/// unchanged: backslashes are doubled only before a quote.
pub fn argument(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '\n', '\u{b}', '"']) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    let mut backslashes = 0;
    for character in word.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(character);
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

/// Takes the special meaning from every character for cmd.exe: with the quotes escaped too,
/// the whole line stands outside quotes, where a caret works, and `^%` breaks up names of
/// variables.
pub(crate) fn caret(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        if "()%!^\"<>&|".contains(character) {
            escaped.push('^');
        }
        escaped.push(character);
    }
    escaped
}

fn needs_cmd(program: &str) -> bool {
    let name = program
        .rsplit(['\\', '/'])
        .next()
        .unwrap_or(program)
        .to_ascii_lowercase();
    let is_script = name.ends_with(".bat") || name.ends_with(".cmd");
    is_script || (name == program.to_ascii_lowercase() && BUILT_IN.contains(&name.as_str()))
}

/// Returns a word for a line of cmd.exe, as the standard library of Rust does for batch files:
/// in quotes nothing but `%` and `"` is special; `%%cd:~,%` yields a percent sign that begins no
/// variable.
fn cmd_word(word: &str) -> String {
    let plain =
        |character: char| character.is_alphanumeric() || "#$*+-./:?@\\_".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '%' => quoted.push_str("%%cd:~,%"),
            '"' => quoted.push_str("\"\""),
            _ => quoted.push(character),
        }
    }
    // A backslash before the closing quote would escape it in the program that is called.
    let trailing = word
        .chars()
        .rev()
        .take_while(|character| *character == '\\')
        .count();
    quoted.extend(std::iter::repeat_n('\\', trailing));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits as the C runtime of Windows does (rules of 2008 and later), to hold
    /// [`argument`] against.
    fn split(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut characters = line.chars().peekable();
        loop {
            while characters
                .next_if(|character| " \t".contains(*character))
                .is_some()
            {}
            if characters.peek().is_none() {
                return words;
            }
            let (mut word, mut in_quotes, mut backslashes) = (String::new(), false, 0);
            while let Some(character) = characters.next_if(|c| in_quotes || !" \t".contains(*c)) {
                if character == '\\' {
                    backslashes += 1;
                    continue;
                }
                let count = std::mem::take(&mut backslashes);
                if character != '"' {
                    word.extend(std::iter::repeat_n('\\', count));
                    word.push(character);
                } else {
                    word.extend(std::iter::repeat_n('\\', count / 2));
                    if count % 2 == 1 {
                        word.push('"');
                    } else {
                        in_quotes = !in_quotes;
                    }
                }
            }
            word.extend(std::iter::repeat_n('\\', backslashes));
            words.push(word);
        }
    }

    #[test]
    fn arguments_come_back_unchanged() {
        let words = [
            "",
            " ",
            "a b",
            "\"",
            "\\",
            "\\\\",
            "a\\\"b",
            "C:\\Program Files\\",
            "信頼 関係",
            "信頼",
            "/sc_query:example.jp",
            "a\tb",
            "\\\"\\\\\"",
            "%PATH%",
            "a&b|c",
            "tail\\ ",
            "x\\\\ \"",
        ];
        for word in words {
            assert_eq!(split(&argument(word)), [word], "{word:?}");
        }
        let line: Vec<String> = words.iter().map(|word| argument(word)).collect();
        assert_eq!(split(&line.join(" ")), words);
    }

    fn windows(words: &[&str]) -> (String, String) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        match command_line(&words).unwrap() {
            CommandLine::Windows { program, arguments } => (program, arguments),
            CommandLine::Posix(line) => panic!("{line}"),
        }
    }

    #[test]
    fn programs_run_without_a_shell() {
        assert_eq!(
            windows(&["nltest", "/sc_query:example.jp"]),
            ("nltest".into(), "/sc_query:example.jp".into())
        );
        assert_eq!(
            windows(&["C:\\Program Files\\x.exe", "a b"]),
            ("\"C:\\Program Files\\x.exe\"".into(), "\"a b\"".into())
        );
    }

    #[test]
    fn cmd_runs_only_what_it_must() {
        assert_eq!(
            windows(&["dir", "C:\\Users\\山田 太郎"]),
            (
                "cmd.exe".into(),
                "/d /e:ON /v:OFF /s /c \"dir \"C:\\Users\\山田 太郎\"\"".into()
            )
        );
        let (program, arguments) = windows(&["C:\\x\\run.CMD", "100%", "a&calc", "say \"hi\""]);
        assert_eq!(program, "cmd.exe");
        assert_eq!(
            arguments,
            "/d /e:ON /v:OFF /s /c \"C:\\x\\run.CMD \"100%%cd:~,%\" \"a&calc\" \"say \"\"hi\"\"\"\""
        );
        assert_eq!(windows(&["C:\\tools\\time", "x"]).0, "C:\\tools\\time");
    }

    #[test]
    fn what_cannot_be_passed_is_refused() {
        let refused = |words: &[&str]| {
            command_line(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_err()
        };
        assert_eq!(refused(&[]), QuoteError::Empty);
        assert_eq!(refused(&[""]), QuoteError::Empty);
        assert_eq!(refused(&["x", "a\0"]), QuoteError::Character { index: 1 });
        assert_eq!(
            refused(&["echo", "a\nb"]),
            QuoteError::Character { index: 1 }
        );
    }
}
