//! `fleetmend lab`: simulated PCs to try things on.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use fleetmend_lab::{Answers, Lab, LabError, Pace};

use crate::args::{self, DirectoryArgs};
use crate::error::CliError;
use crate::exit_code;
use crate::interrupt;
use crate::lab_folder::{self, LabFolder};
use crate::printer::Printer;
use crate::quoted::quoted;

/// Simulate PCs and a domain on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend lab up 100
  fleetmend lab up 1000 --latency 200ms --to ./lab

The PCs listen on loopback addresses (127.x.y.z) only and speak real WinRM and SSH; their
domain's controllers speak real LDAPS. Everything behind that is simulated.";

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Keep a lab running until Ctrl-C, and write its inventory
    Up(UpArgs),
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    /// How many PCs
    #[arg(value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pcs: u32,
    /// Let everything that a PC sends arrive this much later
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    latency: Option<Duration>,
    /// Multiply the time that work takes on a PC; 0 is none
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pace: f64,
    /// Use the loopback addresses after this one
    #[arg(long, value_name = "ADDRESS")]
    base: Option<Ipv4Addr>,
    /// Draw the order of the PCs from this number
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Answer scripts and commands that the lab does not know as this file says
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Write the inventory to DIR instead of your data folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Runs a lab.
///
/// # Errors
/// Its addresses or files cannot be had.
pub(crate) async fn cmd_lab(args: &LabArgs, printer: &Printer) -> Result<u8, CliError> {
    let LabCommand::Up(args) = &args.command;
    let mut options = lab_folder::options(usize::try_from(args.pcs).unwrap_or(usize::MAX))?;
    options.latency = args.latency.unwrap_or_default();
    if !args.pace.is_finite() || args.pace < 0.0 {
        return Err(CliError::user("--pace must be a number from 0 upwards"));
    }
    options.pace = Pace { scale: args.pace };
    options.base = args.base;
    options.seed = args.seed;
    if let Some(file) = &args.answers {
        options.answers = Answers::read(file).map_err(|error| {
            CliError::user(format!("failed to read the answers {}", file.display())).because(error)
        })?;
    }
    let mut presses = interrupt::presses();
    let lab = Lab::start(options).await.map_err(not_started)?;
    let mut folder = LabFolder::create(args.to.as_deref(), "lab")?;
    folder.write(&lab)?;
    announce(&lab, &mut folder, printer)?;
    presses.recv().await;
    close(lab, printer).await;
    Ok(exit_code::OK)
}

/// Says how to use a running lab; its inventory's path is the data.
///
/// # Errors
/// Its password files cannot be written, or standard output failed.
pub(super) fn announce(
    lab: &Lab,
    folder: &mut LabFolder,
    printer: &Printer,
) -> Result<(), CliError> {
    let files = folder.write_passwords(lab)?;
    let inventory = folder.inventory();
    let directory = directory_arguments(&folder.directory(lab, &files));
    printer.note(&format!(
        "{pcs} simulated PCs are up, and {dcs} domain controllers. Try, in another terminal:\n\n  \
         fleetmend run trust-repair -i {inventory} \\\n      \
         --password-file {local} \\\n      \
         {directory}\n\n\
         Or let a domain credential reach the PCs, instead of the last lines:\n\n      \
         --domain-user '{user}' --domain-password-file {domain} \\\n      \
         --allow-credential-on-pcs\n\n\
         LAPS is read as '{laps_user}', with {laps}. \
         The passwords were drawn for this lab and are removed with it. Ctrl-C ends it. \
         Its inventory:",
        pcs = lab.pcs().len(),
        dcs = lab.controllers().len(),
        inventory = quoted(&inventory),
        local = quoted(&files.local),
        user = lab.domain_credential().user,
        domain = quoted(&files.domain),
        laps_user = lab.laps_credential().user,
        laps = quoted(&files.laps),
    ));
    printer.data(&format!("{}\n", inventory.display()))
}

/// Writes the arguments as they are typed.
fn directory_arguments(args: &DirectoryArgs) -> String {
    let mut lines = vec![format!(
        "--directory {} --directory-user '{}'",
        args.directory.as_deref().unwrap_or_default(),
        args.directory_user.as_deref().unwrap_or_default(),
    )];
    for (name, path) in [
        ("--directory-password-file", &args.directory_password_file),
        ("--directory-ca", &args.directory_ca),
    ] {
        lines.extend(path.as_ref().map(|path| format!("{name} {}", quoted(path))));
    }
    let servers = args.directory_server.iter();
    lines.extend(servers.map(|server| format!("--directory-server {server}")));
    lines.join(" \\\n      ")
}

/// Ends a lab.
pub(super) async fn close(lab: Lab, printer: &Printer) {
    let left = lab.shutdown().await;
    if left > 0 {
        printer.warning(&format!("{left} tasks of the lab would not end"));
    }
}

/// Returns the error for a lab that does not start.
pub(super) fn not_started(error: LabError) -> CliError {
    let addresses = matches!(error, LabError::Addresses(_));
    let error = CliError::config("failed to start the lab").because(error);
    if addresses {
        error.hint("end other labs, raise the limit of open files (ulimit -n), or use fewer PCs")
    } else {
        error
    }
}
