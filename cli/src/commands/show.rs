//! `fleetmend show`: a past run again, from its journal alone.

use std::path::{Path, PathBuf};

use fleetmend_journal::JournalReader;
use fleetmend_model::{HostResult, RunId, RunMode};
use fleetmend_report::{RunReport, format};

use super::runs::{open, unreadable};
use crate::args::Output;
use crate::error::CliError;
use crate::exit_code;
use crate::job;
use crate::printer::Printer;
use crate::quoted::quoted;

/// Show a past run again
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ShowArgs {
    /// Id of the run, or its beginning [default: the newest run]
    run: Option<String>,
    /// Write it in this form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Output,
    /// List only the names of the PCs that ended so, for --limit @FILE: a class as skipped, a
    /// detail as error-budget, or both as skipped(error-budget)
    #[arg(long, value_name = "OUTCOME", conflicts_with = "output")]
    names: Option<String>,
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend show
  fleetmend show 019b2f --output json
  fleetmend show 019b2f --names unreachable > rest.txt

A run that goes on, or that was killed, is shown as far as it came: PCs that were being worked on
are unknown, PCs that were waiting are skipped(not-reached).";

/// Shows a run.
///
/// # Errors
/// There is no such run, the journal cannot be read, or standard output failed.
pub(crate) fn cmd_show(args: &ShowArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let run = find(&reader, args.run.as_deref(), &path)?;
    let mut report = RunReport::default();
    let mut lines: Result<(), CliError> = Ok(());
    reader
        .for_each(run, |record| {
            report.apply(&record);
            if args.output == Output::Jsonl && lines.is_ok() {
                let line = format::jsonl(&record).map_err(CliError::from);
                lines = line.and_then(|line| printer.data(&(line + "\n")));
            }
        })
        .map_err(|error| unreadable(&path, error))?;
    lines?;
    report.settle();
    if let Some(wanted) = &args.names {
        printer.data(&names(&report, wanted))?;
        return Ok(exit_code::OK);
    }
    if !report.ended && report.mode != Some(RunMode::Exec) {
        unended(&reader, run, args.data_dir.as_deref(), printer);
    }
    job::result(
        &report,
        report.mode.unwrap_or(RunMode::Repair),
        args.output,
        printer,
    )?;
    Ok(exit_code::OK)
}

/// Returns the PCs that ended so, one a line.
fn names(report: &RunReport, wanted: &str) -> String {
    let ended_so = |result: &&HostResult| {
        let outcome = &result.outcome;
        outcome.class().name() == wanted
            || outcome.detail().as_deref() == Some(wanted)
            || outcome.to_string() == wanted
    };
    let results = report.results().filter(ended_so);
    results.map(|result| format!("{}\n", result.host)).collect()
}

/// Says of a run without an end what it is about.
fn unended(reader: &JournalReader, run: RunId, folder: Option<&Path>, printer: &Printer) {
    if reader.is_held(run) {
        printer.note("this run goes on in another process");
        return;
    }
    let folder = folder.map_or_else(String::new, |folder| {
        format!(" --data-dir {}", quoted(folder))
    });
    printer.note(&format!(
        "this run was cut; go on with it: fleetmend resume {run}{folder}"
    ));
}

/// Returns the run whose id begins so.
///
/// # Errors
/// There is none, or several, or the journal cannot be read.
pub(super) fn find(
    reader: &JournalReader,
    wanted: Option<&str>,
    path: &std::path::Path,
) -> Result<RunId, CliError> {
    let runs = reader.runs().map_err(|error| unreadable(path, error))?;
    let wanted = wanted.unwrap_or_default().to_lowercase();
    let mut fitting = runs
        .iter()
        .filter(|run| run.run.to_string().starts_with(&wanted));
    match (fitting.next(), fitting.next()) {
        (Some(run), None) => Ok(run.run),
        // Without an id the newest is meant, and they come newest first.
        (Some(run), Some(_)) if wanted.is_empty() => Ok(run.run),
        (Some(_), Some(_)) => Err(CliError::user(format!("several runs begin with {wanted}"))
            .hint("give more of the id; list runs: fleetmend runs")),
        (None, _) => Err(CliError::user(format!(
            "no run in {} begins with {wanted}",
            path.display()
        ))
        .hint("list runs: fleetmend runs")),
    }
}
