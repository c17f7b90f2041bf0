//! One PC's listener with everything needed to connect to it again: a lost connection must not
//! leave a shell behind.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::prelude::*;
use fleetmend_model::{Credential, Secret, TlsVerification, WinrmAuth, WinrmSettings};
use hyper::header::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Endpoint;
use super::account::{Account, AccountError, check_password};
use super::http::{Http, HttpError, bounded};
use crate::tls;
use crate::{ConnectError, Limits, UnreachableWhy};

/// How long a TCP connection may take to come about.
const TCP_TIME: Duration = Duration::from_secs(10);
/// How long the TLS handshake may take.
const TLS_TIME: Duration = Duration::from_secs(15);

/// How the account is proven.
pub(crate) enum Proof {
    /// NTLMv2 under the scheme Negotiate.
    Ntlm {
        /// The account.
        account: Account,
        /// Its password.
        password: Secret,
    },
    /// Basic, only inside TLS: the header's value, marked as sensitive.
    Basic(HeaderValue),
    /// Not at all: only Identify can be asked.
    Anonymous,
}

struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// The listener, the account and how to trust the PC.
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// The service's URL.
    pub(crate) url: String,
    /// The URL's path.
    pub(crate) path: String,
    /// The account as the operator wrote it.
    pub(crate) user: String,
    /// How it is proven.
    pub(crate) proof: Proof,
    /// The id that all requests of this session carry.
    pub(crate) session: Uuid,
    endpoint: Endpoint,
    host: HeaderValue,
    tls: Option<Tls>,
    peer: OnceLock<SocketAddr>,
    accepted: AtomicBool,
}

impl Target {
    /// Checks settings and credential.
    ///
    /// # Errors
    /// [`ConnectError::Settings`]; nothing was sent.
    pub(crate) async fn prepare(
        endpoint: &Endpoint,
        credential: &Credential,
        settings: &WinrmSettings,
    ) -> Result<Self, ConnectError> {
        let proof =
            proof(endpoint, credential, settings).map_err(|detail| ConnectError::Settings {
                address: endpoint.authority(),
                detail,
            })?;
        Self::with_proof(endpoint, credential.user.clone(), proof, settings).await
    }

    /// Checks the settings alone.
    ///
    /// # Errors
    /// [`ConnectError::Settings`]; nothing was sent.
    pub(crate) async fn anonymous(
        endpoint: &Endpoint,
        settings: &WinrmSettings,
    ) -> Result<Self, ConnectError> {
        Self::with_proof(endpoint, String::new(), Proof::Anonymous, settings).await
    }

    async fn with_proof(
        endpoint: &Endpoint,
        user: String,
        proof: Proof,
        settings: &WinrmSettings,
    ) -> Result<Self, ConnectError> {
        let address = endpoint.authority();
        let wrong = |detail: String| ConnectError::Settings {
            address: address.clone(),
            detail,
        };
        if !settings.path.starts_with('/') || settings.path.parse::<hyper::Uri>().is_err() {
            return Err(wrong(format!(
                "the path {:?} is not one of a URL",
                settings.path
            )));
        }
        let host = HeaderValue::from_str(&address)
            .map_err(|_| wrong(format!("{:?} is not a host name", endpoint.host)))?;
        let tls = match endpoint.is_https() {
            true => Some(Tls {
                config: tls::client_config(&settings.tls)
                    .await
                    .map_err(|error| wrong(error.to_string()))?,
                name: server_name(endpoint, settings).map_err(wrong)?,
            }),
            false => None,
        };
        Ok(Self {
            url: endpoint.url(&settings.path),
            path: settings.path.clone(),
            user,
            session: Uuid::new_v4(),
            endpoint: endpoint.clone(),
            peer: OnceLock::new(),
            accepted: AtomicBool::new(false),
            address,
            proof,
            host,
            tls,
        })
    }

    /// Tells whether bodies travel inside TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Tells whether the PC has accepted the password before, and not refused it since: only
    /// then it may be used again.
    pub(crate) fn accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Notes how the PC judged the password.
    pub(crate) fn judged(&self, accepted: bool) {
        self.accepted.store(accepted, Ordering::Relaxed);
    }

