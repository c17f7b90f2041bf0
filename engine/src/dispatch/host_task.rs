//! One task a PC: drives its state machine and does what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::Directory;
use fleetmend_model::{
    Credential, CredentialRef, Event, Host, HostEvent, HostResult, Outcome, Phase, Secret,
};
use fleetmend_playbooks::{DecisionError, Situation};
use fleetmend_transport::{Connector, ExecOutput, Session};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::PhaseClock;
use super::gate::{Closed, CredentialGate, DOUBTS, Key, Pass, Refusal};
use super::plan::RunPlan;
use super::recorder::{Halted, Recorder};
use crate::credential_source::CredentialSource;
use crate::machine::{self, Action, Context, Ending, PcState, Stop, Work};
use crate::prober::Prober;
use crate::program::Job;

/// How long after its deadline a transport may take to come back before it is given up.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// How long closing a session may take, and how long after a cut.
const CLOSE: Duration = Duration::from_secs(10);
const CLOSE_CUT: Duration = Duration::from_secs(2);

/// What all host tasks share: ports, permits and tokens, no state of any PC.
pub(super) struct Shared {
    pub(super) plan: RunPlan,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) prober: Arc<dyn Prober>,
    pub(super) credentials: Arc<dyn CredentialSource>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) recorder: Recorder,
    pub(super) gate: CredentialGate,
    pub(super) workers: Arc<Semaphore>,
    /// Fires on the first Ctrl-C, and when the journal failed.
    pub(super) soft: CancellationToken,
    /// Fires on the second.
    pub(super) hard: CancellationToken,
}

impl Shared {
    fn stop(&self) -> Stop {
        match (self.soft.is_cancelled(), self.hard.is_cancelled()) {
            (_, true) => Stop::Cut,
            (true, false) => Stop::Soft,
            (false, false) => Stop::No,
        }
    }
}

/// A PC that is done with.
pub(super) struct Done {
    pub(super) index: usize,
    pub(super) result: HostResult,
    pub(super) exec: Option<ExecOutput>,
}

/// Works on one PC until it has its result, whatever breaks. `slot` is its place among the
/// probes; it takes a worker's slot once something answers.
pub(super) async fn run_host(
    shared: Arc<Shared>,
    (index, state): (usize, PcState),
    host: Arc<Host>,
    slot: OwnedSemaphorePermit,
) -> Done {
    let mut pc = Pc::new(shared, host, state, slot);
    let result = match AssertUnwindSafe(pc.drive()).catch_unwind().await {
        Ok(result) => result,
        Err(_) => pc.finish(broken(&pc.state)).await,
    };
    pc.close().await;
    Done {
        index,
        result,
        exec: pc.output,
    }
}

/// The ending of a PC whose task panicked.
pub(super) fn broken(state: &PcState) -> Ending {
    let mut ending = machine::cut_off(state, "internal error");
    if !matches!(ending.outcome, Outcome::Unknown { .. }) {
        ending.outcome = Outcome::NeedsHands {
            why: "internal-error".to_owned(),
        };
    }
    let report = "report this with the journal";
    ending.next = match state.hazard() {
        Some(_) => format!("{}; {report}", ending.next),
        None => format!("{report}, and run check on the PC"),
    };
    ending
}

/// One PC under work.
pub(super) struct Pc {
    pub(super) shared: Arc<Shared>,
    pub(super) host: Arc<Host>,
    pub(super) state: PcState,
    pub(super) situation: Situation,
    /// Its parameters cannot be used; `RunPlan::check` would have told.
    misfit: Option<DecisionError>,
    pub(super) session: Option<Box<dyn Session>>,
    pub(super) held: Vec<Held>,
    /// The rung in progress was begun before a cut: its credentials must be taken hold of.
    must_hold: bool,
    /// Secrets that steps of the rung in progress have made, by name. They live nowhere else.
    pub(super) made: BTreeMap<String, Secret>,
    pub(super) clock: PhaseClock,
    pub(super) output: Option<ExecOutput>,
    pub(super) slot: Slot,
    started: Instant,
}

/// A credential in the hands of a rung.
pub(super) struct Held {
    pub(super) parameter: String,
    pub(super) name: CredentialRef,
    pub(super) credential: Credential,
    pub(super) pass: Pass,
}

