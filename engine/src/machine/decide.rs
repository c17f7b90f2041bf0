//! A diagnosis → the rung to begin, or the PC's end.

use std::time::Duration;

use fleetmend_model::{Cause, Facts, HostEvent, Outcome, Place, RunMode};
use fleetmend_playbooks::{Decision, DecisionError, StopKind, VerifyVerdict};

use super::ending::{self, Story};
use super::next::Machine;
use super::state::RungState;
use super::{Action, Stop};
use crate::connect_failure;
use crate::program::{RungPlan, StepPlan};

impl Machine<'_> {
    pub(super) fn decide(self, facts: &Facts) -> Action {
        let step = self.diagnose_step();
        let answer = facts.to_value();
        if let Err(error) = self.program.judge.accept(&step, &answer) {
            return Action::Finish(ending::odd_answer(self.state, &step, Some(&error)));
        }
        if let Some(action) = self.consult_diagnose(facts) {
            return action;
        }
        let decision = match self.decision() {
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
            Decision::Preflight { rung, .. } => self.preflight(&rung),
            Decision::Blocked {
                cause,
                guard,
                reason,
                next,
            } => Action::Finish(ending::decided(
                self.state,
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
                    self.state,
                    cause,
                    outcome,
                    self.with_shortfall(Story { reason, next }),
                ))
            }
        }
    }

    /// Decides, and decides again without the credentials that were refused, or the directory that
    /// refused us, if the rung would need one of them.
    fn decision(self) -> Result<Decision, DecisionError> {
        let facts = self.facts();
        let mut situation = self.situation_to_decide();
        let decision = self.program.judge.decide(&facts, &situation)?;
        let (Decision::Try { rung, .. } | Decision::Preflight { rung, .. }) = &decision else {
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
        if self.context.directory_refused.is_some() {
            situation.directory = false;
            situation.offline_join = false;
        }
        let without = self.program.judge.decide(&facts, &situation)?;
        let fits = matches!(
            &without,
            Decision::Try { rung, .. } | Decision::Preflight { rung, .. }
                if !self.needs_refused(rung)
        );
        if fits {
            return Ok(without);
        }
        Ok(Decision::Blocked {
            cause: cause_of(&decision),
            guard: ending::CREDENTIAL_REFUSED.to_owned(),
            reason: format!("{}; it was not used here", self.refusal(rung)),
            next: connect_failure::advice(ending::CREDENTIAL_REFUSED).to_owned(),
        })
    }

    /// Adds what the directory could not be asked, which rungs were tried, which of them did not
    /// come to their end, and why the last one is not proven.
    fn with_shortfall(self, mut story: Story) -> Story {
        let mut add = |text: String| {
            let gap = if story.reason.is_empty() { "" } else { "; " };
            story.reason = format!("{}{gap}{text}", story.reason);
        };
        if let Some(why) = self.diagnose_unasked() {
            add(format!("the directory could not be asked: {why}"));
        }
        let tried: Vec<&str> = self.state.tried.iter().map(String::as_str).collect();
        if !tried.is_empty() {
            add(format!("tried: {}", tried.join(", ")));
        }
        for (rung, (step, end)) in &self.state.stopped {
            let place = self.program.step(step).map_or(Place::Pc, StepPlan::place);
            if let Some(why) = ending::stopped(rung, step, end, place) {
                add(why);
            }
        }
        if let Some(last) = &self.state.last
            && let Some(why) = self.shortfall(last)
        {
            add(format!("{} is not proven: {why}", last.id));
        }
        story
    }

    /// Returns why the last rung is not proven.
    fn shortfall(self, last: &RungState) -> Option<String> {
        if let Some(why) = last.answers.values().find_map(super::credential_not_asked) {
            return Some(why);
        }
        let evidence = self.evidence(last)?;
        let Ok(VerifyVerdict::NotProven { reason, .. }) = self.verdict(last, &evidence) else {
            return None;
        };
        let directory = self.verify_unasked(last).map_or_else(String::new, |why| {
            format!("; the directory could not be asked: {why}")
        });
        Some(format!("{reason}{directory}"))
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
        if !self.program.rungs.contains_key(&rung) || self.tried().contains(&rung) {
            let error = DecisionError {
                place: format!("repair/{rung}"),
                detail: "the decision names a rung that is not there or was tried".to_owned(),
            };
            return Action::Finish(ending::playbook_error(self.state, &error));
        }
        if let Some(action) = self.lock(&rung) {
            return action;
        }
        let language = self.context.situation.language;
        let caution = self.program.judge.caution(&rung, language);
        Action::Note(HostEvent::RungStarted { rung, caution })
    }

    fn needs_refused(self, rung: &str) -> bool {
        self.program.rungs.get(rung).is_some_and(|plan| {
            plan.needs_directory && self.context.directory_refused.is_some()
                || plan
                    .credentials()
                    .any(|name| self.context.refused.contains_key(name))
        })
    }

    /// Returns the words for the refusal of a credential that the rung needs, or of the
    /// directory.
    pub(super) fn refusal(self, rung: &str) -> String {
        let plan = self.program.rungs.get(rung);
        let mut names = plan.into_iter().flat_map(RungPlan::credentials);
        let refused = names.find_map(|name| self.context.refused.get(name).cloned());
        let directory = || self.context.directory_refused.map(str::to_owned);
        refused.or_else(directory).unwrap_or_default()
    }
}

fn cause_of(decision: &Decision) -> Cause {
    match decision {
        Decision::Healthy => Cause::new("healthy"),
        Decision::Try { cause, .. }
        | Decision::Preflight { cause, .. }
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
