//! `fleetmend inventory`: what was understood of an inventory.

mod import;

use clap::Subcommand;
use fleetmend_inventory::{DirectorySource, Inventory};
use serde_json::json;

use crate::args::{CredentialsArgs, DirectoryArgs, InventoryArgs};
use crate::credentials::CredentialsFile;
use crate::directory::Directory;
use crate::error::CliError;
use crate::exit_code;
use crate::inventories;
use crate::printer::Printer;

/// Show what was understood of an inventory, or make one of the directory
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct InventoryCommandArgs {
    #[command(subcommand)]
    command: InventoryCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend inventory list -i pcs.yaml
  fleetmend inventory list -i pcs.yaml --json | jq -r '._meta.hostvars | keys[]'
  fleetmend inventory graph -i pcs.yaml --limit '経理部:&notebooks'
  fleetmend inventory check -i pcs.csv
  fleetmend inventory import --ldap corp.example.jp --directory-user svc-fleetmend --output pcs.yaml

Directories that an inventory names are asked only if --directory-user is given.";

#[derive(Debug, Subcommand)]
enum InventoryCommand {
    /// List the PCs and how each will be reached
    List(ViewArgs),
    /// Draw groups and PCs as a tree
    Graph(ViewArgs),
    /// Say what is wrong or was not understood
    Check(ViewArgs),
    /// Write the directory's computers as a YAML inventory
    Import(import::ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ViewArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Shows an inventory.
///
/// # Errors
/// It is wrong, or standard output failed.
pub(crate) async fn cmd_inventory(
    args: &InventoryCommandArgs,
    printer: &Printer,
) -> Result<u8, CliError> {
    match &args.command {
        InventoryCommand::List(args) => list(args, printer).await,
        InventoryCommand::Graph(args) => graph(args, printer).await,
        InventoryCommand::Check(args) => check(args, printer).await,
        InventoryCommand::Import(args) => return import::cmd_import(args, printer).await,
    }?;
    Ok(exit_code::OK)
}

async fn list(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
    let inventory = read(args, printer).await?;
    inventories::warn(&inventory, printer);
    if args.json {
        json(&inventory.list_json(), printer)
    } else {
        printer.data(&inventory.list_text())
    }
}

async fn graph(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
    let inventory = read(args, printer).await?;
    inventories::warn(&inventory, printer);
    if !args.json {
        return printer.data(&inventory.graph_text());
    }
    let groups: Vec<_> = inventory
        .groups()
        .into_iter()
        .map(|group| {
            json!({ "group": group.name, "children": group.children, "hosts": group.hosts })
        })
        .collect();
    json(&json!(groups), printer)
}

async fn check(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
    let InventoryArgs {
        inventory: files,
        allow_plaintext_passwords,
        ..
    } = &args.inventory;
    if args.json
        && let Err(errors) = inventories::read(files, *allow_plaintext_passwords)
    {
        json(&json!({ "errors": errors.to_json() }), printer)?;
    }
    let inventory = read(args, printer).await?;
    let (pcs, groups) = (inventory.hosts.len(), inventory.groups().len());
    if args.json {
        let warnings = &inventory.warnings;
        let sources: Vec<_> = inventory
            .sources
            .iter()
            .map(|source| {
                json!({
                    "place": source.place, "domain": source.domain, "ou": source.ou,
                    "filter": source.filter, "group": source.group,
                })
            })
            .collect();
        return json(
            &json!({ "pcs": pcs, "groups": groups, "directories": sources, "warnings": warnings }),
            printer,
        );
    }
    for warning in &inventory.warnings {
        printer.warning(&warning.to_string());
    }
    let warnings = match inventory.warnings.len() {
        0 => "everything was understood".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    printer.data(&format!("{pcs} PCs in {groups} groups; {warnings}\n"))
}

/// Reads the inventory, with the directories' computers if an account is given to ask with.
async fn read(args: &ViewArgs, printer: &Printer) -> Result<Inventory, CliError> {
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&args.directory).with(file.as_ref());
    let files = &args.inventory;
    let inventory = inventories::shown(files, &mut directory, printer).await?;
    if !directory.has_account() {
        for source in &inventory.sources {
            printer.note(&format!("{}; not asked (--directory-user)", named(source)));
        }
    }
    inventories::limited(inventory, &files.limit)
}

/// A source in words.
fn named(source: &DirectorySource) -> String {
    let mut text = format!("{}: the computers of {}", source.place, source.domain);
    if let Some(ou) = &source.ou {
        text += &format!(" below {ou}");
    }
    if let Some(filter) = &source.filter {
        text += &format!(" with {filter}");
    }
    if let Some(group) = &source.group {
        text += &format!(" in the group {group}");
    }
    text
}

fn json(value: &serde_json::Value, printer: &Printer) -> Result<(), CliError> {
    printer.data(&(serde_json::to_string_pretty(value)? + "\n"))
}
