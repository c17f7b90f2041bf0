//! One run from its first to its last event: the same for `run`, `check`, `exec` and `demo`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::{Directory, LogonRefusal};
use fleetmend_engine::{ControlSender, Past, Ports, RunEnd, RunPlan, control};
use fleetmend_model::{HostName, Place, Record, RunMode};
use fleetmend_report::{AccountClosed, ExecResult, RunReport, Stream, format};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::args::Output;
use crate::budget;
use crate::credentials::Passwords;
use crate::directory_error::what_to_do;
use crate::error::CliError;
use crate::exit_code;
use crate::interrupt;
use crate::live::{Fleet, Live};
use crate::pace;
use crate::printer::Printer;
use crate::statement::pcs_named;
use crate::webhook::Webhook;
use crate::wire::{RunJournal, Wiring};

/// The view is drawn anew this often.
const REDRAW: Duration = Duration::from_millis(100);
/// Events on their way to the screen: a burst of a few from each of a thousand PCs. Beyond that
/// the engine waits for the screen, and in the end gives it up.
const EVENTS: usize = 4_096;

/// How a run is shown.
pub(crate) struct Show {
    /// The form of the result.
    pub(crate) output: Output,
    /// Whom to tell at the end.
    pub(crate) webhook: Option<Webhook>,
    /// The folder of the journal, if it was named.
    pub(crate) data_dir: Option<PathBuf>,
}

/// Whether a run is new.
pub(crate) enum Goes {
    /// It is.
    New,
    /// It was cut, and goes on.
    On(Box<Before>),
}

/// What a run had come to before it was cut.
#[derive(Default)]
pub(crate) struct Before {
    /// For the engine.
    pub(crate) past: Past,
    /// For the result.
    pub(crate) report: RunReport,
    fleet: Fleet,
}

impl Before {
    /// Takes the next record in.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.past.apply(record);
        self.report.apply(record);
        self.fleet.apply(record);
    }
}

/// How a run ended.
pub(crate) struct Ended {
    /// Everything that its events told.
    pub(crate) report: RunReport,
    /// The exit code of the process.
    pub(crate) exit_code: u8,
}

/// Runs a plan to its end, shows it, gives its result to standard output and closes the journal.
///
/// Writing may block; only the task that called `block_on` does it, which is none of the
/// runtime's workers, so no PC waits for a slow terminal.
///
/// # Errors
/// Standard output failed. The run went to its end all the same.
pub(crate) async fn execute(
    goes: Goes,
    plan: RunPlan,
    passwords: Passwords,
    directory: Option<Arc<dyn Directory>>,
    journal: &RunJournal,
    show: &Show,
    printer: &Printer,
) -> Result<Ended, CliError> {
    let wiring = Wiring::new(passwords, directory, journal, plan.limits.connect);
    let ended = follow(goes, plan, wiring, journal, show, printer).await;
    journal.close().await;
    ended
}

async fn follow(
    goes: Goes,
    plan: RunPlan,
    wiring: Wiring,
    stored: &RunJournal,
    show: &Show,
    printer: &Printer,
) -> Result<Ended, CliError> {
    let mode = plan.mode;
    let (operator, control) = control();
    let (reader, records) = mpsc::channel(EVENTS);
    let ports = Ports {
        connector: wiring.connector,
        prober: wiring.prober,
        credentials: wiring.credentials,
        directory: wiring.directory,
        journal: wiring.journal,
        budget: wiring.budget,
        reader: Some(reader),
        control,
    };
    let mut view = View::new(show.output, printer);
    let past = match goes {
        Goes::New => None,
        Goes::On(before) => {
            view.report = before.report;
            view.live.go_on(before.fleet);
            Some(before.past)
        }
    };
    let engine = tokio::spawn(async move {
        match past {
            None => Ok(fleetmend_engine::run(plan, ports).await),
            Some(past) => {
                let by = plan.operator.as_ref().map(|by| by.account.clone());
                fleetmend_engine::resume(plan, ports, past, by).await
            }
        }
    });
    let left = view.follow(records, &operator).await;
    let mut report = std::mem::take(&mut view.report);
    let view_error = view.error.take();
    drop(view);
    if left {
        engine.abort();
        printer
            .warning("left at once; what was running on PCs is unknown, the journal has the rest");
        report.settle();
        notify(show, &report, stored, printer).await;
        return Ok(Ended {
            report,
            exit_code: exit_code::INTERRUPTED,
        });
    }
    let outcome = engine.await.map_err(|error| {
        CliError::internal("the run broke off; its journal is whole").because(error)
    })?;
    let outcome = outcome.map_err(|error| CliError::user("nothing was touched").because(error))?;
    complete(&mut report, &outcome);
    say_end(&outcome, printer);
    if let RunEnd::ErrorsSpent(spent) = &outcome.end {
        pace::say_spent(spent, &outcome, show.data_dir.as_deref(), printer);
    }
    let exit_code = u8::try_from(outcome.exit_code).unwrap_or(exit_code::NOT_WELL);
    notify(show, &report, stored, printer).await;
    match view_error {
        Some(error) => return Err(error),
        None => result(&report, mode, show.output, printer)?,
    }
    Ok(Ended { report, exit_code })
}

