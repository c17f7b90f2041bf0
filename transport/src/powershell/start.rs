//! The command lines that start PowerShell on a PC, and how to recognise them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::CommandLine;

/// The bootstrap with its comments, as it stands in the repository.
pub const BOOTSTRAP: &str = include_str!("bootstrap.ps1");

/// The reader that runs PowerShell text typed by an operator.
pub const EXEC_READER: &str = include_str!("exec.ps1");

const PROGRAM: &str = "powershell.exe";

/// `-InputFormat None` keeps PowerShell itself off standard input (about_PowerShell_exe).
const SWITCHES: &str =
    "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -InputFormat None -EncodedCommand ";

static BOOTSTRAP_BASE64: LazyLock<String> = LazyLock::new(|| encoded_command(BOOTSTRAP));
static EXEC_READER_BASE64: LazyLock<String> = LazyLock::new(|| encoded_command(EXEC_READER));

/// Returns the command that starts the step channel. It is a constant.
pub fn start_command() -> CommandLine {
    command(&BOOTSTRAP_BASE64)
}

/// Returns the command that runs PowerShell text given as base64 of UTF-8 on standard input up
/// to its end. It is a constant.
pub fn exec_command() -> CommandLine {
    command(&EXEC_READER_BASE64)
}

/// Tells whether a whole command line (program and arguments, perhaps behind `cmd.exe /c`)
/// starts the step channel.
pub fn is_bootstrap(command_line: &str) -> bool {
    has_encoded(command_line, &BOOTSTRAP_BASE64)
}

/// Tells whether a whole command line starts the reader of [`exec_command`].
pub fn is_exec_reader(command_line: &str) -> bool {
    has_encoded(command_line, &EXEC_READER_BASE64)
}

/// Why the bootstrap ended before it ran any request: it gives these exit codes before it reads
/// one, or on a line that is none.
pub fn refusal(exit_code: i32) -> Option<&'static str> {
    match exit_code {
        0x464D_0001 => Some(
            "PowerShell runs in constrained language mode there (AppLocker or App Control policy)",
        ),
        0x464D_0002 => Some("PowerShell is older than 3.0 there"),
        0x464D_0003 => Some("only a 32-bit PowerShell was started on a 64-bit Windows"),
        0x464D_0004 => Some("PowerShell could not load what the step channel needs"),
        0x464D_0005 => Some("the request line was damaged on its way"),
        // cmd.exe's own "not found", and that of a posix shell (the host is no Windows).
        9009 | 126 | 127 => Some("powershell.exe was not found"),
        _ => None,
    }
}

/// Returns the base64 that `-EncodedCommand` takes, without comment lines and indentation.
fn encoded_command(script: &str) -> String {
    let mut utf16 = Vec::with_capacity(script.len() * 2);
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        utf16.extend(
            line.encode_utf16()
                .chain([u16::from(b'\n')])
                .flat_map(u16::to_le_bytes),
        );
    }
    STANDARD.encode(utf16)
}

fn command(base64: &str) -> CommandLine {
    CommandLine::Windows {
        program: PROGRAM.to_owned(),
        arguments: format!("{SWITCHES}{base64}"),
    }
}

fn has_encoded(command_line: &str, base64: &str) -> bool {
    let mut tokens = command_line
        .split_whitespace()
        .map(|token| token.trim_matches('"'));
    while let Some(token) = tokens.next() {
        if token.eq_ignore_ascii_case("-EncodedCommand") {
            return tokens.next() == Some(base64);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(command: &CommandLine) -> String {
        match command {
            CommandLine::Windows { program, arguments } => format!("{program} {arguments}"),
            CommandLine::Posix(line) => line.clone(),
        }
    }

    #[test]
    fn start_line_fits_cmd_behind_sshd() {
        // sshd puts the line behind this; cmd.exe stops at 8,191 characters.
        let shell = r#""c:\windows\system32\cmd.exe" /c """#;
        for line in [whole(&start_command()), whole(&exec_command())] {
            assert!(shell.len() + line.len() < 8191, "{} characters", line.len());
            assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }

    #[test]
    fn start_line_is_recognised_and_others_are_not() {
        let start = whole(&start_command());
        let exec = whole(&exec_command());
        assert!(is_bootstrap(&start) && is_exec_reader(&exec));
        assert!(!is_bootstrap(&exec) && !is_exec_reader(&start));
        assert!(is_bootstrap(&format!("cmd.exe /c \"{start}\"")));
        assert!(!is_bootstrap("powershell.exe -EncodedCommand AAAA"));
        assert!(!is_bootstrap(
            start.trim_end_matches('=').get(..start.len() - 9).unwrap()
        ));
    }

    #[test]
    fn scripts_are_ascii_and_survive_the_trimming() {
        for script in [BOOTSTRAP, EXEC_READER] {
            assert!(script.is_ascii());
            // A trailing comment or a here-string would not survive the line filter.
            assert!(!script.contains("@'") && !script.contains("@\"") && !script.contains("<#"));
        }
        let sent = STANDARD.decode(encoded_command(BOOTSTRAP)).unwrap();
        let units: Vec<u16> = sent
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let text = String::from_utf16(&units).unwrap();
        assert!(text.starts_with("if ($ExecutionContext"));
        assert!(!text.contains("\n#") && text.ends_with("exit 0\n"));
    }
}
