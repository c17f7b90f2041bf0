//! The first word to a PC, before it costs anything: dead ones must not keep the living waiting.

use std::time::Duration;

use fleetmend_transport::ConnectError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::host_task::{Pc, Slot};

/// Who has not answered after this gives its place among the probes to the next PC, and is asked
/// on among those that are slow. The living answer in one round trip; a first SYN that was lost
/// is sent again after a second.
const PROMPT: Duration = Duration::from_millis(500);

impl Pc {
    /// Asks whether anything answers, at most as long as a connection may take.
    pub(super) async fn first_probe(
        &mut self,
        token: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let time = self.shared.plan.limits.connect;
        let shared = self.shared.clone();
        let host = self.host.clone();
        let mut probe = std::pin::pin!(shared.probe(&host, time, token));
        tokio::select! {
            biased;
            answered = &mut probe => return answered,
            () = sleep(PROMPT) => {}
        }
        // Where there is no place among the slow ones it keeps its own.
        if let Ok(slow) = shared.slow_probes.clone().try_acquire_owned() {
            self.slot = Slot::Probe(slow);
        }
        probe.await
    }
}
