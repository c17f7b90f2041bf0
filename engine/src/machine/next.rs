//! State → next action.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use fleetmend_model::{Facts, HostEvent, HostName, Phase, StepEnd, StepRef};
use fleetmend_playbooks::{DecisionError, PreflightEnd, Situation, VerifyVerdict};
use serde_json::{Map, Value};

use super::consult::{self, with_directory};
use super::ending;
use super::reboot::cut_under;
use super::rung::rung_next;
use super::state::{Consulted, Diagnosis, Link, PcState, RungState};
use super::{Action, Call, Context, Stop, Work};
use crate::own::is_lock;
use crate::program::{ExecJob, Program, RungPlan, StepPlan, StepRun};

/// How often a PC is connected to in one run: once, and once more after a lost connection. The
/// account was accepted the first time, so the second logon risks no lockout.
pub const MAX_CONNECTS: u32 = 2;

/// How often a rung is begun on a PC in one run: once, and once more if its first step never ran
/// or if it was cut after a change and the playbook lets it be begun again.
pub const MAX_STARTS: u32 = 2;

/// Returns what to do next with a PC. Pure: the same arguments give the same action.
pub fn next(work: Work<'_>, context: &Context<'_>, state: &PcState) -> Action {
    if state.result.is_some() {
        return Action::Done;
    }
    if let Some(running) = &state.running {
        let call = |program: &Program, step: &StepRef| {
            let machine = Machine {
                program,
                context,
                state,
            };
            machine.call(step.clone(), Duration::ZERO, true).ok()
        };
        if let Some(action) = cut_under(work, context.stop, state, running, call) {
            return action;
        }
    }
    if context.stop == Stop::Cut {
        return Action::Finish(ending::cut_off(state, "interrupted"));
    }
    if let (Some(rung), Link::None, None) = (&state.proven, &state.link, &state.rung) {
        // The controller died between the proof and the result; the PC has no more to tell.
        return Action::Finish(ending::repaired(state, rung, work.makes(rung)));
    }
    match &state.link {
        Link::None | Link::Connecting => connect(context, state),
        Link::Failed { why, reason } => Action::Finish(ending::not_connected(state, why, reason)),
        Link::Lost { step, sent, reason } => lost(work, context, state, (step, *sent, reason)),
        Link::Up => match work {
            Work::Exec => exec(context, state),
            Work::Playbook(program) => Machine {
                program,
                context,
                state,
            }
            .next(),
        },
    }
}

fn connect(context: &Context<'_>, state: &PcState) -> Action {
    if context.stop == Stop::Soft {
        return Action::Finish(ending::halted(state, "interrupted"));
    }
    Action::Connect
}

fn lost(
    work: Work<'_>,
    context: &Context<'_>,
    state: &PcState,
    (step, sent, reason): (&StepRef, bool, &str),
) -> Action {
    if let Some(rung) = &state.rung {
        return Action::Note(HostEvent::RungEnded {
            rung: rung.id.clone(),
            verified: false,
        });
    }
    if context.stop == Stop::Soft {
        return Action::Finish(ending::halted(state, "interrupted"));
    }
    // A command by hand is never repeated and cannot be diagnosed.
    if matches!(work, Work::Playbook(_)) && state.connects < MAX_CONNECTS {
        return Action::Connect;
    }
    Action::Finish(ending::lost(state, step, sent, reason))
}

fn exec(context: &Context<'_>, state: &PcState) -> Action {
    match &state.exec {
        Some(end) => Action::Finish(ending::exec(end)),
        None if context.stop == Stop::Soft => Action::Finish(ending::halted(state, "interrupted")),
        None => Action::Run(Call {
            step: ExecJob::step(),
            on: None,
            params: Map::new(),
            pause: Duration::ZERO,
            shielded: true,
        }),
    }
}

/// The machine with a session and a playbook.
#[derive(Clone, Copy)]
pub(super) struct Machine<'a> {
    pub(super) program: &'a Program,
    pub(super) context: &'a Context<'a>,
    pub(super) state: &'a PcState,
}

