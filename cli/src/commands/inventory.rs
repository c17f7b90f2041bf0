//! `fleetmend inventory`: what was understood of an inventory.

use clap::Subcommand;
use fleetmend_inventory::Inventory;
use serde_json::json;

use crate::args::InventoryArgs;
use crate::error::CliError;
use crate::exit_code;
use crate::inventories;
use crate::printer::Printer;

/// Show what was understood of an inventory
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
  fleetmend inventory check -i pcs.csv";

#[derive(Debug, Subcommand)]
enum InventoryCommand {
    /// List the PCs and how each will be reached
    List(ViewArgs),
    /// Draw groups and PCs as a tree
    Graph(ViewArgs),
    /// Say what is wrong or was not understood
    Check(ViewArgs),
}

#[derive(Debug, clap::Args)]
struct ViewArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Shows an inventory.
///
/// # Errors
/// It is wrong, or standard output failed.
pub(crate) fn cmd_inventory(
    args: &InventoryCommandArgs,
    printer: &Printer,
) -> Result<u8, CliError> {
    match &args.command {
        InventoryCommand::List(args) => list(args, printer),
        InventoryCommand::Graph(args) => graph(args, printer),
        InventoryCommand::Check(args) => check(args, printer),
    }?;
    Ok(exit_code::OK)
}

fn list(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
    let inventory = read(args)?;
    inventories::warn(&inventory, printer);
    if args.json {
        json(&inventory.list_json(), printer)
    } else {
        printer.data(&inventory.list_text())
    }
}

fn graph(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
    let inventory = read(args)?;
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

fn check(args: &ViewArgs, printer: &Printer) -> Result<(), CliError> {
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
    let inventory = read(args)?;
    let (pcs, groups) = (inventory.hosts.len(), inventory.groups().len());
    if args.json {
        let warnings = &inventory.warnings;
        return json(
            &json!({ "pcs": pcs, "groups": groups, "warnings": warnings }),
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

fn read(args: &ViewArgs) -> Result<Inventory, CliError> {
    let InventoryArgs {
        inventory,
        limit,
        allow_plaintext_passwords,
    } = &args.inventory;
    inventories::limited(
        inventories::load(inventory, *allow_plaintext_passwords)?,
        limit,
    )
}

fn json(value: &serde_json::Value, printer: &Printer) -> Result<(), CliError> {
    printer.data(&(serde_json::to_string_pretty(value)? + "\n"))
}
