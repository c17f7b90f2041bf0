//! From a host and a credential to a wire.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fleetmend_model::{Credential, Platform, SshSettings};
use russh::client;
use tokio::net::TcpStream;

use super::auth::{Logon, account};
use super::client::{HandshakeError, HostKeyCheck, config};
use super::key::LogonKey;
use super::known_hosts::KnownHosts;
use super::wire::SshWire;
use crate::auto::dial;
use crate::{ConnectError, Limits, UnreachableWhy};

/// Where a PC's sshd listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A DNS name or an address, without brackets; known-hosts files know the host by it.
    pub host: String,
    /// The port, 22 by custom.
    pub port: u16,
}

impl Endpoint {
    /// Returns `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Connects, checks the host key and logs on. The password is sent at most once.
///
/// `tcp` is a connection that a prober already opened to the endpoint; without it the endpoint
/// is resolved and connected to.
///
/// # Errors
/// See [`ConnectError`]; nothing has been run on the PC. `Unreachable` is returned only while
/// no password has been sent.
pub async fn connect(
    endpoint: &Endpoint,
    tcp: Option<TcpStream>,
    platform: Platform,
    credential: &Credential,
    settings: &SshSettings,
    limits: &Limits,
) -> Result<SshWire, ConnectError> {
    let address = endpoint.authority();
    let work = async {
        // What can fail on this machine fails before anything leaves it.
        let key = LogonKey::load(credential, settings, &address).await?;
        let check = host_key_check(endpoint, settings, &address).await?;
        let said_bye = Arc::clone(&check.said_bye);
        let known_types = check.known.algorithms(&endpoint.host, endpoint.port);
        let tcp = match tcp {
            Some(tcp) => tcp,
            None => dial::connect(&endpoint.host, endpoint.port, limits).await?,
        };
        // Small packets in both directions: waiting for more would cost a round trip each.
        let _ = tcp.set_nodelay(true);
        let mut handle = client::connect_stream(config(&known_types), tcp, check)
            .await
            .map_err(|error| handshake_error(error, &address))?;
        let user = account(&credential.user);
        let logon = Logon {
            handle: &mut handle,
            address: &address,
            user,
            credential,
            settings,
            mark: &limits.mark,
            said_bye: &said_bye,
        };
        logon.run(key).await?;
        Ok(SshWire::new(handle, address.clone(), platform))
    };
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Err(ConnectError::Cancelled),
        done = tokio::time::timeout_at(limits.deadline, work) => {
            done.unwrap_or_else(|_| Err(silent(&address, limits.mark.is_unanswered())))
        }
    }
}

/// No answer in time. Once the password was sent it counts as spent: the host may still judge it,
/// so it is not one that another way or another try may reach.
fn silent(address: &str, sent: bool) -> ConnectError {
    let address = address.to_owned();
    if sent {
        return ConnectError::Protocol {
            address,
            detail: "no answer in time after the password had been sent".to_owned(),
        };
    }
    ConnectError::Unreachable {
        address,
        why: UnreachableWhy::TimedOut,
        source: None,
    }
}

async fn host_key_check(
    endpoint: &Endpoint,
    settings: &SshSettings,
    address: &str,
) -> Result<HostKeyCheck, ConnectError> {
    let failed = |detail: String| ConnectError::Settings {
        address: address.to_owned(),
        detail,
    };
    let path = match &settings.known_hosts {
        Some(path) => path.clone(),
        None => own_file().ok_or_else(|| failed("there is no home folder".to_owned()))?,
    };
    let known = KnownHosts::load_for(&path, &endpoint.host, endpoint.port)
        .await
        .map_err(|error| failed(format!("known-hosts file {}: {error}", path.display())))?;
    Ok(HostKeyCheck {
        host: endpoint.host.clone(),
        port: endpoint.port,
        known,
        accept_new: settings.accept_new_host_keys,
        said_bye: Arc::new(AtomicBool::new(false)),
    })
}

fn own_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".ssh").join("known_hosts"))
}

fn handshake_error(error: HandshakeError, address: &str) -> ConnectError {
    let address = address.to_owned();
    let unreachable = |why, error: russh::Error| ConnectError::Unreachable {
        address: address.clone(),
        why,
        source: Some(Box::new(error)),
    };
    match error {
        HandshakeError::Identity(detail) => ConnectError::Identity { address, detail },
        HandshakeError::Store(detail) => ConnectError::Settings {
            address,
            detail: format!("known-hosts file {detail}"),
        },
        HandshakeError::Ssh(error) => match error {
            russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::SendError
            | russh::Error::RecvError
            | russh::Error::IO(_) => unreachable(UnreachableWhy::Closed, error),
            russh::Error::ConnectionTimeout
            | russh::Error::KeepaliveTimeout
            | russh::Error::InactivityTimeout
            | russh::Error::Elapsed(_) => unreachable(UnreachableWhy::TimedOut, error),
            other => ConnectError::Protocol {
                address,
                detail: format!("SSH: {other}"),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_addresses() {
        let endpoint = |host: &str| Endpoint {
            host: host.to_owned(),
            port: 22,
        };
        assert_eq!(endpoint("pc-1").authority(), "pc-1:22");
        assert_eq!(endpoint("fe80::1").authority(), "[fe80::1]:22");
    }
}
