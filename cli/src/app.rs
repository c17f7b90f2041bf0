//! From the command line to an exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::args::{Cli, Command};
use crate::commands::{
    check, completion, demo, directory, exec, inventory, lab, playbook, run, runs, show,
};
use crate::error::CliError;
use crate::logging;
use crate::printer::Printer;

/// How long tasks may take to end after the command has; sessions on PCs are closed by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the program. Usage errors end it in clap, with exit code 2.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    let color = global.color.into();
    let printer = Printer::new(global.quiet, global.verbose, color, cli.command.streams());
    logging::start(&printer, global.verbose);
    match dispatch(&cli.command, &printer) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(command: &Command, printer: &Printer) -> Result<u8, CliError> {
    match command {
        Command::Inventory(args) => block_on(inventory::cmd_inventory(args, printer)),
        Command::Directory(args) => block_on(directory::cmd_directory(args, printer)),
        Command::Playbook(args) => playbook::cmd_playbook(args, printer),
        Command::Runs(args) => runs::cmd_runs(args, printer),
        Command::Show(args) => show::cmd_show(args, printer),
        Command::Completion(args) => completion::cmd_completion(args, printer),
        Command::Run(args) => block_on(run::cmd_run(args, printer)),
        Command::Check(args) => block_on(check::cmd_check(args, printer)),
        Command::Exec(args) => block_on(exec::cmd_exec(args, printer)),
        Command::Demo(args) => block_on(demo::cmd_demo(args, printer)),
        Command::Lab(args) => block_on(lab::cmd_lab(args, printer)),
    }
}

/// Runs a command that talks to PCs.
fn block_on<F: Future<Output = Result<u8, CliError>>>(command: F) -> Result<u8, CliError> {
    let runtime = Runtime::new()
        .map_err(|error| CliError::config("failed to start worker threads").because(error))?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(FAREWELL);
    result
}
