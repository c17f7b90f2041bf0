//! The dispatcher: owns the queue, hears the operator, collects the results.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetmend_model::{
    CredentialRef, ErrorsSpent, Event, Host, HostEvent, HostName, HostResult, Outcome, Place, RunId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;

use super::elsewhere::Elsewhere;
use super::gate::{CredentialGate, Shut};
use super::host_task::{Done, Shared, broken, run_host};
use super::lanes::Lanes;
use super::local_attempts::LocalAttempts;
use super::past::{Past, Seen};
use super::past_uses::OwnBefore;
use super::plan::RunPlan;
use super::queue::{Batch, batches};
use super::ramp::Ramp;
use super::rate::Throttle;
use super::recorder::Recorder;
use super::report::{RunEnd, RunReport};
use super::run::{Ports, failure};
use super::seed::{seed, seed_own};
use super::spending::Spending;
use super::stopped::ERROR_BUDGET;
use crate::connect_failure::CREDENTIAL_REFUSED;
use crate::control::ControlReceiver;
use crate::machine::{self, PcState, Stop};

/// How long another run may try an account for which this one waits, at least: as long as a rung
/// with restarts takes.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    control: ControlReceiver,
    probes: Ramp,
    workers: Ramp,
    tasks: JoinSet<Vec<Done>>,
    /// Which PCs a task answers for, should it not come back.
    charges: BTreeMap<Id, Vec<usize>>,
    throttle: Throttle,
    /// The PCs of the present batch that were not begun, each with what is known of it.
    queue: VecDeque<(usize, PcState)>,
    /// How many PCs of the present batch have no result.
    open: usize,
    later: VecDeque<Batch>,
    /// The last batch whose beginning is in the journal.
    begun: usize,
    spending: Spending,
    /// How the run used up its allowance of failures, if it did.
    spent: Option<ErrorsSpent>,
    /// What events before a cut said of accounts.
    seen: Vec<Seen>,
    /// What PCs had said of their own accounts before a cut.
    own: Vec<OwnBefore>,
    done: Vec<Option<Done>>,
    stop: Stop,
    halted: bool,
}

impl Dispatcher {
    pub(super) fn new(
        mut plan: RunPlan,
        recorder: Recorder,
        soft: CancellationToken,
        ports: Ports,
        mut past: Past,
        run: RunId,
    ) -> Self {
        if ports.directory.is_none() {
            plan.directory = None;
        }
        let limits = &plan.limits;
        let probes = Ramp::new(limits.ramp_start, limits.probe_concurrency);
        let workers = Ramp::new(limits.ramp_start, limits.max_concurrency);
        let shared = Shared {
            gate: CredentialGate::new(
                credential_names(&plan),
                ports.budget.clone(),
                PATIENCE.max(limits.phase),
            ),
            budget: ports.budget,
            locals: LocalAttempts::default(),
            connector: ports.connector,
            prober: ports.prober,
            credentials: ports.credentials,
            directory: ports.directory,
            recorder,
            workers: workers.semaphore(),
            lanes: Lanes::new(plan.reboots.at_once),
            sites: plan.pace.per_site.map(Lanes::new),
            dcs: plan.pace.per_dc.map(Lanes::new),
            slow_probes: Arc::new(Semaphore::new(
                limits.slow_probes.min(Semaphore::MAX_PERMITS),
            )),
            spent: AtomicBool::new(false),
            elsewhere: Elsewhere::default(),
            run,
            soft,
            hard: CancellationToken::new(),
            plan,
        };
        let sizes = shared.plan.pace.batches.split(shared.plan.hosts.len());
        let (later, done) = batches(&shared.plan, &sizes, &mut past);
        Self {
            throttle: Throttle::new(shared.plan.pace.ramp),
            spending: Spending::new(shared.plan.pace.clone(), sizes),
            shared: Arc::new(shared),
            control: ports.control,
            probes,
            workers,
            tasks: JoinSet::new(),
            charges: BTreeMap::new(),
            queue: VecDeque::new(),
            open: 0,
            later,
            begun: past.batch,
            spent: past.spent,
            seen: past.accounts,
            own: past.uses.into_before(),
            done,
            stop: Stop::No,
            halted: false,
        }
    }

