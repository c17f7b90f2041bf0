//! State → next action.

use std::sync::LazyLock;
use std::time::Duration;

use fleetmend_model::{Cause, Facts, HostEvent, Outcome, Phase, RunMode, StepEnd, StepRef};
use fleetmend_playbooks::{Decision, DecisionError, Situation, StopKind, VerifyVerdict};
use serde_json::{Map, Value};

use super::ending::{self, Story};
use super::rung::rung_next;
use super::state::{Diagnosis, Link, PcState, RungState};
use super::{Action, Call, Context, Stop};
use crate::program::{ExecJob, Job, Program, RungPlan, StepPlan};

/// How often a PC is connected to in one run: once, and once more after a lost connection. The
/// account was accepted the first time, so the second logon risks no lockout.
pub const MAX_CONNECTS: u32 = 2;

/// Returns what to do next with a PC. Pure: the same arguments give the same action.
pub fn next(job: &Job, context: &Context<'_>, state: &PcState) -> Action {
    if state.result.is_some() {
        return Action::Done;
    }
    if let Some((step, _)) = &state.running {
        // Only a replay comes here: the controller died under the step.
        return Action::Note(HostEvent::StepEnded {
            step: step.clone(),
            end: StepEnd::Unknown {
                reason: "the run ended under it".to_owned(),
            },
            elapsed_ms: 0,
        });
    }
    if context.stop == Stop::Cut {
        return Action::Finish(ending::cut_off(state, "interrupted"));
    }
    match &state.link {
        Link::None | Link::Connecting => connect(context, state),
        Link::Failed { why, reason } => Action::Finish(ending::not_connected(state, why, reason)),
        Link::Lost { step, sent, reason } => lost(job, context, state, (step, *sent, reason)),
        Link::Up => match job {
            Job::Exec(_) => exec(context, state),
            Job::Playbook(program) => Machine {
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
    job: &Job,
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
    if matches!(job, Job::Playbook(_)) && state.connects < MAX_CONNECTS {
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
            return Action::Finish(ending::repaired(state, rung));
        }
        if let Some(action) = self.after_rung() {
            return action;
        }
        match &state.diagnosis {
            Diagnosis::Facts(facts) if !state.stale => self.decide(facts),
            Diagnosis::Failed {
                error_id,
                code,
                message,
            } if !state.stale => {
                Action::Finish(ending::diagnose_failed(state, error_id, *code, message))
            }
            Diagnosis::Odd(answer) if !state.stale => {
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
        let evidence = last.evidence.as_ref()?;
        let step = self.verify_step(&last.id);
        if let Err(error) = self.program.judge.accept(&step, evidence) {
            return Some(Action::Finish(ending::odd_answer(
                self.state,
                &step,
                Some(&error),
            )));
        }
        match self.verdict(evidence) {
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

    fn decide(self, facts: &Facts) -> Action {
        let step = self.diagnose_step();
        let answer = facts.to_value();
        if let Err(error) = self.program.judge.accept(&step, &answer) {
            return Action::Finish(ending::odd_answer(self.state, &step, Some(&error)));
        }
        let decision = match self.decision(facts) {
            Ok(decision) => decision,
            Err(error) => return Action::Finish(ending::playbook_error(self.state, &error)),
        };
        if self.state.cause.is_none() {
            return Action::Note(HostEvent::Diagnosed {
                cause: cause_of(&decision),
            });
        }
        match decision {
            Decision::Healthy => self.healthy(),
            Decision::Try { rung, reason, .. } => self.try_rung(rung, &reason),
            Decision::Blocked {
                cause,
                guard,
                reason,
                next,
            } => Action::Finish(ending::decided(
                cause,
                Outcome::Blocked { guard },
                self.with_shortfall(Story { reason, next }),
            )),
            Decision::Stop {
                cause,
                end,
                reason,
                next,
            } => {
                let outcome = stop_outcome(&cause, end);
                Action::Finish(ending::decided(
                    cause,
                    outcome,
                    self.with_shortfall(Story { reason, next }),
                ))
            }
        }
    }

    /// Decides, and decides again without the credentials that were refused if the rung would
    /// need one of them.
    fn decision(self, facts: &Facts) -> Result<Decision, DecisionError> {
        let mut situation = self.situation();
        let decision = self.program.judge.decide(facts, &situation)?;
        let Decision::Try { rung, .. } = &decision else {
            return Ok(decision);
        };
        if !self.needs_refused(rung) {
            return Ok(decision);
        }
        situation
            .credentials
            .retain(|name| !self.context.refused.contains_key(name));
        situation
            .credentials_for_pcs
            .retain(|name| !self.context.refused.contains_key(name));
        let without = self.program.judge.decide(facts, &situation)?;
        let fits = matches!(&without, Decision::Try { rung, .. } if !self.needs_refused(rung));
        if fits {
            return Ok(without);
        }
        let reason = format!("{}; it was not used here", self.refusal(rung));
        let ending = ending::credential_refused(self.state, reason);
        Ok(Decision::Blocked {
            cause: cause_of(&decision),
            guard: ending::CREDENTIAL_REFUSED.to_owned(),
            reason: ending.reason,
            next: ending.next,
        })
    }

    /// Adds which rungs were tried, and why the last one is not proven.
    fn with_shortfall(self, mut story: Story) -> Story {
        let tried: Vec<&str> = self.state.tried.iter().map(String::as_str).collect();
        if tried.is_empty() {
            return story;
        }
        let gap = if story.reason.is_empty() { "" } else { "; " };
        story.reason = format!("{}{gap}tried: {}", story.reason, tried.join(", "));
        if let Some(last) = &self.state.last
            && let Some(why) = self.shortfall(last)
        {
            story.reason = format!("{}; {} is not proven: {why}", story.reason, last.id);
        }
        story
    }

    fn shortfall(self, last: &RungState) -> Option<String> {
        if let Some(why) = last.answers.values().find_map(super::credential_not_asked) {
            return Some(why);
        }
        match self.verdict(last.evidence.as_ref()?) {
            Ok(VerifyVerdict::NotProven { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    fn healthy(self) -> Action {
        let Some(last) = self.state.last.as_ref().filter(|_| self.state.changed) else {
            return Action::Finish(ending::healthy());
        };
        if last.proving || self.context.stop == Stop::Soft {
            return Action::Finish(ending::unproven(self.state));
        }
        let step = self.verify_step(&last.id);
        self.run(step, Duration::ZERO, true)
    }

    fn try_rung(self, rung: String, reason: &str) -> Action {
        if self.context.mode != RunMode::Repair {
            return Action::Finish(ending::would_repair(self.state, rung, reason));
        }
        if self.context.stop == Stop::Soft {
            return Action::Finish(ending::halted(self.state, "interrupted"));
        }
        if !self.program.rungs.contains_key(&rung) || self.state.tried.contains(&rung) {
            let error = DecisionError {
                place: format!("repair/{rung}"),
                detail: "the decision names a rung that is not there or was tried".to_owned(),
            };
            return Action::Finish(ending::playbook_error(self.state, &error));
        }
        Action::Note(HostEvent::RungStarted {
            rung,
            caution: None,
        })
    }

    /// Returns the action that runs a step, or the ending if its parameters cannot be told.
    pub(super) fn run(self, step: StepRef, pause: Duration, shielded: bool) -> Action {
        match self
            .program
            .judge
            .params(&step, self.facts(), &self.situation())
        {
            Ok(params) => Action::Run(Call {
                step,
                params,
                pause,
                shielded,
            }),
            Err(error) => Action::Finish(ending::playbook_error(self.state, &error)),
        }
    }

    pub(super) fn verdict(self, evidence: &Value) -> Result<VerifyVerdict, DecisionError> {
        self.program
            .judge
            .verdict(evidence, self.facts(), &self.situation())
    }

    fn facts(&self) -> &Facts {
        static NONE: LazyLock<Facts> = LazyLock::new(Facts::default);
        match &self.state.diagnosis {
            Diagnosis::Facts(facts) => facts,
            _ => &NONE,
        }
    }

    fn situation(self) -> Situation {
        let mut situation = self.context.situation.clone();
        situation.tried.clone_from(&self.state.tried);
        if let Some(rung) = self.state.rung.as_ref().or(self.state.last.as_ref()) {
            situation.answers.clone_from(&rung.answers);
        }
        situation
    }

    pub(super) fn needs_refused(self, rung: &str) -> bool {
        self.program.rungs.get(rung).is_some_and(|plan| {
            plan.credentials()
                .any(|name| self.context.refused.contains_key(name))
        })
    }

    /// Returns the words for the refusal of a credential that the rung needs.
    fn refusal(self, rung: &str) -> String {
        let plan = self.program.rungs.get(rung);
        let mut names = plan.into_iter().flat_map(RungPlan::credentials);
        names
            .find_map(|name| self.context.refused.get(name).cloned())
            .unwrap_or_default()
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

impl Program {
    /// Returns the plan of a step by the name that events give it.
    pub fn step(&self, step: &StepRef) -> Option<&StepPlan> {
        match step.phase {
            Phase::Diagnose => Some(&self.diagnose),
            Phase::Verify => Some(&self.verify.step),
            Phase::Repair => {
                let rung: &RungPlan = self.rungs.get(step.rung.as_deref()?)?;
                rung.steps.iter().find(|plan| plan.name == step.step)
            }
            Phase::Exec => None,
        }
    }
}

fn cause_of(decision: &Decision) -> Cause {
    match decision {
        Decision::Healthy => Cause::new("healthy"),
        Decision::Try { cause, .. }
        | Decision::Blocked { cause, .. }
        | Decision::Stop { cause, .. } => cause.clone(),
    }
}

fn stop_outcome(cause: &Cause, end: StopKind) -> Outcome {
    let why = cause.id.0.clone();
    match end {
        StopKind::NotRepaired => Outcome::NotRepaired {
            cause: cause.clone(),
        },
        StopKind::Skipped => Outcome::Skipped { why },
        StopKind::AccessDenied => Outcome::AccessDenied { why },
        StopKind::NeedsHands => Outcome::NeedsHands { why },
    }
}
