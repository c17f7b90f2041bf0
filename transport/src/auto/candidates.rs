//! Which endpoints of a host may be tried, in order of preference.

use fleetmend_model::{Host, Platform, TransportChoice, WinrmAuth, WinrmScheme};

use crate::ConnectError;

const HTTP: u16 = 5985;
const HTTPS: u16 = 5986;
const SSH: u16 = 22;

/// What is spoken at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// WinRM.
    Winrm(WinrmScheme),
    /// SSH.
    Ssh,
    /// The first bytes will tell: sshd speaks first, WinRM waits.
    Either,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) port: u16,
    pub(crate) speech: Speech,
}

/// Returns the endpoints of a host, best first, never none.
///
/// # Errors
/// [`ConnectError::Settings`] if the host's settings leave none.
pub(crate) fn candidates(host: &Host) -> Result<Vec<Candidate>, ConnectError> {
    let mut found = match (host.transport, host.platform) {
        (TransportChoice::Ssh, _) | (TransportChoice::Auto, Platform::Posix) => {
            vec![ssh(host.port.unwrap_or(SSH))]
        }
        (TransportChoice::Winrm, _) => winrm(host),
        (TransportChoice::Auto, Platform::Windows) => automatic(host),
    };
    if host.winrm.auth == WinrmAuth::Basic {
        found.retain(|candidate| candidate.speech != Speech::Winrm(WinrmScheme::Http));
    }
    if found.is_empty() {
        return Err(ConnectError::Settings {
            address: host.address.clone(),
            detail: "Basic authentication is allowed inside TLS only".to_owned(),
        });
    }
    Ok(found)
}

fn automatic(host: &Host) -> Vec<Candidate> {
    match (host.port, host.winrm.scheme) {
        (None, _) => {
            let mut found = winrm(host);
            found.push(ssh(SSH));
            found
        }
        (Some(SSH), _) => vec![ssh(SSH)],
        (Some(port), None) if by_custom(port).is_none() => {
            vec![Candidate {
                port,
                speech: Speech::Either,
            }]
        }
        (Some(_), _) => winrm(host),
    }
}

fn winrm(host: &Host) -> Vec<Candidate> {
    let of = |scheme, default: u16| Candidate {
        port: host.port.unwrap_or(default),
        speech: Speech::Winrm(scheme),
    };
    match host.winrm.scheme.or_else(|| host.port.and_then(by_custom)) {
        Some(WinrmScheme::Http) => vec![of(WinrmScheme::Http, HTTP)],
        Some(WinrmScheme::Https) => vec![of(WinrmScheme::Https, HTTPS)],
        // TLS first: to a listener without TLS it fails before anything secret is said.
        None => vec![of(WinrmScheme::Https, HTTPS), of(WinrmScheme::Http, HTTP)],
    }
}

fn by_custom(port: u16) -> Option<WinrmScheme> {
    match port {
        HTTP | 80 => Some(WinrmScheme::Http),
        HTTPS | 443 => Some(WinrmScheme::Https),
        _ => None,
    }
}

fn ssh(port: u16) -> Candidate {
    Candidate {
        port,
        speech: Speech::Ssh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(change: impl FnOnce(&mut Host)) -> Vec<(u16, Speech)> {
        let mut host = Host::new("pc-1");
        change(&mut host);
        let found = candidates(&host).unwrap();
        found
            .iter()
            .map(|candidate| (candidate.port, candidate.speech))
            .collect()
    }

    const PLAIN: Speech = Speech::Winrm(WinrmScheme::Http);
    const TLS: Speech = Speech::Winrm(WinrmScheme::Https);

    #[test]
    fn prefers_tls_then_sealing_then_ssh() {
        assert_eq!(
            ports(|_| ()),
            [(5986, TLS), (5985, PLAIN), (22, Speech::Ssh)]
        );
        assert_eq!(
            ports(|host| host.winrm.scheme = Some(WinrmScheme::Http)),
            [(5985, PLAIN), (22, Speech::Ssh)]
        );
    }

    #[test]
    fn honours_ports_and_transports() {
        let with = |transport, port| {
            ports(|host| {
                host.transport = transport;
                host.port = Some(port);
            })
        };
        assert_eq!(with(TransportChoice::Auto, 5986), [(5986, TLS)]);
        assert_eq!(with(TransportChoice::Auto, 5985), [(5985, PLAIN)]);
        assert_eq!(with(TransportChoice::Auto, 22), [(22, Speech::Ssh)]);
        assert_eq!(with(TransportChoice::Auto, 2222), [(2222, Speech::Either)]);
        assert_eq!(with(TransportChoice::Ssh, 5986), [(5986, Speech::Ssh)]);
        assert_eq!(with(TransportChoice::Winrm, 443), [(443, TLS)]);
        assert_eq!(
            with(TransportChoice::Winrm, 8080),
            [(8080, TLS), (8080, PLAIN)]
        );
        assert_eq!(
            ports(|host| host.transport = TransportChoice::Winrm),
            [(5986, TLS), (5985, PLAIN)]
        );
        assert_eq!(
            ports(|host| host.platform = Platform::Posix),
            [(22, Speech::Ssh)]
        );
        assert_eq!(
            ports(|host| {
                host.port = Some(9000);
                host.winrm.scheme = Some(WinrmScheme::Https);
            }),
            [(9000, TLS)]
        );
    }

    #[test]
    fn basic_needs_tls() {
        assert_eq!(
            ports(|host| host.winrm.auth = WinrmAuth::Basic),
            [(5986, TLS), (22, Speech::Ssh)]
        );
        let mut host = Host::new("pc-1");
        host.winrm.auth = WinrmAuth::Basic;
        host.port = Some(5985);
        assert!(matches!(
            candidates(&host),
            Err(ConnectError::Settings { .. })
        ));
    }
}
