//! `--ldap`: a domain, or the address of one of its controllers.

use std::str::FromStr;

use fleetmend_directory::Server;

/// A domain, or the address of one of its controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ldap {
    /// `corp.example.jp`.
    Domain(String),
    /// `ldaps://dc1.corp.example.jp:636`; `ldap://…` begins with StartTLS.
    Controller {
        /// The controller.
        server: Server,
        /// Whether TLS begins with StartTLS.
        starttls: bool,
    },
}

impl Ldap {
    /// Returns the domain: that of a controller is its name without the first part.
    pub(crate) fn domain(&self) -> Option<&str> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Controller { server, .. } => {
                let is_name = server.host.parse::<std::net::IpAddr>().is_err();
                let domain = server.host.split_once('.').map(|(_, domain)| domain);
                domain.filter(|_| is_name)
            }
        }
    }
}

impl FromStr for Ldap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            None if text.is_empty() || text.contains(['/', ':', ' ']) => {
                return Err("it must be a domain, or ldaps://HOST[:PORT]".to_owned());
            }
            None => return Ok(Self::Domain(text.trim_end_matches('.').to_lowercase())),
            Some(parts) => parts,
        };
        let starttls = match scheme.to_lowercase().as_str() {
            "ldaps" => false,
            "ldap" => true,
            _ => return Err(format!("{scheme}:// is not known: use ldaps:// or ldap://")),
        };
        let server = rest.trim_end_matches('/').parse::<Server>();
        let server = server.map_err(|error| error.to_string())?;
        Ok(Self::Controller { server, starttls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_domains_and_addresses() {
        let domain = |text: &str| text.parse::<Ldap>().unwrap().domain().map(str::to_owned);
        assert_eq!(
            domain("Corp.Example.JP.").as_deref(),
            Some("corp.example.jp")
        );
        assert_eq!(
            domain("ldaps://DC1.corp.example.jp/").as_deref(),
            Some("corp.example.jp")
        );
        assert_eq!(domain("ldaps://10.77.0.10:636"), None);
        let starttls: Ldap = "LDAP://dc1.corp.example.jp:3389".parse().unwrap();
        assert!(
            matches!(starttls, Ldap::Controller { starttls: true, server } if server.port == Some(3389))
        );
        for wrong in [
            "",
            "dc1:636",
            "http://dc1",
            "ldaps://",
            "ldaps://dc1/DC=corp",
            "a b",
        ] {
            assert!(wrong.parse::<Ldap>().is_err(), "{wrong}");
        }
    }
}
