//! The question before anything is touched.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::CliError;

/// Fails unless there is somebody to ask or `--yes` was given.
///
/// # Errors
/// Standard input is not a terminal and `--yes` is missing.
pub(crate) fn must_be_possible(yes: bool) -> Result<(), CliError> {
    if yes || io::stdin().is_terminal() {
        return Ok(());
    }
    Err(
        CliError::user("nobody can be asked: standard input is not a terminal")
            .hint("add --yes to go ahead without a question; nothing was touched"),
    )
}

/// Asks on the terminal; anything but yes means no.
///
/// # Errors
/// The answer was no, or none came.
pub(crate) fn ask(question: &str) -> Result<(), CliError> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if agrees(&answer) {
        Ok(())
    } else {
        Err(CliError::user("not confirmed; nothing was touched"))
    }
}

fn agrees(answer: &str) -> bool {
    // Full-width letters too: an input method may be on.
    matches!(
        answer.trim().to_lowercase().as_str(),
        "y" | "yes" | "ｙ" | "はい"
    )
}

#[cfg(test)]
mod tests {
    use super::agrees;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", "Yes\r\n", "ｙ", "はい\n", "Ｙ"] {
            assert!(agrees(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yep", "いいえ"] {
            assert!(!agrees(no), "{no}");
        }
    }
}
