//! What a stick did, judged again by the decisions of the controller.

use std::collections::BTreeMap;

use fleetmend_engine::Program;
use fleetmend_engine::machine::{self, Action, Context, PcState, Stop, Work as Task};
use fleetmend_model::{Host, HostEvent, HostResult, Outcome, RunMode, StepRef, TransportKind};
use fleetmend_playbooks::Situation;
use serde_json::Value;

use super::work::Work;
use crate::credentials;
use crate::error::CliError;

/// Why a story cannot be one of this run's playbook, if it cannot.
pub(super) fn foreign(work: &Work, host: &Host, story: &[HostEvent]) -> Option<String> {
    let Some(program) = work.programs.on(host.platform) else {
        return Some("the run has no playbook for this PC".to_owned());
    };
    story.iter().find_map(|event| foreign_to(program, event))
}

fn foreign_to(program: &Program, event: &HostEvent) -> Option<String> {
    let step_of = |step: &StepRef| {
        let known = program.step(step).is_some();
        (!known).then(|| format!("the playbook has no step {step}"))
    };
    match event {
        HostEvent::RungStarted { rung, .. } | HostEvent::RungEnded { rung, .. } => {
            let known = program.rungs.contains_key(rung);
            (!known).then(|| format!("the playbook has no rung {}", rung.escape_debug()))
        }
        HostEvent::StepStarted { step, .. }
        | HostEvent::StepEnded { step, .. }
        | HostEvent::StepSkipped { step } => step_of(step),
        _ => None,
    }
}

/// Returns the result that follows from what happened on a PC, in order. What the PC answered
/// counts; that a rung is proven is not the stick's word, but what the playbook's verify makes of
/// the evidence in the story.
///
/// # Errors
/// The run has no playbook for such a PC.
pub(super) fn judge(
    work: &Work,
    host: &Host,
    story: &[HostEvent],
    credential_for: Option<&str>,
    elapsed_ms: u64,
) -> Result<HostResult, CliError> {
    let program = work
        .programs
        .on(host.platform)
        .ok_or_else(|| CliError::internal("the run has no playbook for this PC"))?;
    let mut situation = work.situation(host)?;
    if let Some(name) = credential_for {
        give(&mut situation, name);
    }
    let context = Context {
        mode: RunMode::Repair,
        stop: Stop::No,
        situation: &situation,
        refused: &BTreeMap::new(),
        directory_refused: None,
        overdue: false,
        aged: false,
    };
    let state = fold(program, &context, story);
    let ending = match machine::next(Task::Playbook(program), &context, &state) {
        Action::Finish(ending) => ending,
        // The script was ended before it came to an end of its own.
        _ => machine::halted(&state, "by-hand"),
    };
    let mut result = ending.into_result(host.name.clone(), elapsed_ms);
    if let Outcome::Repaired { rung } = &mut result.outcome {
        *rung = format!("by-hand/{rung}");
    }
    Ok(result)
}

/// Folds a story. Where the stick says that a rung is proven, the machine is asked instead.
fn fold(program: &Program, context: &Context<'_>, story: &[HostEvent]) -> PcState {
    let connected = [
        HostEvent::Connecting,
        HostEvent::Connected {
            transport: TransportKind::WinrmHttp,
            address: String::new(),
        },
    ];
    let state = connected.iter().fold(PcState::default(), PcState::apply);
    story.iter().fold(state, |state, event| match event {
        HostEvent::RungEnded {
            rung,
            verified: true,
        } => {
            let verified = proves(program, context, &state, rung);
            let rung = rung.clone();
            state.apply(&HostEvent::RungEnded { rung, verified })
        }
        event => state.apply(event),
    })
}

/// Tells whether the machine itself would end this rung as proven now, all of its steps being over.
fn proves(program: &Program, context: &Context<'_>, state: &PcState, rung: &str) -> bool {
    let steps = program.rungs.get(rung).map_or(0, |plan| plan.steps.len());
    let over = |now: &machine::RungState| now.id == rung && now.answered >= steps;
    let next = || machine::next(Task::Playbook(program), context, state);
    state.rung.as_ref().is_some_and(over)
        && matches!(
            next(),
            Action::Note(HostEvent::RungEnded { verified: true, .. })
        )
}

