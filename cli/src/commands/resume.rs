//! `fleetmend resume`: go on with a run that was cut.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetmend_engine::{Past, Programs, ResumeError};
use fleetmend_journal::JournalReader;
use fleetmend_model::{Host, HostName, RunId, RunMode};

use super::run::show;
use super::runs::{open, unreadable};
use super::show::find;
use crate::args::{CredentialsArgs, DomainArgs, OutputArgs, VaultArgs};
use crate::commands::run::gathered;
use crate::confirm;
use crate::credentials::{CredentialsFile, Passwords};
use crate::directory::Directory;
use crate::error::CliError;
use crate::history;
use crate::inventories;
use crate::job::{self, Before, Goes};
use crate::pace;
use crate::plan::{self, Pcs};
use crate::playbooks::Playbooks;
use crate::printer::Printer;
use crate::recipe::{Recipe, terms};
use crate::statement::{Statement, pcs_named};
use crate::wire::RunJournal;

/// Go on with a run that was cut: its process was killed, or its disk was full
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ResumeArgs {
    /// Id of the run, or its beginning [default: the newest run that was cut]
    run: Option<String>,
    /// Read the local administrator's password from FILE instead of asking
    #[arg(long, value_name = "FILE", help_heading = "Passwords")]
    #[arg(env = "FLEETMEND_PASSWORD_FILE", hide_env_values = true)]
    password_file: Option<PathBuf>,
    /// Read the domain account's password from FILE instead of asking
    #[arg(long, value_name = "FILE", help_heading = "Passwords")]
    #[arg(env = "FLEETMEND_DOMAIN_PASSWORD_FILE", hide_env_values = true)]
    domain_password_file: Option<PathBuf>,
    /// Read the directory account's password from FILE instead of asking
    #[arg(long, value_name = "FILE", help_heading = "Passwords")]
    #[arg(env = "FLEETMEND_DIRECTORY_PASSWORD_FILE", hide_env_values = true)]
    directory_password_file: Option<PathBuf>,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// Read the passwords that stood in this inventory; PCs are taken from the journal
    #[arg(short, long, value_name = "FILE", help_heading = "Passwords")]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Try ACCOUNT once more although it was refused not long ago, or by a PC in this run; repeatable
    #[arg(long, value_name = "ACCOUNT", help_heading = "Credentials")]
    try_again: Vec<String>,
    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend resume
  fleetmend resume 019b2f --password-file admin.pw --yes

PCs that have a result keep it and are not touched. A step whose end nobody knows is not
repeated: the PC is diagnosed. Passwords are never kept; those that came from files are read
from them again.";

/// Goes on with a run.
///
/// # Errors
/// There is no such run, it has ended, another process works on it, the playbook has changed, or
/// something is wrong as before a run; nothing was touched. Or standard output failed after it.
pub(crate) async fn cmd_resume(args: &ResumeArgs, printer: &Printer) -> Result<u8, CliError> {
    let show = show(&args.output)?;
    let (reader, path) = open(args.output.data_dir.as_deref())?;
    let run = which(&reader, args, &path)?;
    let plan = reader.plan(run).map_err(|error| unreadable(&path, error))?;
    // The last to close the file folds its log in, and that can only be who writes.
    drop(reader);
    // Read once: the trail tells of the same that is used.
    let recipe = plan.as_deref().map(Recipe::read);
    let kept = recipe.as_ref().and_then(|recipe| recipe.as_ref().ok());
    let file = kept.and_then(|recipe| recipe.credentials(&args.credentials).transpose());
    let named = file.as_ref().and_then(|file| file.as_ref().ok());
    let terms = terms::of_resume(&args.try_again, named.map(AsRef::as_ref));
    let mut before = Before::default();
    let folder = args.output.data_dir.as_deref();
    let journal = RunJournal::resume(&path, run, folder, terms, |record| {
        before.apply(&record);
    })?;
    let kept = Kept { recipe, file };
    let gone_on = go_on(args, kept, (run, &journal, before), show, printer).await;
    // Also when nothing came of it: the next one must not be told that we hold it.
    journal.close().await;
    gone_on
}

/// What a run was begun with, as far as the journal has it, and the file that it names.
struct Kept {
    recipe: Option<Result<Recipe, CliError>>,
    file: Option<Result<Arc<CredentialsFile>, CliError>>,
}

async fn go_on(
    args: &ResumeArgs,
    Kept { recipe, file }: Kept,
    (run, journal, before): (RunId, &RunJournal, Before),
    show: job::Show,
    printer: &Printer,
) -> Result<u8, CliError> {
    before
        .past
        .may_go_on()
        .map_err(|error| refused(&error, run))?;
    let recipe = recipe.ok_or_else(|| {
        CliError::user(format!("the journal keeps no plan of the run {run}"))
            .hint("run again on the PCs that are left; see them: fleetmend show")
    })??;
    confirm::must_be_possible(args.yes)?;
    let playbooks = Playbooks::load(&recipe.playbook)?;
    let programs = Programs::of(Arc::clone(&playbooks.main), playbooks.also.iter().cloned());
    if programs.digest() != before.report.digest {
        let (now, then) = (programs.digest(), before.report.digest.clone());
        return Err(refused(&ResumeError::OtherPlaybook { now, then }, run));
    }
    // If only the run's end is missing, no secret is needed.
    let file = match before.past.waiting().is_empty() {
        true => None,
        false => file.transpose()?,
    };
    if let Some(changed) = file
        .as_ref()
        .and_then(|file| recipe.other_credentials(file))
    {
        printer.warning(&changed);
    }
    let known = if args.inventory.is_empty() {
        None
    } else {
        Some(inventories::again(&args.inventory, &args.vault, file.as_ref()).await?)
    };
    if let (Some(file), Some(known)) = (&file, &known) {
        plan::warn(file, known, printer);
    }
    let pcs = recipe.pcs(known.as_ref());
    let waiting = waiting(&before.past, &pcs.hosts);
    // If only its end is missing, nobody is logged on to.
    let everyone = match waiting.is_empty() {
        true => Vec::new(),
        false => with_elsewhere(&waiting, &pcs),
    };
    recipe.must_have_passwords(&everyone)?;
    let mut logon = recipe.logon();
    let mut domain = recipe.domain();
    if let Some(file) = &file {
        domain = file.fill(domain);
    }
    let mut directory = recipe.directory()?;
    replace(&mut logon.password_file, args.password_file.as_ref());
    replace(
        &mut domain.domain_password_file,
        args.domain_password_file.as_ref(),
    );
    replace(
        &mut directory.directory_password_file,
        args.directory_password_file.as_ref(),
    );
    let mut plan = plan::of_playbook(
        &playbooks,
        recipe.mode,
        &pcs,
        &logon,
        &domain,
        &recipe.reboot()?,
    )?;
    before
        .past
        .check(&plan)
        .map_err(|error| refused(&error, run))?;

    directory.try_again.clone_from(&args.try_again);
    let mut way = Directory::new(&directory)
        .with(file.as_ref())
        .kept_in(args.output.data_dir.as_deref());
    let journal = &journal.clone().with(way.budget().await?);
    let (passwords, open) = if waiting.is_empty() {
        // Only its end is missing.
        let none = DomainArgs::default();
        (
            Passwords::gather(&logon, &none, recipe.mode, &waiting, None).await?,
            None,
        )
    } else {
        let passwords =
            Passwords::gather(&logon, &domain, recipe.mode, &everyone, file.as_ref()).await?;
        let passwords = passwords.unsealed_by(pcs.unseal.clone());
        way.must_serve(&passwords, &everyone)?;
        let open = gathered(&mut way, &passwords, &mut plan, &playbooks, printer).await?;
        (passwords, open)
    };
    plan.history = history::read(&journal.path());
    plan.pace = recipe.pace()?.pace();
    plan.pace.known = pace::known(&journal.path(), &playbooks.main.name, Some(run));
    let statement = Statement {
        playbooks: &playbooks,
        mode: recipe.mode,
        language: domain.language.into(),
        hosts: &waiting,
        of: pcs.hosts.len(),
        accounts: passwords.accounts(&waiting).into_iter().collect(),
        domain_user: passwords.domain_user(),
        given: passwords.given(),
        reach: passwords.reach(&waiting),
        reboots: &plan.reboots,
        pace: &plan.pace,
        credential_on_pcs: domain.allow_credential_on_pcs,
        directory: open.as_ref().map(|open| open.line(plan.offline_join)),
        journal: journal.path().display().to_string(),
    };
    let mut text = left(&before, run);
    if !waiting.is_empty() {
        text.push_str(&statement.text(printer.stderr_width()));
    }
    if args.yes || waiting.is_empty() {
        printer.note(&text);
    } else {
        printer.say(&text);
        confirm::ask(&statement.question())?;
    }
    let port = open.map(|open| open.directory as Arc<dyn fleetmend_directory::Directory>);
    let goes = Goes::On(Box::new(before));
    let ended = job::execute(goes, plan, passwords, port, journal, &show, printer).await;
    printer.note(&journal.farewell());
    Ok(ended?.exit_code)
}

/// Returns the PCs that wait, and those on which a step for one of them may run.
fn with_elsewhere(waiting: &[Arc<Host>], pcs: &Pcs) -> Vec<Arc<Host>> {
    let all = Pcs {
        hosts: waiting.to_vec(),
        elsewhere: pcs.elsewhere.clone(),
        of: pcs.of,
        from_directory: pcs.from_directory,
        unseal: pcs.unseal.clone(),
    };
    all.everyone()
}

/// Returns the run that was named, or the newest that was cut and nobody works on.
fn which(reader: &JournalReader, args: &ResumeArgs, path: &Path) -> Result<RunId, CliError> {
    if args.run.is_some() {
        return find(reader, args.run.as_deref(), path);
    }
    let runs = reader.runs().map_err(|error| unreadable(path, error))?;
    let mut open = runs
        .iter()
        .filter(|run| run.ended_at.is_none() && run.mode.is_some_and(|mode| mode != RunMode::Exec));
    let Some(newest) = open.clone().next() else {
        return Err(
            CliError::user(format!("no run in {} was cut", path.display()))
                .hint("list runs: fleetmend runs"),
        );
    };
    // If all are worked on, the lease of the newest says by whom.
    let cut = open.find(|run| !reader.is_held(run.run));
    Ok(cut.unwrap_or(newest).run)
}

fn waiting(past: &Past, hosts: &[Arc<Host>]) -> Vec<Arc<Host>> {
    let names: BTreeSet<&HostName> = past.waiting().into_iter().collect();
    let left = hosts.iter().filter(|host| names.contains(&host.name));
    left.cloned().collect()
}

fn replace(file: &mut Option<PathBuf>, given: Option<&PathBuf>) {
    if given.is_some() {
        *file = given.cloned();
    }
}

/// Says how far the run had come.
fn left(before: &Before, run: RunId) -> String {
    let past = &before.past;
    let (waiting, all) = (past.waiting().len(), past.len());
    let subject = &before.report.subject;
    let mut text = format!("going on with {subject} ({run}): ");
    if waiting == 0 {
        text.push_str("every PC has its result, only the run's end is missing\n");
        return text;
    }
    let have = if waiting == 1 { "has" } else { "have" };
    let _ = write!(text, "{waiting} of {all} PCs {have} no result yet");
    let amid = past.amid();
    if !amid.is_empty() {
        let rungs: BTreeSet<&str> = amid.iter().map(|(_, rung)| *rung).collect();
        let each = rungs.into_iter().map(|rung| {
            let pcs = amid.iter().filter(|(_, of)| *of == rung);
            format!(
                "{rung} ({})",
                pcs_named(pcs.map(|(host, _)| *host).collect())
            )
        });
        let each: Vec<String> = each.collect();
        let _ = write!(text, "; {} amid a repair: {}", amid.len(), each.join(", "));
    }
    text.push('\n');
    text
}

fn refused(error: &ResumeError, run: RunId) -> CliError {
    let hint = match error {
        ResumeError::Ended => format!(
            "see how: fleetmend show {run}; to try PCs again, run the playbook on them: --limit NAMES"
        ),
        ResumeError::NotBegun => "run again".to_owned(),
        ResumeError::Exec => {
            format!("see the PCs without a result (fleetmend show {run}) and run it on them")
        }
        ResumeError::OtherMode | ResumeError::OtherPlaybook { .. } | ResumeError::OtherHosts => {
            format!(
                "go on with the playbook and the fleetmend that began it, or run again on the PCs that \
                 are left: fleetmend show {run}"
            )
        }
    };
    CliError::user(format!("{error}; nothing was touched")).hint(hint)
}
