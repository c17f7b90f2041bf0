//! A run from its first record to its last.

use std::sync::Arc;

use fleetmend_directory::Directory;
use fleetmend_model::{Event, Record};
use fleetmend_transport::Connector;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::dispatcher::Dispatcher;
use super::past::{Past, ResumeError};
use super::plan::RunPlan;
use super::recorder::Recorder;
use super::report::{RunEnd, RunReport};
use super::tell::tell;
use crate::account_budget::AccountBudget;
use crate::control::ControlReceiver;
use crate::credential_source::CredentialSource;
use crate::exit_code;
use crate::journal::{Journal, JournalError};
use crate::machine;
use crate::prober::Prober;
use crate::program::Job;

/// Records on their way to the teller: a few for each worker, so that a burst of events does
/// not make PCs wait for the terminal.
const TELL_BUFFER: usize = 1024;

/// What a run needs of the world.
pub struct Ports {
    /// Opens sessions.
    pub connector: Arc<dyn Connector>,
    /// Asks cheaply whether a PC listens.
    pub prober: Arc<dyn Prober>,
    /// Gives secrets.
    pub credentials: Arc<dyn CredentialSource>,
    /// Takes the controller's steps in the directory, if it reaches one; asked only if
    /// [`RunPlan::directory`] says as whom.
    pub directory: Option<Arc<dyn Directory>>,
    /// Stores events.
    pub journal: Arc<dyn Journal>,
    /// Remembers what was spent on domain accounts, over all runs of this machine.
    pub budget: Arc<dyn AccountBudget>,
    /// Is told every record in order, after it was stored. A reader that takes none for five
    /// seconds is given up; see [`RunReport::reader_lost`].
    pub reader: Option<mpsc::Sender<Record>>,
    /// The operator's Ctrl-C.
    pub control: ControlReceiver,
}

/// Runs the plan to its end. Every PC gets exactly one result, whatever breaks.
pub async fn run(plan: RunPlan, ports: Ports) -> RunReport {
    let first = started(&plan);
    from(plan, ports, Past::default(), first).await
}

/// Goes on with a run that was cut, under the same plan, to its end. `ports.journal` appends to
/// that run. PCs with a result keep it and are not touched; the report has every PC.
///
/// # Errors
/// The plan is not the run's own, or the run cannot go on: nothing was stored or touched.
pub async fn resume(
    plan: RunPlan,
    ports: Ports,
    mut past: Past,
    by: Option<String>,
) -> Result<RunReport, ResumeError> {
    past.check(&plan)?;
    past.resume();
    let first = Event::Resumed {
        version: plan.version.clone(),
        by,
    };
    Ok(from(plan, ports, past, first).await)
}

async fn from(plan: RunPlan, mut ports: Ports, past: Past, first: Event) -> RunReport {
    let (sender, records) = mpsc::channel(TELL_BUFFER);
    let teller = tokio::spawn(tell(records, ports.reader.take()));
    let soft = CancellationToken::new();
    let recorder = Recorder::new(
        ports.journal.clone(),
        sender,
        plan.limits.journal,
        soft.clone(),
    );
    let mut report = match recorder.record(first).await {
        Ok(record) => {
            let mut report = Dispatcher::new(plan, recorder.clone(), soft, ports, past, record.run)
                .dispatch()
                .await;
            report.run = Some(record.run);
            conclude(report, &recorder).await
        }
        Err(_) => nothing_touched(&plan, &recorder, past),
    };
    drop(recorder);
    report.reader_lost = teller.await.unwrap_or(true);
    report
}

fn started(plan: &RunPlan) -> Event {
    let (subject, digest) = match &plan.job {
        Job::Playbook(programs) => (programs.main().name.clone(), programs.digest()),
        Job::Exec(job) => (job.subject.clone(), String::new()),
    };
    Event::RunStarted {
        mode: plan.mode(),
        subject,
        digest,
        version: plan.version.clone(),
        hosts: plan.hosts.iter().map(|host| host.name.clone()).collect(),
        operator: plan.operator.clone(),
    }
}

async fn conclude(mut report: RunReport, recorder: &Recorder) -> RunReport {
    let ended = Event::RunEnded {
        exit_code: report.exit_code,
    };
    if recorder.record(ended).await.is_err() {
        report.end = RunEnd::JournalLost(failure(recorder));
        report.exit_code = report.end.exit_code(&report.results);
    }
    report
}

/// The run's beginning, or that it goes on, could not be stored.
fn nothing_touched(plan: &RunPlan, recorder: &Recorder, mut past: Past) -> RunReport {
    let skipped = |host: &Arc<fleetmend_model::Host>| {
        let state = past.take(&host.name);
        let halted = || machine::halted(&state, "journal").into_result(host.name.clone(), 0);
        state.result.clone().unwrap_or_else(halted)
    };
    RunReport {
        run: None,
        results: plan.hosts.iter().map(skipped).collect(),
        exec: Vec::new(),
        end: RunEnd::JournalLost(failure(recorder)),
        exit_code: exit_code::NOTHING_TOUCHED,
        reader_lost: false,
    }
}

pub(super) fn failure(recorder: &Recorder) -> JournalError {
    recorder.failure().unwrap_or_else(|| JournalError {
        detail: "it gave no reason".to_owned(),
    })
}
