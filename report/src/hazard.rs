//! Whether a rung may have left a PC worse off than before.

use fleetmend_model::{Cause, HostEvent, Phase, Place, StepEnd};

/// What a rung's beginning warned of, and how far the rung came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watch {
    rung: Option<Rung>,
    /// One that changed something and was not proven.
    left: Option<Hazard>,
}

/// A rung that changed something, and what must be known while it is not proven.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hazard {
    pub(crate) rung: String,
    pub(crate) caution: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Rung {
    hazard: Option<Hazard>,
    /// Whether a step has changed something, or is at it; and whether one before it had.
    changed: bool,
    before: bool,
    place: Place,
}

impl Watch {
    /// Takes one more event in.
    pub(crate) fn apply(&mut self, what: &HostEvent) {
        match what {
            HostEvent::RungStarted { rung, caution } => {
                let hazard = caution.as_ref().map(|caution| Hazard {
                    rung: rung.clone(),
                    caution: caution.clone(),
                });
                self.rung = Some(Rung {
                    hazard,
                    changed: false,
                    before: false,
                    place: Place::Pc,
                });
            }
            HostEvent::StepStarted {
                step,
                changes,
                place,
            } => {
                if let Some(rung) = &mut self.rung {
                    rung.before = rung.changed;
                    rung.changed |= *changes && step.phase == Phase::Repair;
                    rung.place = *place;
                }
            }
            HostEvent::StepEnded { end, .. } => {
                if let Some(rung) = &mut self.rung
                    && did_nothing(end, rung.place)
                {
                    rung.changed = rung.before;
                }
            }
            HostEvent::Diagnosed { cause } if *cause == Cause::new("healthy") => self.left = None,
            HostEvent::RungEnded { verified, .. } => self.rung_ended(*verified),
            _ => {}
        }
    }

    /// Returns the rung that may have made the PC worse than before, if one did.
    pub(crate) fn hazard(&self) -> Option<&Hazard> {
        let now = self.rung.as_ref().and_then(Rung::hazard);
        now.or(self.left.as_ref())
    }

    fn rung_ended(&mut self, verified: bool) {
        let Some(rung) = self.rung.take() else {
            return;
        };
        if verified {
            self.left = None;
        } else if let Some(hazard) = rung.hazard() {
            self.left = Some(hazard.clone());
        }
    }
}

impl Rung {
    fn hazard(&self) -> Option<&Hazard> {
        self.hazard.as_ref().filter(|_| self.changed)
    }
}

/// What fails in the directory in an orderly way has written nothing.
fn did_nothing(end: &StepEnd, place: Place) -> bool {
    match end {
        StepEnd::NotRun { .. } => true,
        StepEnd::Failed { .. } => place == Place::Controller,
        StepEnd::Answered { .. } | StepEnd::Unknown { .. } => false,
    }
}
