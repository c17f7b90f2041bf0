//! Command lines for the login shell of a Windows host: cmd.exe or PowerShell, nobody knows
//! which beforehand (`HKLM\SOFTWARE\OpenSSH`, DefaultShell).

use crate::powershell::caret;

/// A login shell of a Windows host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginShell {
    Cmd,
    PowerShell,
}

/// Prints `Windows_NT$PSHOME` in cmd.exe, `%OS%C:\Windows\…` in PowerShell.
pub(super) const QUESTION: &str = "echo %OS%$PSHOME";

/// Returns the shell that gave this answer to [`QUESTION`]; `None`: neither.
pub(super) fn recognise(answer: &[u8]) -> Option<LoginShell> {
    let answer = String::from_utf8_lossy(answer);
    let answer = answer.trim();
    if answer.eq_ignore_ascii_case("Windows_NT$PSHOME") {
        Some(LoginShell::Cmd)
    } else if answer.starts_with("%OS%") && answer.len() > 4 && !answer.contains('$') {
        Some(LoginShell::PowerShell)
    } else {
        None
    }
}

/// Tells whether both shells pass this line on as it is, so that none needs to be asked for.
/// Every line that starts the step channel is such a line.
pub(super) fn is_plain(line: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./\\:+=".contains(&byte);
    // PowerShell takes a line that begins with a digit or a dash for an expression, and cuts
    // `-a.b` and `-a:b` in two.
    let cut = |word: &str| word.starts_with('-') && word.contains(['.', ':']);
    line.starts_with(|first: char| first.is_ascii_alphabetic())
        && line.bytes().all(plain)
        && !line.split(' ').any(cut)
}

/// Returns the line that makes `shell` start a program with exactly these arguments.
pub(super) fn wrap(shell: LoginShell, program: &str, arguments: &str) -> String {
    match shell {
        LoginShell::Cmd => caret(&format!("{program} {arguments}")),
        LoginShell::PowerShell => {
            // Windows PowerShell 5.1 loses quotes in arguments of programs; .NET does not. The
            // program inherits the standard streams.
            let (program, arguments) = (
                single_quoted(program.trim_matches('"')),
                single_quoted(arguments),
            );
            format!(
                "$i=New-Object Diagnostics.ProcessStartInfo({program},{arguments});\
                 $i.UseShellExecute=$false;$p=[Diagnostics.Process]::Start($i);\
                 $p.WaitForExit();exit $p.ExitCode"
            )
        }
    }
}

/// PowerShell takes the typographic quotes for single quotes too.
fn single_quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for character in text.chars() {
        if matches!(character, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(character);
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandLine, powershell};

    #[test]
    fn start_lines_need_no_quoting() {
        for command in [powershell::start_command(), powershell::exec_command()] {
            let CommandLine::Windows { program, arguments } = command else {
                panic!("not for Windows");
            };
            assert!(is_plain(&format!("{program} {arguments}")));
        }
        assert!(is_plain("nltest /sc_query:example.jp"));
        for special in [
            "\"a b\"",
            "echo a&b",
            "x (",
            "echo %PATH%",
            "a,b",
            "x @y",
            "echo 日本",
            "1",
            "x;y",
            "x -a.b",
        ] {
            assert!(!is_plain(special), "{special}");
        }
    }

    #[test]
    fn shells_are_told_apart() {
        assert_eq!(recognise(b"Windows_NT$PSHOME\r\n"), Some(LoginShell::Cmd));
        assert_eq!(
            recognise(b"%OS%C:\\Windows\\System32\\WindowsPowerShell\\v1.0\r\n"),
            Some(LoginShell::PowerShell)
        );
        assert_eq!(recognise(b"%OS%\n"), None);
        assert_eq!(recognise(b""), None);
    }

    #[test]
    fn lines_are_wrapped() {
        assert_eq!(
            wrap(LoginShell::Cmd, "x.exe", "\"a&b\" %PATH%"),
            "x.exe ^\"a^&b^\" ^%PATH^%"
        );
        let wrapped = wrap(
            LoginShell::PowerShell,
            "\"C:\\a b\\x.exe\"",
            "it's \"信頼\" ’",
        );
        assert!(
            wrapped.contains("('C:\\a b\\x.exe','it''s \"信頼\" ’’')"),
            "{wrapped}"
        );
        assert!(wrapped.ends_with("exit $p.ExitCode"));
    }
}
