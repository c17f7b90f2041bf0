//! The dispatcher: owns the queue, hears the operator, collects the results.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use fleetmend_model::{CredentialRef, Event, Host, HostEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::gate::CredentialGate;
use super::host_task::{Done, Shared, broken, run_host};
use super::plan::RunPlan;
use super::ramp::Ramp;
use super::recorder::Recorder;
use super::report::{RunEnd, RunReport};
use super::run::{Ports, failure};
use crate::control::ControlReceiver;
use crate::machine::{self, PcState, Stop};

pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    control: ControlReceiver,
    probes: Ramp,
    workers: Ramp,
    tasks: JoinSet<Vec<Done>>,
    /// Which PCs a task answers for, should it not come back.
    charges: BTreeMap<Id, Range<usize>>,
    /// The first PC that was not begun.
    next: usize,
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
            soft,
            hard: CancellationToken::new(),
            plan,
        };
        let count = shared.plan.hosts.len();
        Self {
            shared: Arc::new(shared),
            control: ports.control,
            probes,
            workers,
            tasks: JoinSet::new(),
            charges: BTreeMap::new(),
            next: 0,
            done: std::iter::repeat_with(|| None).take(count).collect(),
            stop: Stop::No,
            halted: false,
        }
    }

    pub(super) async fn dispatch(mut self) -> RunReport {
        let halt = self.shared.recorder.halt().clone();
        let probes: Arc<Semaphore> = self.probes.semaphore();
        let mut tick = tokio::time::interval(self.shared.plan.limits.ramp_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        while self.next < self.done.len() || !self.tasks.is_empty() {
            let queued = self.next < self.done.len();
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
        let index = self.next;
        let Some(host) = self.shared.plan.hosts.get(index).cloned() else {
            return;
        };
        self.next += 1;
        let shared = self.shared.clone();
        let task = self
            .tasks
            .spawn(async move { vec![run_host(shared, index, host, slot).await] });
        // Tasks are joined by this very loop only, so it knows each before it can end.
        self.charges.insert(task.id(), index..index + 1);
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
        let range = self.next..self.done.len();
        if range.is_empty() {
            return;
        }
        self.next = self.done.len();
        let shared = self.shared.clone();
        let charge = range.clone();
        let task = self.tasks.spawn(async move {
            let each = range.map(|index| skip(&shared, index, why));
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
                for index in self.charges.remove(&error.id()).unwrap_or(0..0) {
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

async fn skip(shared: &Shared, index: usize, why: &'static str) -> Done {
    let name = shared.plan.hosts.get(index).map(|host| host.name.clone());
    let name = name.unwrap_or_else(|| fleetmend_model::HostName(String::new()));
    let result = machine::halted(&PcState::default(), why).into_result(name, 0);
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

/// Returns every credential that the run may hand to PCs.
fn credential_names(plan: &RunPlan) -> BTreeSet<CredentialRef> {
    let mut names = BTreeSet::new();
    for situation in plan
        .hosts
        .iter()
        .filter_map(|host| plan.situation(host).ok())
    {
        let values = situation
            .credentials_for_pcs
            .iter()
            .map(|name| situation.params.get(name));
        let texts = values.flatten().filter_map(|value| value.as_str());
        names.extend(texts.map(|name| CredentialRef(name.to_owned())));
    }
    names
}
