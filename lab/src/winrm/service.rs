//! WinRM of one PC, and how it is served on a port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::counters::{Counters, down, up};
use super::exchange::note_swept;
use super::inject::Left;
use super::options::WinrmOptions;
use super::shell::Shells;
use crate::ntlm::{Accounts, channel_binding_value, endpoint_binding};
use crate::process::Pc;
use crate::tls::ServerTls;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// WinRM of one PC: its settings, shells and counts, shared by all its ports.
pub struct Winrm {
    pc: Arc<dyn Pc>,
    options: WinrmOptions,
    counters: Counters,
    shells: Shells,
    quota_faults: Left,
    busy: Left,
}

impl std::fmt::Debug for Winrm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Winrm({})", self.pc.computer_name())
    }
}

impl Winrm {
    /// Sets up WinRM of a PC; [`serve`] puts it on a port.
    pub fn new(pc: Arc<dyn Pc>, options: WinrmOptions) -> Arc<Self> {
        let quota_faults = Left::new(options.faults.quota_faults);
        let busy = Left::new(options.faults.busy);
        let (counters, shells) = (Counters::default(), Shells::default());
        Arc::new(Self {
            pc,
            options,
            counters,
            shells,
            quota_faults,
            busy,
        })
    }

    /// Returns what happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn pc(&self) -> &dyn Pc {
        self.pc.as_ref()
    }

    pub(crate) fn options(&self) -> &WinrmOptions {
        &self.options
    }

    /// Returns the domain that the PC belongs to now.
    pub(crate) fn domain(&self) -> Option<&(String, String)> {
        let domain = self.options.domain.as_ref();
        domain.filter(|_| self.pc.is_member())
    }

    pub(crate) fn shells(&self) -> &Shells {
        &self.shells
    }

    pub(crate) fn quota_faults(&self) -> &Left {
        &self.quota_faults
    }

    pub(crate) fn busy(&self) -> &Left {
        &self.busy
    }

    /// Closes every shell, as a restart does.
    pub(crate) fn forget_shells(&self) {
        note_swept(self, self.shells.clear());
    }

    /// Closes the shells that nobody used for too long.
    pub(crate) fn sweep(&self) {
        note_swept(self, self.shells.sweep());
    }

    /// Returns the local name of an account as a client wrote it, `None` for an account of the
    /// domain: there is nobody to ask. A domain that the PC does not know means the PC itself,
    /// as in Windows.
    pub(crate) fn local_account<'a>(&self, domain: &str, user: &'a str) -> Option<&'a str> {
        let own = self.domain();
        let of_domain = |name: &str| {
            own.is_some_and(|(netbios, dns)| {
                name.eq_ignore_ascii_case(netbios) || name.eq_ignore_ascii_case(dns)
            })
        };
        if of_domain(domain)
            || user
                .rsplit_once('@')
                .is_some_and(|(_, realm)| of_domain(realm))
        {
            return None;
        }
        Some(user)
    }
}

impl Accounts for Winrm {
    fn password_of(&self, domain: &str, user: &str) -> Option<String> {
        self.pc.password_of(self.local_account(domain, user)?)
    }
}

/// Serves one port of one PC until cancelled. A PC has two, 5985 without and 5986 with TLS.
///
/// Costs one task, and one more for each open connection.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ServerTls>,
    winrm: Arc<Winrm>,
    cancel: CancellationToken,
) {
    let binding = tls
        .as_ref()
        .map(|tls| channel_binding_value(&endpoint_binding(tls.certificate_der())));
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config()));
    // Often enough that an idle shell outlives its time by a quarter at most.
    let sweep_every = (winrm.options.shell_idle / 4).clamp(Duration::from_millis(50), HOUR);
    let mut sweeps = interval(sweep_every);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (winrm, acceptor) = (winrm.clone(), acceptor.clone());
                    connections.spawn(connection(winrm, stream, peer, acceptor, binding));
                }
                Err(error) => {
                    // Out of descriptors, most likely: let some connections end.
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = sweeps.tick() => winrm.sweep(),
            () = cancel.cancelled() => break,
        }
    }
    connections.shutdown().await;
}

const HOUR: Duration = Duration::from_secs(3600);

async fn connection(
    winrm: Arc<Winrm>,
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    binding: Option<[u8; 16]>,
) {
    let _open = Open::new(winrm.clone());
    // Small answers must not wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    let wait = winrm.options.faults.connect_latency;
    if !wait.is_zero() {
        sleep(wait).await;
    }
    match acceptor {
        None => speak(winrm, stream, peer, binding).await,
        Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => speak(winrm, stream, peer, binding).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct Open(Arc<Winrm>);

impl Open {
    fn new(winrm: Arc<Winrm>) -> Self {
        up(&winrm.counters.connections);
        up(&winrm.counters.connections_open);
        Self(winrm)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        down(&self.0.counters.connections_open);
    }
}

async fn speak<S>(winrm: Arc<Winrm>, stream: S, peer: SocketAddr, binding: Option<[u8; 16]>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let idle = winrm.options.connection_idle;
    let cut = CancellationToken::new();
    let connection = Connection::new(winrm, peer, binding, cut.clone());
    let connection = Arc::new(tokio::sync::Mutex::new(connection));
    let service = service_fn(move |request| {
        let connection = connection.clone();
        // HTTP/1 brings one request after the other, so nobody waits for this lock.
        async move { connection.lock().await.handle(request).await }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(64 * 1024);
    let serving = server.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        },
        () = cut.cancelled() => {}
    }
}
