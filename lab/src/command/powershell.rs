//! A few lines of PowerShell that people type, understood one by one.

use super::text::Printed;
use crate::pc::SimPc;
use crate::registry;
use crate::shared::count;

/// PowerShell text and who runs it.
pub(crate) struct Script<'s> {
    pub(crate) text: &'s str,
    pub(crate) user: &'s str,
}

/// What one statement did.
enum Step {
    Printed(Printed),
    Exit(i32),
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
    for statement in statements(script.text) {
        match step(pc, script.user, &statement) {
            Step::Printed(more) => printed.append(more),
            Step::Exit(code) => {
                printed.code = code;
                return printed;
            }
            Step::Unknown => {
                count(&pc.shared().counters.unknown_scripts);
                printed.append(Printed::complaint(&unknown(&statement, &digest), 1));
                return printed;
            }
        }
    }
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
    let lower = statement.to_ascii_lowercase();
    if let Some(value) = expression(pc, user, statement) {
        return Step::Printed(Printed::lines([value.as_str()]));
    }
    let (verb, rest) = lower
        .split_once(char::is_whitespace)
        .unwrap_or((&lower, ""));
    let original_rest = statement.get(verb.len()..).unwrap_or("").trim();
    match verb {
        "write-output" | "write-host" | "echo" => {
            let value = expression(pc, user, original_rest);
            Step::Printed(Printed::lines([value.as_deref().unwrap_or(original_rest)]))
        }
        "exit" => rest.trim().parse().map_or(Step::Unknown, Step::Exit),
        "throw" => {
            let text = expression(pc, user, original_rest).unwrap_or_default();
            Step::Printed(Printed::complaint(&text, 1))
        }
        "hostname" | "hostname.exe" | "whoami" | "whoami.exe" | "nltest" | "nltest.exe"
        | "ipconfig" | "ipconfig.exe" => {
            Step::Printed(super::run::program(pc, user, statement, false))
        }
        "$erroractionpreference" | "$progresspreference" | "set-strictmode" => {
            Step::Printed(Printed::default())
        }
        _ => Step::Unknown,
    }
}

/// Returns the value of a literal or of one of a few well-known expressions.
fn expression(pc: &SimPc, user: &str, text: &str) -> Option<String> {
    let text = text.trim();
    for quote in ['\'', '"'] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return Some(inner.to_owned());
        }
    }
    if text.parse::<i64>().is_ok() {
        return Some(text.to_owned());
    }
    let machine = pc.machine();
    Some(match text.to_ascii_lowercase().as_str() {
        "$env:computername" => machine.name.clone(),
        "$env:username" => user.to_owned(),
        "$env:userdomain" => machine.name.clone(),
        "$psversiontable.psversion.tostring()" => {
            format!("5.1.{}.{}", machine.os.build, machine.os.ubr)
        }
        "[environment]::osversion.version.tostring()" => format!("10.0.{}.0", machine.os.build),
        "(get-uiculture).name" | "(get-culture).name" => if machine.is_japanese() {
            "ja-JP"
        } else {
            "en-US"
        }
        .to_owned(),
        "(get-service netlogon).status" => if machine.netlogon.running {
            "Running"
        } else {
            "Stopped"
        }
        .to_owned(),
        "test-computersecurechannel" => {
            if machine.channel.status == 0 && machine.netlogon.running {
                "True"
            } else {
                "False"
            }
            .to_owned()
        }
        _ => return None,
    })
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