    /// Opens an HTTP connection, over `tcp` where there is one; returns it with the channel
    /// binding of its TLS.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing but a TLS handshake was sent.
    pub(crate) async fn open(
        &self,
        tcp: Option<TcpStream>,
        limits: &Limits,
    ) -> Result<(Http, Option<Vec<u8>>), ConnectError> {
        let tcp = match tcp {
            Some(tcp) => tcp,
            None => self.tcp(limits).await?,
        };
        if let Ok(peer) = tcp.peer_addr() {
            let _ = self.peer.set(peer);
        }
        // Answers wait for whole requests; nothing is gained by holding packets back.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let http = Http::over(tcp, self.host.clone()).await;
            return Ok((http.map_err(|error| self.failed(error))?, None));
        };
        let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(tls.name.clone(), tcp);
        let stream = bounded(handshake, TLS_TIME, limits)
            .await
            .map_err(|error| self.failed(error))?
            .map_err(|error| self.tls_failed(error))?;
        let binding = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|certificate| tls::channel_binding(certificate));
        let http = Http::over(stream, self.host.clone()).await;
        Ok((http.map_err(|error| self.failed(error))?, binding))
    }

    async fn tcp(&self, limits: &Limits) -> Result<TcpStream, ConnectError> {
        if let Some(peer) = self.peer.get() {
            return self.dial(*peer, limits).await;
        }
        let name = (self.endpoint.host.as_str(), self.endpoint.port);
        let found = bounded(lookup_host(name), TCP_TIME, limits)
            .await
            .map_err(|error| self.failed(error))?
            .map_err(|error| self.unreachable(UnreachableWhy::NameNotFound, error))?;
        let mut last = None;
        for address in found {
            match self.dial(address, limits).await {
                Ok(tcp) => return Ok(tcp),
                Err(error @ ConnectError::Cancelled) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            self.unreachable(
                UnreachableWhy::NameNotFound,
                std::io::ErrorKind::NotFound.into(),
            )
        }))
    }

    async fn dial(&self, address: SocketAddr, limits: &Limits) -> Result<TcpStream, ConnectError> {
        bounded(TcpStream::connect(address), TCP_TIME, limits)
            .await
            .map_err(|error| self.failed(error))?
            .map_err(|error| {
                let why = match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => UnreachableWhy::Refused,
                    std::io::ErrorKind::TimedOut => UnreachableWhy::TimedOut,
                    // The reset may come before we look at what the connection came to.
                    std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted => {
                        UnreachableWhy::Closed
                    }
                    _ => UnreachableWhy::NoRoute,
                };
                self.unreachable(why, error)
            })
    }

    /// Turns a failure from before any credential was sent into an error.
    pub(crate) fn failed(&self, error: HttpError) -> ConnectError {
        let why = match &error {
            HttpError::Cancelled => return ConnectError::Cancelled,
            HttpError::Garbage(detail) => return self.protocol(detail.clone()),
            HttpError::Silent(_) | HttpError::Deadline => UnreachableWhy::TimedOut,
            HttpError::NotSent | HttpError::Lost(_) => UnreachableWhy::Closed,
        };
        ConnectError::Unreachable {
            address: self.address.clone(),
            why,
            source: Some(Box::new(error)),
        }
    }

    /// Returns the error for an answer that is none.
    pub(crate) fn protocol(&self, detail: impl Into<String>) -> ConnectError {
        ConnectError::Protocol {
            address: self.address.clone(),
            detail: detail.into(),
        }
    }

    fn unreachable(&self, why: UnreachableWhy, error: std::io::Error) -> ConnectError {
        let source = Some(Box::new(error) as Box<dyn std::error::Error + Send + Sync>);
        ConnectError::Unreachable {
            address: self.address.clone(),
            why,
            source,
        }
    }

    fn tls_failed(&self, error: std::io::Error) -> ConnectError {
        match tls::refusal(&error) {
            Some(detail) => ConnectError::Identity {
                address: self.address.clone(),
                detail,
            },
            None => self.unreachable(UnreachableWhy::Tls, error),
        }
    }
}

fn proof(
    endpoint: &Endpoint,
    credential: &Credential,
    settings: &WinrmSettings,
) -> Result<Proof, String> {
    let account = Account::parse(&credential.user).map_err(|error| error.to_string())?;
    check_password(&credential.password).map_err(|error| error.to_string())?;
    match settings.auth {
        WinrmAuth::Ntlm => Ok(Proof::Ntlm {
            account,
            password: credential.password.clone(),
        }),
        WinrmAuth::Basic if !endpoint.is_https() => {
            Err("Basic is only possible over HTTPS".to_owned())
        }
        WinrmAuth::Basic if credential.user.contains(':') => Err(AccountError::Colon.to_string()),
        WinrmAuth::Basic => {
            let plain = Zeroizing::new(format!(
                "{}:{}",
                credential.user,
                credential.password.reveal()
            ));
            let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*plain)));
            let mut value = HeaderValue::from_str(&text).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            Ok(Proof::Basic(value))
        }
    }
}

/// Returns the name that the certificate must carry. Where no name is checked, one that TLS
/// cannot express does not matter.
fn server_name(
    endpoint: &Endpoint,
    settings: &WinrmSettings,
) -> Result<ServerName<'static>, String> {
    let name = settings.tls_server_name.as_ref().unwrap_or(&endpoint.host);
    let checked = matches!(
        settings.tls,
        TlsVerification::System | TlsVerification::CaFile(_)
    );
    match ServerName::try_from(name.clone()) {
        Ok(name) => Ok(name),
        Err(_) if !checked => Ok(ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]))),
        Err(error) => Err(format!(
            "{name:?} cannot be the name of a certificate: {error}"
        )),
    }
}