    pub(super) async fn dispatch(mut self) -> RunReport {
        seed(&self.shared, &std::mem::take(&mut self.seen)).await;
        seed_own(&self.shared, &std::mem::take(&mut self.own));
        let halt = self.shared.recorder.halt().clone();
        let probes: Arc<Semaphore> = self.probes.semaphore();
        let mut tick = tokio::time::interval(self.shared.plan.limits.ramp_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        loop {
            if self.open == 0 && !self.later.is_empty() {
                self.next_batch().await;
                continue;
            }
            let queued = !self.queue.is_empty();
            if !queued && self.tasks.is_empty() {
                break;
            }
            let early = queued && self.throttle.is_early();
            let next = self.throttle.next();
            tokio::select! {
                biased;
                () = halt.cancelled(), if !self.halted => self.on_halt(),
                stop = self.control.beyond(self.stop), if self.stop < Stop::Cut => {
                    self.on_stop(stop);
                }
                Some(ended) = self.tasks.join_next_with_id() => self.take(ended),
                _ = tick.tick(), if self.probes.grows() || self.workers.grows() => {
                    self.probes.grow();
                    self.workers.grow();
                }
                () = sleep_until(next), if early => {}
                Ok(slot) = probes.clone().acquire_owned(), if queued && !early => self.begin(slot),
            }
        }
        self.shared.gate.settled().await;
        self.report()
    }

    /// Takes the next batch on. Nothing is under way meanwhile but what must be said.
    async fn next_batch(&mut self) {
        let Some(batch) = self.later.pop_front() else {
            return;
        };
        self.spending.begin(batch.number);
        let done = batch.done.iter().filter_map(|index| self.done.get(*index));
        let mut spent = None;
        for done in done.flatten() {
            spent = spent.or(self.spending.take(&done.result, done.tried));
        }
        let hosts = batch.done.len() + batch.waiting.len();
        self.open = batch.waiting.len();
        self.queue = batch.waiting;
        if self.stop != Stop::No || self.halted {
            return;
        }
        if let Some(spent) = self.spent.clone().or(spent) {
            self.only_finish(spent);
        } else if self.spending.batches() > 1 && batch.number > self.begun && self.open > 0 {
            self.begun = batch.number;
            let (number, of) = (batch.number, self.spending.batches());
            let event = Event::BatchStarted { number, of, hosts };
            // If it cannot be stored, the recorder has said so to everyone.
            let _ = self.shared.recorder.record(event).await;
        }
    }

    /// Goes on only with PCs amid a repair: the allowance of failures was used up before the cut.
    fn only_finish(&mut self, spent: ErrorsSpent) {
        let amid = |(_, state): &(usize, PcState)| state.rung.is_some();
        let queue = std::mem::take(&mut self.queue);
        let (amid, others): (VecDeque<_>, VecDeque<_>) = queue.into_iter().partition(amid);
        self.queue = others;
        self.say_spent(spent);
        self.queue = amid;
    }

    /// More PCs failed than may: what runs comes to an end in good order, and nothing is begun.
    fn on_spent(&mut self, spent: ErrorsSpent) {
        self.shared.spent.store(true, Ordering::Relaxed);
        self.say_spent(spent);
        self.shared.soft.cancel();
    }

    fn say_spent(&mut self, mut spent: ErrorsSpent) {
        let said = self.spent.is_some();
        if !said {
            let later = self.later.iter().map(|batch| batch.waiting.len());
            spent.left = self.queue.len() + later.sum::<usize>();
            self.spent = Some(spent.clone());
        }
        self.skip_queue(ERROR_BUDGET, (!said).then_some(Event::ErrorsSpent(spent)));
    }

    fn begin(&mut self, slot: OwnedSemaphorePermit) {
        let Some((index, state)) = self.queue.pop_front() else {
            return;
        };
        let Some(host) = self.shared.plan.hosts.get(index).cloned() else {
            return;
        };
        self.throttle.begun();
        let shared = self.shared.clone();
        let task = self
            .tasks
            .spawn(async move { vec![run_host(shared, (index, state), host, slot).await] });
        // Tasks are joined by this very loop only, so it knows each before it can end.
        self.charges.insert(task.id(), vec![index]);
    }

    fn on_stop(&mut self, stop: Stop) {
        self.stop = stop;
        self.shared.soft.cancel();
        if stop == Stop::Cut {
            self.shared.hard.cancel();
        }
        let event = Event::Interrupted {
            cut: stop == Stop::Cut,
        };
        self.skip_queue("interrupted", Some(event));
    }

    fn on_halt(&mut self) {
        self.halted = true;
        self.skip_queue("journal", None);
    }

    /// Says why, and gives every PC that was not begun its result.
    fn skip_queue(&mut self, why: &'static str, event: Option<Event>) {
        let mut queue = std::mem::take(&mut self.queue);
        for mut batch in self.later.drain(..) {
            self.open += batch.waiting.len();
            queue.append(&mut batch.waiting);
        }
        if queue.is_empty() && event.is_none() {
            return;
        }
        let shared = self.shared.clone();
        let charge = queue.iter().map(|(index, _)| *index).collect();
        let task = self.tasks.spawn(async move {
            if let Some(event) = event {
                // If it cannot be stored, the recorder has said so to everyone.
                let _ = shared.recorder.record(event).await;
            }
            let each = queue.into_iter();
            let each = each.map(|(index, state)| skip(&shared, index, state, why));
            // As many at once as run at most, so that the journal can store them together.
            let width = shared.plan.limits.max_concurrency.max(1);
            futures::StreamExt::collect(futures::StreamExt::buffer_unordered(
                futures::stream::iter(each),
                width,
            ))
            .await
        });
        self.charges.insert(task.id(), charge);
    }

    fn take(&mut self, ended: Result<(Id, Vec<Done>), JoinError>) {
        match ended {
            Ok((id, all)) => {
                self.charges.remove(&id);
                for done in all {
                    self.settle(done);
                }
            }
            Err(error) => {
                // Host tasks catch their own panics; here even that failed.
                tracing::error!(%error, "a task of the dispatcher failed");
                for index in self.charges.remove(&error.id()).unwrap_or_default() {
                    self.mourn(index);
                }
            }
        }
    }

    /// Keeps the result of a PC, and counts it.
    fn settle(&mut self, done: Done) {
        self.open = self.open.saturating_sub(1);
        let may_go_on = self.spent.is_none() && self.stop == Stop::No && !self.halted;
        let spent = self.spending.take(&done.result, done.tried);
        if let Some(place) = self.done.get_mut(done.index) {
            *place = Some(done);
        }
        if let Some(spent) = spent.filter(|_| may_go_on) {
            self.on_spent(spent);
        }
    }

    /// Gives a PC whose task did not come back its result.
    fn mourn(&mut self, index: usize) {
        let Some(host) = self.shared.plan.hosts.get(index).cloned() else {
            return;
        };
        let result = broken(&PcState::default()).into_result(host.name.clone(), 0);
        let event = finished(&host, result.clone());
        self.settle(Done {
            index,
            result,
            exec: None,
            tried: false,
        });
        let recorder = self.shared.recorder.clone();
        self.tasks.spawn(async move {
            // If it cannot be stored, the report still has it.
            let _ = recorder.record(event).await;
            Vec::new()
        });
    }

    fn report(self) -> RunReport {
        let hosts = self.shared.plan.hosts.iter();
        let mut results = Vec::with_capacity(self.done.len());
        let mut exec = Vec::new();
        for (host, done) in hosts.zip(self.done) {
            let (result, output) = match done {
                Some(done) => (done.result, done.exec),
                // Cannot be; but a PC without a result would be worse than a wrong one.
                None => (
                    broken(&PcState::default()).into_result(host.name.clone(), 0),
                    None,
                ),
            };
            results.push(result);
            exec.extend(output.map(|output| (host.name.clone(), output)));
        }
        let end = if self.shared.recorder.halted() {
            RunEnd::JournalLost(failure(&self.shared.recorder))
        } else if self.stop != Stop::No {
            RunEnd::Interrupted
        } else if let Some(shut) = self.shared.gate.first() {
            account_shut(shut, &results)
        } else if let Some(spent) = self.spent {
            RunEnd::ErrorsSpent(spent)
        } else {
            RunEnd::Complete
        };
        let exit_code = end.exit_code(&results);
        RunReport {
            run: None,
            results,
            exec,
            end,
            exit_code,
            reader_lost: false,
        }
    }
}

/// Returns the end of a run in which an account was not used any more.
fn account_shut(shut: &Shut, results: &[HostResult]) -> RunEnd {
    let not_reached = |but: Option<&HostName>| {
        let left = results.iter().filter(|result| {
            let left = match &result.outcome {
                Outcome::Blocked { guard } => guard == CREDENTIAL_REFUSED,
                // The refusal, or a PC that was blocked for it, can be what used the allowance of
                // failures up before these had their turn.
                Outcome::Skipped { why } => why == ERROR_BUDGET,
                _ => false,
            };
            left && Some(&result.host) != but
        });
        left.map(|result| result.host.clone()).collect()
    };
    match shut {
        Shut::Refused(refusal) => {
            let used = (refusal.place == Place::Pc).then_some(&refusal.host);
            RunEnd::CredentialRefused {
                account: refusal.account.clone(),
                host: refusal.host.clone(),
                place: refusal.place,
                code: refusal.code,
                not_reached: not_reached(used),
            }
        }
        Shut::Spared { account, why } => RunEnd::AccountSpared {
            account: account.clone(),
            why: why.clone(),
            not_reached: not_reached(None),
        },
    }
}

async fn skip(shared: &Shared, index: usize, state: PcState, why: &'static str) -> Done {
    let name = shared.plan.hosts.get(index).map(|host| host.name.clone());
    let name = name.unwrap_or_else(|| fleetmend_model::HostName(String::new()));
    let result = machine::halted(&state, why).into_result(name, 0);
    if let Some(host) = shared.plan.hosts.get(index) {
        // If it cannot be stored, the report still has it.
        let _ = shared.recorder.record(finished(host, result.clone())).await;
    }
    Done {
        index,
        result,
        exec: None,
        tried: false,
    }
}

fn finished(host: &Host, result: fleetmend_model::HostResult) -> Event {
    Event::Host {
        host: host.name.clone(),
        what: HostEvent::Finished { result },
    }
}

/// Returns every credential of the run; which of them may reach PCs is judged where one is held.
fn credential_names(plan: &RunPlan) -> BTreeSet<CredentialRef> {
    let mut names = BTreeSet::new();
    for situation in plan
        .hosts
        .iter()
        .filter_map(|host| plan.situation(host).ok())
    {
        let values = situation
            .credentials
            .iter()
            .map(|name| situation.params.get(name));
        let texts = values.flatten().filter_map(|value| value.as_str());
        names.extend(texts.map(|name| CredentialRef(name.to_owned())));
    }
    names
}
