//! `fleetmend vault get`: one password.

use std::io::{self, IsTerminal as _, Write as _};

use fleetmend_credentials::vault::EntryName;
use serde_json::json;
use zeroize::Zeroizing;

use super::place::{UnlockArgs, failed};
use super::trail::TrailArgs;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Print an entry's password
#[derive(Debug, clap::Args)]
pub(super) struct GetArgs {
    /// Name of the entry
    name: EntryName,
    /// Print the account instead of the password
    #[arg(long, conflicts_with = "note")]
    user: bool,
    /// Print the note instead of the password
    #[arg(long)]
    note: bool,
    /// Print a secret even onto a terminal, where others may see it
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
    #[command(flatten)]
    trail: TrailArgs,
}

/// Prints a password.
///
/// # Errors
/// There is no such entry, the vault cannot be opened, or standard output failed.
pub(super) fn cmd_get(args: &GetArgs, printer: &Printer) -> Result<u8, CliError> {
    if io::stdout().is_terminal() && !args.show && !args.user {
        return Err(
            CliError::user("standard output is a terminal, where others may see a secret")
                .hint("add --show, or send it on: fleetmend vault get NAME | …"),
        );
    }
    let (vault, _) = args.unlock.open(printer)?;
    let (name, shown) = (&args.name, vault.path().display());
    let entry = vault.get(name.as_str()).map_err(failed)?;
    let entry = entry.ok_or_else(|| none(name, &vault))?;
    let shown_is = match (args.user, args.note) {
        (true, _) => "user",
        (_, true) => "note",
        _ => "password",
    };
    let missing = |what| CliError::user(format!("{name} in {shown} has no {what}"));
    let text = match shown_is {
        "user" => entry.user.as_deref().ok_or_else(|| missing("user"))?,
        "note" => entry.note.as_ref().ok_or_else(|| missing("note"))?.reveal(),
        _ => entry.password.reveal(),
    };
    let more = json!({ "account": entry.user, "shown": shown_is });
    let doing = ("vault-get", vault.path());
    args.trail.note(doing, Some(name), more, printer);
    line(text)?;
    Ok(exit_code::OK)
}

/// Returns the error that a vault has no such entry.
pub(super) fn none(name: &EntryName, vault: &fleetmend_credentials::Vault) -> CliError {
    CliError::user(format!("{} has no entry {name}", vault.path().display()))
        .hint("see what it has: fleetmend vault list")
}

/// Writes the text byte for byte: the printer would take escape sequences out.
fn line(text: &str) -> Result<(), CliError> {
    let bytes = Zeroizing::new([text.as_bytes(), b"\n"].concat());
    let mut out = io::stdout().lock();
    match out.write_all(&bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::from),
    }
}
