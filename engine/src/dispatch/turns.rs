//! How many PCs of one site are worked on at once, and of one domain controller repaired.
//!
//! A PC takes its place at its site once something answers, so that dead ones take none, and
//! keeps it to its end; its place at the domain controller before a rung, to the rung's end; its
//! lanes for restarts after that. All PCs keep to this order, so none waits in a circle.

use fleetmend_model::Host;
use fleetmend_transport::ConnectError;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::host_task::{Pc, Slot};
use super::lanes::Turn;
use super::recorder::Halted;
use crate::machine::Diagnosis;

/// The variable of a PC that names its site.
const SITE: &str = "site";
/// The parameter or variable that names its domain controller.
const DOMAIN_CONTROLLER: &str = "domain_controller";

impl Pc {
    /// Waits until the PC may be worked on beside others of its site. While it waits it has no
    /// place among the probes.
    pub(super) async fn take_site(
        &mut self,
        token: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let shared = self.shared.clone();
        let (Some(lanes), Some(site), None) = (&shared.sites, site(&self.host), &self.site) else {
            return Ok(());
        };
        let names = [site];
        self.site = lanes.try_enter(&names);
        if self.site.is_some() {
            return Ok(());
        }
        self.slot = Slot::None;
        let start = Instant::now();
        self.site = tokio::select! {
            biased;
            () = token.cancelled() => return Err(ConnectError::Cancelled),
            lane = lanes.enter(&names) => Some(lane),
        };
        if start.elapsed() < shared.plan.limits.restart.facts {
            return Ok(());
        }
        // It may have been switched off meanwhile.
        let time = shared.plan.limits.connect;
        shared.probe(&self.host, time, token).await
    }

    /// Waits until a rung may run on the PC beside others of its domain controller. While it
    /// waits it has no session and no worker's slot.
    pub(super) async fn take_dc(&mut self) -> Result<Turn, Halted> {
        let shared = self.shared.clone();
        let (Some(lanes), Some(dc)) = (&shared.dcs, self.domain_controller()) else {
            self.dc = None;
            return Ok(Turn::Now);
        };
        if self.dc.as_ref().is_some_and(|(held, _)| *held == dc) {
            return Ok(Turn::Now);
        }
        self.dc = None;
        self.lane = None;
        let (lane, turn) = self.enter(lanes, std::slice::from_ref(&dc)).await?;
        self.dc = lane.map(|lane| (dc, lane));
        Ok(turn)
    }

    /// Takes the places again that a PC amid a rung had before the run was cut.
    pub(super) async fn retake_turns(&mut self) -> Result<(), Halted> {
        let shared = self.shared.clone();
        let soft = shared.soft.clone();
        // Whatever comes of it: to finish the rung is more than to keep the order.
        let _ = self.take_site(&soft).await;
        if let (Some(lanes), Some(dc)) = (&shared.dcs, self.domain_controller()) {
            let lane = tokio::select! {
                biased;
                () = shared.recorder.halt().cancelled() => return Err(Halted),
                () = soft.cancelled() => None,
                lane = lanes.enter(std::slice::from_ref(&dc)) => Some(lane),
            };
            self.dc = lane.map(|lane| (dc, lane));
        }
        self.retake_lane().await
    }

    /// Returns the domain controller that the repair of the PC would burden, as far as it is
    /// known.
    fn domain_controller(&self) -> Option<String> {
        let set = self.situation.params.get(DOMAIN_CONTROLLER);
        let own = self.host.vars.get(DOMAIN_CONTROLLER);
        let found = match &self.state.diagnosis {
            Diagnosis::Facts(facts) => facts.0.get("dc").and_then(|dc| dc.get("name")),
            _ => None,
        };
        [set, own, found].into_iter().flatten().find_map(name)
    }
}

fn site(host: &Host) -> Option<String> {
    host.vars.get(SITE).and_then(name)
}

/// Returns a text in one spelling, or a number; nothing for what is none or empty.
fn name(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