/// Gives the result of a run to standard output.
///
/// # Errors
/// Standard output failed.
pub(crate) fn result(
    report: &RunReport,
    mode: RunMode,
    output: Output,
    printer: &Printer,
) -> Result<(), CliError> {
    match output {
        Output::Jsonl => Ok(()),
        Output::Json => printer.data(&(format::json(report)? + "\n")),
        Output::Text => {
            let options = format::TextOptions {
                width: printer.stdout_width(),
                color: printer.color_on_stdout(),
            };
            let exec = match mode {
                RunMode::Exec => format::exec(report, options),
                RunMode::Repair | RunMode::Check => format::text(report, options),
            };
            printer.data(&exec)
        }
    }
}

/// Reads a run's events for the screen and standard output.
struct View {
    report: RunReport,
    live: Live,
    printer: Printer,
    output: Output,
    /// Why standard output is no longer written to.
    error: Option<CliError>,
}

impl View {
    fn new(output: Output, printer: &Printer) -> Self {
        Self {
            report: RunReport::default(),
            live: Live::new(printer),
            printer: printer.clone(),
            output,
            error: None,
        }
    }

    /// Follows a run until its last event; returns whether the operator left before.
    async fn follow(&mut self, mut records: mpsc::Receiver<Record>, run: &ControlSender) -> bool {
        let mut presses = interrupt::presses();
        let mut pressed = 0;
        let mut ticker = tokio::time::interval(REDRAW);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                record = records.recv() => match record {
                    Some(record) => self.take(&record),
                    None => return false,
                },
                _ = ticker.tick() => self.live.tick(Timestamp::now()),
                Some(()) = presses.recv() => {
                    pressed += 1;
                    if pressed > 2 {
                        return true;
                    }
                    run.interrupt();
                    self.printer.note(if pressed == 1 {
                        "stopping: nothing new is started, running steps end (Ctrl-C again cuts them)"
                    } else {
                        "cutting what runs (Ctrl-C again leaves at once)"
                    });
                }
            }
        }
    }

    fn take(&mut self, record: &Record) {
        self.report.apply(record);
        self.live.apply(record);
        if self.output == Output::Jsonl && self.error.is_none() {
            let line = format::jsonl(record).map_err(CliError::from);
            self.error = line
                .and_then(|line| self.printer.data(&(line + "\n")))
                .err();
        }
    }
}

/// Adds what the engine knows beyond the events that reached us.
fn complete(report: &mut RunReport, outcome: &fleetmend_engine::RunReport) {
    report.add_results(outcome.results.iter().cloned());
    report.account_closed = account_closed(&outcome.end);
    for (host, output) in &outcome.exec {
        let result = ExecResult {
            stdout: Stream::new(output.stdout.clone()),
            stderr: Stream::new(output.stderr.clone()),
            exit_code: Some(i64::from(output.exit_code)),
        };
        report.set_exec(host, result);
    }
}

/// Says why the run ended, where the results alone do not.
fn say_end(outcome: &fleetmend_engine::RunReport, printer: &Printer) {
    if outcome.reader_lost {
        printer.warning("the screen was too slow for the run; the journal has every event");
    }
    match &outcome.end {
        RunEnd::Complete => {}
        RunEnd::Interrupted => printer.note("interrupted; every PC has its result"),
        RunEnd::CredentialRefused {
            account,
            host,
            place,
            code,
            not_reached,
        } => {
            let refusal = code.and_then(|code| u32::try_from(code).ok());
            let refusal = refusal.map_or(LogonRefusal::WrongPassword, LogonRefusal::from_win32);
            printer.error(
                &CliError::user(format!(
                    "the account {account} was refused {} {host}{}; it was not tried again{}",
                    match place {
                        Place::Pc => "on",
                        Place::Controller => "by the directory, asked for",
                    },
                    code.map_or_else(String::new, |code| format!(" (Win32 {code})")),
                    left_out(not_reached)
                ))
                .hint(what_to_do(refusal)),
            );
        }
        RunEnd::AccountSpared {
            account,
            why,
            not_reached,
        } => printer.error(
            &CliError::budget(format!(
                "the account {account} is spared: {why}{}",
                left_out(not_reached)
            ))
            .hint(budget::try_again(account)),
        ),
        // It needs more room.
        RunEnd::ErrorsSpent(_) => {}
        RunEnd::JournalLost(error) => printer.error(
            &CliError::config("nothing more was done to any PC")
                .because(error.clone())
                .hint("free space, then go on with it: fleetmend resume"),
        ),
    }
}

/// Says which PCs ended without what needs an account that was not used any more.
fn left_out(hosts: &[HostName]) -> String {
    match hosts {
        [] => String::new(),
        hosts => format!(
            "; not reached for that: {}",
            pcs_named(hosts.iter().collect())
        ),
    }
}

/// Returns what the report tells of an account that was not used any more.
fn account_closed(end: &RunEnd) -> Option<AccountClosed> {
    match end {
        RunEnd::CredentialRefused {
            account,
            host,
            code,
            not_reached,
            ..
        } => Some(AccountClosed {
            account: account.clone(),
            refused_on: Some(host.clone()),
            code: *code,
            spared: None,
            not_reached: not_reached.clone(),
        }),
        RunEnd::AccountSpared {
            account,
            why,
            not_reached,
        } => Some(AccountClosed {
            account: account.clone(),
            refused_on: None,
            code: None,
            spared: Some(why.clone()),
            not_reached: not_reached.clone(),
        }),
        _ => None,
    }
}

async fn notify(show: &Show, report: &RunReport, stored: &RunJournal, printer: &Printer) {
    if let Some(webhook) = &show.webhook {
        webhook.notify(report, stored.head(), printer).await;
    }
}
