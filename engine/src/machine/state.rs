//! What is known of one PC, folded from its events.

use std::collections::{BTreeMap, BTreeSet};

use fleetmend_model::{Cause, Facts, HostEvent, HostResult, Phase, Place, StepEnd, StepRef};
use serde_json::{Map, Value};

use super::evidence;
use super::preflight::Preflight;
use super::reboot::{NOT_ORDERED, Ordered, RESTART_REFUSED, SOMEBODY_LOGGED_ON};
use crate::own::is_lock;

/// Everything known of one PC in one run. Equal events give equal states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PcState {
    /// The connection.
    pub link: Link,
    /// How often it was connected to.
    pub connects: u32,
    /// The step that was announced and has not ended.
    pub running: Option<Running>,
    /// What the last diagnose step brought.
    pub diagnosis: Diagnosis,
    /// What the directory said beside it, if it was asked.
    pub consulted: Option<Consulted>,
    /// What the directory said before anything was changed, cut down to what evidence needs.
    pub before: Option<Value>,
    /// What the preflights of rungs brought since, by rung.
    pub preflights: BTreeMap<String, Preflight>,
    /// Whether something ran since that may have changed the PC.
    pub stale: bool,
    /// What the last diagnosis adds up to.
    pub cause: Option<Cause>,
    /// What the first one added up to.
    pub found: Option<Cause>,
    /// The rung in progress.
    pub rung: Option<RungState>,
    /// The rung that ended last, with its evidence.
    pub last: Option<RungState>,
    /// Rungs that ran, whatever came of them.
    pub tried: BTreeSet<String>,
    /// How often each rung was begun.
    pub starts: BTreeMap<String, u32>,
    /// Rungs whose last run was cut after a change: the end of a step is not known, or it never
    /// ran.
    pub cut: BTreeSet<String>,
    /// A rung with a caution that changed something and is not proven.
    pub hazard: Option<Hazard>,
    /// How rungs ended that came to no verify: the step that did not answer, and its end.
    pub stopped: BTreeMap<String, (StepRef, StepEnd)>,
    /// The rung that verify has proven.
    pub proven: Option<String>,
    /// Whether any step that may change the PC has run.
    pub changed: bool,
    /// Whether this session holds the PC against other controllers; unset, it was not asked.
    pub held: Option<bool>,
    /// What went wrong when it was asked.
    pub unheld: Option<String>,
    /// How often the PC was restarted.
    pub reboots: u32,
    /// Steps of preflights and repairs that answered, in order.
    pub answered: Vec<StepRef>,
    /// Steps that log on afresh and were refused: the account is not tried again.
    pub refused_logons: Vec<StepRef>,
    /// The step of a repair or of exec whose end nobody knows, until a diagnosis clears it up.
    pub doubt: Option<StepRef>,
    /// How the one step of an exec run ended.
    pub exec: Option<StepEnd>,
    /// The PC's result.
    pub result: Option<HostResult>,
}

/// A step that was announced and has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub step: StepRef,
    /// Whether it may change the PC or its account.
    pub changes: bool,
    /// Where it runs.
    pub place: Place,
}

/// A PC that may be worse off than before: a rung changed something that is not proven to be
/// whole, and warned of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// The rung.
    pub rung: String,
    /// Its caution.
    pub caution: String,
}

/// What a question to the directory brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Consulted {
    /// Its answer.
    Answer(Value),
    /// Nothing, and why.
    Nothing(String),
}

impl Consulted {
    fn of(end: &StepEnd) -> Self {
        match end {
            StepEnd::Answered { answer } => Self::Answer(answer.clone()),
            StepEnd::Failed { message, .. } => Self::Nothing(message.clone()),
            StepEnd::NotRun { reason } | StepEnd::Unknown { reason } => {
                Self::Nothing(reason.clone())
            }
        }
    }
}

/// The connection to the PC.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// Never tried.
    #[default]
    None,
    /// Being made.
    Connecting,
    /// Logged on.
    Up,
    /// Not made.
    Failed {
        /// The short code.
        why: String,
        /// The whole story.
        reason: String,
    },
    /// Lost under a step.
    Lost {
        /// The step.
        step: StepRef,
        /// Whether it may have run.
        sent: bool,
        /// Why.
        reason: String,
    },
}

