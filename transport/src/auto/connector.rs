//! The connector that picks the transport.

use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::{Credential, Host, Platform, WinrmScheme};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::candidates::{Candidate, Speech, candidates};
use super::dial;
use super::race::{Race, race};
use crate::powershell::StepChannel;
use crate::{ConnectError, Connector, Limits, Session, UnreachableWhy, Wire, ssh, winrm};

/// How long a port of unknown speech has to show that it is an sshd, which speaks first.
const FIRST_WORD: Duration = Duration::from_millis(1500);

/// How a connector behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectorOptions {
    /// How long a host has to answer on TCP.
    pub connect_timeout: Duration,
    /// How long better ports may still answer once one has.
    pub grace: Duration,
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            grace: Duration::from_millis(300),
        }
    }
}

/// Opens sessions over whatever a host answers on: WinRM over HTTPS, over HTTP, SSH.
///
/// It goes on to the next endpoint only when a connection or TLS could not be had, which is
/// before the password was sent; never after a refused password or a wrong identity.
#[derive(Clone, Debug, Default)]
pub struct AutoConnector {
    options: ConnectorOptions,
}

impl AutoConnector {
    /// Returns a connector.
    pub fn new(options: ConnectorOptions) -> Self {
        Self { options }
    }

    async fn run(
        &self,
        host: &Host,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let candidates = candidates(host)?;
        let mut ports: Vec<u16> = candidates.iter().map(|candidate| candidate.port).collect();
        ports.dedup();
        let mut race = self.dial(host, &ports, limits).await?;
        if race.open.iter().all(Option::is_none) {
            return Err(none_open(host, &ports, race));
        }
        let mut first_error = None;
        for candidate in candidates {
            let place = ports.iter().position(|port| *port == candidate.port);
            let tcp = place
                .and_then(|place| race.open.get_mut(place))
                .and_then(Option::take);
            // Ports that had not answered when the race was over have their turn only if those
            // that had were of no use.
            let waits = tcp.is_none() && first_error.is_none();
            if waits || race.failed.contains(&candidate.port) {
                continue;
            }
            match self.open(host, candidate, tcp, credential, limits).await {
                Err(error @ ConnectError::Unreachable { .. }) => {
                    tracing::debug!(host = %host.name, port = candidate.port, %error, "next port");
                    first_error.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(first_error.unwrap_or_else(|| none_open(host, &ports, race)))
    }

    async fn dial(
        &self,
        host: &Host,
        ports: &[u16],
        limits: &Limits,
    ) -> Result<Race, ConnectError> {
        let began = Instant::now();
        let deadline = limits.deadline.min(began + self.options.connect_timeout);
        let failed = |error: dial::DialError| error.at(dial::authorities(&host.address, ports));
        let resolved = tokio::time::timeout_at(deadline, dial::resolve(&host.address)).await;
        let addresses = resolved
            .unwrap_or_else(|_| Err(dial::DialError::silent(began)))
            .map_err(failed)?;
        Ok(race(&addresses, ports, self.options.grace, deadline).await)
    }

    async fn dial_one(
        &self,
        host: &Host,
        port: u16,
        limits: &Limits,
    ) -> Result<TcpStream, ConnectError> {
        let deadline = limits
            .deadline
            .min(Instant::now() + self.options.connect_timeout);
        let limits = Limits {
            deadline,
            cancel: limits.cancel.clone(),
        };
        dial::connect(&host.address, port, &limits).await
    }

    async fn open(
        &self,
        host: &Host,
        candidate: Candidate,
        tcp: Option<TcpStream>,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let tcp = match tcp {
            Some(tcp) => Some(tcp),
            None => Some(self.dial_one(host, candidate.port, limits).await?),
        };
        match candidate.speech {
            Speech::Ssh => over_ssh(host, candidate.port, tcp, credential, limits).await,
            Speech::Winrm(scheme) => {
                over_winrm(host, scheme, candidate.port, tcp, credential, limits).await
            }
            Speech::Either => {
                let is_ssh = match &tcp {
                    Some(tcp) => speaks_first(tcp).await,
                    None => false,
                };
                if is_ssh {
                    return over_ssh(host, candidate.port, tcp, credential, limits).await;
                }
                let tls = WinrmScheme::Https;
                match over_winrm(host, tls, candidate.port, tcp, credential, limits).await {
                    Err(ConnectError::Unreachable {
                        why: UnreachableWhy::Tls,
                        ..
                    }) => {
                        let plain = WinrmScheme::Http;
                        let tcp = Some(self.dial_one(host, candidate.port, limits).await?);
                        over_winrm(host, plain, candidate.port, tcp, credential, limits).await
                    }
                    other => other,
                }
            }
        }
    }
}

#[async_trait]
impl Connector for AutoConnector {
    async fn connect(
        &self,
        host: &Host,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError> {
        tokio::select! {
            biased;
            () = limits.cancel.cancelled() => Err(ConnectError::Cancelled),
            result = self.run(host, credential, limits) => result,
        }
    }
}

async fn over_ssh(
    host: &Host,
    port: u16,
    tcp: Option<TcpStream>,
    credential: &Credential,
    limits: &Limits,
) -> Result<Box<dyn Session>, ConnectError> {
    let endpoint = ssh::Endpoint {
        host: host.address.clone(),
        port,
    };
    let wire = ssh::connect(&endpoint, tcp, host.platform, credential, &host.ssh, limits).await?;
    Ok(session(Box::new(wire), host.platform))
}

async fn over_winrm(
    host: &Host,
    scheme: WinrmScheme,
    port: u16,
    tcp: Option<TcpStream>,
    credential: &Credential,
    limits: &Limits,
) -> Result<Box<dyn Session>, ConnectError> {
    let endpoint = winrm::Endpoint {
        host: host.address.clone(),
        port,
        scheme,
    };
    let wire = winrm::connect(&endpoint, tcp, credential, &host.winrm, limits).await?;
    Ok(session(Box::new(wire), host.platform))
}

fn session(wire: Box<dyn Wire>, platform: Platform) -> Box<dyn Session> {
    Box::new(StepChannel::new(wire, platform))
}

/// Tells whether the peer begins with `SSH-` (RFC 4253, 4.2) of its own accord.
async fn speaks_first(tcp: &TcpStream) -> bool {
    let mut first = [0; 4];
    let word = tokio::time::timeout(FIRST_WORD, tcp.peek(&mut first)).await;
    matches!(word, Ok(Ok(count)) if b"SSH-".starts_with(first.get(..count).unwrap_or_default()) && count > 0)
}

fn none_open(host: &Host, ports: &[u16], race: Race) -> ConnectError {
    race.error
        .unwrap_or(dial::DialError {
            why: UnreachableWhy::TimedOut,
            source: None,
        })
        .at(dial::authorities(&host.address, ports))
}
