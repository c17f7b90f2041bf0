//! `fleetmend directory show`: a computer's account as every domain controller has it.

use std::fmt::Write as _;
use std::time::Duration;

use fleetmend_directory::{DirectoryError, Limit};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::args::{CredentialsArgs, DirectoryArgs};
use crate::credentials::CredentialsFile;
use crate::directory::Directory;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Show a computer's account as every domain controller has it
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Computer: its account's name, DNS name or CN
    computer: String,
    /// Read the details at this controller; all are asked about the password's age anyway
    #[arg(long, value_name = "HOST")]
    domain_controller: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
}

/// Shows a computer.
///
/// # Errors
/// The directory cannot be asked, or standard output failed.
pub(super) async fn cmd_show(args: &ShowArgs, printer: &Printer) -> Result<u8, CliError> {
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&args.directory).with(file.as_ref());
    let domain = directory.must_have()?;
    let open = directory.open(&domain).await?;
    let limit = Limit::within(Duration::from_secs(60), &CancellationToken::new());
    let dc = args.domain_controller.as_deref();
    let read = open.directory.computer(&args.computer, dc, &limit);
    let answer = read.await.map_err(|error| {
        let message = format!("failed to read {}", args.computer);
        if matches!(error, DirectoryError::CredentialRefused { .. }) {
            CliError::budget(message).because(error)
        } else {
            CliError::config(message).because(error)
        }
    })?;
    if args.json {
        printer.data(&(serde_json::to_string_pretty(&answer)? + "\n"))?;
    } else {
        printer.data(&text(&args.computer, &answer))?;
    }
    Ok(match answer.get("found") {
        Some(Value::Bool(true)) => exit_code::OK,
        Some(Value::Bool(false)) => exit_code::NOT_WELL,
        _ => exit_code::USAGE,
    })
}

fn text(computer: &str, answer: &Value) -> String {
    let mut text = String::new();
    match at(answer, "found").as_bool() {
        Some(true) => details(answer, &mut text),
        Some(false) => {
            let dc = word(at(answer, "dc"));
            let _ = writeln!(text, "{computer} has no account that this one sees at {dc}");
        }
        None => {
            let why = word(at(at(answer, "error"), "message"));
            let _ = writeln!(
                text,
                "nobody could say whether {computer} has an account: {why}"
            );
        }
    }
    if let Some(deleted) = answer.get("deleted").filter(|deleted| deleted.is_object()) {
        let _ = writeln!(text, "  deleted   {}", word(at(deleted, "dn")));
        let can = match at(deleted, "recycle_bin").as_bool() {
            Some(true) => "it can be restored with everything it had",
            _ => "there is no recycle bin; restored, it lacks much of what it had",
        };
        let _ = writeln!(text, "            {can}");
    }
    controllers(answer, &mut text);
    text
}

fn details(answer: &Value, text: &mut String) {
    let _ = writeln!(
        text,
        "{}  {}",
        word(at(answer, "sam_account_name")),
        word(at(answer, "dn"))
    );
    let state = |key: &str, yes: &'static str, no: &'static str| match at(answer, key).as_bool() {
        Some(true) => yes,
        Some(false) => no,
        None => "unknown",
    };
    let account = format!(
        "{}, {} (userAccountControl {})",
        state("enabled", "enabled", "disabled"),
        state("locked", "locked", "not locked"),
        word(at(answer, "user_account_control"))
    );
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    line("account", &account);
    line(
        "password",
        &format!("set {}", word(at(answer, "pwd_last_set"))),
    );
    if at(answer, "pwd_last_set_differs") == &json!(true) {
        line(
            "",
            "the controllers disagree: wait for replication, or name one",
        );
    }
    line("DNS name", &word(at(answer, "dns_host_name")));
    line("SID", &word(at(answer, "sid")));
    line("created", &word(at(answer, "when_created")));
    line("last seen", &word(at(answer, "last_logon_timestamp")));
    line("owner", &word(at(answer, "owner_sid")));
    if let Some(count @ 1..) = at(answer, "duplicates").as_i64() {
        line(
            "",
            &format!("{count} further accounts carry its DNS name or an SPN of it"),
        );
    }
}

fn controllers(answer: &Value, text: &mut String) {
    let Some(controllers) = at(answer, "controllers").as_array() else {
        return;
    };
    let rows = controllers.iter().map(|one| {
        let yes = |key: &str| match at(one, key).as_bool() {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => "?".to_owned(),
        };
        if at(one, "answered") != &json!(true) {
            return [
                word(at(one, "dc")),
                format!("no answer: {}", word(at(one, "error"))),
            ]
            .to_vec();
        }
        let set = at(one, "pwd_last_set_unix").as_f64().and_then(instant);
        vec![
            word(at(one, "dc")),
            yes("found"),
            yes("enabled"),
            set.unwrap_or_else(|| "-".to_owned()),
            word(at(one, "bad_pwd_count")),
        ]
    });
    let head = [
        "CONTROLLER",
        "FOUND",
        "ENABLED",
        "PASSWORD SET",
        "WRONG PASSWORDS",
    ];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(rows);
    let width = |column: usize| {
        let cells = table.iter().filter(|row| row.len() == head.len());
        let names = table.iter().filter(|_| column == 0);
        let widths = cells.chain(names).filter_map(|row| row.get(column));
        widths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &table {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A field of an object; null if it has none of that name.
fn at<'a>(object: &'a Value, field: &str) -> &'a Value {
    object.get(field).unwrap_or(&Value::Null)
}

fn instant(unix: f64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond((unix * 1000.0) as i64).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// A value for people; texts of the directory without what a terminal would act upon.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        other => other.to_string(),
    }
}
