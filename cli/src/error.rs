//! What ends a command: kind, message, causes and hints. Only here do errors become exit codes.

use std::error::Error;
use std::fmt;

use crate::exit_code;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line or a file that the operator named is wrong.
    User,
    /// The surroundings are wrong: data folder, terminal, passwords.
    Config,
    /// A safety budget is spent; going on could lock an account.
    Budget,
    /// The operator pressed Ctrl-C at a question.
    Interrupted,
    /// Something broke that should not.
    Internal,
}

/// A command failed. Every PC that failed is a result, not such an error.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
}

impl CliError {
    /// Returns an error of the operator's making.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message.into())
    }

    /// Returns an error of the surroundings.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message.into())
    }

    /// Returns the error that a safety budget is spent.
    pub(crate) fn budget(message: impl Into<String>) -> Self {
        Self::new(Kind::Budget, message.into())
    }

    /// Returns the error that the operator gave no answer but Ctrl-C.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message.into())
    }

    /// Returns an error of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message.into())
    }

    /// Adds what lies beneath.
    pub(crate) fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Adds a hint, shown on its own line.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::User | Kind::Config => exit_code::USAGE,
            Kind::Budget => exit_code::BUDGET,
            Kind::Interrupted => exit_code::INTERRUPTED,
            Kind::Internal => exit_code::NOT_WELL,
        }
    }

    /// Returns the lines to show, without their coloured labels: the message with its causes,
    /// then the hints.
    pub(crate) fn lines(&self) -> (String, &[String]) {
        let mut message = self.message.clone();
        let mut next: Option<&(dyn Error + 'static)> = self
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static));
        while let Some(source) = next {
            let text = source.to_string();
            // Some errors repeat their source in their own text.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            next = source.source();
        }
        if self.kind == Kind::Internal {
            message.push_str(" (this is a fault of fleetmend)");
        }
        (message, &self.hints)
    }

    fn new(kind: Kind, message: String) -> Self {
        Self {
            kind,
            message,
            source: None,
            hints: Vec::new(),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().0)
    }
}

impl Error for CliError {}

/// Standard output is gone or full. A closed pipe is no news for anybody.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::config("failed to write the output").because(error)
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal("failed to write JSON").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_once_and_hints_apart() {
        let source = std::io::Error::other("disk on fire");
        let error = CliError::config("failed to open the journal")
            .because(source)
            .hint("put it out");
        assert_eq!(
            error.to_string(),
            "failed to open the journal: disk on fire"
        );
        assert_eq!(error.lines().1, ["put it out"]);
        assert_eq!(error.exit_code(), exit_code::USAGE);
        assert_eq!(CliError::internal("x").exit_code(), exit_code::NOT_WELL);
        assert_eq!(CliError::budget("x").exit_code(), exit_code::BUDGET);
    }
}