fn give(situation: &mut Situation, name: &str) {
    situation.credentials.insert(name.to_owned());
    situation.credentials_for_pcs.insert(name.to_owned());
    situation
        .params
        .insert(name.to_owned(), Value::from(credentials::DOMAIN));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use fleetmend_engine::Programs;
    use fleetmend_model::{Phase, Place, Platform, StepEnd};
    use fleetmend_playbooks::Playbook;
    use serde_json::json;

    use super::*;

    const PLAYBOOK: &str = "name: trial
summary: A trial
platform: windows
diagnose: {script: look.ps1}
causes:
  - {id: broken, kind: fault, when: facts.status != 0, reason: Broken, next: Mend it}
  - {id: healthy, kind: healthy, when: 'true', reason: Whole, next: Nothing}
repair:
  - id: mend
    summary: Mend it
    for: [broken]
    steps: [{name: mend, script: look.ps1}]
verify:
  script: look.ps1
  require:
    - {name: whole, require: verify.status == 0, reason: Still broken}
";

    fn programs() -> Programs {
        let folder = tempfile::tempdir().unwrap();
        let scripts = folder.path().join("trial");
        fs::create_dir(&scripts).unwrap();
        let file = folder.path().join("trial.yaml");
        fs::write(&file, PLAYBOOK).unwrap();
        fs::write(scripts.join("look.ps1"), "param($Params)\n").unwrap();
        let schema = |fields: &Value, required: &Value| {
            json!({
                "type": "object", "additionalProperties": false,
                "properties": fields, "required": required,
            })
            .to_string()
        };
        let takes = schema(&json!({}), &json!([]));
        fs::write(scripts.join("look.takes.json"), takes).unwrap();
        let gives = schema(&json!({"status": {"type": "integer"}}), &json!(["status"]));
        fs::write(scripts.join("look.gives.json"), gives).unwrap();
        let playbook = Playbook::load_file(&file).unwrap();
        Programs::of(Arc::new(playbook), [])
    }

    fn step(phase: Phase, rung: Option<&str>, name: &str, status: i64) -> [HostEvent; 2] {
        let step = StepRef {
            phase,
            rung: rung.map(str::to_owned),
            step: name.to_owned(),
        };
        let started = HostEvent::StepStarted {
            step: step.clone(),
            changes: phase == Phase::Repair,
            place: Place::Pc,
        };
        let answer = json!({ "status": status });
        let ended = HostEvent::StepEnded {
            step,
            end: StepEnd::Answered { answer },
            elapsed_ms: 1,
        };
        [started, ended]
    }

    fn rung_started() -> HostEvent {
        HostEvent::RungStarted {
            rung: "mend".to_owned(),
            caution: None,
        }
    }

    fn rung_ended(rung: &str) -> HostEvent {
        HostEvent::RungEnded {
            rung: rung.to_owned(),
            verified: true,
        }
    }

    fn proven(story: &[HostEvent]) -> Option<String> {
        let programs = programs();
        let program = programs.on(Platform::Windows).unwrap();
        let situation = Situation::default();
        let context = Context {
            mode: RunMode::Repair,
            stop: Stop::No,
            situation: &situation,
            refused: &BTreeMap::new(),
            directory_refused: None,
            overdue: false,
            aged: false,
        };
        fold(program, &context, story).proven
    }

    #[test]
    fn a_rung_is_proven_by_its_evidence_and_not_by_the_sticks_word() {
        let diagnosed = step(Phase::Diagnose, None, "diagnose", 5).to_vec();
        let mended = step(Phase::Repair, Some("mend"), "mend", 0);
        let verified = |status| step(Phase::Verify, Some("mend"), "verify", status);
        let begun = [diagnosed.clone(), vec![rung_started()]].concat();
        let story = |parts: &[&[HostEvent]]| {
            let parts: Vec<HostEvent> = parts.iter().flat_map(|part| part.to_vec()).collect();
            [begun.clone(), parts, vec![rung_ended("mend")]].concat()
        };
        assert_eq!(
            proven(&story(&[&mended, &verified(0)])).as_deref(),
            Some("mend")
        );
        assert_eq!(proven(&story(&[&mended, &verified(5)])), None);
        assert_eq!(proven(&story(&[&mended])), None, "nobody looked");
        assert_eq!(proven(&story(&[&verified(0)])), None, "nothing was done");
        assert_eq!(proven(&[rung_ended("mend")]), None, "nothing was begun");
        let other = [begun.clone(), mended.to_vec(), verified(0).to_vec()].concat();
        let other = [other, vec![rung_ended("x")]].concat();
        assert_eq!(proven(&other), None, "it is another one's proof");
    }

    #[test]
    fn what_the_playbook_does_not_have_is_refused() {
        let programs = programs();
        let program = programs.on(Platform::Windows).unwrap();
        let why = |event: &HostEvent| foreign_to(program, event);
        assert_eq!(why(&rung_ended("mend")), None);
        let text = why(&rung_ended("x\u{1b}[2J")).unwrap();
        assert_eq!(text, "the playbook has no rung x\\u{1b}[2J");
        let known = step(Phase::Repair, Some("mend"), "mend", 0);
        assert!(known.iter().all(|event| why(event).is_none()));
        let unknown = step(Phase::Repair, Some("mend"), "other", 0);
        assert!(unknown.iter().all(|event| why(event).is_some()));
    }
}
