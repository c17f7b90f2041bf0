//! `fleetmend doctor`: what would go wrong, before a run.

mod domain;
mod finding;
mod journal;
mod network;
mod secrets;

use fleetmend_engine::RunPlan;
use fleetmend_model::RunMode;
use serde_json::json;

use self::finding::{Finding, Level, text};
use crate::args::JobArgs;
use crate::commands::run::gathered;
use crate::credentials::{CredentialsFile, Passwords};
use crate::directory::{Directory, Open};
use crate::error::CliError;
use crate::exit_code;
use crate::plan::{self, Pcs};
use crate::playbooks::Playbooks;
use crate::printer::Printer;
use crate::statement::Statement;

/// Look before a run at what would go wrong; changes nothing and logs on to no PC
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Ask every PC for its ports, its account and LAPS, not a sample of 50
    #[arg(long, help_heading = "PCs")]
    all: bool,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend doctor trust-repair -i pcs.yaml
  fleetmend doctor trust-repair -i pcs.yaml --all --output json

Domain accounts are tried once from here, as a run does. Whether PCs take the local account shows
only a logon: fleetmend check trust-repair -i pcs.yaml --limit ONE-PC.
Exit codes: 0 nothing stands in the way, 1 something does, 2 usage, 3 an account was refused.";

/// What the statement says of the rungs.
const RUNGS: [&str; 6] = [
    "repairs", "left out", "restarts", "allowed", "secrets", "used for",
];
/// How many PCs are asked unless all are.
const SAMPLE: usize = 50;

/// Looks at everything that a run needs.
///
/// # Errors
/// The arguments, the inventory or the playbook are wrong; or standard output failed.
pub(crate) async fn cmd_doctor(args: &DoctorArgs, printer: &Printer) -> Result<u8, CliError> {
    let mut job = args.job.settled();
    let playbooks = Playbooks::load(&job.playbook)?.with(&job.domain.set);
    let file = CredentialsFile::find(&job.credentials)?;
    if let Some(file) = &file {
        job.domain = file.fill(job.domain);
    }
    let mut directory = Directory::new(&job.directory)
        .with(file.as_ref())
        .kept_in(job.output.data_dir.as_deref());
    let pcs = Pcs::read(
        &job.inventory,
        &job.logon,
        &mut directory,
        &job.domain.set,
        printer,
    )
    .await?;
    directory.must_be_meant(pcs.from_directory)?;
    let plan = plan::of_playbook(
        &playbooks,
        RunMode::Repair,
        &pcs,
        &job.logon,
        &job.domain,
        &job.reboot,
    )?;
    let mut findings = vec![inventory(&pcs)];
    findings.extend(journal::look(job.output.data_dir.as_deref()));
    let sample = sample(&pcs, if args.all { usize::MAX } else { SAMPLE });
    findings.push(network::names(&pcs.hosts).await);
    findings.extend(network::ports(&sample, job.logon.connect_timeout).await);
    // One thing that is wrong hides no other.
    let passwords = secrets::look(&job, file.as_ref(), &pcs, &mut findings).await;
    let mut asked = Asked {
        job: &job,
        pcs: &pcs,
        playbooks: &playbooks,
        passwords: passwords.as_ref(),
    };
    let refused = asked
        .accounts(&mut directory, plan, &mut findings, printer)
        .await;
    if let Some(open) = directory.opened() {
        findings.extend(domain::controllers(open).await);
        findings.extend(domain::computers(open, &sample).await);
        findings.extend(domain::rights(open, &sample).await);
        findings.push(domain::laps(open, &sample).await);
    } else if directory.domain().is_some() {
        findings.push(Finding::skipped(
            "directory",
            "controllers, clock, computers, rights and LAPS: it could not be opened, see above",
        ));
    } else {
        findings.push(Finding::skipped("directory", "none is given").then(
            "name it: --directory DOMAIN --directory-user USER; then accounts are tried from here and no \
             domain password needs to reach a PC",
        ));
    }
    show(&findings, &job, printer)?;
    Ok(
        match (refused, findings.iter().map(|finding| finding.level).max()) {
            (true, _) => exit_code::BUDGET,
            (false, Some(Level::Failed)) => exit_code::NOT_WELL,
            _ => exit_code::OK,
        },
    )
}

