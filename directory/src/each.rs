//! Every controller of the domain, asked for itself.

use futures::StreamExt as _;
use jiff::SignedDuration;

use crate::controller::Session;
use crate::{ActiveDirectory, DirectoryError, Limit};

/// How many controllers are asked at once.
const AT_ONCE: usize = 16;

/// One controller, and what it says of itself.
#[derive(Clone, Debug)]
pub struct ControllerState {
    /// Its DNS name if it answered, else the name by which it was asked.
    pub dc: String,
    /// What it says of itself, or why it does not.
    pub told: Result<ControllerFacts, DirectoryError>,
}

/// What a controller says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerFacts {
    /// How far its clock is ahead of ours; whole seconds, less the way there.
    pub clock_ahead: Option<SignedDuration>,
    /// Whether it has finished its first synchronisation.
    pub synchronized: Option<bool>,
    /// Whether it is a read-only domain controller.
    pub read_only: bool,
}

impl ActiveDirectory {
    /// Asks every known controller what it is, in their order. Our account is bound at each, after
    /// one of them accepted it.
    ///
    /// # Errors
    /// No controller is known, or none can be asked. One that is silent is part of the answer.
    pub async fn each_controller(
        &self,
        limit: &Limit,
    ) -> Result<Vec<ControllerState>, DirectoryError> {
        // The first bind is made alone: a refused account is not refused everywhere.
        self.any(false, limit).await?;
        let asking = self.controllers(limit).await?.iter().map(|one| async move {
            match one.session(limit).await {
                Ok(session) => ControllerState {
                    dc: session.dc.clone(),
                    told: Ok(facts(&session)),
                },
                Err(why) => ControllerState {
                    dc: one.label(),
                    told: Err(why),
                },
            }
        });
        let asked = futures::stream::iter(asking.collect::<Vec<_>>()).buffered(AT_ONCE);
        Ok(asked.collect().await)
    }
}

fn facts(session: &Session) -> ControllerFacts {
    let theirs = session.root.current_time;
    ControllerFacts {
        clock_ahead: theirs.map(|theirs| theirs.duration_since(session.asked_at)),
        synchronized: session.root.synchronized,
        read_only: session.root.read_only,
    }
}
