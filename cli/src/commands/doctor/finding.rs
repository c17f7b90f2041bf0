//! One thing that was looked at, how it stands, and what to do about it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::error::CliError;
use crate::wrap::wrap;

/// How it stands, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing stands in the way.
    Ok,
    /// It was not looked at.
    Skipped,
    /// A run can go; some PCs or rungs will not.
    Warning,
    /// It stands in the way.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    what: &'static str,
    found: String,
    next: String,
}

impl Finding {
    fn new(level: Level, what: &'static str, found: impl Into<String>) -> Self {
        Self {
            level,
            what,
            found: found.into(),
            next: String::new(),
        }
    }

    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Ok, what, found)
    }

    pub(super) fn skipped(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Skipped, what, found)
    }

    pub(super) fn warning(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Warning, what, found)
    }

    pub(super) fn failed(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Failed, what, found)
    }

    pub(super) fn of_error(what: &'static str, error: &CliError) -> Self {
        let (message, hints) = error.lines();
        Self::failed(what, message).then(hints.join("; "))
    }

    /// Adds what to do about it.
    pub(super) fn then(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what,
            "level": self.level.word(),
            "found": self.found,
            "next": self.next,
        })
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// Where the words begin.
const INDENT: usize = 23;

/// Returns the findings in lines, folded to the terminal if there is one.
pub(super) fn text(findings: &[Finding], columns: Option<u16>) -> String {
    let fold = |line: String| match columns {
        Some(columns) => wrap(&line, INDENT, columns.into()),
        None => line,
    };
    let mut text = String::new();
    for finding in findings {
        let Finding {
            level, what, found, ..
        } = finding;
        let line = format!("{:<8} {what:<13} {found}", level.word());
        let _ = writeln!(text, "{}", fold(line));
        if !finding.next.is_empty() {
            let line = format!("{:INDENT$}→ {}", "", finding.next);
            let _ = writeln!(text, "{}", fold(line));
        }
    }
    let count = |level| findings.iter().filter(|one| one.level == level).count();
    let _ = writeln!(
        text,
        "\nfailed {}, warnings {}, skipped {}, ok {}",
        count(Level::Failed),
        count(Level::Warning),
        count(Level::Skipped),
        count(Level::Ok)
    );
    text
}
