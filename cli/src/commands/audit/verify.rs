//! `fleetmend audit verify`: whether the trail is whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fleetmend_journal::{Fault, HeadClaim, HeadSource, JournalReader, Verdict};
use fleetmend_model::RunId;
use serde_json::json;

use super::list::row;
use crate::commands::runs::{open, unreadable};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// So many things that differ are listed; a change of one is seldom more than three.
const LISTED: usize = 10;

/// Verify that no entry and no event was changed, cut out or put in
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct VerifyArgs {
    /// Prove that the trail still holds this head, as it was noted elsewhere; repeatable
    #[arg(long, value_name = "NUMBER:HASH")]
    head: Vec<HeadClaim>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend audit verify
  fleetmend audit verify --head 128:9f3c0c1d2e3f4a5b

Compared are: each entry with the one before it, each event with its entry, each run's events with
the hash over them, the list of runs, and the head that is kept in a file beside the journal. Who
may write both files could write everything anew: only a head that was noted elsewhere proves more.

Exit codes: 0 whole; 1 broken; 2 there is no journal or no trail.";

/// Verifies the trail.
///
/// # Errors
/// The journal cannot be read or has no trail, or standard output failed.
pub(super) fn cmd_verify(args: &VerifyArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let verdict = reader
        .verify(&args.head)
        .map_err(|error| unreadable(&path, error))?;
    let text = if args.json {
        serde_json::to_string_pretty(&document(&verdict))? + "\n"
    } else if verdict.is_whole() {
        whole(&verdict)
    } else {
        broken(&verdict, &reader)
    };
    printer.data(&text)?;
    if !args.json {
        remarks(&verdict, &reader, args, printer);
    }
    let Some(first) = verdict.faults.first() else {
        return Ok(exit_code::OK);
    };
    printer.say(&format!("hint: {}", advice(first, &path)));
    Ok(exit_code::NOT_WELL)
}

fn document(verdict: &Verdict) -> serde_json::Value {
    let faults = verdict.faults.iter();
    let faults: Vec<_> = faults
        .map(|fault| json!({"entry": fault.entry(), "what": fault.to_string()}))
        .collect();
    json!({
        "format": "fleetmend-audit/1", "whole": verdict.is_whole(), "head": verdict.head,
        "runs": verdict.runs, "runs_before_the_trail": verdict.runs_before,
        "runs_not_proven_to_their_end": verdict.open, "faults": faults,
    })
}

fn whole(verdict: &Verdict) -> String {
    let Verdict { head, runs, .. } = verdict;
    format!(
        "the audit trail is whole: {}, {} compared with all events\nhead {head}\n",
        entries(head.number),
        counted(*runs, "run")
    )
}

fn broken(verdict: &Verdict, reader: &JournalReader) -> String {
    let faults = &verdict.faults;
    let mut text = "the audit trail is broken:\n".to_owned();
    for fault in faults.iter().take(LISTED) {
        let _ = writeln!(text, "- {}", super::words::plain(&fault.to_string()));
    }
    if faults.len() > LISTED {
        let _ = writeln!(text, "- and {} more", faults.len() - LISTED);
    }
    if let Some(number) = faults.first().and_then(Fault::entry) {
        let mut stands = None;
        // One that cannot be read is not shown; that it cannot be is said above.
        let _ = reader.for_each_entry(None, None, |entry| {
            if entry.number == number {
                stands = Some(row(&entry));
            }
        });
        if let Some(row) = stands {
            let _ = write!(text, "entry {number} as it stands now:\n{row}");
        }
    }
    text
}

fn remarks(verdict: &Verdict, reader: &JournalReader, args: &VerifyArgs, printer: &Printer) {
    if verdict.runs_before > 0 {
        printer.say(&format!(
            "{} older than the trail: who ran them is not known, only that their events are what \
             they were when it began",
            are(verdict.runs_before)
        ));
    }
    let (goes_on, cut): (Vec<RunId>, Vec<RunId>) =
        verdict.open.iter().partition(|run| reader.is_held(**run));
    for (runs, what) in [
        (goes_on, "goes on"),
        (cut, "was cut, or its last event is of no account"),
    ] {
        for run in runs {
            printer.say(&format!(
                "the run {run} {what}: events behind its last entry are not proven yet"
            ));
        }
    }
    if verdict.is_whole() && args.head.is_empty() {
        printer.note(
            "proven against the head in the file beside the journal; with one that was noted \
             elsewhere: --head NUMBER:HASH",
        );
    }
}

fn are(runs: u64) -> String {
    if runs == 1 {
        "1 run is".to_owned()
    } else {
        format!("{runs} runs are")
    }
}

fn entries(number: u64) -> String {
    if number == 1 {
        "1 entry".to_owned()
    } else {
        format!("{number} entries")
    }
}

fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// What to do about the first thing that differs.
fn advice(fault: &Fault, path: &Path) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match fault {
        Fault::NoHeadFile => {
            "if the journal was copied without it, verify with a head that was noted elsewhere: \
             --head NUMBER:HASH; else somebody removed it; the next run writes it anew, and puts \
             on the trail that it was gone"
                .to_owned()
        }
        Fault::HeadWasMissing { end } => format!(
            "compare what stands before with the heads that were noted elsewhere (tickets, \
             webhook, syslog). If you know why, a backup that was put in place for example, note \
             it, and name this entry from now on: --head {}",
            end.short()
        ),
        Fault::Head {
            source: HeadSource::File,
            ..
        }
        | Fault::NoTrail => format!(
            "if an older copy of the journal was put in place, note that and remove {}.head; else \
             copy {folder} away as it is, and compare with a backup",
            path.display()
        ),
        Fault::Damaged { .. } => {
            format!("copy {folder} away as it is, then put a backup in its place")
        }
        _ => format!(
            "copy {folder} away as it is before the next run, find out who may write there, and \
             compare with a backup; a head that was noted elsewhere proves up to where it is as it \
             was: --head NUMBER:HASH"
        ),
    }
}