/// What the last diagnose step brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Diagnosis {
    /// Nothing yet.
    #[default]
    None,
    /// Facts.
    Facts(Facts),
    /// An answer that is no object.
    Odd(Value),
    /// The script failed.
    Failed {
        /// `FullyQualifiedErrorId`.
        error_id: String,
        /// HRESULT or Win32 code.
        code: Option<i64>,
        /// The PC's words.
        message: String,
    },
}

/// A rung in progress or over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RungState {
    /// Its id.
    pub id: String,
    /// What must be known if it is cut.
    pub caution: Option<String>,
    /// Only its proof is looked for again, after a diagnosis found nothing wrong any more.
    pub proving: bool,
    /// How many of its steps have answered or were left out.
    pub answered: usize,
    /// What they answered, by name; null for one that was left out.
    pub answers: Map<String, Value>,
    /// What its preflight answered, likewise.
    pub preflight: Map<String, Value>,
    /// The restart of the PC that it ordered last.
    pub ordered: Option<Ordered>,
    /// How its last step ended.
    pub last_end: Option<(StepRef, StepEnd)>,
    /// Whether any of its steps may have run.
    pub ran: bool,
    /// Whether one that may change the PC has.
    pub changed: bool,
    /// No further step of it may run.
    pub stopped: bool,
    /// How often verify was asked.
    pub verifies: u32,
    /// What verify answered last.
    pub evidence: Option<Value>,
    /// What the directory said beside that, if it was asked.
    pub consulted: Option<Consulted>,
}

impl RungState {
    /// Returns its caution if it has changed something, or is `changing` it now.
    fn hazard(&self, changing: bool) -> Option<Hazard> {
        let caution = self.caution.as_ref()?;
        (self.changed || changing).then(|| Hazard {
            rung: self.id.clone(),
            caution: caution.clone(),
        })
    }
}

impl PcState {
    /// Returns the state after one more event. Total: any event in any order is taken.
    #[must_use]
    pub fn apply(mut self, event: &HostEvent) -> Self {
        match event {
            HostEvent::Connecting => {
                // A session that was given up while the PC waited for its turn costs no attempt.
                if self.link != Link::Up {
                    self.connects = self.connects.saturating_add(1);
                }
                self.link = Link::Connecting;
                self.held = None;
            }
            // Who used what is for the audit trail; the account's own budget counts elsewhere.
            HostEvent::CredentialUsed { .. } => {}
            HostEvent::Connected { .. } => {
                self.link = Link::Up;
                self.held = None;
            }
            HostEvent::ConnectFailed { why, reason } => {
                self.link = Link::Failed {
                    why: why.clone(),
                    reason: reason.clone(),
                };
            }
            HostEvent::StepStarted {
                step,
                changes,
                place,
            } => {
                self.running = Some(Running {
                    step: step.clone(),
                    changes: *changes,
                    place: *place,
                });
            }
            HostEvent::StepSkipped { step } => self.step_skipped(step),
            HostEvent::RebootOrdered {
                step,
                boot,
                ordered,
            } => self.reboot_ordered(step, boot, *ordered),
            HostEvent::StepEnded { step, end, .. } => self.step_ended(step, end),
            HostEvent::Diagnosed { cause } => {
                self.found.get_or_insert_with(|| cause.clone());
                self.cause = Some(cause.clone());
                if *cause == Cause::new("healthy") {
                    self.hazard = None;
                }
            }
            HostEvent::RungStarted { rung, caution } => {
                let preflight = self.preflights.get(rung);
                self.rung = Some(RungState {
                    id: rung.clone(),
                    caution: caution.clone(),
                    preflight: preflight
                        .map(|preflight| preflight.answers.clone())
                        .unwrap_or_default(),
                    ..RungState::default()
                });
                self.tried.insert(rung.clone());
                self.cut.remove(rung);
                let starts = self.starts.entry(rung.clone()).or_default();
                *starts = starts.saturating_add(1);
            }
            HostEvent::RungEnded { rung, verified } => self.rung_ended(rung, *verified),
            // What a person did there is over, like a run that ended.
            HostEvent::HandedIn(handed) => self.result = Some(handed.result.clone()),
            HostEvent::Finished { result } => {
                self.result = Some(result.clone());
                // Nothing is asked of the PC any more; a fleet's facts need not stay in memory.
                self.diagnosis = Diagnosis::None;
                self.consulted = None;
                self.before = None;
                self.stopped = BTreeMap::new();
                self.preflights = BTreeMap::new();
                self.answered = Vec::new();
                self.rung = None;
                self.last = None;
            }
        }
        self
    }

