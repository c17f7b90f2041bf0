//! The wire over WinRM.

use async_trait::async_trait;
use fleetmend_model::{Credential, WinrmSettings};
use tokio::net::TcpStream;

use super::Endpoint;
use crate::{CommandLine, ConnectError, Limits, Reached, Received, SessionError, Wire};

/// A logged-on WinRM connection with one shell.
pub struct WinrmWire {
    reached: Reached,
}

/// Connects, logs on (the password is used at most once before it is accepted) and creates the
/// shell, waiting out quota faults inside `limits`.
///
/// `tcp` is a connection that a prober already opened to the endpoint; without it the endpoint
/// is resolved and connected to.
///
/// # Errors
/// See [`ConnectError`]; nothing has been run on the PC. `Unreachable` is returned only while
/// the credential has not been sent, so falling back to another port cannot spend it twice.
pub async fn connect(
    endpoint: &Endpoint,
    tcp: Option<TcpStream>,
    credential: &Credential,
    settings: &WinrmSettings,
    limits: &Limits,
) -> Result<WinrmWire, ConnectError> {
    let _ = (tcp, credential, settings, limits);
    Err(ConnectError::Settings {
        address: endpoint.authority(),
        detail: "WinRM is not there yet".to_owned(),
    })
}

#[async_trait]
impl Wire for WinrmWire {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn start(&mut self, _: &CommandLine, _: &Limits) -> Result<(), SessionError> {
        Err(not_there())
    }

    async fn send(&mut self, _: &[u8], _: bool, _: &Limits) -> Result<(), SessionError> {
        Err(not_there())
    }

    async fn receive(&mut self, _: &Limits) -> Result<Received, SessionError> {
        Err(not_there())
    }

    async fn terminate(&mut self, _: &Limits) -> Result<(), SessionError> {
        Ok(())
    }

    async fn close(self: Box<Self>) {}
}

fn not_there() -> SessionError {
    SessionError::NotRun { detail: "WinRM is not there yet".to_owned() }
}
