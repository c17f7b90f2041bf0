//! The command lines that start `sh` on a posix host.

use std::sync::LazyLock;

use crate::CommandLine;

/// The bootstrap with its comments, as it stands in the repository.
pub const BOOTSTRAP: &str = include_str!("bootstrap.sh");

static START: LazyLock<String> = LazyLock::new(|| format!("exec sh -c '{}'", one_line(BOOTSTRAP)));

/// Runs its arguments as a program that has no input. A line that comes meanwhile ends the whole
/// process group, as in the bootstrap; the watcher holds no stream, or sshd would wait for it.
const GUARD: &str = "exec 7<&0 </dev/null; \
    { read -r x <&7 && kill -9 0; } >/dev/null 2>&1 & w=$!; \
    \"$@\" 7<&-; c=$?; kill $w 2>/dev/null; wait $w 2>/dev/null; exit $c";

/// Returns the line for the login shell that starts the step channel. It is a constant.
pub fn start_command() -> CommandLine {
    CommandLine::Posix(START.clone())
}

/// Tells whether a command line starts the step channel.
pub fn is_bootstrap(command_line: &str) -> bool {
    command_line == START.as_str()
}

/// Returns the line for the login shell that runs a program with exactly these arguments and
/// without input. A line on its standard input ends it: sshd passes signals on for some accounts
/// only.
///
/// `None` if there is no program or a word holds a NUL, which no posix argument can.
pub fn command_line(words: &[String]) -> Option<CommandLine> {
    if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let words = words.join(" ");
    Some(CommandLine::Posix(format!(
        "exec sh -c '{GUARD}' sh {words}"
    )))
}

/// Why the bootstrap ended before it ran any request.
pub fn refusal(exit_code: i32) -> Option<&'static str> {
    match exit_code {
        91 => Some("base64 is missing there"),
        92 => Some("the request line was damaged on its way"),
        126 | 127 => Some("sh could not be started there"),
        _ => None,
    }
}

/// Returns one word quoted for a posix shell: single quotes keep everything but themselves.
fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn one_line(script: &str) -> String {
    let lines: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_passes_through_any_login_shell() {
        assert!(BOOTSTRAP.is_ascii());
        assert_eq!(START.matches('\'').count(), 2);
        assert!(!START.contains('\n'));
        assert!(is_bootstrap(&START) && !is_bootstrap("exec sh -c 'x'"));
    }

    #[test]
    fn words_are_quoted() {
        let words = |words: &[&str]| {
            command_line(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let Some(CommandLine::Posix(line)) =
            words(&["wbinfo", "-t", "", "信頼", "it's", "$HOME;ls"])
        else {
            panic!("a posix line");
        };
        assert!(!GUARD.contains('\''));
        assert!(
            line.ends_with(r"' sh wbinfo -t '' '信頼' 'it'\''s' '$HOME;ls'"),
            "{line}"
        );
        assert_eq!(words(&[]), None);
        assert_eq!(words(&["x", "a\0"]), None);
    }
}