impl Machine<'_> {
    fn next(self) -> Action {
        let state = self.state;
        if let Some(rung) = &state.rung {
            return rung_next(self, rung);
        }
        if let Some(rung) = &state.proven {
            return Action::Finish(ending::repaired(state, rung, self.program.makes(rung)));
        }
        if let Some(action) = self.after_rung() {
            return action;
        }
        let stale = state.stale || self.context.aged;
        match &state.diagnosis {
            Diagnosis::Facts(facts) if !stale => self.decide(facts),
            Diagnosis::Failed {
                error_id,
                code,
                message,
            } if !stale => Action::Finish(ending::diagnose_failed(state, error_id, *code, message)),
            Diagnosis::Odd(answer) if !stale => {
                let step = self.diagnose_step();
                let error = self.program.judge.accept(&step, answer).err();
                Action::Finish(ending::odd_answer(state, &step, error.as_ref()))
            }
            _ => self.diagnose(),
        }
    }

    /// What the evidence of the last rung ends at once, if anything.
    fn after_rung(self) -> Option<Action> {
        let last = self.state.last.as_ref()?;
        if let Some((step, end)) = &last.last_end
            && let Some(code) = self.refused_code(step, end)
        {
            let story = self.refusal(&last.id);
            let gap = if story.is_empty() { "" } else { ": " };
            let reason =
                format!("the domain refused the credential here with code {code}{gap}{story}");
            return Some(Action::Finish(ending::credential_refused(
                self.state, reason,
            )));
        }
        let raw = last.evidence.as_ref()?;
        let step = self.verify_step(&last.id);
        if let Err(error) = self.program.judge.accept(&step, raw) {
            return Some(Action::Finish(ending::odd_answer(
                self.state,
                &step,
                Some(&error),
            )));
        }
        let evidence = self.evidence(last)?;
        match self.verdict(last, &evidence) {
            Err(error) => Some(Action::Finish(ending::playbook_error(self.state, &error))),
            Ok(VerifyVerdict::RebootPending) => {
                Some(Action::Finish(ending::reboot_pending(self.state, &last.id)))
            }
            Ok(VerifyVerdict::Proven | VerifyVerdict::NotProven { .. }) => None,
        }
    }

    fn diagnose(self) -> Action {
        if self.context.stop == Stop::Soft {
            return Action::Finish(ending::halted(self.state, "interrupted"));
        }
        let step = self.diagnose_step();
        self.run(step, Duration::ZERO, false)
    }

    /// Returns the action that runs a step, or the ending if its parameters cannot be told.
    pub(super) fn run(self, step: StepRef, pause: Duration, shielded: bool) -> Action {
        match self.call(step, pause, shielded) {
            Ok(call) => Action::Run(call),
            Err(error) => Action::Finish(ending::playbook_error(self.state, &error)),
        }
    }

    fn call(self, step: StepRef, pause: Duration, shielded: bool) -> Result<Call, DecisionError> {
        let (judge, facts) = (&self.program.judge, self.facts());
        let situation = self.situation_to_ask(&step);
        let params = judge.params(&step, &facts, None, &situation)?;
        let plan = self.program.step(&step);
        let on = match plan.map(|plan| &plan.run) {
            Some(StepRun::Elsewhere(_)) => {
                Some(HostName(judge.elsewhere(&step, &facts, &situation)?))
            }
            _ => None,
        };
        Ok(Call {
            step,
            on,
            params,
            pause,
            shielded,
        })
    }

    /// Returns what the PC has in common with others that must not all restart at once.
    fn lanes(self) -> Result<Vec<String>, DecisionError> {
        let judge = &self.program.judge;
        judge.lanes(&self.facts(), &self.situation())
    }

    pub(super) fn verdict(
        self,
        rung: &RungState,
        evidence: &Value,
    ) -> Result<VerifyVerdict, DecisionError> {
        let mut situation = self.situation();
        preflight_of(rung, &mut situation);
        self.program
            .judge
            .verdict(evidence, &self.facts(), &situation)
    }

    /// Returns what diagnose found, with the directory's answer as `directory`.
    pub(super) fn facts(&self) -> Cow<'_, Facts> {
        static NONE: LazyLock<Facts> = LazyLock::new(Facts::default);
        let Diagnosis::Facts(facts) = &self.state.diagnosis else {
            return Cow::Borrowed(&NONE);
        };
        match &self.state.consulted {
            Some(Consulted::Answer(answer)) => {
                Cow::Owned(Facts(with_directory(facts.0.clone(), answer)))
            }
            Some(Consulted::Nothing(_)) | None => Cow::Borrowed(facts),
        }
    }

    /// Returns what verify answered, with the directory's answer as `directory`.
    pub(super) fn evidence<'s>(&self, rung: &'s RungState) -> Option<Cow<'s, Value>> {
        let evidence = rung.evidence.as_ref()?;
        Some(match (evidence, &rung.consulted) {
            (Value::Object(fields), Some(Consulted::Answer(answer))) => {
                Cow::Owned(Value::Object(with_directory(fields.clone(), answer)))
            }
            _ => Cow::Borrowed(evidence),
        })
    }

    pub(super) fn situation(self) -> Situation {
        let mut situation = self.context.situation.clone();
        situation.tried = self.tried();
        situation.reboots = self.state.reboots;
        if let Some(rung) = self.state.rung.as_ref().or(self.state.last.as_ref()) {
            situation.answers.clone_from(&rung.answers);
        }
        if let Some(rung) = &self.state.rung {
            preflight_of(rung, &mut situation);
        }
        situation
    }

    /// Returns the rungs that must not be begun any more.
    pub(super) fn tried(self) -> BTreeSet<String> {
        let state = self.state;
        let may_again = |rung: &String| {
            let plan = self.program.rungs.get(rung);
            state.cut.contains(rung) && plan.is_some_and(|plan| plan.again_if_cut)
        };
        let often = state
            .starts
            .iter()
            .filter(|(_, starts)| **starts >= MAX_STARTS);
        let ran = state.tried.iter().filter(|rung| !may_again(rung));
        often.map(|(rung, _)| rung).chain(ran).cloned().collect()
    }

    /// Returns the code with which a step had the credential refused that it was given.
    pub(super) fn refused_code(self, step: &StepRef, end: &StepEnd) -> Option<i64> {
        self.program.step(step)?.credentials().next()?;
        super::credential_refusal(end)
    }

    pub(super) fn diagnose_step(self) -> StepRef {
        StepRef {
            phase: Phase::Diagnose,
            rung: None,
            step: self.program.diagnose.name.clone(),
        }
    }

    pub(super) fn verify_step(self, rung: &str) -> StepRef {
        StepRef {
            phase: Phase::Verify,
            rung: Some(rung.to_owned()),
            step: self.program.verify.step.name.clone(),
        }
    }
}

