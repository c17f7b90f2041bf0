//! The state of a live view: a fold of records, without a clock or a terminal.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use fleetmend_model::{
    Event, HostEvent, HostName, HostResult, OutcomeClass, Phase, Record, RunMode, StepRef,
};
use jiff::Timestamp;

/// Finishes younger than this make up the rate: long enough to be steady, short enough to notice
/// that the fast PCs are done and the slow ones remain.
const WINDOW: Duration = Duration::from_secs(30);
/// Fewer finishes than this say nothing about the time left.
const ENOUGH: usize = 3;

/// A fleet at work.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// Whether it is a command by hand, whose PCs are neither healthy nor repaired.
    pub(super) exec: bool,
    pub(super) total: usize,
    pub(super) done: usize,
    pub(super) by_class: BTreeMap<OutcomeClass, usize>,
    pub(super) stopping: Option<Stopping>,
    /// The batch that is worked on, and of how many; none if there is but one.
    pub(super) batch: Option<(usize, usize)>,
    /// Columns of the longest name.
    pub(super) names: usize,
    running: HashMap<HostName, Running>,
    /// Order in which PCs began; lines on the screen keep it, so that they do not jump.
    begun: u64,
    started: Option<Timestamp>,
    finishes: VecDeque<Timestamp>,
}

/// The operator pressed Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    /// Nothing new starts.
    Waiting,
    /// What runs is cut.
    Cutting,
}

/// A PC at work.
#[derive(Debug)]
struct Running {
    place: u64,
    since: Timestamp,
    doing: Doing,
}

/// What a PC is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Connecting,
    Phase(Phase, Option<String>),
}

/// A PC at work, as the view shows it.
#[derive(Clone, Debug)]
pub(super) struct AtWork<'a> {
    pub(super) host: &'a HostName,
    pub(super) place: u64,
    pub(super) doing: &'a Doing,
    pub(super) for_long: Duration,
}

impl Fleet {
    /// Takes one record in; returns the result if a PC ended with it.
    pub(crate) fn apply<'a>(&mut self, record: &'a Record) -> Option<&'a HostResult> {
        match &record.event {
            Event::RunStarted { hosts, mode, .. } => {
                self.exec = *mode == RunMode::Exec;
                self.total = hosts.len();
                let widths = hosts
                    .iter()
                    .map(|host| console::measure_text_width(&host.0));
                self.names = widths.max().unwrap_or(0);
            }
            Event::Interrupted { cut: true } => self.stopping = Some(Stopping::Cutting),
            Event::Interrupted { cut: false } => {
                self.stopping.get_or_insert(Stopping::Waiting);
            }
            Event::Resumed { .. } => {
                self.running.clear();
                self.stopping = None;
                // The time between the two says nothing of the rate.
                self.started = None;
                self.finishes.clear();
            }
            Event::BatchStarted { number, of, .. } => self.batch = Some((*number, *of)),
            Event::ErrorsSpent(_) => {
                self.stopping.get_or_insert(Stopping::Waiting);
            }
            Event::RunEnded { .. } => self.running.clear(),
            Event::Host { host, what } => return self.on_host(host, what, record.at),
        }
        None
    }

    /// Returns how many PCs are at work.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns how many PCs have ended, and of how many.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.done, self.total)
    }

    /// Returns how many PCs ended in neither of the two good ways.
    pub(super) fn failed(&self) -> usize {
        self.by_class
            .iter()
            .filter(|(class, _)| !class.is_well() && **class != OutcomeClass::WouldRepair)
            .map(|(_, pcs)| pcs)
            .sum()
    }

    /// Returns the PCs at work, those that began first first.
    pub(super) fn at_work(&self, now: Timestamp) -> Vec<AtWork<'_>> {
        let mut running: Vec<(&HostName, &Running)> = self.running.iter().collect();
        running.sort_by_key(|(_, running)| running.place);
        running
            .into_iter()
            .map(|(host, running)| AtWork {
                host,
                place: running.place,
                doing: &running.doing,
                for_long: between(running.since, now),
            })
            .collect()
    }

    /// Returns finished PCs a second over the last half minute, once there are enough of them.
    pub(super) fn rate(&self, now: Timestamp) -> Option<f64> {
        let recent = self
            .finishes
            .iter()
            .filter(|finish| between(**finish, now) <= WINDOW)
            .count();
        let span = between(self.started?, now).min(WINDOW).as_secs_f64();
        // At most a fleet's size: far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "a count of PCs")]
        let rate = recent as f64 / span;
        (recent >= ENOUGH && span > 0.0).then_some(rate)
    }

    /// Returns the time left at the present rate.
    pub(super) fn left(&self, now: Timestamp) -> Option<Duration> {
        let left = self.total.saturating_sub(self.done);
        #[expect(clippy::cast_precision_loss, reason = "a count of PCs")]
        let seconds = left as f64 / self.rate(now)?;
        (left > 0 && self.stopping.is_none()).then(|| Duration::from_secs_f64(seconds))
    }

    fn on_host<'a>(
        &mut self,
        host: &HostName,
        what: &'a HostEvent,
        at: Timestamp,
    ) -> Option<&'a HostResult> {
        match what {
            HostEvent::Connecting => self.doing(host, at, Doing::Connecting),
            HostEvent::StepStarted {
                step: StepRef { phase, rung, .. },
                ..
            } => {
                self.doing(host, at, Doing::Phase(*phase, rung.clone()));
            }
            HostEvent::RungStarted { rung, .. } => {
                self.doing(host, at, Doing::Phase(Phase::Repair, Some(rung.clone())));
            }
            HostEvent::Finished { result } => {
                self.running.remove(host);
                self.done += 1;
                *self.by_class.entry(result.outcome.class()).or_default() += 1;
                self.finishes.push_back(at);
                while self
                    .finishes
                    .front()
                    .is_some_and(|first| between(*first, at) > WINDOW)
                {
                    self.finishes.pop_front();
                }
                return Some(result);
            }
            HostEvent::CredentialUsed { .. }
            | HostEvent::Connected { .. }
            | HostEvent::ConnectFailed { .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::RebootOrdered { .. }
            // Its PC had its result before.
            | HostEvent::HandedIn(_)
            | HostEvent::StepEnded { .. }
            | HostEvent::Diagnosed { .. }
            | HostEvent::RungEnded { .. } => {}
        }
        None
    }

    fn doing(&mut self, host: &HostName, at: Timestamp, doing: Doing) {
        self.started.get_or_insert(at);
        match self.running.get_mut(host) {
            Some(running) => running.doing = doing,
            None => {
                self.begun += 1;
                let running = Running {
                    place: self.begun,
                    since: at,
                    doing,
                };
                self.running.insert(host.clone(), running);
            }
        }
    }
}

/// Returns the time between two instants, zero if the clock was set back.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or_default()
}