pub(super) enum Slot {
    Probe(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
    Worker(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
}

impl Pc {
    fn new(
        shared: Arc<Shared>,
        host: Arc<Host>,
        state: PcState,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let (situation, misfit) = match shared.plan.situation(&host) {
            Ok(situation) => (situation, None),
            Err(error) => (Situation::default(), Some(error)),
        };
        Self {
            shared,
            host,
            // Only a run that was cut leaves a rung behind, and nobody holds its credentials.
            must_hold: state.rung.is_some(),
            state,
            situation,
            misfit,
            session: None,
            held: Vec::new(),
            made: BTreeMap::new(),
            clock: PhaseClock::default(),
            output: None,
            slot: Slot::Probe(slot),
            started: Instant::now(),
        }
    }

    async fn drive(&mut self) -> HostResult {
        match self.work().await {
            Ok(ending) => self.finish(ending).await,
            Err(Halted) => self.result(machine::halted(&self.state, "journal")),
        }
    }

    async fn work(&mut self) -> Result<Ending, Halted> {
        let host = &self.host;
        if let Job::Playbook(programs) = &self.shared.plan.job
            && self.shared.plan.program(host).is_none()
        {
            let name = &programs.main().name;
            return Ok(machine::other_platform(host.platform, name));
        }
        if let Some(error) = &self.misfit {
            return Ok(machine::playbook_error(&self.state, error));
        }
        loop {
            if self.shared.recorder.halted() {
                return Err(Halted);
            }
            match self.next() {
                Action::Connect => self.connect().await?,
                Action::Run(call) if self.must_hold && call.step.phase == Phase::Repair => {
                    self.must_hold = false;
                    if let Err(lack) = self.hold_again().await {
                        tracing::warn!(host = %self.host.name, %lack, "a rung is not gone on with");
                        let rung = call.step.rung.unwrap_or_default();
                        let verified = false;
                        self.note(HostEvent::RungEnded { rung, verified }).await?;
                    }
                }
                Action::Run(call) => self.run(call).await?,
                Action::Note(HostEvent::RungStarted { rung, caution }) => {
                    if let Some(ending) = self.start_rung(rung, caution).await? {
                        return Ok(ending);
                    }
                }
                Action::Note(event) => self.note(event).await?,
                Action::Finish(ending) => return Ok(ending),
                Action::Done => return Ok(broken(&self.state)),
            }
        }
    }

    fn next(&self) -> Action {
        let work = match self.shared.plan.program(&self.host) {
            Some(program) => Work::Playbook(program),
            None => Work::Exec,
        };
        let directory_refused = self.shared.gate.refusal_of(&Key::Directory);
        let directory_refused = directory_refused.map(|refusal| refusal.story());
        let refused: BTreeMap<String, String> = if self.shared.gate.refusal().is_some() {
            let names = self.situation.credentials.iter();
            names
                .filter_map(|name| Some((name.clone(), self.refusal_of(name)?.story())))
                .collect()
        } else {
            BTreeMap::new()
        };
        let context = Context {
            mode: self.shared.plan.mode(),
            stop: self.shared.stop(),
            situation: &self.situation,
            refused: &refused,
            directory_refused: directory_refused.as_deref(),
            overdue: self.clock.overdue(self.shared.plan.limits.phase),
        };
        machine::next(work, &context, &self.state)
    }

    fn refusal_of(&self, parameter: &str) -> Option<Refusal> {
        let name = self.credential_name(parameter)?;
        self.shared.gate.refusal_of(&Key::Credential(name))
    }

    fn credential_name(&self, parameter: &str) -> Option<CredentialRef> {
        let name = self.situation.params.get(parameter)?.as_str()?;
        Some(CredentialRef(name.to_owned()))
    }

    /// Stores an event of this PC and folds it in.
    pub(super) async fn note(&mut self, event: HostEvent) -> Result<(), Halted> {
        // What is known is folded in even if it could not be stored: it makes the result truer.
        // Intent is not: what could not be stored is not done.
        let known = matches!(
            event,
            HostEvent::StepEnded { .. } | HostEvent::RungEnded { .. }
        );
        if let HostEvent::RungEnded { verified, .. } = &event {
            if *verified {
                self.held.iter().for_each(|held| held.pass.prove());
            }
            self.held.clear();
            self.made.clear();
        }
        let stored = self.shared.recorder.record(self.event(event.clone())).await;
        if stored.is_ok() || known {
            self.state = std::mem::take(&mut self.state).apply(&event);
        }
        stored.map(|_| ())
    }

    /// Takes hold of the credentials of a rung that was begun before a cut; returns the parameter
    /// whose credential is not to be had.
    async fn hold_again(&mut self) -> Result<(), String> {
        let rung = self.state.rung.as_ref().map(|rung| rung.id.clone());
        let program = self.shared.plan.program(&self.host).cloned();
        let plan = program.zip(rung);
        let plan = plan
            .as_ref()
            .and_then(|(program, rung)| program.rungs.get(rung));
        let parameters: BTreeSet<&str> = plan
            .into_iter()
            .flat_map(|plan| plan.credentials())
            .collect();
        for parameter in parameters {
            match self.hold(parameter).await {
                Ok(Some(held)) => self.held.push(held),
                Ok(None) | Err(_) => {
                    self.held.clear();
                    return Err(parameter.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Takes hold of the credentials that the rung needs, then notes its beginning. Returns the
    /// PC's ending if a credential is not to be had; notes nothing if the machine must think
    /// again.
    async fn start_rung(
        &mut self,
        rung: String,
        caution: Option<String>,
    ) -> Result<Option<Ending>, Halted> {
        self.held.clear();
        self.made.clear();
        self.must_hold = false;
        let Some(program) = self.shared.plan.program(&self.host).cloned() else {
            return Ok(None);
        };
        let parameters: BTreeSet<&str> = program
            .rungs
            .get(&rung)
            .into_iter()
            .flat_map(|plan| plan.credentials())
            .collect();
        for parameter in parameters {
            match self.hold(parameter).await {
                Ok(Some(held)) => self.held.push(held),
                Ok(None) => {
                    self.held.clear();
                    return Ok(None);
                }
                Err(lack) => return Ok(Some(lack.ending(&self.state, parameter))),
            }
        }
        self.clock = PhaseClock::default();
        self.note(HostEvent::RungStarted { rung, caution })
            .await
            .map(|()| None)
    }

    /// Returns the credential with leave to use it; `None` when the gate is closed or the run
    /// is to stop.
    async fn hold(&mut self, parameter: &str) -> Result<Option<Held>, Lack> {
        let Some(name) = self.credential_name(parameter) else {
            return Err(Lack::Missing(format!(
                "the parameter {parameter} names no credential"
            )));
        };
        let key = Key::Credential(name.clone());
        let pass = tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => return Ok(None),
            pass = self.shared.gate.enter(&key) => match pass {
                Ok(pass) => pass,
                Err(Closed::Refused) => return Ok(None),
                Err(Closed::Doubted) => return Err(Lack::Unproven(name)),
                Err(Closed::Unknown) => return Err(Lack::Missing(format!(
                    "the credential {name} is not among those of the run"
                ))),
            },
        };
        let found = tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => return Ok(None),
            found = timeout(
                self.shared.plan.limits.logon,
                self.shared.credentials.credential(&name, &self.host),
            ) => found,
        };
        match found {
            Ok(Ok(credential)) => Ok(Some(Held {
                parameter: parameter.to_owned(),
                name,
                credential,
                pass,
            })),
            Ok(Err(error)) => Err(Lack::Missing(error.to_string())),
            Err(_) => Err(Lack::Missing(format!(
                "the credential {name} did not come in time"
            ))),
        }
    }

    async fn connect(&mut self) -> Result<(), Halted> {
        self.session = None;
        self.note(HostEvent::Connecting).await?;
        let event = match self.reach().await {
            Ok(session) => {
                let reached = session.reached();
                let event = HostEvent::Connected {
                    transport: reached.transport,
                    address: reached.address.clone(),
                };
                self.session = Some(session);
                event
            }
            Err((why, reason)) => HostEvent::ConnectFailed {
                why: why.to_owned(),
                reason,
            },
        };
        self.note(event).await
    }

    async fn finish(&mut self, ending: Ending) -> HostResult {
        let result = self.result(ending);
        self.held.clear();
        self.made.clear();
        let event = self.event(HostEvent::Finished {
            result: result.clone(),
        });
        // If it cannot be stored, the report still has it.
        let _ = self.shared.recorder.record(event).await;
        result
    }

    fn result(&self, ending: Ending) -> HostResult {
        ending.into_result(self.host.name.clone(), millis(self.started))
    }

    fn event(&self, what: HostEvent) -> Event {
        Event::Host {
            host: self.host.name.clone(),
            what,
        }
    }

    /// Ends the session while the worker's slot is still held: a shell that is being deleted
    /// still burdens the PC and us.
    async fn close(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let time = if self.shared.hard.is_cancelled() {
            CLOSE_CUT
        } else {
            CLOSE
        };
        let closing = AssertUnwindSafe(timeout(time, session.close())).catch_unwind();
        if !matches!(closing.await, Ok(Ok(()))) {
            tracing::warn!(host = %self.host.name, "the session did not close in time");
        }
    }
}

/// Returns whole milliseconds since `start`.
pub(super) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Why a rung does not get its credential.
enum Lack {
    Missing(String),
    Unproven(CredentialRef),
}

impl Lack {
    fn ending(self, state: &PcState, parameter: &str) -> Ending {
        let (guard, reason, next) = match self {
            Self::Missing(reason) => (
                "credential-missing",
                reason,
                format!("provide the credential of the parameter {parameter}"),
            ),
            Self::Unproven(name) => (
                "credential-unproven",
                format!(
                    "the credential {name} was used on {DOUBTS} PCs and none could tell whether \
                     it works; it was not used here, so that it is not locked"
                ),
                "see why the PCs on which it was used could not tell (fleetmend show), then run \
                 again"
                    .to_owned(),
            ),
        };
        machine::blocked(state, guard, reason, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// What each PC in flight costs beside its facts and its session.
    #[test]
    fn a_task_is_small() {
        let size = size_of_future(run_host);
        println!("{size} bytes a task");
        assert!(size < 16 * 1024, "{size} bytes a task");
    }
}
