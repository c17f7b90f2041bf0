//! What a run that was cut had come to, folded from its records.

use std::collections::{BTreeMap, BTreeSet};

use fleetmend_model::{
    ErrorsSpent, Event, HostEvent, HostName, HostResult, Phase, Place, Record, RunMode, StepEnd,
    StepRef,
};

use super::past_uses::{Named, Uses};
use super::plan::RunPlan;
use crate::connect_failure::DOMAIN_LOGON;
use crate::machine::{self, PcState};
use crate::program::Job;

/// LDAP's `invalidCredentials` (RFC 4511, 4.1.9).
const LDAP_INVALID_CREDENTIALS: i64 = 49;

/// What a run that was cut had come to. Made by [`Past::apply`] from every record of the run.
#[derive(Clone, Debug, Default)]
pub struct Past {
    begun: Option<Begun>,
    ended: bool,
    /// The batch that began last; 0: none did.
    pub(super) batch: usize,
    /// How it used up its allowance of failures, if it did.
    pub(super) spent: Option<ErrorsSpent>,
    states: BTreeMap<HostName, PcState>,
    pub(super) accounts: Vec<Seen>,
    pub(super) uses: Uses,
    /// PCs whose step was cut, and has been counted as a use of its account.
    cut: BTreeSet<HostName>,
}

/// What the run was begun with.
#[derive(Clone, Debug)]
struct Begun {
    mode: RunMode,
    digest: String,
    hosts: Vec<HostName>,
}

/// What an event said of an account.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) host: HostName,
    pub(super) of: Of,
    pub(super) word: Word,
    /// Which accounts the events before it named; `None`: they are an earlier fleetmend's, which
    /// named none.
    pub(super) named: Option<Named>,
}

/// Where an account was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// For logging on.
    Logon,
    /// In the directory, by the controller.
    Directory,
    /// In a step that was given it.
    Step(StepRef),
    /// In a rung, by its id.
    Rung(String),
}

/// What the end of a step says of the account that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Refused(Option<i64>),
    Proven,
    Nothing,
}

/// A plan is not that of the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The journal has no beginning of the run.
    #[error("the run never began: nothing was touched")]
    NotBegun,
    /// It has ended.
    #[error("the run has ended")]
    Ended,
    /// It is a command by hand, which is never repeated.
    #[error("the run is a command by hand, which is not gone on with")]
    Exec,
    /// Repair and check are different.
    #[error("the run is for another purpose than the plan")]
    OtherMode,
    /// The playbook, a script of it or one for another platform is not the same any more.
    #[error("the playbook has changed since the run began: digest {now}, then {then}")]
    OtherPlaybook {
        /// Its digest now.
        now: String,
        /// Its digest when the run began.
        then: String,
    },
    /// The PCs are not the same.
    #[error("the PCs of the plan are not those of the run")]
    OtherHosts,
}

