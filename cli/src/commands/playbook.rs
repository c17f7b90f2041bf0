//! `fleetmend playbook`: what playbooks there are and what they would do.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use fleetmend_model::{DirectoryAction, Platform};
use fleetmend_playbooks::{
    CauseKind, Consult, ExportError, Guard, Language, Logon, Need, ParameterKind, Playbook,
    SecretFrom, Step, StepKind, export, library,
};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::exit_code;
use crate::playbooks::{self, Playbooks};
use crate::printer::Printer;

/// Show, check and export playbooks
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PlaybookArgs {
    #[command(subcommand)]
    command: PlaybookCommand,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend playbook list
  fleetmend playbook show trust-repair
  fleetmend playbook export trust-repair --to my-playbooks
  fleetmend playbook check my-playbooks/trust-repair.yaml";

#[derive(Debug, Subcommand)]
enum PlaybookCommand {
    /// List the shipped playbooks
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show parameters, causes and rungs of a playbook
    Show {
        /// Name of a shipped playbook, or a playbook file
        playbook: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with a playbook
    Check {
        /// Playbook files, or names of shipped playbooks
        #[arg(required = true)]
        playbook: Vec<String>,
    },
    /// Write a shipped playbook with its scripts and those for other platforms to a folder, to edit
    /// and run it from there
    Export {
        /// Name of a shipped playbook
        playbook: String,
        /// Folder to write to
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
}

/// Shows, checks or exports playbooks.
///
/// # Errors
/// One is wrong, a file cannot be written, or standard output failed.
pub(crate) fn cmd_playbook(args: &PlaybookArgs, printer: &Printer) -> Result<u8, CliError> {
    match &args.command {
        PlaybookCommand::List { json } => list(*json, printer),
        PlaybookCommand::Show { playbook, json } => {
            let playbook = playbooks::playbook(playbook)?;
            if *json {
                print_json(&document(&playbook), printer)
            } else {
                printer.data(&describe(&playbook))
            }
        }
        PlaybookCommand::Check { playbook } => check(playbook, printer),
        PlaybookCommand::Export { playbook, to } => {
            let files = export(playbook, to).map_err(|error| match error {
                ExportError::NotShipped { .. } => CliError::user(error.to_string())
                    .hint("list those that are shipped: fleetmend playbook list"),
                ExportError::Exists { .. } => CliError::user(error.to_string())
                    .hint("nothing is overwritten; name another folder: --to DIR"),
                ExportError::Io { .. } => CliError::config(error.to_string()).because(error),
            })?;
            printer.data(&files.iter().fold(String::new(), |mut text, file| {
                let _ = writeln!(text, "{}", file.display());
                text
            }))
        }
    }?;
    Ok(exit_code::OK)
}

fn list(json: bool, printer: &Printer) -> Result<(), CliError> {
    let playbooks: Vec<_> = library()
        .into_iter()
        .map(playbooks::playbook)
        .collect::<Result<_, _>>()?;
    if json {
        let all = playbooks.iter().map(|playbook| {
            json!({
                "playbook": playbook.name,
                "summary": playbook.summary.text(Language::En),
                "summary_ja": playbook.summary.text(Language::Ja),
                "digest": playbook.digest,
            })
        });
        return print_json(&all.collect(), printer);
    }
    let longest = playbooks.iter().map(|playbook| playbook.name.len()).max();
    let width = longest.unwrap_or_default();
    let mut text = String::new();
    for playbook in &playbooks {
        let lines = [(playbook.name.as_str(), Language::En), ("", Language::Ja)];
        for (name, language) in lines {
            let summary = playbook.summary.text(language);
            let _ = writeln!(text, "{name:<width$}  {summary}");
        }
    }
    printer.data(&text)
}

fn check(playbooks: &[String], printer: &Printer) -> Result<(), CliError> {
    for name in playbooks {
        let playbooks = Playbooks::load(name)?;
        for playbook in &playbooks.also {
            printer.data(&format!("{name}: with {} for other hosts\n", playbook.name))?;
        }
        let playbook = &playbooks.main;
        printer.data(&format!(
            "{name}: {} causes, {} rungs, {} scripts: nothing wrong with the playbook; what the \
             scripts say is read only on the PC and was not checked\n",
            playbook.causes.len(),
            playbook.ladder.len(),
            playbook.scripts().count(),
        ))?;
    }
    Ok(())
}

fn describe(playbook: &Playbook) -> String {
    let en = Language::En;
    let mut text = format!(
        "{}\n  {}\n  {}\n  for {} hosts{}\n  digest {}\n",
        playbook.name,
        playbook.summary.text(en),
        playbook.summary.text(Language::Ja),
        platform(playbook.platform),
        match playbook.also.as_slice() {
            [] => String::new(),
            also => format!("; hosts of other platforms are given {}", also.join(", ")),
        },
        playbook.digest,
    );
    text.push_str("\nParameters (--set NAME=VALUE, or a variable of the inventory)\n");
    for parameter in &playbook.parameters {
        let default = match &parameter.default {
            Some(value) => format!(", default {value}"),
            None => String::new(),
        };
        let kind = kind_name(parameter.kind);
        let _ = writeln!(text, "  {} ({kind}{default})", parameter.name);
        let _ = writeln!(text, "      {}", parameter.summary.text(en));
    }
    text.push_str("\nDiagnosis\n");
    let _ = writeln!(text, "      {}", step_text(&playbook.diagnose));
    if let Some(consult) = &playbook.consult {
        let _ = writeln!(text, "      {}", consult_text(consult));
    }
    text.push_str("\nCauses, the first that holds\n");
    for cause in &playbook.causes {
        let _ = writeln!(text, "  {} ({})", cause.id, cause_kind(&cause.kind));
    }
    text.push_str("\nRepairs, cheapest first\n");
    for rung in &playbook.ladder {
        let _ = writeln!(text, "  {}\n      {}", rung.id, rung.summary.text(en));
        let _ = writeln!(text, "      for {}", rung.causes.join(", "));
        if let Some(when) = &rung.when {
            let _ = writeln!(text, "      when {}", one_line(&when.0.text));
        }
        if !rung.needs.is_empty() {
            let needs: Vec<String> = rung.needs.iter().map(need).collect();
            let _ = writeln!(text, "      needs {}", needs.join(", "));
        }
        let guards = |guards: &[Guard], indent: &str, text: &mut String| {
            for guard in guards {
                let reason = guard.reason.text(en);
                let _ = writeln!(text, "{indent}guard {}, else: {reason}", guard.name);
            }
        };
        guards(&rung.guards, "      ", &mut text);
        if let Some(preflight) = &rung.preflight {
            text.push_str("      before it is begun\n");
            for step in &preflight.steps {
                let _ = writeln!(text, "        {}", step_text(step));
            }
            guards(&preflight.guards, "        ", &mut text);
        }
        for step in &rung.steps {
            let _ = writeln!(text, "      {}", step_text(step));
        }
        match rung.reboots() {
            0 => {}
            1 => text.push_str("      restarts the PC once\n"),
            times => {
                let _ = writeln!(text, "      restarts the PC {times} times");
            }
        }
        if let Some(caution) = &rung.caution {
            let _ = writeln!(text, "      if cut here: {}", caution.text(en));
        }
        if rung.again_if_cut {
            text.push_str("      begun once more if cut\n");
        }
    }
    if !playbook.stagger_reboots_by.is_empty() {
        let by = playbook.stagger_reboots_by.iter();
        let by: Vec<&str> = by.map(|by| by.text.as_str()).collect();
        let _ = writeln!(text, "\nRestarts are staggered by {}", by.join(", "));
    }
    let (attempts, pause) = (playbook.verify.attempts, playbook.verify.pause);
    let _ = writeln!(
        text,
        "\nProof, asked up to {attempts} times, {pause:?} apart"
    );
    let _ = writeln!(text, "      {}", step_text(&playbook.verify.step));
    if let Some(consult) = &playbook.verify.consult {
        let _ = writeln!(text, "      {}", consult_text(consult));
    }
    for guard in &playbook.verify.require {
        let _ = writeln!(text, "  {}", guard.name);
    }
    text
}

/// One step: where it runs, what it runs, and when.
fn step_text(step: &Step) -> String {
    let name = &step.name;
    let mut text = match &step.kind {
        StepKind::Action(action) => format!("{name}: on the controller, {}", action.name()),
        StepKind::Script => format!("{name}: on the PC, {}", step.script.name),
        StepKind::Elsewhere(host) => {
            let (script, host) = (&step.script.name, one_line(&host.text));
            format!("{name}: on the other PC {host}, {script}")
        }
        StepKind::Reboot => format!("{name}: restarts the PC"),
        StepKind::Logon(Logon { credential, keep }) => {
            let account = credential.as_deref().unwrap_or("the account in use");
            let keep = if *keep {
                ", which is used from then on"
            } else {
                ""
            };
            format!("{name}: logs on to the PC again as {account}{keep}")
        }
    };
    if let Some(made) = &step.makes {
        let _ = write!(text, ", makes {made}");
    }
    let secrets: Vec<&str> = step.secrets.iter().map(|(_, from)| secret(from)).collect();
    if !secrets.is_empty() {
        let _ = write!(text, ", is given {}", secrets.join(", "));
    }
    if let Some(when) = &step.when {
        let _ = write!(text, ", when {}", one_line(&when.0.text));
    }
    text
}

fn consult_text(consult: &Consult) -> String {
    let action = consult.step.action().map_or("-", DirectoryAction::name);
    match &consult.when {
        None => format!("asks the directory: {action}"),
        Some(when) => format!(
            "asks the directory: {action}, when {}",
            one_line(&when.0.text)
        ),
    }
}

fn secret(from: &SecretFrom) -> &str {
    match from {
        SecretFrom::Credential(name) | SecretFrom::Made(name) => name,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Windows => "Windows",
        Platform::Posix => "posix",
    }
}

fn step_json(step: &Step) -> Value {
    let place = match step.kind {
        StepKind::Script | StepKind::Reboot => "pc",
        StepKind::Action(_) | StepKind::Logon(_) => "controller",
        StepKind::Elsewhere(_) => "other-pc",
    };
    let (logon, on) = match &step.kind {
        StepKind::Logon(logon) => (
            Some(json!({ "credential": logon.credential, "keep": logon.keep })),
            None,
        ),
        StepKind::Elsewhere(host) => (None, Some(&host.text)),
        StepKind::Script | StepKind::Reboot | StepKind::Action(_) => (None, None),
    };
    json!({
        "name": step.name,
        "place": place,
        "script": step.runs_script().then_some(&step.script.name),
        "on": on,
        "reboot": matches!(step.kind, StepKind::Reboot),
        "logon": logon,
        "action": step.action().map(DirectoryAction::name),
        "changes": step.changes,
        "makes": step.makes,
        "given": step.secrets.iter().map(|(_, from)| secret(from)).collect::<Vec<_>>(),
        "when": step.when.as_ref().map(|when| &when.0.text),
    })
}

fn consult_json(consult: &Consult) -> Value {
    json!({
        "action": consult.step.action().map(DirectoryAction::name),
        "when": consult.when.as_ref().map(|when| &when.0.text),
    })
}

fn document(playbook: &Playbook) -> Value {
    let en = Language::En;
    let parameters: Vec<Value> = playbook
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name, "type": kind_name(parameter.kind),
                "secret": parameter.secret, "default": parameter.default,
                "summary": parameter.summary.text(en),
            })
        })
        .collect();
    let causes: Vec<Value> = playbook
        .causes
        .iter()
        .map(|cause| json!({ "cause": cause.id, "kind": cause_kind(&cause.kind) }))
        .collect();
    let rungs: Vec<Value> = playbook
        .ladder
        .iter()
        .map(|rung| {
            json!({
                "rung": rung.id, "summary": rung.summary.text(en), "causes": rung.causes,
                "needs": rung.needs.iter().map(need).collect::<Vec<_>>(),
                "guards": rung.guards.iter().map(|guard| &guard.name).collect::<Vec<_>>(),
                "when": rung.when.as_ref().map(|when| &when.0.text),
                "preflight": rung.preflight.as_ref().map(|preflight| json!({
                    "steps": preflight.steps.iter().map(step_json).collect::<Vec<_>>(),
                    "guards": preflight.guards.iter().map(|guard| &guard.name).collect::<Vec<_>>(),
                })),
                "reboots": rung.reboots(),
                "cost_seconds": rung.cost.as_secs(),
                "steps": rung.steps.iter().map(step_json).collect::<Vec<_>>(),
                "caution": rung.caution.as_ref().map(|caution| caution.text(en)),
                "again_if_cut": rung.again_if_cut,
            })
        })
        .collect();
    json!({
        "playbook": playbook.name, "summary": playbook.summary.text(en),
        "summary_ja": playbook.summary.text(Language::Ja), "digest": playbook.digest,
        "platform": platform(playbook.platform).to_lowercase(), "also": playbook.also,
        "asks_directory": {
            "diagnose": playbook.consult.as_ref().map(consult_json),
            "verify": playbook.verify.consult.as_ref().map(consult_json),
        },
        "parameters": parameters, "causes": causes, "rungs": rungs,
        "stagger_reboots_by": playbook.stagger_reboots_by.iter().map(|by| &by.text).collect::<Vec<_>>(),
    })
}

fn kind_name(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::String => "string",
        ParameterKind::Integer => "integer",
        ParameterKind::Boolean => "boolean",
        ParameterKind::Credential => "credential",
    }
}

fn cause_kind(kind: &CauseKind) -> &'static str {
    match kind {
        CauseKind::Healthy => "healthy",
        CauseKind::Fault => "fault",
        CauseKind::Skip => "skipped",
        CauseKind::AccessDenied => "access-denied",
        CauseKind::NeedsHands => "needs-hands",
    }
}

fn need(need: &Need) -> String {
    match need {
        Need::CredentialOnPc(name) => format!("the credential {name} on the PC"),
        Need::Parameter(name) => format!("the parameter {name}"),
        Need::Credential(name) => format!("the credential {name}"),
        Need::Directory => "the directory".to_owned(),
        Need::OfflineJoin => "offline join blobs".to_owned(),
    }
}

fn print_json(value: &Value, printer: &Printer) -> Result<(), CliError> {
    printer.data(&(serde_json::to_string_pretty(value)? + "\n"))
}