/// What the accounts are for.
struct Asked<'a> {
    job: &'a JobArgs,
    pcs: &'a Pcs,
    playbooks: &'a Playbooks,
    /// None: some are missing.
    passwords: Option<&'a Passwords>,
}

impl Asked<'_> {
    /// Opens the directory, tries the domain accounts, and tells what a run would do with them.
    /// Returns whether an account was refused or spared.
    async fn accounts(
        &mut self,
        directory: &mut Directory<'_>,
        mut plan: RunPlan,
        findings: &mut Vec<Finding>,
        printer: &Printer,
    ) -> bool {
        let everyone = self.pcs.everyone();
        let served = self
            .passwords
            .map(|passwords| directory.must_serve(passwords, &everyone));
        if let Some(Err(error)) = served {
            findings.push(Finding::of_error("directory", &error));
        }
        let opened = match self.passwords {
            Some(passwords) => {
                gathered(directory, passwords, &mut plan, self.playbooks, printer).await
            }
            None => directory.for_playbooks().await,
        };
        let open = match opened {
            Ok(open) => open,
            Err(error) => {
                let finding = Finding::of_error("accounts", &error);
                findings.push(match error.lines().1 {
                    [] => finding.then("mend that, and look again"),
                    _ => finding,
                });
                findings.push(Finding::skipped("repairs", "see accounts"));
                return error.exit_code() == exit_code::BUDGET;
            }
        };
        if let Some(open) = &open {
            let others = match self.passwords {
                Some(_) => ", and every domain account of the run",
                None => "; others were not tried",
            };
            let told = format!("{} accepts {}{others}", open.proof.dc, open.user);
            findings.push(Finding::ok("accounts", told));
        }
        match self.passwords {
            Some(passwords) => self.rungs(passwords, plan, open.as_ref(), findings),
            None => findings.push(Finding::skipped("repairs", "credentials are missing")),
        }
        false
    }

    /// What each rung would be allowed to do, as the question of `run` says it.
    fn rungs(
        &self,
        passwords: &Passwords,
        mut plan: RunPlan,
        open: Option<&Open>,
        findings: &mut Vec<Finding>,
    ) {
        plan.pace = self.job.pace.pace();
        let statement = Statement {
            playbooks: self.playbooks,
            mode: RunMode::Repair,
            language: self.job.domain.language.into(),
            hosts: &self.pcs.hosts,
            of: self.pcs.of,
            accounts: passwords.accounts(&self.pcs.hosts).into_iter().collect(),
            domain_user: passwords.domain_user(),
            given: passwords.given(),
            reach: passwords.reach(&self.pcs.hosts),
            reboots: &plan.reboots,
            pace: &plan.pace,
            credential_on_pcs: self.job.domain.allow_credential_on_pcs,
            directory: open.map(|open| open.line(plan.offline_join)),
            journal: String::new(),
        };
        let told = statement.facts().into_iter();
        let told = told.filter(|(label, _)| RUNGS.contains(label));
        findings.extend(told.map(|(label, fact)| Finding::ok(label, fact)));
    }
}

fn inventory(pcs: &Pcs) -> Finding {
    let count = pcs.hosts.len();
    Finding::ok("inventory", format!("{count} of {} PCs", pcs.of))
}

/// PCs that lie evenly over the inventory, so that each group and site is met.
fn sample(pcs: &Pcs, most: usize) -> Vec<std::sync::Arc<fleetmend_model::Host>> {
    let every = pcs.hosts.len().div_ceil(most.max(1)).max(1);
    pcs.hosts.iter().step_by(every).cloned().collect()
}

fn show(findings: &[Finding], job: &JobArgs, printer: &Printer) -> Result<(), CliError> {
    use crate::args::Output;
    match job.output.output {
        Output::Text => printer.data(&text(findings, printer.stdout_width())),
        Output::Json => {
            let all: Vec<_> = findings.iter().map(Finding::json).collect();
            printer.data(&(serde_json::to_string_pretty(&json!({"findings": all}))? + "\n"))
        }
        Output::Jsonl => {
            let lines = findings
                .iter()
                .map(|finding| format!("{}\n", finding.json()));
            printer.data(&lines.collect::<String>())
        }
    }
}