impl Past {
    /// Folds the records of one run, in order.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut past = Self::default();
        for record in records {
            past.apply(record);
        }
        past
    }

    /// Takes one more record in.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted {
                mode,
                digest,
                hosts,
                ..
            } => {
                self.begun = Some(Begun {
                    mode: *mode,
                    digest: digest.clone(),
                    hosts: hosts.clone(),
                });
            }
            Event::Host { host, what } => self.on_host(host, what),
            Event::Resumed { .. } => self.resume(),
            Event::Interrupted { .. } => {}
            Event::BatchStarted { number, .. } => self.batch = *number,
            Event::ErrorsSpent(spent) => self.spent = Some(spent.clone()),
            Event::RunEnded { .. } => self.ended = true,
        }
    }

    /// Returns the PCs of the run without a result, in its order.
    pub fn waiting(&self) -> Vec<&HostName> {
        let hosts = self.begun.iter().flat_map(|begun| &begun.hosts);
        let has_result = |host: &&HostName| self.result(host).is_some();
        hosts.filter(|host| !has_result(host)).collect()
    }

    /// Returns the PCs that were amid a repair, each with its rung, in the order of their names.
    pub fn amid(&self) -> Vec<(&HostName, &str)> {
        let states = self.states.iter();
        states
            .filter(|(_, state)| state.result.is_none())
            .filter_map(|(host, state)| Some((host, state.rung.as_ref()?.id.as_str())))
            .collect()
    }

    /// Returns how many PCs the run has.
    pub fn len(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.hosts.len())
    }

    /// Tells whether the run has no PC, or never began.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the result that the PC has already.
    pub fn result(&self, host: &HostName) -> Option<&HostResult> {
        self.states.get(host)?.result.as_ref()
    }

    /// Tells whether the run can go on at all, whatever its plan was.
    ///
    /// # Errors
    /// It never began, has ended, or is a command by hand.
    pub fn may_go_on(&self) -> Result<(), ResumeError> {
        self.begun().map(|_| ())
    }

    /// Tells whether this plan is the run's own.
    ///
    /// # Errors
    /// It is not, or the run cannot go on.
    pub fn check(&self, plan: &RunPlan) -> Result<(), ResumeError> {
        let begun = self.begun()?;
        let Job::Playbook(programs) = &plan.job else {
            return Err(ResumeError::Exec);
        };
        if begun.mode != plan.mode {
            return Err(ResumeError::OtherMode);
        }
        let now = programs.digest();
        if begun.digest != now {
            let then = begun.digest.clone();
            return Err(ResumeError::OtherPlaybook { now, then });
        }
        let hosts = plan.hosts.iter().map(|host| &host.name);
        if !begun.hosts.iter().eq(hosts) {
            return Err(ResumeError::OtherHosts);
        }
        Ok(())
    }

    fn begun(&self) -> Result<&Begun, ResumeError> {
        let begun = self.begun.as_ref().ok_or(ResumeError::NotBegun)?;
        match begun.mode {
            _ if self.ended => Err(ResumeError::Ended),
            RunMode::Exec => Err(ResumeError::Exec),
            RunMode::Repair | RunMode::Check => Ok(begun),
        }
    }

    /// Turns every PC's state into the one with which it goes on.
    pub(super) fn resume(&mut self) {
        self.uses.resume();
        for (host, state) in &mut self.states {
            *state = std::mem::take(state).resumed();
            let running = state.running.as_ref();
            let running = running.filter(|running| running.step.phase == Phase::Repair);
            if let Some(running) = running
                && self.cut.insert(host.clone())
            {
                // It may have shown the account to the domain.
                let rung = running.step.rung.as_deref().unwrap_or_default();
                let named = self.uses.handed(host, rung);
                self.accounts.push(Seen {
                    host: host.clone(),
                    named: self.uses.are_named(host).then_some(named),
                    of: Of::Step(running.step.clone()),
                    word: Word::Nothing,
                });
            }
        }
    }

    /// Takes the state of a PC out.
    pub(super) fn take(&mut self, host: &HostName) -> PcState {
        self.states.remove(host).unwrap_or_default()
    }

    fn on_host(&mut self, host: &HostName, what: &HostEvent) {
        let place = match what {
            HostEvent::StepEnded { step, .. } => self.place_of(host, step),
            _ => Place::Pc,
        };
        let ended = matches!(what, HostEvent::StepEnded { .. });
        let counted = ended && self.cut.remove(host);
        if let Some((of, word)) = seen(what, place).filter(|_| !counted) {
            let named = match &of {
                Of::Logon => self.uses.logon(host),
                Of::Directory => Named::new(),
                Of::Step(StepRef { rung, .. }) => {
                    self.uses.handed(host, rung.as_deref().unwrap_or_default())
                }
                Of::Rung(rung) => self.uses.handed(host, rung),
            };
            self.accounts.push(Seen {
                host: host.clone(),
                of,
                word,
                named: self.uses.are_named(host).then_some(named),
            });
        }
        let state = self.states.get(host);
        let running = state.is_some_and(|state| state.running.is_some());
        self.uses.apply(host, what, running);
        let state = self.states.entry(host.clone()).or_default();
        *state = std::mem::take(state).apply(what);
    }

    /// Returns where the step ran that ends now.
    fn place_of(&self, host: &HostName, step: &StepRef) -> Place {
        let running = self
            .states
            .get(host)
            .and_then(|state| state.running.as_ref());
        let running = running.filter(|running| running.step == *step);
        running.map_or(Place::Pc, |running| running.place)
    }
}

/// Returns what an event may say of an account, if it may say anything.
fn seen(what: &HostEvent, place: Place) -> Option<(Of, Word)> {
    let (step, end) = match what {
        HostEvent::ConnectFailed { why, .. } if why == DOMAIN_LOGON => {
            return Some((Of::Logon, Word::Refused(None)));
        }
        HostEvent::RungEnded {
            rung,
            verified: true,
        } => return Some((Of::Rung(rung.clone()), Word::Proven)),
        HostEvent::StepEnded { step, end, .. } => (step, end),
        _ => return None,
    };
    match (place, end) {
        (_, StepEnd::NotRun { .. }) => None,
        (Place::Controller, StepEnd::Failed { error_id, code, .. })
            if *code == Some(LDAP_INVALID_CREDENTIALS) && error_id.starts_with("Ldap") =>
        {
            Some((Of::Directory, Word::Refused(*code)))
        }
        (_, _) if !matches!(step.phase, Phase::Preflight | Phase::Repair) => None,
        (_, end) => {
            let word = match machine::credential_refusal(end) {
                Some(code) => Word::Refused(Some(code)),
                None if machine::credential_proven(end) => Word::Proven,
                None => Word::Nothing,
            };
            // A step that was given no account says nothing of any.
            Some((Of::Step(step.clone()), word))
        }
    }
}
