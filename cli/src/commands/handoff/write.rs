//! Pages and stick of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_model::{Event, HostName, OutcomeClass, Platform, Record, RunId};
use fleetmend_report::handoff::{Pages, Pc, Stick as OnPage, Story};
use fleetmend_report::{HostReport, RunReport};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::HandoffArgs;
use super::sign;
use super::stick::Stick;
use super::work::Work;
use crate::commands::runs::{open, unreadable};
use crate::commands::show::find;
use crate::data_dir::data_dir;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;
use crate::quoted::quoted;
use crate::trail::{self, Entry};
use crate::wire::JOURNAL;

/// The script's name; what stands in front of people in documents.
const SCRIPT: &str = "fleetmend-handoff.ps1";

/// Ends of PCs that nobody can repair over the network.
const BY_HAND: [OutcomeClass; 3] = [
    OutcomeClass::Unreachable,
    OutcomeClass::AccessDenied,
    OutcomeClass::NeedsHands,
];

/// What the journal tells of a run.
#[derive(Default)]
struct Told {
    report: RunReport,
    stories: BTreeMap<HostName, Story>,
}

impl Told {
    fn apply(&mut self, record: &Record) {
        self.report.apply(record);
        if let Event::Host { host, what } = &record.event {
            let story = self.stories.entry(host.clone()).or_default();
            story.apply(what, record.at);
        }
    }

    /// Returns the domain that most of the run's PCs say they are in.
    fn domain(&self) -> Option<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for domain in self.stories.values().filter_map(Story::domain) {
            *counts.entry(domain.to_lowercase()).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(domain, _)| domain)
    }
}

/// Writes the hand-off of a run.
///
/// # Errors
/// There is no such run, its playbook has changed, the folder cannot be written, or signing failed.
pub(super) async fn write(args: &HandoffArgs, printer: &Printer) -> Result<u8, CliError> {
    let (reader, path) = open(args.data_dir.as_deref())?;
    let run = find(&reader, args.run.as_deref(), &path)?;
    let mut told = Told::default();
    reader
        .for_each(run, |record| told.apply(&record))
        .map_err(|error| unreadable(&path, error))?;
    let plan = reader.plan(run).map_err(|error| unreadable(&path, error))?;
    if reader.is_held(run) {
        printer.warning("this run goes on in another process; PCs without a result are left out");
    }
    drop(reader);
    let work = Work::read(run, plan, &told.report.digest)?;
    let also: Vec<OutcomeClass> = args.also.iter().map(|also| also.class()).collect();
    let chosen: Vec<&HostReport> = told
        .report
        .hosts
        .iter()
        .filter(|host| {
            let class = host.outcome().map(|outcome| outcome.class());
            class.is_some_and(|class| BY_HAND.contains(&class) || also.contains(&class))
        })
        .collect();
    if chosen.is_empty() {
        printer.note("no PC of this run needs a person; nothing was written");
        return Ok(exit_code::OK);
    }
    let folder = folder(args.output.as_deref(), run)?;
    // Before a script can lie anywhere that somebody may run.
    note(args, run, &chosen, &folder)
        .await
        .map_err(|error| CliError::config("nothing was written").because(error))?;
    let script = script(args, &work, &told, &chosen, &folder).await?;
    let pages = Pages {
        run,
        subject: told.report.subject.clone(),
        made: Timestamp::now(),
        languages: args.language.into(),
        domain: told.domain(),
        stick: script,
        pcs: pcs(&work, &told, &chosen)?,
    };
    for (name, html) in pages.files() {
        put(&folder.join(name), html.as_bytes())?;
    }
    say(printer, &pages, &folder);
    Ok(exit_code::OK)
}

/// Puts on the audit trail for which PCs there will be pages and a script, and where.
async fn note(
    args: &HandoffArgs,
    run: RunId,
    chosen: &[&HostReport],
    folder: &Path,
) -> Result<(), CliError> {
    let names: Vec<&HostName> = chosen.iter().map(|host| &host.host).collect();
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let entry = Entry {
        kind: "handoff-made",
        host: None,
        body: json!({
            "of_run": run, "names": names, "folder": folder, "signed": args.sign_with.is_some(),
        }),
    };
    let path = data_dir(args.data_dir.as_deref())?.join(JOURNAL);
    trail::note_async(path, entry).await
}

