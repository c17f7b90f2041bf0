//! One task a PC: drives its state machine and does what it says.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetmend_directory::Directory;
use fleetmend_model::{
    CredentialRef, Event, Host, HostEvent, HostResult, Outcome, Phase, RunId, Secret,
};
use fleetmend_playbooks::{DecisionError, Situation};
use fleetmend_transport::{Connector, ExecOutput, Session};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::PhaseClock;
use super::elsewhere::Elsewhere;
use super::gate::{CredentialGate, Key};
use super::held::Held;
use super::lanes::{Lane, Lanes};
use super::local_attempts::LocalAttempts;
use super::plan::RunPlan;
use super::recorder::{Halted, Recorder};
use super::stopped::over_budget;
use crate::account_budget::{AccountBudget, AccountName};
use crate::credential_source::CredentialSource;
use crate::machine::{self, Action, Context, Ending, PcState, Stop, Work};
use crate::prober::Prober;
use crate::program::Job;

/// How long after its deadline a transport may take to come back before it is given up.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// How long closing a session may take, and how long after a cut.
pub(super) const CLOSE: Duration = Duration::from_secs(10);
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
    /// What was spent on domain accounts on this machine, for those who ask what the operator said.
    pub(super) budget: Arc<dyn AccountBudget>,
    /// How often each PC has refused its own accounts.
    pub(super) locals: LocalAttempts,
    pub(super) workers: Arc<Semaphore>,
    /// Who may be amid a rung that restarts PCs.
    pub(super) lanes: Lanes,
    /// Who may be worked on of each site.
    pub(super) sites: Option<Lanes>,
    /// Who may be amid a rung of each domain controller.
    pub(super) dcs: Option<Lanes>,
    /// Places for PCs whose probe was not answered at once.
    pub(super) slow_probes: Arc<Semaphore>,
    /// Whether too many PCs have failed, and the run ends for that.
    pub(super) spent: AtomicBool,
    /// Who may use the PCs on which steps for other PCs run.
    pub(super) elsewhere: Elsewhere,
    /// Which run it is, for those who find a PC held by it.
    pub(super) run: RunId,
    /// Fires on the first Ctrl-C, and when the journal failed.
    pub(super) soft: CancellationToken,
    /// Fires on the second.
    pub(super) hard: CancellationToken,
}

impl Shared {
    /// Returns what guards the controller's own account in the directory, if the run has one.
    pub(super) fn directory_key(&self) -> Option<Key> {
        let user = self.plan.directory.as_deref()?;
        Some(Key::Account(AccountName::of(user)))
    }

    pub(super) fn stop(&self) -> Stop {
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
    /// Whether a rung ran on it, whatever came of it.
    pub(super) tried: bool,
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
        Err(_) => {
            // What it held may have been shown to the domain.
            let guards = pc.held.iter().filter_map(|held| held.guard.as_ref());
            guards.for_each(|(_, pass)| pass.used());
            pc.finish(broken(&pc.state)).await
        }
    };
    pc.close().await;
    Done {
        index,
        result,
        exec: pc.output,
        tried: !pc.state.tried.is_empty(),
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
    /// What guards the credentials of parameters, as far as they were asked for.
    pub(super) keys: BTreeMap<String, Key>,
    /// The rung in progress was begun before a cut: its credentials must be taken hold of.
    pub(super) must_hold: bool,
    /// Secrets that steps of the rung in progress have made, by name. They live nowhere else.
    pub(super) made: BTreeMap<String, Secret>,
    pub(super) clock: PhaseClock,
    /// Leave to be amid a rung that restarts the PC.
    pub(super) lane: Option<Lane>,
    /// Its place at its site, and at the domain controller of the rung in progress.
    pub(super) site: Option<Lane>,
    pub(super) dc: Option<(String, Lane)>,
    /// What was found is too old to be acted upon.
    pub(super) aged: bool,
    pub(super) output: Option<ExecOutput>,
    pub(super) slot: Slot,
    started: Instant,
}

pub(super) enum Slot {
    /// While the PC restarts, or waits for its turn.
    None,
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
            keys: BTreeMap::new(),
            made: BTreeMap::new(),
            clock: PhaseClock::default(),
            lane: None,
            site: None,
            dc: None,
            aged: false,
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
        if self.state.rung.is_some() {
            self.retake_turns().await?;
        }
        loop {
            if self.shared.recorder.halted() {
                return Err(Halted);
            }
            match self.next() {
                Action::Connect => self.connect().await?,
                Action::Run(call) if self.must_hold && call.step.phase == Phase::Repair => {
                    self.must_hold = false;
                    if let Err(lack) = self.hold_again().await? {
                        tracing::warn!(host = %self.host.name, %lack, "a rung is not gone on with");
                        let rung = call.step.rung.unwrap_or_default();
                        let verified = false;
                        self.note(HostEvent::RungEnded { rung, verified }).await?;
                    }
                }
                Action::Run(call) => match self.hold_for_preflight(&call).await? {
                    Ok(true) => self.run(call).await?,
                    Ok(false) => {}
                    Err(ending) => return Ok(ending),
                },
                Action::Await(call) => Box::pin(self.await_reboot(call)).await?,
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

    /// Returns what is to be done as things stand now.
    pub(super) fn next(&mut self) -> Action {
        self.situation.reboot_window = self.shared.plan.reboot_window();
        self.in_context(|work, context| machine::next(work, context, &self.state))
    }

    /// Asks the machine something as things stand now.
    pub(super) fn in_context<T>(&self, ask: impl FnOnce(Work<'_>, &Context<'_>) -> T) -> T {
        let work = match self.shared.plan.program(&self.host) {
            Some(program) => Work::Playbook(program),
            None => Work::Exec,
        };
        let gate = &self.shared.gate;
        let directory_refused = self.shared.directory_key();
        let directory_refused = directory_refused.and_then(|key| gate.why_shut(&key));
        let directory_refused = directory_refused.map(|shut| shut.story());
        let refused: BTreeMap<String, String> = if gate.first().is_some() {
            let keys = self.keys.iter();
            keys.filter_map(|(name, key)| Some((name.clone(), gate.why_shut(key)?.story())))
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
            aged: self.aged,
        };
        ask(work, &context)
    }

    pub(super) fn credential_name(&self, parameter: &str) -> Option<CredentialRef> {
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
                let guards = self.held.iter().filter_map(|held| held.guard.as_ref());
                guards.for_each(|(_, pass)| pass.prove());
            }
            self.held.clear();
            self.made.clear();
            self.lane = None;
            self.dc = None;
        }
        if let HostEvent::StepEnded { step, .. } = &event {
            // What it was given for is over.
            if step.phase == Phase::Preflight {
                self.held.clear();
            }
            self.aged &= step.phase != Phase::Diagnose;
        }
        let stored = self.shared.recorder.record(self.event(event.clone())).await;
        if stored.is_ok() || known {
            self.state = std::mem::take(&mut self.state).apply(&event);
        }
        stored.map(|_| ())
    }

    pub(super) async fn connect(&mut self) -> Result<(), Halted> {
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
        let spent = self.shared.spent.load(Ordering::Relaxed);
        let ending = if spent { over_budget(ending) } else { ending };
        let result = self.result(ending);
        self.held.clear();
        self.made.clear();
        self.lane = None;
        self.dc = None;
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
    pub(super) async fn close(&mut self) {
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
