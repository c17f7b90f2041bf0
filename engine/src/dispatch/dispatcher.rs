//! The dispatcher: owns the queue, hears the operator, collects the results.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fleetmend_model::{CredentialRef, Event, Host, HostEvent, RunId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::elsewhere::Elsewhere;
use super::gate::CredentialGate;
use super::host_task::{Done, Shared, broken, run_host};
use super::lanes::Lanes;
use super::past::{Past, Seen};
use super::plan::RunPlan;
use super::ramp::Ramp;
use super::recorder::Recorder;
use super::report::{RunEnd, RunReport};
use super::run::{Ports, failure};
use super::seed::seed;
use crate::control::ControlReceiver;
use crate::machine::{self, PcState, Stop};

pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    control: ControlReceiver,
    probes: Ramp,
    workers: Ramp,
    tasks: JoinSet<Vec<Done>>,
    /// Which PCs a task answers for, should it not come back.
    charges: BTreeMap<Id, Vec<usize>>,
    /// The PCs that were not begun, each with what is known of it.
    queue: VecDeque<(usize, PcState)>,
    /// What events before a cut said of accounts.
    seen: Vec<Seen>,
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
            gate: CredentialGate::new(credential_names(&plan)),
            connector: ports.connector,
            prober: ports.prober,
            credentials: ports.credentials,
            directory: ports.directory,
            recorder,
            workers: workers.semaphore(),
            lanes: Lanes::new(plan.reboots.at_once),
            elsewhere: Elsewhere::default(),
            run,
            soft,
            hard: CancellationToken::new(),
            plan,
        };
        let (queue, done) = queue(&shared.plan, &mut past);
        Self {
            shared: Arc::new(shared),
            control: ports.control,
            probes,
            workers,
            tasks: JoinSet::new(),
            charges: BTreeMap::new(),
            queue,
            seen: past.accounts,
            done,
            stop: Stop::No,
            halted: false,
        }
    }

    pub(super) async fn dispatch(mut self) -> RunReport {
        seed(&self.shared, &std::mem::take(&mut self.seen)).await;
        let halt = self.shared.recorder.halt().clone();
        let probes: Arc<Semaphore> = self.probes.semaphore();
        let mut tick = tokio::time::interval(self.shared.plan.limits.ramp_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        while !self.queue.is_empty() || !self.tasks.is_empty() {
            let queued = !self.queue.is_empty();
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
                Ok(slot) = probes.clone().acquire_owned(), if queued => self.begin(slot),
            }
        }
        self.report()
    }

    fn begin(&mut self, slot: OwnedSemaphorePermit) {
        let Some((index, state)) = self.queue.pop_front() else {
            return;
        };
        let Some(host) = self.shared.plan.hosts.get(index).cloned() else {
            return;
        };
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
        let recorder = self.shared.recorder.clone();
        let event = Event::Interrupted {
            cut: stop == Stop::Cut,
        };
        self.tasks.spawn(async move {
            // If it cannot be stored, the recorder has said so to everyone.
            let _ = recorder.record(event).await;
            Vec::new()
        });
        self.skip_queue("interrupted");
    }

    fn on_halt(&mut self) {
        self.halted = true;
        self.skip_queue("journal");
    }

    /// Gives every PC that was not begun its result.
    fn skip_queue(&mut self, why: &'static str) {
        if self.queue.is_empty() {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        let shared = self.shared.clone();
        let charge = queue.iter().map(|(index, _)| *index).collect();
        let task = self.tasks.spawn(async move {
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
                    let index = done.index;
                    if let Some(place) = self.done.get_mut(index) {
                        *place = Some(done);
                    }
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

    /// Gives a PC whose task did not come back its result.
    fn mourn(&mut self, index: usize) {
        let Some(host) = self.shared.plan.hosts.get(index).cloned() else {
            return;
        };
        let result = broken(&PcState::default()).into_result(host.name.clone(), 0);
        let event = finished(&host, result.clone());
        if let Some(place) = self.done.get_mut(index) {
            *place = Some(Done {
                index,
                result,
                exec: None,
            });
        }
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
        } else if let Some(refusal) = self.shared.gate.refusal() {
            RunEnd::CredentialRefused {
                account: refusal.account.clone(),
                host: refusal.host.clone(),
                place: refusal.place,
                code: refusal.code,
            }
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

/// Returns the PCs without a result, those amid a repair first, and the results that there are.
fn queue(plan: &RunPlan, past: &mut Past) -> (VecDeque<(usize, PcState)>, Vec<Option<Done>>) {
    let mut amid = VecDeque::new();
    let mut others = VecDeque::new();
    let mut done = Vec::with_capacity(plan.hosts.len());
    for (index, host) in plan.hosts.iter().enumerate() {
        let state = past.take(&host.name);
        let ended = state.result.clone().map(|result| Done {
            index,
            result,
            exec: None,
        });
        match &ended {
            Some(_) => {}
            None if state.rung.is_some() => amid.push_back((index, state)),
            None => others.push_back((index, state)),
        }
        done.push(ended);
    }
    amid.append(&mut others);
    (amid, done)
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
