//! How many PCs of one site, or of one domain controller, restart at once; how long they wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::host_task::{Pc, Slot};
use super::recorder::Halted;
use crate::machine::{self, Ending};
use crate::program::Program;

/// Permits by lane. A PC holds one of each of its lanes while it is amid a rung that restarts it.
#[derive(Debug)]
pub(super) struct Lanes {
    at_once: usize,
    lanes: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

/// Leave to restart, until dropped.
#[derive(Debug)]
pub(super) struct Lane(
    #[expect(dead_code, reason = "held for their drop")] Vec<OwnedSemaphorePermit>,
);

impl Lanes {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            at_once: at_once.clamp(1, Semaphore::MAX_PERMITS),
            lanes: Mutex::default(),
        }
    }

    /// Returns leave if there is room in every lane now.
    pub(super) fn try_enter(&self, names: &[String]) -> Option<Lane> {
        let permits = names
            .iter()
            .map(|name| self.lane(name).try_acquire_owned().ok());
        permits.collect::<Option<Vec<_>>>().map(Lane)
    }

    /// Waits until there is room in every lane.
    pub(super) async fn enter(&self, names: &[String]) -> Lane {
        let mut permits = Vec::with_capacity(names.len());
        // All PCs take them in one order, so that none waits for another in a circle.
        for name in names {
            permits.extend(self.lane(name).acquire_owned().await.ok());
        }
        Lane(permits)
    }

    fn lane(&self, name: &str) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(name.to_owned());
        lane.or_insert_with(|| Arc::new(Semaphore::new(self.at_once)))
            .clone()
    }
}

/// Brings the names of lanes into the one order in which all PCs take them.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        names.push(String::new());
    }
    names
}

/// What became of the wait for a lane.
pub(super) enum Turn {
    /// There was room.
    Now,
    /// Time has passed, or the run is to stop: the machine must think again.
    ThinkAgain,
    /// The PC ends here.
    End(Ending),
}

impl Pc {
    /// Waits until the PC may be amid a rung that restarts it. While it waits it has no session and
    /// no worker's slot.
    pub(super) async fn take_lane(&mut self, program: &Program) -> Result<Turn, Halted> {
        if self.lane.is_some() {
            return Ok(Turn::Now);
        }
        let names = match self.lane_names(program) {
            Ok(names) => names,
            Err(ending) => return Ok(Turn::End(*ending)),
        };
        let shared = self.shared.clone();
        let (lane, turn) = self.enter(&shared.lanes, &names).await?;
        self.lane = lane;
        Ok(turn)
    }

    /// Returns leave in these lanes: at once, or after a wait without a session and without a
    /// worker's slot.
    pub(super) async fn enter(
        &mut self,
        lanes: &Lanes,
        names: &[String],
    ) -> Result<(Option<Lane>, Turn), Halted> {
        if let Some(lane) = lanes.try_enter(names) {
            return Ok((Some(lane), Turn::Now));
        }
        let shared = self.shared.clone();
        self.give_up_session().await;
        let start = Instant::now();
        let lane = tokio::select! {
            biased;
            () = shared.recorder.halt().cancelled() => return Err(Halted),
            () = shared.soft.cancelled() => return Ok((None, Turn::ThinkAgain)),
            lane = lanes.enter(names) => lane,
        };
        self.aged |= start.elapsed() >= shared.plan.limits.restart.facts;
        self.connect().await?;
        Ok((Some(lane), Turn::ThinkAgain))
    }

    /// Takes the place again that the PC had in its lanes before the run was cut.
    pub(super) async fn retake_lane(&mut self) -> Result<(), Halted> {
        let Some(program) = self.shared.plan.program(&self.host).cloned() else {
            return Ok(());
        };
        let rung = self.state.rung.as_ref();
        let plan = rung.and_then(|rung| program.rungs.get(&rung.id));
        if !plan.is_some_and(crate::RungPlan::reboots) {
            return Ok(());
        }
        let Ok(names) = self.lane_names(&program) else {
            return Ok(());
        };
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            () = shared.recorder.halt().cancelled() => Err(Halted),
            // To finish it is more than to keep the order.
            () = shared.soft.cancelled() => Ok(()),
            lane = shared.lanes.enter(&names) => {
                self.lane = Some(lane);
                Ok(())
            }
        }
    }

    fn lane_names(&self, program: &Program) -> Result<Vec<String>, Box<Ending>> {
        let values = self.in_context(|_, context| machine::lanes(program, context, &self.state));
        values
            .map(in_order)
            .map_err(|error| Box::new(machine::playbook_error(&self.state, &error)))
    }

    /// Ends the session and gives the worker's slot back, for a wait that may be long.
    pub(super) async fn give_up_session(&mut self) {
        self.close().await;
        self.slot = Slot::None;
    }
}

/// How long things around a restart take.
#[derive(Clone, Debug)]
pub struct RestartLimits {
    /// Seconds between the order and the restart where no grace is asked for: so long that the
    /// answer to the order comes back first.
    pub delay: Duration,
    /// How often a PC is asked whether it is back.
    pub poll: Duration,
    /// How long a PC that is back may take until it is ready for a logon and not servicing; then
    /// the rung goes on all the same.
    pub settle: Duration,
    /// How long to wait after a refused logon before the second and last one: a PC that boots may
    /// refuse for a while whom it takes later.
    pub refused: Duration,
    /// How long after the time set for a restart the old boot may still answer, before the order is
    /// taken for lost, if nobody heard that it arrived.
    pub lost: Duration,
    /// How old facts may be when a PC has waited for its turn; then it is diagnosed anew.
    pub facts: Duration,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            poll: Duration::from_secs(5),
            settle: Duration::from_secs(5 * 60),
            refused: Duration::from_secs(30),
            lost: Duration::from_secs(60),
            facts: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_take_their_lanes_in_one_order() {
        let names = |names: &[&str]| in_order(names.iter().map(ToString::to_string).collect());
        assert_eq!(names(&["1:dc1", "0:東京", "1:dc1"]), ["0:東京", "1:dc1"]);
        assert_eq!(names(&[]), [""]);
    }

    #[tokio::test]
    async fn a_lane_holds_so_many_and_gives_back_what_it_could_not_use() {
        let lanes = Lanes::new(2);
        let both = ["d".to_owned(), "s".to_owned()];
        let first = lanes.try_enter(&both);
        let second = lanes.try_enter(&both[..1]);
        assert!(first.is_some() && second.is_some());
        assert!(lanes.try_enter(&both).is_none());
        // The place in the other lane was not kept by the attempt.
        let other = [lanes.try_enter(&both[1..]), lanes.try_enter(&both[1..])];
        assert_eq!(other.iter().flatten().count(), 1);
        drop(second);
        drop(other);
        assert!(lanes.try_enter(&both).is_some());
        assert_eq!(Lanes::new(0).at_once, 1);
    }
}
