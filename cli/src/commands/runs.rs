//! `fleetmend runs`: the runs in a journal.

use std::path::{Path, PathBuf};

use fleetmend_journal::{JournalReader, RunSummary};
use fleetmend_model::RunMode;
use serde_json::json;

use crate::data_dir::find_data_dir;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;
use crate::wire::JOURNAL;

/// List past runs, the newest first
#[derive(Debug, clap::Args)]
pub(crate) struct RunsArgs {
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists runs.
///
/// # Errors
/// The journal cannot be read, or standard output failed.
pub(crate) fn cmd_runs(args: &RunsArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let runs = reader.runs().map_err(|error| unreadable(&path, error))?;
    if args.json {
        let all: Vec<_> = runs
            .iter()
            .map(|run| {
                json!({
                    "run": run.run, "started": run.started_at, "ended": run.ended_at,
                    "mode": run.mode, "subject": run.subject, "pcs": run.hosts,
                    "exit_code": run.exit_code, "state": state(&reader, run),
                })
            })
            .collect();
        printer.data(&(serde_json::to_string_pretty(&all)? + "\n"))?;
        return Ok(exit_code::OK);
    }
    for run in &runs {
        let mode = match run.mode {
            Some(RunMode::Repair) => "repair",
            Some(RunMode::Check) => "check",
            Some(RunMode::Exec) => "exec",
            None => "-",
        };
        let end = match run.exit_code {
            Some(code) => format!("exit {code}"),
            None => state(&reader, run).to_owned(),
        };
        let started = run.started_at.strftime("%Y-%m-%d %H:%M:%SZ");
        let (run_id, pcs, subject) = (run.run, run.hosts, &run.subject);
        let subject: String = subject.chars().filter(|c| !c.is_control()).collect();
        printer.data(&format!(
            "{run_id}  {started}  {mode:<6}  {pcs:>5} PCs  {end:<9}  {subject}\n"
        ))?;
    }
    let cut = runs
        .iter()
        .any(|run| run.mode != Some(RunMode::Exec) && state(&reader, run) == CUT);
    if cut {
        printer.note("go on with a run that was cut: fleetmend resume RUN");
    }
    Ok(exit_code::OK)
}

/// A run without an end on which no process works.
const CUT: &str = "cut";

fn state(reader: &JournalReader, run: &RunSummary) -> &'static str {
    match run.exit_code {
        Some(_) => "ended",
        None if reader.is_held(run.run) => "running",
        None => CUT,
    }
}

/// Opens the journal of a folder for reading.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn open(folder: Option<&Path>) -> Result<(JournalReader, PathBuf), CliError> {
    let path = find_data_dir(folder)?.join(JOURNAL);
    if !path.exists() {
        return Err(
            CliError::user(format!("there is no journal at {}", path.display()))
                .hint("name the folder of the run: --data-dir DIR"),
        );
    }
    let reader = JournalReader::open(&path).map_err(|error| unreadable(&path, error))?;
    Ok((reader, path))
}

/// Returns the error for a journal that cannot be read.
pub(super) fn unreadable(path: &Path, error: fleetmend_journal::StorageError) -> CliError {
    CliError::config(format!("failed to read the journal {}", path.display())).because(error)
}
