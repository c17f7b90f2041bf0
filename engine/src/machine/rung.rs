//! What to do next inside a rung.

use std::time::Duration;

use fleetmend_model::{HostEvent, Phase, StepRef};
use fleetmend_playbooks::VerifyVerdict;

use super::next::Machine;
use super::state::RungState;
use super::{Action, Stop, ending};
use crate::program::{RungPlan, StepPlan};

pub(super) fn rung_next(machine: Machine<'_>, rung: &RungState) -> Action {
    if rung.proving {
        return verify_next(machine, rung);
    }
    let Some(plan) = machine.program.rungs.get(&rung.id) else {
        // A playbook that changed between run and resume; the digest forbids it.
        return over(rung, false);
    };
    if rung.stopped || refused(machine, rung) {
        return over(rung, false);
    }
    match plan.steps.get(rung.answered) {
        // A rung that was begun runs at least its first step.
        Some(step) if rung.verifies == 0 && !(machine.context.overdue && rung.ran) => {
            step_next(machine, rung, plan, step)
        }
        _ if rung.ran => verify_next(machine, rung),
        _ => over(rung, false),
    }
}

fn step_next(machine: Machine<'_>, rung: &RungState, plan: &RungPlan, step: &StepPlan) -> Action {
    if machine.context.stop == Stop::Soft && !rung.changed {
        return over_or_halt(machine, rung);
    }
    if step
        .credentials()
        .any(|name| machine.context.refused.contains_key(name))
    {
        return if rung.changed {
            verify_next(machine, rung)
        } else {
            over(rung, false)
        };
    }
    if let Some(error) = odd_answer(machine, rung, plan) {
        return error;
    }
    let name = StepRef {
        phase: Phase::Repair,
        rung: Some(rung.id.clone()),
        step: step.name.clone(),
    };
    let shielded = step.changes || rung.changed;
    machine.run(name, Duration::ZERO, shielded)
}

/// A step that answered what its schema forbids is not followed by the next one; verify tells
/// what came of it.
fn odd_answer(machine: Machine<'_>, rung: &RungState, plan: &RungPlan) -> Option<Action> {
    let before = plan.steps.get(rung.answered.checked_sub(1)?)?;
    let answer = rung.answers.get(&before.name)?;
    let name = StepRef {
        phase: Phase::Repair,
        rung: Some(rung.id.clone()),
        step: before.name.clone(),
    };
    machine
        .program
        .judge
        .accept(&name, answer)
        .is_err()
        .then(|| verify_next(machine, rung))
}

fn verify_next(machine: Machine<'_>, rung: &RungState) -> Action {
    if rung.stopped {
        return over(rung, false);
    }
    if let Some(evidence) = &rung.evidence {
        let step = machine.verify_step(&rung.id);
        let verdict = machine
            .program
            .judge
            .accept(&step, evidence)
            .and_then(|()| machine.verdict(evidence));
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
