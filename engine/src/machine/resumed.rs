//! What becomes of a PC's state when a run that was cut goes on.

use super::state::{Link, PcState};
use crate::connect_failure;

impl PcState {
    /// Returns the state with which a PC goes on after the controller died: there is no session,
    /// secrets that steps made are gone, and any time may have passed.
    ///
    /// A PC with a result keeps it. A question that was being asked is asked again; a step that
    /// may have changed something is not, its end becomes unknown and a diagnosis tells. A rung
    /// that has changed something is gone on with, one that has not is given up, to be chosen
    /// anew. A PC that was told to restart is waited for. Connections and beginnings of rungs are counted from here; a refused logon stays one.
    #[must_use]
    pub fn resumed(mut self) -> Self {
        if self.result.is_some() {
            return self;
        }
        if self
            .running
            .as_ref()
            .is_some_and(|running| !running.changes)
        {
            self.running = None;
        }
        let keep = match &self.link {
            Link::Failed { why, .. } => {
                ![connect_failure::INTERRUPTED, connect_failure::AFTER_REBOOT]
                    .contains(&why.as_str())
            }
            Link::None | Link::Connecting | Link::Up | Link::Lost { .. } => false,
        };
        if !keep {
            self.link = Link::None;
        }
        self.connects = 0;
        self.held = None;
        self.starts.clear();
        let changing = self.running.is_some();
        let open = self
            .rung
            .as_ref()
            .is_some_and(|rung| !rung.changed && !rung.proving);
        if changing && open {
            // If the step turns out not to have run, the rung is chosen anew.
            self.stale = true;
        }
        match &mut self.rung {
            Some(rung) if rung.changed || rung.stopped || rung.proving || changing => {}
            Some(rung) => {
                rung.ran = false;
                rung.stopped = true;
                rung.last_end = None;
                rung.answered = 0;
                self.stale = true;
            }
            // What was found may be hours old.
            None => self.stale = true,
        }
        self
    }
}
