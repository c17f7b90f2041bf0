//! What cmd.exe makes of a line: variables, carets, quotes, `&`, `&&`, `||`, redirections.

use super::line;

/// When a command of a line runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// In any case.
    Always,
    /// If the one before ended with 0.
    Succeeded,
    /// If it did not.
    Failed,
}

/// Where a stream goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Where the shell's own goes.
    #[default]
    Own,
    /// Nowhere (`>nul`).
    Nul,
    /// Where the other one goes (`2>&1`, `1>&2`).
    Other,
    /// Into a file or a pipe, which the lab has not.
    Missing,
}

/// One command of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// When it runs.
    pub(crate) when: When,
    /// Its text, without carets; quotes still stand.
    pub(crate) text: String,
    /// Standard output.
    pub(crate) stdout: Target,
    /// Standard error.
    pub(crate) stderr: Target,
}

/// Returns the line inside `/c` of cmd.exe's arguments; `None`: it would read its input.
pub(crate) fn argument(arguments: &str) -> Option<&str> {
    let (mut rest, mut strip) = (arguments.trim_start(), false);
    while rest.starts_with('/') {
        let switch = rest.get(..2).unwrap_or(rest).to_ascii_lowercase();
        if switch == "/c" || switch == "/k" {
            return Some(unquoted(rest.get(2..).unwrap_or_default().trim(), strip));
        }
        strip |= switch == "/s";
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    None
}

/// Takes off the outer quotes as `cmd /?` says: always with `/s`; else not those around the only
/// thing there is, a program's path with blanks.
fn unquoted(line: &str, strip: bool) -> &str {
    let Some((inner, _)) = line
        .strip_prefix('"')
        .and_then(|rest| rest.rsplit_once('"'))
    else {
        return line;
    };
    let is_path = !inner.contains(['"', '&', '<', '>', '(', ')', '@', '^', '|'])
        && inner.contains(' ')
        && inner.get(1..3) == Some(":\\");
    if is_path && !strip {
        return line;
    }
    // What stands behind the last quote is kept; nobody types that, so the lab drops it.
    inner
}

/// Puts in the values of variables, as outside batch files: what is no variable stays.
pub(crate) fn expanded(line: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let found = after.split_once('%').and_then(|(name, behind)| {
            // Of substrings only the empty one, which programs use to write a percent sign.
            let (name, empty) = match name.split_once(':') {
                Some((name, "~,")) => (name, true),
                Some(_) => return None,
                None => (name, false),
            };
            let value = value(&name.to_ascii_lowercase())?;
            Some((if empty { String::new() } else { value }, behind))
        });
        rest = match found {
            Some((value, behind)) => {
                text.push_str(&value);
                behind
            }
            None => {
                text.push('%');
                after
            }
        };
    }
    text + rest
}

/// Splits an expanded line into its commands.
pub(crate) fn commands(line: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut command = empty(When::Always);
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                command.text.push('"');
            }
            '^' if !quoted => command.text.extend(characters.next()),
            '&' | '|' if !quoted => {
                let double = characters.next_if_eq(&character).is_some();
                let when = match (character, double) {
                    ('&', true) => When::Succeeded,
                    ('|', true) => When::Failed,
                    _ => When::Always,
                };
                if character == '|' && !double {
                    command.stdout = Target::Missing;
                }
                commands.push(std::mem::replace(&mut command, empty(when)));
            }
            '<' | '>' if !quoted => redirect(&mut command, character, &mut characters),
            other => command.text.push(other),
        }
    }
    commands.push(command);
    for command in &mut commands {
        command.text = command.text.trim().to_owned();
    }
    commands.retain(|command| !command.text.is_empty());
    commands
}

fn empty(when: When) -> Command {
    Command {
        when,
        text: String::new(),
        stdout: Target::Own,
        stderr: Target::Own,
    }
}

fn redirect(
    command: &mut Command,
    sign: char,
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
) {
    // A digit that stands alone before the sign names the stream.
    let is_error = command.text.ends_with(" 2");
    if is_error || command.text.ends_with(" 1") {
        command.text.pop();
    }
    while characters
        .next_if(|next| matches!(next, '>' | ' '))
        .is_some()
    {}
    let mut name = String::new();
    while let Some(next) = characters.next_if(|next| {
        !next.is_whitespace() && (name.is_empty() && *next == '&' || !"&|<>".contains(*next))
    }) {
        name.push(next);
    }
    let target = match name.to_ascii_lowercase().as_str() {
        "nul" => Target::Nul,
        "&1" | "&2" => Target::Other,
        _ => Target::Missing,
    };
    match (sign, is_error) {
        ('<', _) if target == Target::Nul => {}
        ('<', _) => command.stdout = Target::Missing,
        (_, true) => command.stderr = target,
        (_, false) => command.stdout = target,
    }
}

/// Tells whether a program is cmd.exe.
pub(crate) fn is_shell(program: &str) -> bool {
    line::program_name(program) == "cmd"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<(When, String)> {
        let commands = commands(line).into_iter();
        commands
            .map(|command| (command.when, command.text))
            .collect()
    }

    #[test]
    fn arguments_lose_their_outer_quotes() {
        assert_eq!(argument(r#" /c "nltest /x""#), Some("nltest /x"));
        assert_eq!(argument("/C echo x"), Some("echo x"));
        assert_eq!(
            argument(r#"/d /e:ON /v:OFF /s /c "dir "C:\a b"""#),
            Some(r#"dir "C:\a b""#)
        );
        assert_eq!(argument(r#"/c "C:\a b\x.exe""#), Some(r#""C:\a b\x.exe""#));
        assert_eq!(argument("/q"), None);
        assert_eq!(argument(""), None);
    }

    #[test]
    fn variables_are_put_in_before_all_else() {
        let value = |name: &str| (name == "os" || name == "cd").then(|| "NT".to_owned());
        let expanded = |line| expanded(line, value);
        assert_eq!(expanded("echo %OS%$PSHOME"), "echo NT$PSHOME");
        assert_eq!(expanded("^%OS^% 100% %none% %os%"), "^%OS^% 100% %none% NT");
        assert_eq!(expanded("%%cd:~,%OS%%cd:~,%"), "%OS%");
    }

    #[test]
    fn lines_split_outside_quotes() {
        use When::{Always, Failed, Succeeded};
        assert_eq!(
            texts(r#"a & echo "a&b" && exit 3 || c"#),
            [
                (Always, "a".to_owned()),
                (Always, r#"echo "a&b""#.to_owned()),
                (Succeeded, "exit 3".to_owned()),
                (Failed, "c".to_owned()),
            ]
        );
        assert_eq!(
            texts(r#"x ^"a^&b^" ^%P^% ^^"#),
            [(Always, r#"x "a&b" %P% ^"#.to_owned())]
        );
    }

    #[test]
    fn redirections_are_taken_out() {
        let one = |line| commands(line).remove(0);
        let command = one("chcp 65001 >nul & x");
        assert_eq!(
            (command.text.as_str(), command.stdout),
            ("chcp 65001", Target::Nul)
        );
        let command = one("x 2>&1");
        assert_eq!(
            (command.text.as_str(), command.stderr),
            ("x", Target::Other)
        );
        assert_eq!(one("x > C:\\out.txt").stdout, Target::Missing);
        assert_eq!(one("x | findstr y").stdout, Target::Missing);
        assert_eq!(one("echo a ^> b").text, "echo a > b");
    }
}
