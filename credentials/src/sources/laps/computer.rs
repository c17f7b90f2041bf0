//! Which computer of the directory a PC of the inventory is.

use std::net::IpAddr;

use fleetmend_model::Host;
use serde_json::Value;

use super::told::Told;
use crate::SourceError;

/// The variable that names the account in the directory, as elsewhere in fleetmend.
const VARIABLE: &str = "computer_name";
/// Ports on which a PC answers for itself; behind any other one it may be a gateway.
const OWN_PORTS: [u16; 3] = [22, 5985, 5986];

/// Returns the names by which the operator says that the directory has this PC, the surest first:
/// that of the variable `computer_name` alone, else the host's name and its address. What the PC says of itself counts for nothing: it would be handed the password of
/// another.
pub(super) fn computers(host: &Host) -> Result<Vec<String>, SourceError> {
    let given = host.vars.get(VARIABLE).and_then(Value::as_str);
    let given = given.map(|name| name.trim().to_owned());
    if let Some(name) = given.filter(|name| !name.is_empty()) {
        return Ok(vec![name]);
    }
    let direct = host.port.is_none_or(|port| OWN_PORTS.contains(&port));
    let address = direct.then_some(host.address.as_str());
    let mut names: Vec<String> = Vec::new();
    for text in [Some(host.name.0.as_str()), address].into_iter().flatten() {
        let text = text.trim().trim_end_matches('.');
        let known = names.iter().any(|name| name.eq_ignore_ascii_case(text));
        if is_name(text) && !known {
            names.push(text.to_owned());
        }
    }
    if names.is_empty() {
        return Err(Told::of(&host.name).nameless());
    }
    Ok(names)
}

fn is_name(text: &str) -> bool {
    // An IPv6 address may have a zone behind it, which the parser does not know.
    !text.is_empty() && text.parse::<IpAddr>().is_err() && !text.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, address: &str) -> Host {
        let mut host = Host::new(name);
        address.clone_into(&mut host.address);
        host
    }

    fn names(host: &Host) -> Vec<String> {
        computers(host).unwrap_or_default()
    }

    #[test]
    fn the_inventory_says_which_computer_it_is() {
        assert_eq!(names(&host("PC1", "192.0.2.7")), ["PC1"]);
        let alias = host("受付-01", "pc1.corp.example.jp.");
        assert_eq!(names(&alias), ["受付-01", "pc1.corp.example.jp"]);
        assert_eq!(names(&host("pc1", "PC1")), ["pc1"]);
        let mut gateway = host("pc1", "gateway");
        gateway.port = Some(2201);
        assert_eq!(names(&gateway), ["pc1"]);
    }

    #[test]
    fn a_name_that_is_given_counts_alone() {
        let mut named = host("受付-01", "pc1");
        named.vars.insert(VARIABLE.to_owned(), "PC-0815 ".into());
        assert_eq!(names(&named), ["PC-0815"]);
    }

    #[test]
    fn an_ip_address_is_no_name() {
        for address in ["192.0.2.7", "fe80::7%eth0"] {
            let error = computers(&host(address, address)).unwrap_err();
            assert!(error.next.contains("computer_name"), "{error:?}");
        }
    }
}
