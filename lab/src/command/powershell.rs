//! A few lines of PowerShell that people type, understood one by one.

use super::expression::value;
use super::text::Printed;
use crate::pc::SimPc;
use crate::registry;
use crate::shared::count;

/// PowerShell text and who runs it.
pub(crate) struct Script<'s> {
    text: &'s str,
    user: &'s str,
    ends: Ends,
}

/// What becomes the exit code where the text does not say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// That of the last program.
    LastProgram,
    /// 0 or 1, as the last statement succeeded (`powershell -Command`).
    Success,
}

impl<'s> Script<'s> {
    /// Returns text after `-Command`.
    pub(crate) fn command(text: &'s str, user: &'s str) -> Self {
        let ends = Ends::Success;
        Self { text, user, ends }
    }

    /// Returns text that the reader of `exec --powershell` runs.
    pub(crate) fn typed(text: &'s str, user: &'s str) -> Self {
        let ends = Ends::LastProgram;
        Self { text, user, ends }
    }
}

/// What one statement did.
enum Step {
    /// A value or a cmdlet; the exit code tells only whether it succeeded.
    Printed(Printed),
    /// A program.
    Program(Printed),
    Exit(i32),
    /// An error that ends everything.
    Threw(String),
    Unknown,
}

/// Runs PowerShell text: a taught answer if there is one, else what the simulation understands.
pub(crate) fn evaluate(pc: &SimPc, script: &Script<'_>) -> Printed {
    let digest = registry::digest(script.text.as_bytes());
    let host = pc.machine().name.clone();
    if let Some(taught) = pc.shared().answers.find(None, &digest, &host) {
        return match &taught.reply {
            Ok(serde_json::Value::String(text)) => Printed::lines(text.lines()),
            Ok(value) => Printed::lines([value.to_string().as_str()]),
            Err(error) => Printed::complaint(&format!("{} : {}", error.id, error.message), 1),
        };
    }
    let mut printed = Printed::default();
    let (mut last_program, mut failed) = (0, false);
    for statement in statements(script.text) {
        match step(pc, script.user, &statement) {
            Step::Printed(more) => {
                failed = more.code != 0;
                printed.append(more);
            }
            Step::Program(more) => {
                last_program = more.code;
                failed = more.code != 0;
                printed.append(more);
            }
            Step::Exit(code) => {
                printed.code = code;
                return printed;
            }
            Step::Threw(text) => {
                printed.append(Printed::complaint(&text, 1));
                return printed;
            }
            Step::Unknown => {
                count(&pc.shared().counters.unknown_scripts);
                printed.append(Printed::complaint(&unknown(&statement, &digest), 1));
                return printed;
            }
        }
    }
    printed.code = match script.ends {
        Ends::LastProgram => last_program,
        Ends::Success => i32::from(failed),
    };
    printed
}

fn unknown(statement: &str, digest: &str) -> String {
    format!(
        "LabUnknownScript: the simulated PowerShell does not understand \"{statement}\" (SHA-256 \
         of the whole text {digest}); teach it with --answers FILE"
    )
}

/// Splits at line ends and semicolons outside quotes, without comments.
fn statements(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (None, '\n' | ';') => {
                all.push(String::new());
                continue;
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.push(character);
        }
    }
    all.into_iter()
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty() && !statement.starts_with('#'))
        .collect()
}

fn step(pc: &SimPc, user: &str, statement: &str) -> Step {
    match value(pc, user, statement) {
        Some(Ok(lines)) => return Step::Printed(Printed::lines(lines.iter().map(String::as_str))),
        Some(Err(text)) => return Step::Printed(Printed::complaint(&text, 1)),
        None => {}
    }
    let (verb, rest) = statement
        .split_once(char::is_whitespace)
        .unwrap_or((statement, ""));
    let rest = rest.trim();
    match verb.to_ascii_lowercase().as_str() {
        "write-output" | "write-host" | "echo" => match value(pc, user, rest) {
            Some(Ok(lines)) => Step::Printed(Printed::lines(lines.iter().map(String::as_str))),
            Some(Err(text)) => Step::Printed(Printed::complaint(&text, 1)),
            // A bare word is a text.
            None if is_word(rest) => Step::Printed(Printed::lines([rest])),
            None => Step::Unknown,
        },
        "write-error" => {
            let rest = rest.strip_prefix("-Message").unwrap_or(rest).trim();
            text_of(pc, user, rest).map_or(Step::Unknown, |text| {
                Step::Printed(Printed::complaint(&written(statement, &text), 1))
            })
        }
        "throw" => text_of(pc, user, rest)
            .map_or(Step::Unknown, |text| Step::Threw(thrown(statement, &text))),
        "exit" if rest.is_empty() => Step::Exit(0),
        "exit" => rest.parse().map_or(Step::Unknown, |code| {
            Step::Exit(super::run::exit_code(code))
        }),
        "hostname" | "hostname.exe" | "whoami" | "whoami.exe" | "nltest" | "nltest.exe"
        | "ipconfig" | "ipconfig.exe"
            if !rest.contains(['|', '$', '(', '>', '&']) =>
        {
            Step::Program(super::run::program(pc, user, &unquoted(statement), false))
        }
        "$erroractionpreference" | "$progresspreference" | "set-strictmode" => {
            Step::Printed(Printed::default())
        }
        _ => Step::Unknown,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_./\\:".contains(c))
}

fn text_of(pc: &SimPc, user: &str, text: &str) -> Option<String> {
    match value(pc, user, text) {
        Some(Ok(lines)) => Some(lines.join(" ")),
        Some(Err(_)) => None,
        None => is_word(text).then(|| text.to_owned()),
    }
}

/// PowerShell takes its single quotes off the arguments of programs too.
fn unquoted(statement: &str) -> String {
    statement.replace('\'', "\"")
}

/// Shows an error as PowerShell 5.1 does.
fn written(statement: &str, text: &str) -> String {
    format!(
        "{statement} : {text}\r\n    + CategoryInfo          : NotSpecified: (:) [Write-Error], \
         WriteErrorException\r\n    + FullyQualifiedErrorId : \
         Microsoft.PowerShell.Commands.WriteErrorException"
    )
}

fn thrown(statement: &str, text: &str) -> String {
    let marks = "~".repeat(statement.chars().count());
    format!(
        "{text}\r\nAt line:1 char:1\r\n+ {statement}\r\n+ {marks}\r\n    + CategoryInfo          \
         : OperationStopped: ({text}:String) [], RuntimeException\r\n    + FullyQualifiedErrorId : \
         {text}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_split_outside_quotes() {
        assert_eq!(
            statements("'a;b'; hostname\n# note\n\"c\n d\""),
            ["'a;b'", "hostname", "\"c\n d\""]
        );
    }
}
