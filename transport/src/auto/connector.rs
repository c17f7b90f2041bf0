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
        let candidates = usable(candidates(host)?, host, credential).await;
        self.first_of(candidates, host, credential, limits).await
    }

    /// Connects to the first of these endpoints that can be had; the password is judged by one of
    /// them at most.
    async fn first_of(
        &self,
        candidates: Vec<Candidate>,
        host: &Host,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError> {
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
            mark: limits.mark.clone(),
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

/// Returns the endpoints that a credential can log on to: one without a password is for SSH, where
/// there is that; so is one whose password opens its key, for that never leaves this machine.
async fn usable(
    candidates: Vec<Candidate>,
    host: &Host,
    credential: &Credential,
) -> Vec<Candidate> {
    let speaks_ssh = |candidate: &Candidate| !matches!(candidate.speech, Speech::Winrm(_));
    let are_ssh = candidates.iter().filter(|one| speaks_ssh(one)).count();
    if are_ssh == 0 || are_ssh == candidates.len() {
        return candidates;
    }
    if credential.password.is_empty() || ssh::is_passphrase(credential, &host.ssh).await {
        return candidates.into_iter().filter(speaks_ssh).collect();
    }
    candidates
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

#[cfg(test)]
mod tests {
    use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
    use fleetmend_model::{
        Secret, SshKey, SshLogon, TlsVerification, TransportChoice, TransportKind,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::DeniedWhy;

    /// A PC that offers WinRM over HTTPS, over HTTP, and SSH.
    struct Doors {
        lab: Lab,
        host: Host,
        candidates: Vec<Candidate>,
        _folder: tempfile::TempDir,
    }

    async fn doors() -> Doors {
        let mut options = LabOptions::new(1, Vec::new());
        let pc = PcPlan::new(Scenario::Healthy).over(TransportKind::WinrmHttps);
        options.mix = Mix::Plan(vec![pc.on_all_ports()]);
        let lab = Lab::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("ca.pem"), lab.ca_pem()).unwrap();
        std::fs::write(path("known_hosts"), lab.known_hosts()).unwrap();
        let pc = lab.pcs().first().unwrap();
        let mut host = Host::new("pc-1");
        host.address = pc.address.ip().to_string();
        host.winrm.tls = TlsVerification::CaFile(path("ca.pem"));
        host.ssh.known_hosts = Some(path("known_hosts"));
        host.ssh.accept_new_host_keys = true;
        let speech = [
            (TransportKind::WinrmHttps, Speech::Winrm(WinrmScheme::Https)),
            (TransportKind::WinrmHttp, Speech::Winrm(WinrmScheme::Http)),
            (TransportKind::Ssh, Speech::Ssh),
        ];
        let candidates = speech.map(|(kind, speech)| {
            let mut ports = pc.ports.iter();
            let (_, address) = ports.find(|(served, _)| *served == kind).unwrap();
            Candidate {
                port: address.port(),
                speech,
            }
        });
        Doors {
            candidates: candidates.into(),
            lab,
            host,
            _folder: folder,
        }
    }

    async fn try_all(
        doors: &Doors,
        candidates: Vec<Candidate>,
        password: &str,
    ) -> Result<TransportKind, ConnectError> {
        let user = doors.lab.local_credential().user.clone();
        let credential = Credential::new(user, Secret::new(password.to_owned()));
        let limits = Limits::within(Duration::from_secs(20), &CancellationToken::new());
        let connector = AutoConnector::default();
        let tried = connector.first_of(candidates, &doors.host, &credential, &limits);
        let session = tried.await?;
        let kind = session.reached().transport;
        session.close().await;
        Ok(kind)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_password_that_one_way_refused_is_tried_by_no_other() {
        let doors = doors().await;
        for first in 0..doors.candidates.len() {
            let mut candidates = doors.candidates.clone();
            candidates.rotate_left(first);
            let before = doors.lab.counts();
            let error = try_all(&doors, candidates.clone(), "wrong")
                .await
                .unwrap_err();
            assert!(
                matches!(
                    error,
                    ConnectError::AccessDenied {
                        why: DeniedWhy::Logon,
                        ..
                    }
                ),
                "{error}"
            );
            let after = doors.lab.counts();
            assert_eq!(
                after.logons_refused,
                before.logons_refused + 1,
                "{candidates:?}"
            );
            assert_eq!(after.logons_accepted, before.logons_accepted);
        }
        // The ways behind the first do work: it was not for want of them.
        let right = doors.lab.local_credential().password.reveal().to_owned();
        for candidate in &doors.candidates {
            try_all(&doors, vec![*candidate], &right).await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_door_that_judged_nothing_gives_way_to_one_that_judges_once() {
        let doors = doors().await;
        // It takes TLS and plain text alike, and closes.
        let anywhere = (doors.host.address.as_str(), 0);
        let listener = tokio::net::TcpListener::bind(anywhere).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let closing = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                drop(tcp);
            }
        });
        let mut candidates = doors.candidates.clone();
        candidates.insert(
            0,
            Candidate {
                port,
                speech: Speech::Winrm(WinrmScheme::Https),
            },
        );
        let before = doors.lab.counts().logons_refused;
        let error = try_all(&doors, candidates.clone(), "wrong")
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectError::AccessDenied { .. }),
            "{error}"
        );
        assert_eq!(doors.lab.counts().logons_refused, before + 1);
        closing.abort();
    }

    async fn ports(credential: &Credential, host: &Host) -> Vec<u16> {
        let usable = usable(candidates(host).unwrap(), host, credential).await;
        usable.iter().map(|one| one.port).collect()
    }

    #[tokio::test]
    async fn who_has_no_password_is_for_ssh() {
        let of = |password: &str| Credential::new("x", Secret::new(password.to_owned()));
        let mut host = Host::new("pc-1");
        assert_eq!(ports(&of("x"), &host).await, [5986, 5985, 22]);
        assert_eq!(ports(&of(""), &host).await, [22]);
        // Nothing else is there: WinRM says what is missing.
        host.transport = TransportChoice::Winrm;
        assert_eq!(ports(&of(""), &host).await, [5986, 5985]);
        host.transport = TransportChoice::Auto;
        host.port = Some(2222);
        assert_eq!(ports(&of(""), &host).await, [2222]);
    }

    #[tokio::test]
    async fn a_passphrase_is_no_password_for_winrm() {
        use russh::keys::{Algorithm, PrivateKey, encode_pkcs8_pem_encrypted, key::safe_rng};

        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let mut text = Vec::new();
        encode_pkcs8_pem_encrypted(&key, "鍵".as_bytes(), 8, &mut text).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let with = |password: &str, key: Option<SshKey>, passphrase: Option<&str>| Credential {
            ssh: Some(SshLogon {
                key,
                passphrase: passphrase.map(|word| Secret::new(word.to_owned())),
                use_agent: false,
            }),
            ..Credential::new("x", Secret::new(password.to_owned()))
        };
        let own = || Some(SshKey::Text(Secret::new(text.clone())));
        let (all, ssh) = (vec![5986, 5985, 22], vec![22]);
        let mut host = Host::new("pc-1");
        assert_eq!(ports(&with("鍵", own(), None), &host).await, ssh);
        assert_eq!(ports(&with("鍵", own(), Some("鍵")), &host).await, ssh);
        assert_eq!(
            ports(&with("password", own(), Some("鍵")), &host).await,
            all
        );
        assert_eq!(ports(&with("password", own(), None), &host).await, all);
        assert_eq!(ports(&with("鍵", None, None), &host).await, all);
        host.ssh.key_file = Some(file.path().to_owned());
        assert_eq!(ports(&with("鍵", None, None), &host).await, ssh);
        host.transport = TransportChoice::Winrm;
        assert_eq!(ports(&with("鍵", own(), None), &host).await, [5986, 5985]);
    }
}
