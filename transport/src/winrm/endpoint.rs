//! Where a PC's WinRM service listens.

use std::net::IpAddr;

use fleetmend_model::{TransportKind, WinrmScheme};

/// One listener: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A DNS name or an address, without brackets.
    pub host: String,
    /// The port (5985 for HTTP, 5986 for HTTPS by custom).
    pub port: u16,
    /// HTTP (sealed by NTLM) or HTTPS.
    pub scheme: WinrmScheme,
}

impl Endpoint {
    /// Returns `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns the URL of the service at `path`.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_https() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority())
    }

    /// Tells whether the listener speaks TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == WinrmScheme::Https
    }

    /// Returns the word for events.
    pub fn kind(&self) -> TransportKind {
        if self.is_https() {
            TransportKind::WinrmHttps
        } else {
            TransportKind::WinrmHttp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_urls() {
        let endpoint = |host: &str| Endpoint {
            host: host.to_owned(),
            port: 5985,
            scheme: WinrmScheme::Http,
        };
        assert_eq!(endpoint("pc-01").url("/wsman"), "http://pc-01:5985/wsman");
        assert_eq!(
            endpoint("fe80::1").url("/wsman"),
            "http://[fe80::1]:5985/wsman"
        );
        assert_eq!(endpoint("10.0.0.1").authority(), "10.0.0.1:5985");
    }
}
