//! `fleetmend audit list`: the entries.

use std::path::PathBuf;

use console::measure_text_width;
use fleetmend_journal::AuditEntry;
use serde_json::Value;

use super::since::Since;
use super::words::{field, plain, words};
use crate::args::Output;
use crate::commands::runs::{open, unreadable};
use crate::commands::show::find;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Entries that tell of the use of an account.
const ACCOUNTS: [&str; 2] = ["credential-used", "account-tried"];

/// Where the beginning of a run, or a password that was shown, names accounts.
const BEGUN_WITH: [&str; 4] = [
    "/terms/directory_user",
    "/terms/directory_credential",
    "/terms/domain_user",
    "/asked_as",
];

/// List entries, the oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ListArgs {
    /// Entries of this run: its id, or the beginning of it
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Entries on this PC, and the runs that it was part of
    #[arg(long, value_name = "PC")]
    host: Option<String>,
    /// Entries on the use of this credential: its name, the account, or the entry of a vault
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Entries since then: 7d, 12h, 2026-11-22 or a time
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Write them in this form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend audit list --since 7d
  fleetmend audit list --credential domain-repair
  fleetmend audit list --run 019b2f --host pc-007 --output jsonl

Nothing is verified: that is what `fleetmend audit verify` does.";

/// Lists entries.
///
/// # Errors
/// The journal cannot be read or has no trail, or standard output failed.
pub(super) fn cmd_list(args: &ListArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let run = match args.run.as_deref() {
        None => None,
        Some(run) => Some(find(&reader, Some(run), &path)?),
    };
    let mut listed = Ok(());
    let mut all = Vec::new();
    reader
        .for_each_entry(run, args.since.map(|since| since.0), |entry| {
            if listed.is_err() || !args.wants(&entry) {
                return;
            }
            match args.output {
                Output::Json => all.push(entry),
                Output::Jsonl => listed = line(&entry).and_then(|line| printer.data(&line)),
                Output::Text => listed = printer.data(&row(&entry)),
            }
        })
        .map_err(|error| unreadable(&path, error))?;
    listed?;
    if args.output == Output::Json {
        printer.data(&(serde_json::to_string_pretty(&all)? + "\n"))?;
    }
    Ok(exit_code::OK)
}

impl ListArgs {
    fn wants(&self, entry: &AuditEntry) -> bool {
        let is = |value: &Value, name: &str| {
            value
                .as_str()
                .is_some_and(|text| text.eq_ignore_ascii_case(name))
        };
        let on_host = self.host.as_deref().is_none_or(|name| {
            let on = entry.host.as_ref();
            let names = field(&entry.what, "/names").as_array();
            on.is_some_and(|host| host.0.eq_ignore_ascii_case(name))
                || is(field(&entry.what, "/for/on"), name)
                || names.is_some_and(|names| names.iter().any(|host| is(host, name)))
        });
        let with = self.credential.as_deref().is_none_or(|name| {
            is(field(&entry.what, "/credential"), name)
                || (ACCOUNTS.contains(&entry.kind.as_str())
                    && (is(field(&entry.what, "/account"), name)
                        || is(field(&entry.what, "/budget"), name)))
                || (entry.kind.starts_with("vault-") && is(field(&entry.what, "/entry"), name))
                || BEGUN_WITH.iter().any(|at| is(field(&entry.what, at), name))
        });
        on_host && with
    }
}

fn line(entry: &AuditEntry) -> Result<String, CliError> {
    Ok(serde_json::to_string(entry)? + "\n")
}

/// One line for people; columns hold also where letters are wide.
pub(super) fn row(entry: &AuditEntry) -> String {
    let at = entry.at.strftime("%Y-%m-%d %H:%M:%SZ");
    let run = entry.run.map(|run| run.to_string());
    // The first digits of an id are the time to the millisecond: enough to name it.
    let run = run.as_deref().and_then(|run| run.get(..13)).unwrap_or("-");
    let host = entry.host.as_ref().map_or("-", |host| host.0.as_str());
    format!(
        "{:>6}  {at}  {run:<13}  {}  {}  {}\n",
        entry.number,
        padded(&plain(host), 24),
        padded(&plain(&entry.kind), 15),
        words(entry)
    )
}

fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(measure_text_width(text));
    format!("{text}{}", " ".repeat(blanks))
}