    /// Returns the rung that may have made the PC worse than before, if one did.
    pub fn hazard(&self) -> Option<Hazard> {
        let running = self.running.as_ref();
        let changing =
            running.is_some_and(|running| running.changes && running.step.phase == Phase::Repair);
        let now = self.rung.as_ref().and_then(|rung| rung.hazard(changing));
        now.or_else(|| self.hazard.clone())
    }

    fn step_skipped(&mut self, step: &StepRef) {
        if step.phase == Phase::Preflight {
            self.preflight_skipped(step);
        }
        if let Some(rung) = self.rung.as_mut().filter(|_| step.phase == Phase::Repair) {
            rung.answered += 1;
            rung.answers.insert(step.step.clone(), Value::Null);
        }
    }

    fn step_ended(&mut self, step: &StepRef, end: &StepEnd) {
        let running = self.running.take();
        let announced = running.is_some();
        let changes = running.as_ref().is_some_and(|running| running.changes);
        let place = running.map_or(Place::Pc, |running| running.place);
        let ran = !matches!(end, StepEnd::NotRun { .. });
        // What fails in the directory in an orderly way has certainly written nothing, and a PC that
        // was not told to restart, or refused to, is as it was.
        let nothing = matches!(end, StepEnd::Failed { error_id, .. }
            if place == Place::Controller
                || [RESTART_REFUSED, SOMEBODY_LOGGED_ON, NOT_ORDERED].contains(&error_id.as_str()));
        let changed = ran && changes && !nothing;
        if changed {
            self.changed = true;
            self.stale = true;
        }
        if changes && matches!(end, StepEnd::Unknown { .. }) {
            self.doubt = Some(step.clone());
        }
        // The controller's steps say nothing of the session, nor does one of a rung that was not
        // even announced.
        if place == Place::Pc && (announced || step.phase != Phase::Repair) {
            self.link_after(step, end);
        }
        self.reboot_ended(step, end);
        self.logon_ended(step, end);
        match (step.phase, place) {
            (Phase::Diagnose, Place::Controller) => self.consulted(end),
            (Phase::Diagnose, Place::Pc) => self.diagnosed(end),
            (Phase::Repair, _) if is_lock(step) => self.lock_ended(end),
            (Phase::Repair, _) => self.repair_step_ended(step, end, ran, changed),
            (Phase::Verify, Place::Controller) => {
                if let Some(rung) = &mut self.rung {
                    rung.consulted = Some(Consulted::of(end));
                }
            }
            (Phase::Verify, Place::Pc) => self.verify_ended(step, end),
            (Phase::Preflight, _) => self.preflight_ended(step, end, place),
            (Phase::Exec, _) => self.exec = Some(end.clone()),
        }
    }

    fn link_after(&mut self, step: &StepRef, end: &StepEnd) {
        let (sent, reason) = match end {
            StepEnd::NotRun { reason } => (false, reason),
            StepEnd::Unknown { reason } => (true, reason),
            StepEnd::Answered { .. } | StepEnd::Failed { .. } => return,
        };
        self.link = Link::Lost {
            step: step.clone(),
            sent,
            reason: reason.clone(),
        };
        self.held = None;
    }

    fn consulted(&mut self, end: &StepEnd) {
        let consulted = Consulted::of(end);
        if let (false, None, Consulted::Answer(answer)) = (self.changed, &self.before, &consulted) {
            self.before = Some(evidence::reduced(answer));
        }
        self.consulted = Some(consulted);
    }

