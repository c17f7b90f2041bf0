//! Checks over all hosts together.

use std::collections::{BTreeSet, HashMap};

use fleetmend_model::{Host, TransportChoice, WinrmScheme};
use unicode_normalization::UnicodeNormalization as _;

use crate::Place;
use crate::error::{InventoryError, Problem};
use crate::graph::Graph;
use crate::settings::ADDRESS_NAMES;
use crate::vars::Vars;
use crate::vaults::VAULTED;

/// Finds hosts that are the same PC: one address and one port under two names. Of a group that
/// gives all its hosts one address, only the first pair is told.
pub(crate) fn shared_addresses(
    hosts: &[Host],
    graph: &Graph,
    variables: &[Vars],
) -> Vec<InventoryError> {
    let mut seen: HashMap<(String, Option<u16>), &Host> = HashMap::new();
    let mut places: BTreeSet<Place> = BTreeSet::new();
    let mut errors = Vec::new();
    let known = hosts.iter().filter(|host| host.address != VAULTED);
    for host in known {
        let key = (host.address.to_lowercase(), port(host));
        let Some(first) = seen.get(&key) else {
            seen.insert(key, host);
            continue;
        };
        let Some(place) = place(host, graph, variables) else {
            continue;
        };
        if places.insert(place.clone()) {
            let address = match host.port {
                Some(port) => format!("{}:{port}", host.address),
                None => host.address.clone(),
            };
            let (first, second) = (first.name.0.clone(), host.name.0.clone());
            let problem = Problem::SharedAddress {
                first,
                second,
                address,
            };
            errors.push(InventoryError::new(place, problem));
        }
    }
    errors
}

/// Finds hosts whose names are one in Unicode's NFC: they look the same, and would be two PCs with
/// their own variables and credentials.
pub(crate) fn same_names(hosts: &[Host], graph: &Graph) -> Vec<InventoryError> {
    let mut seen: HashMap<String, &Host> = HashMap::new();
    let mut errors = Vec::new();
    // Names of ASCII have one form only.
    for host in hosts.iter().filter(|host| !host.name.0.is_ascii()) {
        let name: String = host.name.0.nfc().collect();
        let Some(first) = seen.get(&name) else {
            seen.insert(name, host);
            continue;
        };
        let place = |host: &Host| {
            let host = graph.host(graph.host_id(&host.name.0)?)?;
            Some(host.place.clone())
        };
        if let (Some(first_place), Some(place)) = (place(first), place(host)) {
            let problem = Problem::SameName { name, first_place };
            errors.push(InventoryError::new(place, problem));
        }
    }
    errors
}

/// The port that will be used, as far as it is settled before probing.
fn port(host: &Host) -> Option<u16> {
    host.port.or(match (host.transport, host.winrm.scheme) {
        (TransportChoice::Ssh, _) => Some(22),
        (_, Some(WinrmScheme::Http)) => Some(5985),
        (_, Some(WinrmScheme::Https)) => Some(5986),
        _ => None,
    })
}

/// Where the address stands, else where the host does.
fn place(host: &Host, graph: &Graph, variables: &[Vars]) -> Option<Place> {
    let id = graph.host_id(&host.name.0)?;
    let vars = variables.get(id.0)?;
    let var = ADDRESS_NAMES.iter().find_map(|name| vars.get(*name));
    var.map(|var| var.place())
        .or_else(|| graph.host(id).map(|host| host.place.clone()))
}
