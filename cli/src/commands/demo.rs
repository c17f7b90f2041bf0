//! `fleetmend demo`: a lab, and the very same run over it that `run` makes over real PCs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_lab::{Lab, LabPc, Pace};
use fleetmend_model::{Outcome, RunMode};
use fleetmend_report::RunReport;

use super::lab::{announce, close, not_started};
use super::run::show;
use crate::args::{
    DomainArgs, InventoryArgs, LogonArgs, Output, OutputArgs, RebootArgs, TextLanguage, VaultArgs,
};
use crate::credentials::Passwords;
use crate::directory::Directory;
use crate::error::CliError;
use crate::exit_code;
use crate::interrupt;
use crate::job::{self, Ended};
use crate::lab_folder::{self, LabFolder};
use crate::plan::{self, Pcs};
use crate::playbooks::Playbooks;
use crate::printer::Printer;
use crate::quoted::quoted;
use crate::statement::Statement;
use crate::wire::RunJournal;

/// The answers of the simulated PCs are late by this much, as in an office.
const LATENCY: Duration = Duration::from_millis(15);
/// The simulated work takes this part of the time that it takes a slow PC.
const PACE: f64 = 0.6;
/// A PC that is silent is given up after this; the demo has one and shall not wait for it.
const CONNECT: Duration = Duration::from_secs(4);

/// Repair simulated PCs over real sockets, to see what it looks like
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DemoArgs {
    /// Simulate this many PCs
    #[arg(long, value_name = "N", default_value_t = 24)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pcs: u32,
    /// Keep the simulated PCs up afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Leave journal and inventory in DIR instead of a new folder in your data folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Tell the playbook's reasons and advice in this language
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "en",
        env = "FLEETMEND_LANGUAGE"
    )]
    language: TextLanguage,
    /// Write the result to standard output in this form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Output,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend demo
  fleetmend demo --pcs 500
  fleetmend demo --keep

The exit code is 0 if every PC ended as the lab's table expects, broken ones that cannot be
mended included, and 1 if one did not.";

/// Runs the demo.
///
/// # Errors
/// The lab does not start, or standard output failed.
pub(crate) async fn cmd_demo(args: &DemoArgs, printer: &Printer) -> Result<u8, CliError> {
    let mut options = lab_folder::options(usize::try_from(args.pcs).unwrap_or(usize::MAX))?;
    options.latency = LATENCY;
    options.pace = Pace { scale: PACE };
    let mut folder = LabFolder::create(args.to.as_deref(), "demo")?;
    let lab = Lab::start(options).await.map_err(not_started)?;
    folder.write(&lab)?;
    let ended = run(args, &lab, &mut folder, printer).await?;
    let code = judge(&ended, &lab, printer);
    let path = quoted(folder.path());
    printer.note(&format!(
        "journal and inventory: {path}\nsee this run again: fleetmend show --data-dir {path}"
    ));
    if args.keep && code != exit_code::INTERRUPTED {
        let mut presses = interrupt::presses();
        announce(&lab, &mut folder, printer)?;
        presses.recv().await;
    }
    close(lab, printer).await;
    Ok(code)
}

/// What `fleetmend run` does, with the lab's passwords and without a question.
async fn run(
    args: &DemoArgs,
    lab: &Lab,
    folder: &mut LabFolder,
    printer: &Printer,
) -> Result<Ended, CliError> {
    let inventory = InventoryArgs {
        inventory: vec![folder.inventory()],
        limit: Vec::new(),
        allow_plaintext_passwords: false,
        vault: VaultArgs::default(),
    };
    let logon = LogonArgs {
        connect_timeout: CONNECT,
        ..LogonArgs::default()
    };
    let local = lab.local_credential();
    let domain = DomainArgs {
        language: args.language,
        ..DomainArgs::default()
    };
    let playbooks = Playbooks::load("trust-repair")?;
    let arguments = folder.write_passwords(lab)?;
    let arguments = folder.directory(lab, &arguments);
    let mut directory = Directory::new(&arguments).of_demo();
    let pcs = Pcs::read(&inventory, &logon, &mut directory, &[], printer).await?;
    let mut plan = plan::of_playbook(
        &playbooks,
        RunMode::Repair,
        &pcs,
        &logon,
        &domain,
        &RebootArgs::default(),
    )?;
    let passwords = Passwords::known(&local.user, local.password.clone(), None);
    let open = directory.for_playbooks().await?;
    plan.directory = open.as_ref().map(|open| open.user.clone());
    let journal = RunJournal::open(Some(folder.path()))?;
    printer.note("a demo: these PCs are simulated on this machine, the sockets are real\n");
    printer.note(
        &Statement {
            playbooks: &playbooks,
            mode: RunMode::Repair,
            language: domain.language.into(),
            hosts: &pcs.hosts,
            of: pcs.of,
            accounts: passwords.accounts(&pcs.hosts).into_iter().collect(),
            domain_user: passwords.domain_user(),
            given: Vec::new(),
            reach: None,
            reboots: &plan.reboots,
            pace: &plan.pace,
            credential_on_pcs: false,
            directory: open.as_ref().map(|open| open.line(false)),
            journal: journal.path().display().to_string(),
        }
        .text(printer.stderr_width()),
    );
    let show = show(&OutputArgs {
        output: args.output,
        data_dir: None,
        notify_webhook: None,
    })?;
    let port = open.map(|open| open.directory as Arc<dyn fleetmend_directory::Directory>);
    job::execute(
        job::Goes::New,
        plan,
        passwords,
        port,
        &journal,
        &show,
        printer,
    )
    .await
}

/// Compares every PC's end with the lab's table and says what came of it.
fn judge(ended: &Ended, lab: &Lab, printer: &Printer) -> u8 {
    if ended.exit_code == exit_code::INTERRUPTED {
        return ended.exit_code;
    }
    let wrong: Vec<(&LabPc, Option<&Outcome>)> = lab
        .pcs()
        .iter()
        .map(|pc| (pc, outcome(&ended.report, &pc.name)))
        .filter(|(pc, outcome)| *outcome != Some(&expected(pc)))
        .collect();
    let pcs = lab.pcs().len();
    if wrong.is_empty() {
        printer.note(&format!("all {pcs} PCs ended as the lab's table expects"));
        return exit_code::OK;
    }
    for (pc, outcome) in &wrong {
        let ended = outcome.map_or_else(|| "no result".to_owned(), ToString::to_string);
        printer.warning(&format!(
            "{} ended {ended}, expected {}",
            pc.name,
            expected(pc)
        ));
    }
    printer.warning(&format!(
        "{} of {pcs} PCs ended otherwise than expected",
        wrong.len()
    ));
    exit_code::NOT_WELL
}

fn expected(pc: &LabPc) -> Outcome {
    pc.scenario.expected_with_directory(pc.transport)
}

fn outcome<'a>(report: &'a RunReport, name: &str) -> Option<&'a Outcome> {
    report
        .hosts
        .iter()
        .find(|host| host.host.0 == name)?
        .outcome()
}
