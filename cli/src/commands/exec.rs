//! `fleetmend exec`: one command by hand on many PCs.

use std::time::Duration;

use fleetmend_engine::ExecJob;
use fleetmend_model::RunMode;
use fleetmend_transport::ExecRequest;

use super::run::show;
use crate::args::{
    self, CredentialsArgs, DirectoryArgs, DomainArgs, InventoryArgs, LogonArgs, OutputArgs,
    PaceArgs,
};
use crate::credentials::{CredentialsFile, Passwords, Reach};
use crate::directory::Directory;
use crate::domain_account;
use crate::error::CliError;
use crate::job;
use crate::pace;
use crate::plan::{self, Pcs};
use crate::printer::Printer;
use crate::recipe::terms::{self, Used};
use crate::statement;
use crate::wire::RunJournal;

/// Run one command on PCs; show output, errors and exit code of each
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    logon: LogonArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// Take the words for PowerShell instead of a program and its arguments
    #[arg(long, help_heading = "Command")]
    powershell: bool,
    /// End the command on a PC after this long
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5m",
        help_heading = "Command"
    )]
    #[arg(value_parser = args::duration)]
    timeout: Duration,
    /// Program and arguments, or PowerShell; after `--`
    #[arg(
        last = true,
        required = true,
        value_name = "COMMAND",
        help_heading = "Command"
    )]
    command: Vec<String>,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend exec -i pcs.yaml --user fleetadmin -- nltest /sc_query:example.jp
  fleetmend exec -i pcs.yaml --user fleetadmin --powershell -- 'Get-Service Netlogon | Select Status'

PCs that print the same stand together. The exit code is 0 if it was 0 on every PC. The command
is kept in the journal and may be seen on the PC: put no password into it.";

/// Runs a command.
///
/// # Errors
/// As `run`.
pub(crate) async fn cmd_exec(args: &ExecArgs, printer: &Printer) -> Result<u8, CliError> {
    let show = show(&args.output)?;
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&args.directory)
        .with(file.as_ref())
        .kept_in(args.output.data_dir.as_deref());
    let pcs = Pcs::read(&args.inventory, &args.logon, &mut directory, &[], printer).await?;
    let words = args.command.join(" ");
    let request = if args.powershell {
        ExecRequest::PowerShell(words.clone())
    } else {
        ExecRequest::Command(args.command.clone())
    };
    let subject = words.clone();
    let job = ExecJob {
        request,
        subject: words,
        deadline: args.timeout,
    };
    let mut plan = plan::of_command(job, &pcs, &args.logon);
    let passwords = Passwords::gather(
        &args.logon,
        &DomainArgs::default(),
        RunMode::Exec,
        &pcs.hosts,
        file.as_ref(),
    )
    .await?
    .unsealed_by(pcs.unseal.clone());
    directory.must_serve(&passwords, &pcs.hosts)?;
    if passwords.need_directory(&pcs.hosts) {
        directory.for_playbooks().await?;
    }
    let open = directory.opened().cloned();
    let budget = directory.budget().await?;
    domain_account::try_logons(open.as_ref(), &passwords, &plan, (&budget, printer)).await?;
    let terms = terms::of_exec(
        &pcs,
        &args.logon,
        &args.directory,
        &args.pace,
        (
            file.as_deref(),
            &Used::of(open.as_ref(), &directory, &passwords),
        ),
    );
    let journal = RunJournal::open_by_hand(args.output.data_dir.as_deref(), terms)?.with(budget);
    plan.pace = args.pace.pace();
    plan.pace.known = pace::known(&journal.path(), &subject, None);
    printer.note(&format!(
        "exec on {} of {} PCs: {subject}",
        pcs.hosts.len(),
        pcs.of
    ));
    let accounts: Vec<String> = passwords.accounts(&pcs.hosts).into_keys().collect();
    printer.note(&format!("log on as {}", accounts.join(", ")));
    for (label, text) in passwords.reach(&pcs.hosts).iter().flat_map(Reach::lines) {
        printer.note(&format!("{label}: {text}"));
    }
    for (label, text) in pace::lines(&plan.pace, pcs.hosts.len()) {
        printer.note(&format!("{label}: {text}"));
    }
    if let Some(text) = statement::unverified(&pcs.hosts) {
        printer.warning(&text);
    }
    let ended = job::execute(
        job::Goes::New,
        plan,
        passwords,
        None,
        &journal,
        &show,
        printer,
    )
    .await;
    printer.note(&journal.farewell());
    Ok(ended?.exit_code)
}
