//! Asking cheaply whether anything listens, before a worker's slot is spent.

use async_trait::async_trait;
use fleetmend_model::Host;
use fleetmend_transport::{ConnectError, Limits, probe};

/// Asks whether anything listens on a PC, without logging on.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Returns once something answers.
    ///
    /// # Errors
    /// The [`ConnectError`] with which the PC ends.
    async fn probe(&self, host: &Host, limits: &Limits) -> Result<(), ConnectError>;
}

/// Asks on TCP, at the ports that the PC's transport may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpProber;

#[async_trait]
impl Prober for TcpProber {
    async fn probe(&self, host: &Host, limits: &Limits) -> Result<(), ConnectError> {
        probe(host, limits).await.map(|_| ())
    }
}

/// Takes every PC for reachable; connecting tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

#[async_trait]
impl Prober for NoProbe {
    async fn probe(&self, _: &Host, _: &Limits) -> Result<(), ConnectError> {
        Ok(())
    }
}
