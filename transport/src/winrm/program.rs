//! How a command line is started: as a program of its own where possible, else through cmd.exe.

use crate::CommandLine;
use crate::powershell::caret;

/// One way of starting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The program; a full path unless cmd.exe finds it.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: String,
    /// Without cmd.exe (`WINRS_SKIP_CMD_SHELL`).
    pub(crate) skip_cmd: bool,
}

const SYSTEM: &str = r"C:\Windows\System32\";

/// Returns the ways to try, in order; the next is only for when the PC says that it did not
/// find the program, so nothing has run.
///
/// Without cmd.exe Windows neither searches the path nor expands variables, so a bare name is
/// looked for where Windows keeps its programs. Where that is not `C:\Windows`, or for the
/// inner commands of cmd.exe, cmd.exe finds it.
pub(crate) fn ways(command: &CommandLine) -> Option<Vec<Start>> {
    let CommandLine::Windows { program, arguments } = command else {
        return None;
    };
    if program.contains(['\\', '/', ':']) {
        return Some(vec![Start {
            program: quoted(program),
            arguments: arguments.clone(),
            skip_cmd: true,
        }]);
    }
    let lower = program.to_ascii_lowercase();
    let file = if lower.contains('.') {
        program.clone()
    } else {
        format!("{program}.exe")
    };
    let folder = match lower.trim_end_matches(".exe") {
        "powershell" => r"C:\Windows\System32\WindowsPowerShell\v1.0\",
        _ => SYSTEM,
    };
    let mut ways = Vec::with_capacity(2);
    if is_executable(&file) {
        ways.push(Start {
            program: quoted(&format!("{folder}{file}")),
            arguments: arguments.clone(),
            skip_cmd: true,
        });
    }
    // A line of cmd.exe ends at a line break, and what follows would be lost unnoticed.
    if !arguments.contains(['\n', '\r']) {
        ways.push(Start {
            program: quoted(program),
            arguments: caret(arguments),
            skip_cmd: false,
        });
    }
    Some(ways)
}

fn is_executable(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    lower.ends_with(".exe") || lower.ends_with(".com")
}

fn quoted(program: &str) -> String {
    if program.contains(' ') && !program.starts_with('"') {
        format!("\"{program}\"")
    } else {
        program.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str, arguments: &str) -> Vec<(String, String, bool)> {
        let command = CommandLine::Windows {
            program: program.to_owned(),
            arguments: arguments.to_owned(),
        };
        let ways = ways(&command).unwrap();
        ways.into_iter()
            .map(|way| (way.program, way.arguments, way.skip_cmd))
            .collect()
    }

    fn way(program: &str, arguments: &str, skip_cmd: bool) -> (String, String, bool) {
        (program.to_owned(), arguments.to_owned(), skip_cmd)
    }

    #[test]
    fn prefers_the_program_itself() {
        assert_eq!(
            of("powershell.exe", "-NoProfile"),
            [
                way(
                    r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
                    "-NoProfile",
                    true
                ),
                way("powershell.exe", "-NoProfile", false),
            ]
        );
        assert_eq!(
            of("nltest", "/x")[0],
            way(r"C:\Windows\System32\nltest.exe", "/x", true)
        );
        assert_eq!(
            of(r"D:\a b\c.exe", "x&y"),
            [way("\"D:\\a b\\c.exe\"", "x&y", true)]
        );
        assert_eq!(of("run.cmd", "").len(), 1);
    }

    #[test]
    fn shields_arguments_from_cmd() {
        let last = of("git", "a&b \"c&d\" (e)^ %PATH%").pop().unwrap();
        let escaped = "a^&b ^\"c^&d^\" ^(e^)^^ ^%PATH^%";
        assert_eq!(last, way("git", escaped, false));
        assert_eq!(of("git", "a\nb").len(), 1);
    }

    #[test]
    fn knows_no_posix_lines() {
        assert_eq!(ways(&CommandLine::Posix("ls".to_owned())), None);
    }
}
