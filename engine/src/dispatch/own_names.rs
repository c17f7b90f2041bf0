//! The names that the inventory has for a PC.

use std::net::IpAddr;

use fleetmend_model::Host;

/// Ports on which a PC answers for itself; behind any other one it may be a gateway that passes
/// the connection on, whose name is not the PC's.
const OWN_PORTS: [u16; 3] = [22, 5985, 5986];

/// A NetBIOS name, and with it a computer's account name, has at most that many characters.
const LONGEST: usize = 15;

/// Returns what the PC's account may be called for all that the inventory says: the first labels
/// of its name and its address, in lower case. None where the inventory knows IP addresses alone.
///
/// A PC says itself who it is, and whoever rules it can make it say anything. These names are the
/// operator's.
pub(super) fn own_names(host: &Host) -> Vec<String> {
    let direct = host.port.is_none_or(|port| OWN_PORTS.contains(&port));
    let address = direct.then_some(host.address.as_str());
    let mut names = Vec::new();
    for text in [Some(host.name.0.as_str()), address].into_iter().flatten() {
        if let Some(name) = computer_name(text)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// Returns the computer's name in a host name; none in an IP address.
fn computer_name(text: &str) -> Option<String> {
    let text = text.trim();
    // An IPv6 address may have a zone behind it, which the parser does not know.
    if text.parse::<IpAddr>().is_ok() || text.contains(':') {
        return None;
    }
    let first = text.split('.').next()?;
    let name: String = first.to_lowercase().chars().take(LONGEST).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, address: &str, port: Option<u16>) -> Vec<String> {
        let mut host = Host::new(name);
        address.clone_into(&mut host.address);
        host.port = port;
        own_names(&host)
    }

    #[test]
    fn a_dns_name_gives_its_first_label() {
        let all = names("PC1.Corp.Example.JP", "PC1.Corp.Example.JP", None);
        assert_eq!(all, ["pc1"]);
        assert_eq!(
            names("受付-01", "pc0815.corp", Some(22)),
            ["受付-01", "pc0815"]
        );
        let long = names("accounting-desk-17", "192.0.2.7", None);
        assert_eq!(long, ["accounting-desk"]);
    }

    #[test]
    fn an_ip_address_is_no_name() {
        for address in ["192.0.2.7", "2001:db8::7", "fe80::7%eth0", ""] {
            assert!(names(address, address, None).is_empty(), "{address}");
        }
    }

    /// Behind a port that is not a PC's own another machine may pass connections on.
    #[test]
    fn a_gateway_is_not_the_pc() {
        assert_eq!(names("pc1", "gateway.corp", Some(2201)), ["pc1"]);
        assert_eq!(names("pc1", "gateway.corp", Some(5986)), ["pc1", "gateway"]);
    }
}