/// Gives the situation what the rung's preflight answered before it was begun.
pub(super) fn preflight_of(rung: &RungState, situation: &mut Situation) {
    let answers = PreflightEnd::Answered(rung.preflight.clone());
    situation.preflights.insert(rung.id.clone(), answers);
}

/// Returns the lanes of the PC: of the PCs of one lane only so many may be restarting at once.
///
/// # Errors
/// [`DecisionError`] when facts and playbook disagree.
pub fn lanes(
    program: &Program,
    context: &Context<'_>,
    state: &PcState,
) -> Result<Vec<String>, DecisionError> {
    Machine {
        program,
        context,
        state,
    }
    .lanes()
}

impl Work<'_> {
    fn makes(self, rung: &str) -> bool {
        matches!(self, Work::Playbook(program) if program.makes(rung))
    }
}

impl Program {
    /// Tells whether a step of this rung makes a secret for the PC.
    fn makes(&self, rung: &str) -> bool {
        let plan = self.rungs.get(rung);
        plan.is_some_and(|plan| plan.steps.iter().any(|step| step.makes.is_some()))
    }

    /// Returns the plan of a step by the name that events give it.
    pub fn step(&self, step: &StepRef) -> Option<&StepPlan> {
        match step.phase {
            Phase::Diagnose => consult::or(self.consult.as_ref(), &self.diagnose, &step.step),
            Phase::Verify => {
                consult::or(self.verify.consult.as_ref(), &self.verify.step, &step.step)
            }
            Phase::Repair if is_lock(step) => Some(&self.own.lock),
            Phase::Preflight | Phase::Repair => {
                let rung: &RungPlan = self.rungs.get(step.rung.as_deref()?)?;
                let steps = match step.phase {
                    Phase::Preflight => &rung.preflight,
                    _ => &rung.steps,
                };
                steps.iter().find(|plan| plan.name == step.step)
            }
            Phase::Exec => None,
        }
    }
}
