//! `fleetmend vault set`: an entry, or its new password.

use std::path::PathBuf;

use fleetmend_credentials::vault::{Entry, EntryName, GENERATED, GENERATED_DEFAULT, generate};
use fleetmend_model::Secret;
use jiff::Timestamp;
use serde_json::json;

use super::fresh::ask_twice;
use super::place::{UnlockArgs, failed};
use super::trail::TrailArgs;
use crate::error::CliError;
use crate::exit_code;
use crate::password;
use crate::printer::Printer;

/// Add an entry, or give it another password
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Name of the entry, as credentials.yaml names it
    name: EntryName,
    /// Account that the password belongs to; without it, an entry keeps the one that it has
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Note for people, not for secrets; without it, an entry keeps the one that it has
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Read the password from FILE, which nobody else may read, instead of asking twice
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    password_file: Option<PathBuf>,
    /// Make a password of this many characters (12 to 128; 24 unless told), and show it to nobody
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true)]
    #[arg(value_parser = length)]
    generate: Option<Option<usize>>,
    #[command(flatten)]
    unlock: UnlockArgs,
    #[command(flatten)]
    trail: TrailArgs,
}

fn length(text: &str) -> Result<usize, String> {
    let length = text
        .parse()
        .ok()
        .filter(|length| GENERATED.contains(length));
    length.ok_or_else(|| format!("from {} to {}", GENERATED.start(), GENERATED.end()))
}

/// Sets an entry.
///
/// # Errors
/// The vault cannot be opened or written; it is as it was.
pub(super) fn cmd_set(args: &SetArgs, printer: &Printer) -> Result<u8, CliError> {
    let (vault, unlock) = args.unlock.open(printer)?;
    // Other writers wait while the vault is edited, so nobody is asked then.
    let password = new_password(args)?;
    let mut editor = vault.edit(&unlock).map_err(failed)?;
    let old = editor.get(&args.name);
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let entry = Entry {
        name: args.name.clone(),
        user: match &args.user {
            Some(user) => given(user),
            None => old.and_then(|old| old.user.clone()),
        },
        password,
        note: match &args.note {
            Some(note) => given(note).map(Secret::new),
            None => old.and_then(|old| old.note.clone()),
        },
        updated: now(),
    };
    let user = entry.user.clone();
    let changed = editor.set(entry);
    let more = json!({ "account": user, "is_new": !changed });
    let doing = ("vault-set", vault.path());
    args.trail.note(doing, Some(&args.name), more, printer);
    editor.save().map_err(failed)?;
    let did = if changed { "changed" } else { "added" };
    printer.note(&format!(
        "{did} {} in {}",
        args.name,
        vault.path().display()
    ));
    Ok(exit_code::OK)
}

fn new_password(args: &SetArgs) -> Result<Secret, CliError> {
    match (&args.password_file, args.generate) {
        (Some(file), _) => password::read(file),
        (None, Some(length)) => Ok(generate(length.unwrap_or(GENERATED_DEFAULT))),
        (None, None) => ask_twice(
            &format!("password of {}", args.name),
            "--password-file FILE or --generate",
        ),
    }
}

/// Whole seconds: more would only make the vault longer.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