    fn diagnosed(&mut self, end: &StepEnd) {
        self.diagnosis = match end {
            StepEnd::Answered {
                answer: Value::Object(facts),
            } => Diagnosis::Facts(Facts(facts.clone())),
            StepEnd::Answered { answer } => Diagnosis::Odd(answer.clone()),
            StepEnd::Failed {
                error_id,
                code,
                message,
            } => Diagnosis::Failed {
                error_id: error_id.clone(),
                code: *code,
                message: message.clone(),
            },
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => return,
        };
        self.consulted = None;
        self.preflights.clear();
        self.cause = None;
        self.stale = false;
        if matches!(self.diagnosis, Diagnosis::Facts(_)) {
            self.doubt = None;
        }
    }

    fn repair_step_ended(&mut self, step: &StepRef, end: &StepEnd, ran: bool, changed: bool) {
        let Some(rung) = &mut self.rung else { return };
        rung.last_end = Some((step.clone(), end.clone()));
        rung.ran |= ran;
        rung.changed |= changed;
        match end {
            StepEnd::Answered { answer } => {
                rung.answered += 1;
                rung.answers.insert(step.step.clone(), answer.clone());
            }
            StepEnd::Failed { .. } | StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => {
                rung.stopped = true;
            }
        }
    }

    fn verify_ended(&mut self, step: &StepRef, end: &StepEnd) {
        let last = &self.last;
        let rung = self.rung.get_or_insert_with(|| RungState {
            id: step.rung.clone().unwrap_or_default(),
            proving: true,
            // Verify may be told what the rung's steps answered (the last event's record id).
            answers: last
                .as_ref()
                .map(|last| last.answers.clone())
                .unwrap_or_default(),
            preflight: last
                .as_ref()
                .map(|last| last.preflight.clone())
                .unwrap_or_default(),
            ..RungState::default()
        });
        rung.ran = true;
        rung.consulted = None;
        match end {
            StepEnd::Answered { answer } => {
                rung.verifies = rung.verifies.saturating_add(1);
                rung.evidence = Some(answer.clone());
            }
            StepEnd::Failed { .. } => {
                rung.verifies = rung.verifies.saturating_add(1);
                rung.evidence = None;
                rung.last_end = Some((step.clone(), end.clone()));
            }
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => rung.stopped = true,
        }
    }

    fn rung_ended(&mut self, id: &str, verified: bool) {
        if verified {
            self.proven = Some(id.to_owned());
            self.hazard = None;
        }
        let Some(rung) = self.rung.take() else {
            return;
        };
        if let Some(hazard) = rung.hazard(false).filter(|_| !verified) {
            self.hazard = Some(hazard);
        }
        let cut = |(step, end): &(StepRef, StepEnd)| {
            step.phase == Phase::Repair
                && matches!(end, StepEnd::NotRun { .. } | StepEnd::Unknown { .. })
        };
        if rung.changed && rung.last_end.as_ref().is_some_and(cut) {
            self.cut.insert(rung.id.clone());
        }
        let answered = |end: &StepEnd| matches!(end, StepEnd::Answered { .. });
        match rung.last_end.clone().filter(|(_, end)| !answered(end)) {
            Some(stopped) => self.stopped.insert(rung.id.clone(), stopped),
            None => self.stopped.remove(&rung.id),
        };
        // One of which every step was left out counts as tried.
        let idle = rung.last_end.is_none() && rung.answered > 0;
        // One that only looked until the run was cut has not been tried.
        let only_looked = !rung.changed
            && matches!(&rung.last_end, Some((_, StepEnd::Failed { error_id, .. }))
                if error_id == NOT_ORDERED);
        if (!rung.ran || only_looked) && !idle {
            self.tried.remove(id);
            if rung.last_end.is_none() && self.last.is_some() {
                // Nothing of it was even begun: the proof to look for is still that of the last.
                return;
            }
        }
        self.last = Some(rung);
    }
}
