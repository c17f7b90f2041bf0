//! From the command line to an exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::args::{Cli, Command};
use crate::commands::{
    audit, check, completion, demo, directory, doctor, exec, handoff, inventory, lab, playbook,
    resume, run, runs, show, vault,
};
use crate::core_dumps;
use crate::error::CliError;
use crate::exit_code;
use crate::logging;
use crate::open_files;
use crate::printer::Printer;

/// How long tasks may take to end after the command has; sessions on PCs are closed by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the program. Usage errors end it with exit code 2.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let global = &cli.global;
    let color = global.color.into();
    let printer = Printer::new(global.quiet, global.verbose, color, cli.command.streams());
    logging::start(&printer, global.verbose);
    core_dumps::refuse();
    match dispatch(&cli.command, &printer) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version, or what is wrong with the command line.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told when the streams are closed.
    let _ = error.print();
    if error.use_stderr() && forgot_dashes(std::env::args_os().skip(1)) {
        let hint = "hint: the command stands after `--`: fleetmend exec -i pcs.yaml -- COMMAND";
        let _ = writeln!(std::io::stderr(), "{hint}");
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE))
}

/// Whether these are the arguments of an `exec` whose command does not stand after `--`.
fn forgot_dashes(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<OsString> = args.collect();
    args.iter().any(|arg| arg == "exec") && !args.iter().any(|arg| arg == "--")
}

fn dispatch(command: &Command, printer: &Printer) -> Result<u8, CliError> {
    match command {
        Command::Inventory(args) => block_on(inventory::cmd_inventory(args, printer)),
        Command::Directory(args) => block_on(directory::cmd_directory(args, printer)),
        Command::Playbook(args) => playbook::cmd_playbook(args, printer),
        Command::Vault(args) => vault::cmd_vault(args, printer),
        Command::Runs(args) => runs::cmd_runs(args, printer),
        Command::Show(args) => show::cmd_show(args, printer),
        Command::Audit(args) => audit::cmd_audit(args, printer),
        Command::Handoff(args) => block_on(handoff::cmd_handoff(args, printer)),
        Command::Completion(args) => completion::cmd_completion(args, printer),
        Command::Run(args) => block_on(run::cmd_run(args, printer)),
        Command::Check(args) => block_on(check::cmd_check(args, printer)),
        Command::Resume(args) => block_on(resume::cmd_resume(args, printer)),
        Command::Doctor(args) => block_on(doctor::cmd_doctor(args, printer)),
        Command::Exec(args) => block_on(exec::cmd_exec(args, printer)),
        Command::Demo(args) => block_on(demo::cmd_demo(args, printer)),
        Command::Lab(args) => block_on(lab::cmd_lab(args, printer)),
    }
}

/// Runs a command that talks to PCs.
fn block_on<F: Future<Output = Result<u8, CliError>>>(command: F) -> Result<u8, CliError> {
    open_files::take_all();
    let runtime = Runtime::new()
        .map_err(|error| CliError::config("failed to start worker threads").because(error))?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(FAREWELL);
    result
}
