//! `fleetmend vault list`: the entries without their passwords.

use console::measure_text_width;
use fleetmend_credentials::vault::Listed;
use serde_json::json;

use super::place::{UnlockArgs, failed};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// List the entries, never their passwords
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

/// Lists entries.
///
/// # Errors
/// The vault cannot be opened, or standard output failed.
pub(super) fn cmd_list(args: &ListArgs, printer: &Printer) -> Result<u8, CliError> {
    let (vault, _) = args.unlock.open(printer)?;
    let entries = vault.list().map_err(failed)?;
    if args.json {
        let all: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({ "name": entry.name.as_str(), "user": entry.user, "updated": entry.updated })
            })
            .collect();
        printer.data(&(serde_json::to_string_pretty(&all)? + "\n"))?;
        return Ok(exit_code::OK);
    }
    printer.data(&table(&entries))?;
    if entries.is_empty() {
        printer.note("the vault has no entries: fleetmend vault set NAME");
    }
    Ok(exit_code::OK)
}

/// Three columns: name, account, when it was set.
fn table(entries: &[Listed]) -> String {
    // Accounts of a vault that was made elsewhere could hold anything.
    let user = |entry: &Listed| -> String {
        let user = entry.user.as_deref().unwrap_or("-");
        user.chars().filter(|c| !c.is_control()).collect()
    };
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = widest(
        &mut entries
            .iter()
            .map(|entry| measure_text_width(entry.name.as_str())),
    );
    let users = widest(&mut entries.iter().map(|entry| measure_text_width(&user(entry))));
    let mut text = String::new();
    for entry in entries {
        let user = user(entry);
        let name = entry.name.as_str();
        let after_name = " ".repeat(names - measure_text_width(name));
        let after_user = " ".repeat(users - measure_text_width(&user));
        let updated = entry.updated.strftime("%Y-%m-%d %H:%M:%SZ");
        text += &format!("{name}{after_name}  {user}{after_user}  {updated}\n");
    }
    text
}
