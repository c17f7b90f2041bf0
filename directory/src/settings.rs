//! Which domain, which controllers, how they are reached and trusted.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Trust;

/// Which domain, which controllers, how they are reached and trusted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain's DNS name: `corp.example.jp`.
    pub domain: String,
    /// The controllers to ask, best first; none: the domain's SRV records tell.
    pub servers: Vec<Server>,
    /// How TLS begins.
    pub encryption: Encryption,
    /// Which certificates are accepted.
    pub trust: Trust,
    /// How long connecting and TLS may take at one controller.
    pub connect_timeout: Duration,
    /// How long a controller may take to answer one question. A listing takes many.
    pub answer_timeout: Duration,
}

impl Settings {
    /// Returns the settings of a domain that is found by DNS and proves itself to the system's
    /// trusted roots.
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into().trim_end_matches('.').to_lowercase(),
            servers: Vec::new(),
            encryption: Encryption::Ldaps,
            trust: Trust::System,
            connect_timeout: Duration::from_secs(8),
            answer_timeout: Duration::from_secs(20),
        }
    }
}

/// How TLS begins. There is no way without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte, at port 636.
    #[default]
    Ldaps,
    /// By the StartTLS operation (RFC 4511 section 4.14), at port 389. Nothing is asked before.
    StartTls,
}

impl Encryption {
    /// Returns the port that goes with it.
    pub fn port(self) -> u16 {
        match self {
            Self::Ldaps => 636,
            Self::StartTls => 389,
        }
    }
}

/// A controller as the operator names it: `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// DNS name or address; lower case, no brackets around an IPv6 address.
    pub host: String,
    /// Its port; unset: the encryption's own.
    pub port: Option<u16>,
}

/// The text is not `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST or HOST:PORT (an IPv6 address stands in brackets)")]
pub struct ServerError(String);

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let wrong = || ServerError(text.to_owned());
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            }
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let host = host.trim_end_matches('.').to_lowercase();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(wrong());
        }
        let port = port
            .map(|port| {
                port.parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or_else(wrong)
            })
            .transpose()?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_servers_as_operators_write_them() {
        for (text, host, port) in [
            ("DC1.corp.example.jp", "dc1.corp.example.jp", None),
            (
                "dc1.corp.example.jp.:3636",
                "dc1.corp.example.jp",
                Some(3636),
            ),
            ("10.77.0.10:636", "10.77.0.10", Some(636)),
            ("[fd00::1]", "fd00::1", None),
            ("[fd00::1]:636", "fd00::1", Some(636)),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
            assert_eq!(server.to_string().parse::<Server>().unwrap(), server);
        }
        for bad in [
            "",
            ":636",
            "dc1:",
            "dc1:0",
            "dc1:66666",
            "fd00::1",
            "[fd00::1",
            "[dc1]",
            "[::1]636",
            "ldaps://dc1",
            "a b",
            "dc1/x",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }
}