/// Makes the folder, and refuses one that holds something: results may lie in it.
fn folder(given: Option<&Path>, run: RunId) -> Result<PathBuf, CliError> {
    let id = run.to_string();
    // The first half of an id is its time; runs of one day must not meet in a folder.
    let short = id.get(..13).unwrap_or(&id);
    let folder = given.map_or_else(
        || PathBuf::from(format!("fleetmend-handoff-{short}")),
        Path::to_owned,
    );
    let failed = |error| {
        CliError::config(format!("failed to write into {}", folder.display()))
            .because(error)
            .hint("name another folder: --output FOLDER")
    };
    crate::data_dir::create_private(&folder).map_err(failed)?;
    if fs::read_dir(&folder).map_err(failed)?.next().is_some() {
        return Err(
            CliError::user(format!("the folder {} is not empty", folder.display()))
                .hint("name a new one: --output FOLDER"),
        );
    }
    Ok(folder)
}

/// Writes the script for the Windows PCs, if there are any, and remembers its stick.
async fn script(
    args: &HandoffArgs,
    work: &Work,
    told: &Told,
    chosen: &[&HostReport],
    folder: &Path,
) -> Result<Option<OnPage>, CliError> {
    let mut pcs = Vec::new();
    for host in chosen {
        let known = work.host(&host.host);
        if let Some(known) = known.filter(|known| known.platform == Platform::Windows) {
            pcs.push((host.host.clone(), work.situation(known)?));
        }
    }
    let Some(playbook) = work.windows().filter(|_| !pcs.is_empty()) else {
        return Ok(None);
    };
    let names = pcs.iter().map(|(name, _)| name.clone()).collect();
    let run = told
        .report
        .run
        .ok_or_else(|| CliError::internal("the run has no id"))?;
    let stick = Stick::new(run, told.report.digest.clone(), names)?;
    let text = stick.script(playbook, &pcs)?;
    let place = folder.join("stick");
    fs::create_dir(&place).map_err(|error| {
        CliError::config(format!("failed to make {}", place.display())).because(error)
    })?;
    let path = place.join(SCRIPT);
    put(&path, text.as_bytes())?;
    if let Some(certificate) = &args.sign_with {
        sign::sign(&path, certificate, args.sign_password_file.as_deref()).await?;
    }
    let bytes = fs::read(&path).map_err(|error| {
        CliError::config(format!("failed to read {}", path.display())).because(error)
    })?;
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    put(
        &place.join("SHA256SUMS.txt"),
        format!("{sha256}  {SCRIPT}\r\n").as_bytes(),
    )?;
    stick.remember(args.data_dir.as_deref())?;
    Ok(Some(OnPage {
        file: SCRIPT.to_owned(),
        sha256,
        signed: args.sign_with.is_some(),
    }))
}

fn pcs<'a>(work: &Work, told: &Told, chosen: &[&'a HostReport]) -> Result<Vec<Pc<'a>>, CliError> {
    let user = work.recipe.logon().user;
    let mut all = Vec::new();
    for host in chosen {
        let known = work.host(&host.host);
        let names = match known {
            Some(known) => work.situation(known)?.host.get("names").cloned(),
            None => None,
        };
        let names = names.and_then(|names| serde_json::from_value(names).ok());
        let address = known.map(|known| match known.port {
            Some(port) => format!("{}:{port}", known.address),
            None => known.address.clone(),
        });
        all.push(Pc {
            host,
            story: told.stories.get(&host.host).cloned().unwrap_or_default(),
            address: address.unwrap_or_default(),
            names: names.unwrap_or_default(),
            account: known
                .and_then(|known| known.user.clone())
                .or_else(|| user.clone()),
            posix: known.is_some_and(|known| known.platform == Platform::Posix),
        });
    }
    Ok(all)
}

fn put(path: &Path, text: &[u8]) -> Result<(), CliError> {
    fs::write(path, text).map_err(|error| {
        CliError::config(format!("failed to write {}", path.display())).because(error)
    })
}

fn say(printer: &Printer, pages: &Pages<'_>, folder: &Path) {
    let count = pages.pcs.len();
    let word = if count == 1 { "PC" } else { "PCs" };
    let index = quoted(&folder.join("index.html"));
    let all = quoted(&folder.join("all.html"));
    printer.say(&format!("{count} {word} to go to: {index}; print {all}"));
    if let Some(stick) = &pages.stick {
        let place = quoted(&folder.join("stick"));
        let signed = if stick.signed { ", signed" } else { "" };
        printer.say(&format!(
            "copy {place} to a USB stick; {} has SHA-256 {}{signed}",
            stick.file, stick.sha256
        ));
        printer.say("afterwards: fleetmend handoff import FOLDER-ON-THE-STICK");
    }
}
