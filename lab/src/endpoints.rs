//! Where the PCs of a lab listen: one loopback address a PC where the system has them, else one
//! address with many ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fleetmend_model::TransportKind;
use futures::future::try_join_all;
use tokio::net::{TcpListener, TcpSocket};

use crate::mix::PcPlan;
use crate::scenario::Scenario;
use crate::silent::Silent;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 64;

/// How many blocks of addresses are tried when one is in use.
const BLOCKS: u8 = 32;

/// The ports that a PC with an address of its own listens on; high, so that nobody needs to be
/// root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabPorts {
    /// WinRM over HTTP.
    pub http: u16,
    /// WinRM over HTTPS.
    pub https: u16,
    /// SSH.
    pub ssh: u16,
}

impl Default for LabPorts {
    fn default() -> Self {
        Self {
            http: 15985,
            https: 15986,
            ssh: 10022,
        }
    }
}

impl LabPorts {
    fn of(self, transport: TransportKind) -> u16 {
        match transport {
            TransportKind::WinrmHttp => self.http,
            TransportKind::WinrmHttps => self.https,
            TransportKind::Ssh => self.ssh,
        }
    }
}

/// What stands at a PC's address.
#[derive(Debug)]
pub(crate) enum Place {
    /// Something to serve on.
    Open(TcpListener),
    /// Nothing: connections are refused.
    Closed,
    /// A socket that never answers.
    Silent(Silent),
}

/// A PC's address and what stands there.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
    /// The other ports that are served, if the PC has any.
    pub(crate) others: Vec<(TransportKind, TcpListener)>,
}

/// The port on a block's first address that says that the block is taken, also while a PC there
/// restarts and its own ports are free.
const CLAIM: u16 = 15984;

/// The endpoints of a lab, and what keeps other labs from its addresses.
pub(crate) struct Block {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) claim: Option<TcpListener>,
}

/// Opens one endpoint for each PC: on addresses from `base` on (127.64.0.0 if not told; the next
/// free block if that one is in use), or all on 127.0.0.1 where there is no other.
pub(crate) async fn open(
    plan: &[PcPlan],
    base: Option<Ipv4Addr>,
    ports: LabPorts,
) -> io::Result<Block> {
    if let Some(base) = base {
        return open_block(plan, base, ports).await;
    }
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for block in 64..64 + BLOCKS {
        match open_block(plan, Ipv4Addr::new(127, block, 0, 0), ports).await {
            Ok(block) => return Ok(block),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            // Windows says so for ports that it keeps for itself.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => last = error,
            // macOS has 127.0.0.1 only.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                return open_one_address(plan).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn open_block(plan: &[PcPlan], base: Ipv4Addr, ports: LabPorts) -> io::Result<Block> {
    let claim = listen(SocketAddr::new(IpAddr::V4(nth_address(base, 0)?), CLAIM))?;
    // Side by side, because each silent PC takes a moment to fall silent.
    let endpoints = try_join_all(plan.iter().enumerate().map(|(index, pc)| async move {
        let ip = nth_address(base, index)?;
        let address = SocketAddr::new(IpAddr::V4(ip), ports.of(pc.transport));
        let mut endpoint = endpoint(address, pc.scenario).await?;
        for other in pc.others() {
            let address = SocketAddr::new(IpAddr::V4(ip), ports.of(other));
            endpoint.others.push((other, listen(address)?));
        }
        io::Result::Ok(endpoint)
    }))
    .await?;
    Ok(Block {
        endpoints,
        claim: Some(claim),
    })
}

async fn open_one_address(plan: &[PcPlan]) -> io::Result<Block> {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let endpoints = try_join_all(plan.iter().map(|pc| async move {
        let mut endpoint = endpoint(any, pc.scenario).await?;
        for other in pc.others() {
            endpoint.others.push((other, listen(any)?));
        }
        io::Result::Ok(endpoint)
    }))
    .await?;
    Ok(Block {
        endpoints,
        claim: None,
    })
}

/// Returns the address of the PC of this index: 127.64.0.1 for the first, and so on, never one
/// that ends in 0 or 255.
fn nth_address(base: Ipv4Addr, index: usize) -> io::Result<Ipv4Addr> {
    let index = u32::try_from(index).map_err(io::Error::other)?;
    let host = (index / 254) * 256 + index % 254 + 1;
    let address = u32::from(base).checked_add(host).map(Ipv4Addr::from);
    address
        .filter(Ipv4Addr::is_loopback)
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

async fn endpoint(address: SocketAddr, scenario: Scenario) -> io::Result<Endpoint> {
    match scenario {
        Scenario::Silent => {
            let silent = Silent::at(address).await?;
            Ok(Endpoint {
                address: silent.address()?,
                place: Place::Silent(silent),
                others: Vec::new(),
            })
        }
        Scenario::Off => {
            // Binding proves that the address exists and that nobody else answers there.
            let address = listen(address)?.local_addr()?;
            Ok(Endpoint {
                address,
                place: Place::Closed,
                others: Vec::new(),
            })
        }
        _ => {
            let listener = listen(address)?;
            Ok(Endpoint {
                address: listener.local_addr()?,
                place: Place::Open(listener),
                others: Vec::new(),
            })
        }
    }
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // On Windows this would let somebody else take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_skip_network_and_broadcast() {
        let base = Ipv4Addr::new(127, 64, 0, 0);
        let at = |index| nth_address(base, index).unwrap().to_string();
        assert_eq!(at(0), "127.64.0.1");
        assert_eq!(at(253), "127.64.0.254");
        assert_eq!(at(254), "127.64.1.1");
        assert_eq!(at(999), "127.64.3.238");
        assert!(nth_address(Ipv4Addr::new(127, 255, 255, 0), 300).is_err());
    }

    #[tokio::test]
    async fn one_address_holds_a_fleet_by_its_ports() {
        let plan = crate::mix::Mix::Demo.plan(24, None);
        let endpoints = open_one_address(&plan).await.unwrap().endpoints;
        let ports: std::collections::BTreeSet<u16> = endpoints
            .iter()
            .map(|endpoint| endpoint.address.port())
            .collect();
        assert!(
            endpoints
                .iter()
                .all(|endpoint| endpoint.address.ip() == Ipv4Addr::LOCALHOST)
        );
        // A PC that is off may leave its port to another one.
        assert!(ports.len() >= 23 && !ports.contains(&0));
    }
}
