//! An entry in words.

use fleetmend_journal::AuditEntry;
use serde_json::Value;

/// The pace in the terms of a run, and its options.
const PACE: [(&str, &str); 6] = [
    ("batches", "--batches"),
    ("max_errors", "--max-errors"),
    ("expect", "--expect"),
    ("max_per_site", "--max-per-site"),
    ("max_per_dc", "--max-per-dc"),
    ("ramp", "--ramp"),
];
/// Enough of a digest to see that a file is another one; all of it is in `--output json`.
const DIGITS: usize = 16;
/// The first digits of a run's id name it.
const RUN: usize = 13;

/// Returns what an entry says, in one line. What stands in it may come from a PC, so nothing in
/// it reaches the terminal but letters.
pub(super) fn words(entry: &AuditEntry) -> String {
    let what = &entry.what;
    let text = |name: &str| text(what, name);
    let by = || who(field(what, "/operator"));
    let said = match entry.kind.as_str() {
        "trail-begun" => match what.get("runs_before").and_then(Value::as_u64) {
            Some(0) | None => "the trail begins".to_owned(),
            Some(runs) => format!("the trail begins; {runs} runs are older"),
        },
        "run-found" => format!(
            "a run that is older than the trail, {} events",
            text("events")
        ),
        "head-missing" => match text("file").as_str() {
            "missing" => "the file that keeps the end of the trail was gone".to_owned(),
            _ => "the file that keeps the end of the trail could not be read".to_owned(),
        },
        "run-begun" => format!(
            "{} {} on {} PCs, by {}{}",
            text("mode"),
            text("subject"),
            text("pcs"),
            who(field(what, "/operator")),
            widened(field(what, "/terms"))
        ),
        "run-resumed" => match field(what, "/terms/operator") {
            Value::Null => format!("by {}", text("by")),
            operator => format!("by {}{}", who(operator), widened(field(what, "/terms"))),
        },
        "credential-used" => format!(
            "{} ({}) {}",
            text("credential"),
            text("account"),
            match field(what, "/for/rung").as_str() {
                Some(rung) => match field(what, "/for/on").as_str() {
                    Some(on) => format!("for the rung {rung}, to log on to {on}"),
                    None => format!("for the rung {rung}"),
                },
                None => "to log on".to_owned(),
            }
        ),
        "rung-begun" => text("rung"),
        "rung-ended" if *field(what, "/verified") == true => format!("{}, verified", text("rung")),
        "rung-ended" => format!("{}, not verified", text("rung")),
        "step-begun" => format!("{}{}", text("step"), place(what)),
        "step-ended" => {
            let account = text("account");
            let account = if account.is_empty() {
                account
            } else {
                format!(", wrote {account}")
            };
            let error = text("error");
            let error = if error.is_empty() {
                error
            } else {
                format!(" ({error})")
            };
            format!(
                "{}{}: {}{error}{account}",
                text("step"),
                place(what),
                text("end")
            )
        }
        "restart-ordered" => format!("by {}", text("step")),
        "handed-in" => format!(
            "from the stick {}, where {} ran it on {}; taken in by {}",
            text("stick"),
            text("by"),
            text("computer"),
            who(field(what, "/terms/operator"))
        ),
        "interrupted" if *field(what, "/cut") == true => "what ran was cut".to_owned(),
        "interrupted" => "nothing new was begun".to_owned(),
        "errors-spent" => format!(
            "{} of {} allowed ({}); {} PCs were not begun",
            text("count"),
            text("allowed"),
            text("class"),
            text("left")
        ),
        "run-ended" => format!("exit {}", text("exit_code")),
        "account-tried" => {
            let again = match *field(what, "/try_again") == true {
                true => " (--try-again)",
                false => "",
            };
            format!("{}, from here, by {}{again}", text("account"), by())
        }
        "handoff-made" => {
            let pcs = field(what, "/names").as_array().map_or(0, Vec::len);
            let (run, folder) = (text("of_run"), text("folder"));
            let run = run.get(..RUN).unwrap_or(&run);
            format!(
                "pages and script for {pcs} PCs of the run {run}, in {folder}, by {}",
                by()
            )
        }
        "vault-init" | "vault-rekey" => {
            let keys = texts(field(what, "/lock")).join(", ");
            format!("{}, locked to {keys}, by {}", text("vault"), by())
        }
        "vault-get" => format!(
            "{} of {} in {}, to {}",
            text("shown"),
            text("entry"),
            text("vault"),
            by()
        ),
        "vault-set" | "vault-rm" => format!("{} in {}, by {}", text("entry"), text("vault"), by()),
        "password-shown" => format!(
            "LAPS, of {}, to {}",
            text("dn"),
            who(field(what, "/operator"))
        ),
        _ => what.to_string(),
    };
    plain(&said)
}

/// Takes what would do something to a terminal out of a text.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn text(what: &Value, name: &str) -> String {
    match what.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `root (behind it 花子) on kanri-1, from 192.0.2.7`.
fn who(operator: &Value) -> String {
    if operator.is_null() {
        return "nobody knows whom".to_owned();
    }
    let mut said = text(operator, "account");
    for (name, before, after) in [
        ("behind", " (behind it ", ")"),
        ("controller", " on ", ""),
        ("from", ", from ", ""),
    ] {
        let value = text(operator, name);
        if !value.is_empty() {
            said = format!("{said}{before}{value}{after}");
        }
    }
    said
}

/// What was allowed beyond the ordinary, and how the run was to go.
fn widened(terms: &Value) -> String {
    let mut said = String::new();
    for account in texts(field(terms, "/try_again")) {
        said.push_str(&format!("; {account} tried again"));
    }
    if *field(terms, "/allow_credential_on_pcs") == true {
        said.push_str("; credentials allowed on PCs");
    }
    match field(terms, "/max_reboots").as_u64() {
        None | Some(0) => {}
        Some(times) => said.push_str(&format!("; up to {times} restarts of each")),
    }
    for (name, option) in PACE {
        let value = terms.get(name).unwrap_or(&Value::Null);
        for value in texts(value) {
            said.push_str(&format!("; {option} {value}"));
        }
    }
    let file = text(terms, "credentials_file");
    if !file.is_empty() {
        let digest = text(terms, "credentials_file_sha256");
        let short = digest.get(..DIGITS).unwrap_or(&digest);
        said.push_str(&format!("; credentials of {file} (SHA-256 {short}…)"));
    }
    said
}

/// Returns what a value holds: itself, the members of a list, or nothing.
fn texts(value: &Value) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().map(one).collect(),
        other => vec![one(other)],
    }
}

fn place(what: &Value) -> &'static str {
    if *field(what, "/place") == "controller" {
        " in the directory"
    } else {
        ""
    }
}

/// Returns a field, which is null where it is not there.
pub(super) fn field<'a>(what: &'a Value, pointer: &str) -> &'a Value {
    what.pointer(pointer).unwrap_or(&Value::Null)
}
