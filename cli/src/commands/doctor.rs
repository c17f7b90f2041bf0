//! `fleetmend doctor`: what would go wrong, before a run.

mod domain;
mod finding;
mod network;

use serde_json::json;

use self::finding::{Finding, Level, text};
use crate::args::JobArgs;
use crate::commands::run::gathered;
use crate::credentials::{CredentialsFile, Passwords};
use crate::data_dir::data_dir;
use crate::directory::Directory;
use crate::error::CliError;
use crate::exit_code;
use crate::plan::{self, Pcs};
use crate::playbooks::Playbooks;
use crate::printer::Printer;
use crate::statement::Statement;
use crate::wire::JOURNAL;
use fleetmend_journal::{Fault, JournalReader, StorageError};
use fleetmend_model::RunMode;

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
    let mut findings = vec![inventory(&pcs), journal(&job)];
    let sample = sample(&pcs, if args.all { usize::MAX } else { SAMPLE });
    findings.push(network::names(&pcs.hosts).await);
    findings.extend(network::ports(&sample, job.logon.connect_timeout).await);
    let refused = accounts(
        &job,
        file.as_ref(),
        &pcs,
        (&mut directory, &playbooks),
        plan,
        (&mut findings, printer),
    )
    .await?;
    if let Some(open) = directory.opened() {
        findings.extend(domain::clock(open));
        findings.extend(domain::computers(open, &sample).await);
        findings.extend(domain::rights(open, &sample).await);
        findings.push(domain::laps(open, &sample).await);
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

/// Gathers the secrets, tries the domain accounts, and tells what a run would do with them. Returns
/// whether an account was refused or spared.
async fn accounts(
    job: &JobArgs,
    file: Option<&std::sync::Arc<CredentialsFile>>,
    pcs: &Pcs,
    (directory, playbooks): (&mut Directory<'_>, &Playbooks),
    mut plan: fleetmend_engine::RunPlan,
    (findings, printer): (&mut Vec<Finding>, &Printer),
) -> Result<bool, CliError> {
    let everyone = pcs.everyone();
    let gathered_all =
        Passwords::gather(&job.logon, &job.domain, RunMode::Repair, &everyone, file).await;
    let passwords = match gathered_all {
        Ok(passwords) => passwords.unsealed_by(pcs.unseal.clone()),
        Err(error) => {
            findings.push(Finding::of_error("credentials", &error));
            return Ok(false);
        }
    };
    let accounts = passwords.accounts(&pcs.hosts);
    let each = accounts
        .iter()
        .map(|(user, pcs)| format!("{user} ({pcs} PCs)"));
    findings.push(Finding::ok(
        "credentials",
        format!("a source for each: {}", each.collect::<Vec<_>>().join(", ")),
    ));
    if let Err(error) = directory.must_serve(&passwords, &everyone) {
        findings.push(Finding::of_error("directory", &error));
        return Ok(false);
    }
    let open = match gathered(directory, &passwords, &mut plan, playbooks, printer).await {
        Ok(open) => open,
        Err(error) => {
            findings.push(Finding::of_error("accounts", &error));
            return Ok(error.exit_code() == exit_code::BUDGET);
        }
    };
    if let Some(open) = &open {
        let tried = format!(
            "{} accepts {}, and every domain account of the run",
            open.proof.dc, open.user
        );
        findings.push(Finding::ok("accounts", tried));
    }
    plan.pace = job.pace.pace();
    let statement = Statement {
        playbooks,
        mode: RunMode::Repair,
        language: job.domain.language.into(),
        hosts: &pcs.hosts,
        of: pcs.of,
        accounts: accounts.into_iter().collect(),
        domain_user: passwords.domain_user(),
        given: passwords.given(),
        reach: passwords.reach(&pcs.hosts),
        reboots: &plan.reboots,
        pace: &plan.pace,
        credential_on_pcs: job.domain.allow_credential_on_pcs,
        directory: open.as_ref().map(|open| open.line(plan.offline_join)),
        journal: String::new(),
    };
    for (label, fact) in statement.facts() {
        if [
            "repairs", "left out", "restarts", "allowed", "secrets", "used for",
        ]
        .contains(&label)
        {
            findings.push(Finding::ok(label, fact));
        }
    }
    Ok(false)
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

/// Whether runs can be stored, and whether the trail of those before is whole.
fn journal(job: &JobArgs) -> Finding {
    let path = match data_dir(job.output.data_dir.as_deref()) {
        Ok(folder) => folder.join(JOURNAL),
        Err(error) => return Finding::of_error("journal", &error),
    };
    let folder = path.parent().unwrap_or(&path);
    let shown = path.display();
    if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| tempfile_in(folder)) {
        return Finding::failed("journal", format!("{shown} cannot be written: {error}"))
            .then("make the folder writable, or name another: --data-dir DIR");
    }
    if !path.exists() {
        return Finding::ok("journal", format!("{shown} will be made"));
    }
    let verdict = JournalReader::open(&path).and_then(|reader| reader.verify(&[]));
    match verdict {
        Ok(verdict) if verdict.faults.is_empty() => Finding::ok(
            "journal",
            format!("{shown} can be written; its audit trail is whole"),
        ),
        // It stays on the trail, and what is to be done about it needs doing once.
        Ok(verdict) if verdict.faults.iter().all(was_missing) => Finding::warning(
            "journal",
            format!(
                "{shown} can be written; the file that keeps the end of its audit trail was gone \
                 once"
            ),
        )
        .then("see when, and what to do: fleetmend audit verify"),
        Ok(verdict) => Finding::failed(
            "journal",
            format!(
                "{shown}: the audit trail has {} faults",
                verdict.faults.len()
            ),
        )
        .then("see them: fleetmend audit verify"),
        Err(StorageError::NoTrail { .. } | StorageError::Empty { .. }) => Finding::ok(
            "journal",
            format!("{shown} can be written; it has no audit trail yet"),
        ),
        Err(error) => Finding::failed("journal", format!("{shown} cannot be read: {error}"))
            .then("name another folder: --data-dir DIR"),
    }
}

fn was_missing(fault: &Fault) -> bool {
    matches!(fault, Fault::HeadWasMissing { .. })
}

/// Writes and removes a file, as a journal's log is.
fn tempfile_in(folder: &std::path::Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&path, b"fleetmend")?;
    std::fs::remove_file(&path)
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
