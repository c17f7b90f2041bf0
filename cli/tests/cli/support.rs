//! Runs the real binary, away from the user's own data and environment.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the binary said.
pub(crate) struct Out {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Out {
    /// Everything in one text, for snapshots.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("exit {}\n", self.code);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = writeln!(text, "--- {name}\n{}", stream.trim_end());
            }
        }
        text.replace("fleetmend.exe", "fleetmend")
    }

    /// The same with a folder's path masked.
    pub(crate) fn masked(&self, folder: &Path) -> String {
        self.text()
            .replace(&folder.display().to_string(), "[folder]")
    }
}

/// Runs the binary with nothing on its standard input.
pub(crate) fn fleetmend<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Out {
    run(command().args(args))
}

/// Returns the binary, ready for arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetmend"));
    command.stdin(Stdio::null()).env("COLUMNS", "100");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLEETMEND_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Out {
    let output = command.output().unwrap();
    Out {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Checks that the folder's journal holds no run: what was spent on accounts may stand in it.
pub(crate) fn no_run_was_begun(data: &Path) {
    let path = data.join("journal.sqlite");
    if path.exists() {
        let runs = fleetmend_journal::JournalReader::open(&path)
            .unwrap()
            .runs();
        assert_eq!(runs.unwrap().len(), 0, "a run was begun");
    }
}
