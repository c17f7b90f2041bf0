//! What to do next inside a rung.

use std::time::Duration;

use fleetmend_model::{HostEvent, Phase, StepEnd, StepRef};
use fleetmend_playbooks::VerifyVerdict;

use super::next::Machine;
use super::state::RungState;
use super::{Action, Stop, ending};
use crate::program::{StepPlan, StepRun};

pub(super) fn rung_next(machine: Machine<'_>, rung: &RungState) -> Action {
    if rung.proving {
        return verify_next(machine, rung);
    }
    if machine.state.held == Some(false) {
        // Another controller was faster, as after a restart: it must not be disturbed.
        return Action::Finish(ending::held_by_other(machine.state));
    }
    let Some(plan) = machine.program.rungs.get(&rung.id) else {
        // A playbook that changed between run and resume; the digest forbids it.
        return over(rung, false);
    };
    if rung.stopped || refused(machine, rung) {
        return over(rung, false);
    }
    // A rung that was begun runs at least its first step, and is not left where that does harm.
    let late = machine.context.overdue && rung.ran && !between(rung);
    match plan.steps.get(rung.answered) {
        Some(step) if rung.verifies == 0 && !late => step_next(machine, rung, step),
        _ if rung.ran => verify_next(machine, rung),
        _ => over(rung, false),
    }
}

/// Tells whether the PC is worse off than before until the rung's next steps have run.
fn between(rung: &RungState) -> bool {
    rung.changed && rung.caution.is_some()
}

fn step_next(machine: Machine<'_>, rung: &RungState, step: &StepPlan) -> Action {
    if machine.context.stop == Stop::Soft && !rung.changed {
        return over_or_halt(machine, rung);
    }
    if odd_answer(machine, rung) {
        return verify_next(machine, rung);
    }
    let name = StepRef {
        phase: Phase::Repair,
        rung: Some(rung.id.clone()),
        step: step.name.clone(),
    };
    let judge = &machine.program.judge;
    match judge.wanted(&name, &machine.facts(), None, &machine.situation()) {
        Ok(true) => {}
        Ok(false) => return Action::Note(HostEvent::StepSkipped { step: name }),
        Err(error) => return Action::Finish(ending::playbook_error(machine.state, &error)),
    }
    let refused = step
        .credentials()
        .any(|name| machine.context.refused.contains_key(name));
    let in_directory = matches!(step.run, StepRun::Action(_));
    let shut = in_directory && machine.context.directory_refused.is_some();
    if refused || shut {
        return if rung.changed {
            verify_next(machine, rung)
        } else {
            over(rung, false)
        };
    }
    if let Some(action) = machine.lock(&rung.id) {
        return action;
    }
    let shielded = step.changes || rung.changed;
    machine.run(name, Duration::ZERO, shielded)
}

/// A step that answered what its schema forbids is not followed by the next one; verify tells
/// what came of it.
fn odd_answer(machine: Machine<'_>, rung: &RungState) -> bool {
    let Some((step, StepEnd::Answered { answer })) = &rung.last_end else {
        return false;
    };
    machine.program.judge.accept(step, answer).is_err()
}

fn verify_next(machine: Machine<'_>, rung: &RungState) -> Action {
    if rung.stopped {
        return over(rung, false);
    }
    if let (Some(raw), Some(evidence)) = (&rung.evidence, machine.evidence(rung)) {
        if let Some(action) = machine.consult_verify(rung, raw) {
            return action;
        }
        let step = machine.verify_step(&rung.id);
        let verdict = machine
            .program
            .judge
            .accept(&step, raw)
            .and_then(|()| machine.verdict(rung, &evidence));
        match verdict {
            Ok(VerifyVerdict::Proven) => return over(rung, true),
            // What the machine says of these two, it says once the rung is over.
            Ok(VerifyVerdict::RebootPending) | Err(_) => return over(rung, false),
            Ok(VerifyVerdict::NotProven { again: false, .. }) => return over(rung, false),
            Ok(VerifyVerdict::NotProven { again: true, .. }) => {}
        }
    }
    let verify = &machine.program.verify;
    let first = rung.verifies == 0;
    if !first && (rung.verifies >= verify.attempts || machine.context.overdue) {
        return over(rung, false);
    }
    let pause = if first { Duration::ZERO } else { verify.pause };
    let step = machine.verify_step(&rung.id);
    machine.run(step, pause, rung.changed || rung.proving)
}

fn refused(machine: Machine<'_>, rung: &RungState) -> bool {
    rung.last_end
        .as_ref()
        .is_some_and(|(step, end)| machine.refused_code(step, end).is_some())
}

fn over_or_halt(machine: Machine<'_>, rung: &RungState) -> Action {
    if rung.ran {
        return over(rung, false);
    }
    Action::Finish(ending::halted(machine.state, "interrupted"))
}

fn over(rung: &RungState, verified: bool) -> Action {
    Action::Note(HostEvent::RungEnded {
        rung: rung.id.clone(),
        verified,
    })
}
