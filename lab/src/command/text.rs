//! What a command printed, and the words of Windows in two languages.

use crate::noise;

/// What a command printed and its exit code; lines end with CR LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Printed {
    /// Returns lines on standard output with exit code 0.
    pub(crate) fn lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut printed = Self::default();
        for line in lines {
            printed.line(line);
        }
        printed
    }

    /// Returns one line on standard error with this exit code.
    pub(crate) fn complaint(text: &str, code: i32) -> Self {
        Self {
            stdout: String::new(),
            stderr: format!("{text}\r\n"),
            code,
        }
    }

    /// Adds a line to standard output.
    pub(crate) fn line(&mut self, line: &str) {
        self.stdout.push_str(line);
        self.stdout.push_str("\r\n");
    }

    /// Adds what another command printed; its exit code is the last one.
    pub(crate) fn append(&mut self, other: Self) {
        self.stdout.push_str(&other.stdout);
        self.stderr.push_str(&other.stderr);
        self.code = other.code;
    }
}

/// Encodes text for a console: UTF-8 if that page was asked for, else the PC's own.
pub(crate) fn encode(text: &str, japanese: bool, utf8: bool) -> Vec<u8> {
    if utf8 {
        text.as_bytes().to_vec()
    } else {
        noise::oem(text, japanese)
    }
}

/// Returns what cmd.exe says of a command that it cannot find.
pub(crate) fn not_recognized(program: &str, japanese: bool) -> String {
    if japanese {
        format!(
            "'{program}' は、内部コマンドまたは外部コマンド、\r\n\
             操作可能なプログラムまたはバッチ ファイルとして認識されていません。"
        )
    } else {
        format!(
            "'{program}' is not recognized as an internal or external command,\r\n\
             operable program or batch file."
        )
    }
}
