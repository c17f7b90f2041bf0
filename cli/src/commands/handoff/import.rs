//! Results that sticks brought back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_engine::Journal as _;
use fleetmend_journal::{JournalReader, SqliteJournal};
use fleetmend_model::{Event, HandedIn, HandedStep, HostEvent, HostName, RunId};
use fleetmend_playbooks::handoff;
use fleetmend_report::RunReport;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ImportArgs;
use super::judge::{foreign, judge};
use super::stick::Stick;
use super::work::Work;
use crate::commands::runs::{open, unreadable};
use crate::error::CliError;
use crate::exit_code;
use crate::operator;
use crate::printer::Printer;

/// A result of a PC with every fact and answer takes some 100 KB.
const LARGEST: u64 = 16 * 1024 * 1024;
/// How deep results may lie below a folder that was named.
const DEPTH: usize = 4;

const FORMAT: &str = "fleetmend-handoff-result/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    stick: String,
    seal: String,
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct Body {
    run: RunId,
    digest: String,
    host: HostName,
    computer: String,
    by: String,
    began: Timestamp,
    ended: Timestamp,
    credential_for: Option<String>,
    story: Vec<HandedStep>,
}

/// A result that is what a stick of ours wrote.
struct Found {
    file: PathBuf,
    digest: String,
    stick: Stick,
    body: Body,
}

/// Takes results in.
///
/// # Errors
/// No file was found, or the journal cannot be read.
pub(super) async fn import(args: &ImportArgs, printer: &Printer) -> Result<u8, CliError> {
    let folder = args.data_dir.as_deref();
    let (reader, path) = open(folder)?;
    let mut files = BTreeSet::new();
    for named in &args.files {
        collect(named, 0, &mut files)?;
    }
    if files.is_empty() {
        return Err(
            CliError::user("there is no result file (*.json) in what was named")
                .hint("results lie in the folder `results` beside the script on the stick"),
        );
    }
    let mut refused = 0;
    let mut runs: BTreeMap<RunId, Vec<Found>> = BTreeMap::new();
    for file in files {
        match read(&file, folder) {
            Ok(found) => runs.entry(found.stick.run).or_default().push(found),
            Err(why) => {
                refused += 1;
                printer.warning(&format!("refused {}: {why}", file.display()));
            }
        }
    }
    for (run, mut found) in runs {
        // A later result of a PC counts instead of an earlier one.
        found.sort_by_key(|found| found.body.ended);
        let names: Vec<String> = found
            .iter()
            .map(|one| one.file.display().to_string())
            .collect();
        match of_run(&reader, &path, run, found, printer).await {
            Ok(not_taken) => refused += not_taken,
            Err(error) => {
                refused += names.len();
                printer.error(&error);
                printer.warning(&format!("refused {}", names.join(", ")));
            }
        }
    }
    Ok(if refused == 0 {
        exit_code::OK
    } else {
        exit_code::NOT_WELL
    })
}

