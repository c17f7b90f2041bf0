//! `fleetmend run`: diagnose, repair, verify.

use std::sync::Arc;

use fleetmend_engine::RunPlan;
use fleetmend_model::RunMode;

use crate::args::{JobArgs, OutputArgs};
use crate::confirm;
use crate::credentials::{CredentialsFile, Passwords};
use crate::directory::{Directory, Open};
use crate::domain_account;
use crate::error::CliError;
use crate::history;
use crate::job::{self, Goes, Show};
use crate::offline_join;
use crate::pace;
use crate::plan::{self, Pcs};
use crate::playbooks::Playbooks;
use crate::printer::Printer;
use crate::recipe::Recipe;
use crate::recipe::terms::Used;
use crate::statement::Statement;
use crate::webhook::Webhook;
use crate::wire::RunJournal;

/// Diagnose PCs, repair those that are broken, verify the repair
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Diagnose only; change nothing
    #[arg(long, help_heading = "Playbook")]
    pub(crate) check: bool,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend run trust-repair -i pcs.yaml --user fleetadmin
  fleetmend run trust-repair -i pcs.yaml --limit '経理部:!pc-007' --check
  fleetmend run trust-repair -i pcs.yaml --user fleetadmin --password-file admin.pw \\
      --domain-user 'CORP\\joiner' --domain-password-file joiner.pw \\
      --allow-credential-on-pcs --yes --output json > result.json

Press Ctrl-C once to start nothing new, twice to cut what runs.";

/// Runs a playbook.
///
/// # Errors
/// Something is wrong before the run; or standard output failed after it.
pub(crate) async fn cmd_run(args: &RunArgs, printer: &Printer) -> Result<u8, CliError> {
    let mode = if args.check {
        RunMode::Check
    } else {
        RunMode::Repair
    };
    run_playbook(&args.job, mode, printer).await
}

/// What `run` and `check` share.
///
/// # Errors
/// As [`cmd_run`].
pub(crate) async fn run_playbook(
    args: &JobArgs,
    mode: RunMode,
    printer: &Printer,
) -> Result<u8, CliError> {
    let args = &args.settled();
    let show = show(&args.output)?;
    let playbooks = Playbooks::load(&args.playbook)?.with(&args.domain.set);
    let file = CredentialsFile::find(&args.credentials)?;
    let mut args = args.clone();
    if let Some(file) = &file {
        args.domain = file.fill(args.domain);
    }
    let args = &args;
    let mut directory = Directory::new(&args.directory)
        .with(file.as_ref())
        .kept_in(args.output.data_dir.as_deref());
    if directory.has_account() {
        // Before its password is asked for and spent.
        confirm::must_be_possible(args.yes)?;
    }
    let pcs = Pcs::read(
        &args.inventory,
        &args.logon,
        &mut directory,
        &args.domain.set,
        printer,
    )
    .await?;
    directory.must_be_meant(pcs.from_directory)?;
    let mut plan = plan::of_playbook(
        &playbooks,
        mode,
        &pcs,
        &args.logon,
        &args.domain,
        &args.reboot,
    )?;
    confirm::must_be_possible(args.yes)?;
    let everyone = pcs.everyone();
    let passwords =
        Passwords::gather(&args.logon, &args.domain, mode, &everyone, file.as_ref()).await?;
    let passwords = passwords.unsealed_by(pcs.unseal.clone());
    directory.must_serve(&passwords, &everyone)?;
    let open = gathered(&mut directory, &passwords, &mut plan, &playbooks, printer).await?;
    let recipe = Recipe::of(args, mode, &playbooks, &pcs)
        .with_credentials(file.as_deref())
        .with_used(Used::of(open.as_ref(), &directory, &passwords))
        .text()?;
    let journal = RunJournal::open_with(args.output.data_dir.as_deref(), recipe)?;
    let journal = journal.with(directory.budget().await?);
    plan.history = history::read(&journal.path());
    plan.pace = args.pace.pace();
    plan.pace.known = pace::known(&journal.path(), &playbooks.main.name, None);
    let statement = Statement {
        playbooks: &playbooks,
        mode,
        language: args.domain.language.into(),
        hosts: &pcs.hosts,
        of: pcs.of,
        accounts: passwords.accounts(&pcs.hosts).into_iter().collect(),
        domain_user: passwords.domain_user(),
        given: passwords.given(),
        reach: passwords.reach(&pcs.hosts),
        reboots: &plan.reboots,
        pace: &plan.pace,
        credential_on_pcs: args.domain.allow_credential_on_pcs,
        directory: open.as_ref().map(|open| open.line(plan.offline_join)),
        journal: journal.path().display().to_string(),
    };
    let text = statement.text(printer.stderr_width());
    if args.yes {
        printer.note(&text);
    } else {
        // Also when quiet: nobody can agree to what was not said.
        printer.say(&text);
        confirm::ask(&statement.question())?;
    }
    let port = open.map(|open| open.directory as Arc<dyn fleetmend_directory::Directory>);
    let ended = job::execute(Goes::New, plan, passwords, port, &journal, &show, printer).await;
    printer.note(&journal.farewell());
    Ok(ended?.exit_code)
}

/// Opens the directory for the playbooks, notes in the plan what it can do, and tries the domain
/// account that may reach PCs once.
///
/// # Errors
/// An account is missing or refused, or no controller can be asked; nothing was touched.
pub(super) async fn gathered(
    directory: &mut Directory<'_>,
    passwords: &Passwords,
    plan: &mut RunPlan,
    playbooks: &Playbooks,
    printer: &Printer,
) -> Result<Option<Open>, CliError> {
    let open = directory.for_playbooks().await?;
    if let Some(open) = &open {
        plan.directory = Some(open.account());
        plan.offline_join = offline_join::is_possible().await;
    }
    let budget = directory.budget().await?;
    domain_account::try_all(
        open.as_ref(),
        passwords,
        plan,
        playbooks,
        (&budget, printer),
    )
    .await?;
    Ok(open)
}

/// Checks how a run is to be shown.
///
/// # Errors
/// The address to notify is none.
pub(crate) fn show(args: &OutputArgs) -> Result<Show, CliError> {
    let webhook = args
        .notify_webhook
        .as_deref()
        .map(Webhook::parse)
        .transpose()?;
    Ok(Show {
        output: args.output,
        webhook,
        data_dir: args.data_dir.clone(),
    })
}