/// Lists the files that a name stands for.
fn collect(named: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<(), CliError> {
    let failed =
        |error| CliError::user(format!("failed to read {}", named.display())).because(error);
    let about = fs::metadata(named).map_err(failed)?;
    if !about.is_dir() {
        files.insert(named.to_owned());
        return Ok(());
    }
    if depth > DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(named).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        if path.is_dir() || is_json {
            collect(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

/// Reads a file and checks that a stick of this controller wrote it so, for one of its PCs.
fn read(file: &Path, folder: Option<&Path>) -> Result<Found, String> {
    let length = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!(
            "it is larger than a result can be ({length} bytes)"
        ));
    }
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let sealed: Sealed = serde_json::from_str(&text)
        .map_err(|error| format!("it is no result of a stick ({error})"))?;
    if sealed.format != FORMAT {
        return Err("it is a result in a form that this fleetmend does not know".to_owned());
    }
    let stick = Stick::find(folder, &sealed.stick).map_err(|error| error.to_string())?;
    let stick =
        stick.ok_or("its stick was not made by this controller, or for another data folder")?;
    let body = sealed.body.get();
    if !stick.sealed(body, &sealed.seal) {
        return Err(
            "its seal does not fit: it was changed after the script wrote it, or damaged"
                .to_owned(),
        );
    }
    let body: Body = serde_json::from_str(body)
        .map_err(|error| format!("it does not say what a result says ({error})"))?;
    if body.run != stick.run || body.digest != stick.digest {
        return Err("it is of another run or playbook than its stick".to_owned());
    }
    if !stick.hosts.contains(&body.host) {
        return Err(format!("the stick was not made for the PC {}", body.host));
    }
    let odd = body.story.iter().find(|step| !is_of_a_stick(&step.what));
    if odd.is_some() {
        return Err("it tells of things that no script on a stick does".to_owned());
    }
    Ok(Found {
        file: file.to_owned(),
        digest: handoff::digest(&text),
        stick,
        body,
    })
}

fn is_of_a_stick(what: &HostEvent) -> bool {
    matches!(
        what,
        HostEvent::StepStarted { .. }
            | HostEvent::StepEnded { .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::Diagnosed { .. }
            | HostEvent::RungStarted { .. }
            | HostEvent::RungEnded { .. }
    )
}

/// What of a run's sticks is in its journal already.
#[derive(Default)]
struct Known {
    report: RunReport,
    files: BTreeSet<String>,
}

/// Appends the results of one run; returns how many were refused.
async fn of_run(
    reader: &JournalReader,
    path: &Path,
    run: RunId,
    found: Vec<Found>,
    printer: &Printer,
) -> Result<usize, CliError> {
    let plan = reader.plan(run).map_err(|error| unreadable(path, error))?;
    let mut known = Known::default();
    // Holds the run, so that nobody goes on with it meanwhile.
    let by = Some(operator::terms());
    let journal = SqliteJournal::resume_with(path, run, by, |record| {
        known.report.apply(&record);
        if let Event::Host {
            what: HostEvent::HandedIn(handed),
            ..
        } = &record.event
        {
            known.files.insert(handed.file.clone());
        }
    })
    .map_err(|error| {
        CliError::config(format!("failed to open the journal {}", path.display()))
            .because(error)
            .hint("wait for the end of the run, then import again; nothing was added")
    })?;
    let taken = take_all(&journal, plan, run, &mut known, found, printer).await;
    // Also when nothing came of it: the next one must not be told that we hold it.
    journal.close().await;
    taken
}

async fn take_all(
    journal: &SqliteJournal,
    plan: Option<String>,
    run: RunId,
    known: &mut Known,
    found: Vec<Found>,
    printer: &Printer,
) -> Result<usize, CliError> {
    let work = Work::read(run, plan, &known.report.digest)?;
    let mut refused = 0;
    for one in found {
        let name = one.file.display().to_string();
        if known.files.contains(&one.digest) {
            printer.say(&format!("{name}: is in the run already"));
            continue;
        }
        let why = refusal(&one.body, known).or_else(|| not_of(&work, &one.body));
        if let Some(why) = why {
            refused += 1;
            printer.warning(&format!("refused {name}: {why}"));
            continue;
        }
        let host = one.body.host.clone();
        let digest = one.digest.clone();
        let handed = handed(&work, one)?;
        let said = format!("{name}: {host} {}", handed.result.outcome);
        if !work.is_called(&host, &handed.computer) {
            printer.warning(&format!(
                "{name}: the PC calls itself {}, the inventory calls it {host}",
                handed.computer.escape_debug()
            ));
        }
        let what = HostEvent::HandedIn(Box::new(handed));
        let record = journal
            .append(Event::Host { host, what })
            .await
            .map_err(|error| {
                CliError::config("failed to add a result to the journal").because(error)
            })?;
        known.report.apply(&record);
        known.files.insert(digest);
        printer.say(&said);
    }
    Ok(refused)
}

/// Why a result cannot be added to the run, if it cannot.
fn refusal(body: &Body, known: &Known) -> Option<String> {
    let host = known
        .report
        .hosts
        .iter()
        .find(|host| host.host == body.host);
    let Some(host) = host else {
        return Some(format!("the run has no PC {}", body.host));
    };
    if host.result.is_none() {
        return Some(format!(
            "{} has no result of the run yet; go on with it first",
            body.host
        ));
    }
    let later = host
        .by_hand
        .as_ref()
        .filter(|before| before.ended > body.ended);
    later.map(|later| {
        let (of, ended) = (later.ended, body.ended);
        format!("it is older ({ended}) than the result that the run has ({of})")
    })
}

/// Why a result is none of this run's playbook, if it is none.
fn not_of(work: &Work, body: &Body) -> Option<String> {
    let events: Vec<HostEvent> = body.story.iter().map(|step| step.what.clone()).collect();
    let host = work.host(&body.host)?;
    foreign(work, host, &events)
}

fn handed(work: &Work, one: Found) -> Result<HandedIn, CliError> {
    let body = one.body;
    let elapsed = body.ended.duration_since(body.began).as_millis();
    let elapsed = u64::try_from(elapsed).unwrap_or(0);
    let events: Vec<HostEvent> = body.story.iter().map(|step| step.what.clone()).collect();
    let host = work
        .host(&body.host)
        .ok_or_else(|| CliError::internal("the plan of the run lacks a PC"))?;
    let result = judge(work, host, &events, body.credential_for.as_deref(), elapsed)?;
    Ok(HandedIn {
        file: one.digest,
        stick: one.stick.stick.to_string(),
        computer: body.computer,
        by: body.by,
        began: body.began,
        ended: body.ended,
        credential_given: body.credential_for.is_some(),
        story: body.story,
        result,
    })
}
