//! Accepts SSH connections for simulated PCs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::server::{Config, run_stream};
use russh::{Disconnect, MethodKind, MethodSet, SshId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::delay;
use super::handler::Connection;
use super::mortal::Mortal;
use crate::process::Pc;

/// How long a connection may take to end when the lab does.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the identification string may take.
const GREETING: Duration = Duration::from_secs(20);

/// How the SSH side of a lab behaves.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// How much later everything that a server writes arrives.
    pub latency: Duration,
    /// How long a refused logon takes.
    pub rejection: Duration,
    /// Keys that any account which can log on may use.
    pub accepted_keys: Vec<PublicKey>,
    /// Offer keyboard-interactive only, instead of password and keyboard-interactive.
    pub only_keyboard_interactive: bool,
}

/// The SSH server of a lab: one host key, any number of PCs.
pub struct SshServer {
    config: Arc<Config>,
    host_key: PublicKey,
    latency: Duration,
    accepted_keys: Arc<[PublicKey]>,
    connections: AtomicU64,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for SshServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshServer")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl SshServer {
    /// Makes a host key and a server that ends when `cancel` fires; every task it starts is in
    /// `tasks`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(
        options: SshOptions,
        cancel: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, russh::keys::Error> {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .map_err(russh::keys::Error::from)?;
        let host_key = key.public_key().clone();
        let mut methods = vec![MethodKind::PublicKey, MethodKind::KeyboardInteractive];
        if !options.only_keyboard_interactive {
            methods.push(MethodKind::Password);
        }
        let config = Config {
            server_id: SshId::Standard("SSH-2.0-OpenSSH_for_Windows_9.5".into()),
            methods: MethodSet::from(methods.as_slice()),
            auth_rejection_time: options.rejection,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            max_auth_attempts: 6,
            // A full window of a thousand PCs must not be a thousand times two megabytes.
            window_size: 256 * 1024,
            channel_buffer_size: 16,
            nodelay: true,
            ..Config::default()
        };
        Ok(Self {
            config: Arc::new(config),
            host_key,
            latency: options.latency,
            accepted_keys: options.accepted_keys.into(),
            connections: AtomicU64::new(0),
            cancel,
            tasks,
        })
    }

    /// Returns the host key that every PC of the lab shows.
    pub fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    /// Returns its fingerprint (`SHA256:…`).
    pub fn fingerprint(&self) -> String {
        self.host_key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns how many connections came in.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves a PC on this listener, in tasks of its own, until the lab ends.
    pub fn serve(self: &Arc<Self>, listener: TcpListener, pc: Arc<dyn Pc>) {
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let life = server.cancel.child_token();
            server.serve_until(listener, pc, life).await;
        });
    }

    /// Serves a PC on this listener for as long as it lives; its connections end with it,
    /// without a farewell.
    pub(crate) async fn serve_until(
        self: &Arc<Self>,
        listener: TcpListener,
        pc: Arc<dyn Pc>,
        life: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = life.cancelled() => return,
                () = self.cancel.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((tcp, _)) => self.greet(tcp, Arc::clone(&pc), life.clone()),
                    // Out of descriptors, or the client was quicker than we: go on.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
            }
        }
    }

    fn greet(self: &Arc<Self>, tcp: TcpStream, pc: Arc<dyn Pc>, life: CancellationToken) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let server = Arc::clone(self);
        let _ = tcp.set_nodelay(true);
        self.tasks.spawn(async move {
            if server.latency.is_zero() {
                server.converse(Mortal::new(tcp, life), pc).await;
            } else {
                let (stream, pump) = delay::behind(server.latency, tcp);
                let pump = life.clone().run_until_cancelled_owned(pump);
                tokio::join!(server.converse(Mortal::new(stream, life), pc), pump);
            }
        });
    }

    async fn converse<S>(&self, stream: S, pc: Arc<dyn Pc>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Connection {
            pc,
            methods: self.config.methods.clone(),
            accepted_keys: Arc::clone(&self.accepted_keys),
            lab: self.cancel.clone(),
            tasks: self.tasks.clone(),
            user: None,
            channels: HashMap::new(),
        };
        let opening = tokio::time::timeout(
            GREETING,
            run_stream(Arc::clone(&self.config), stream, connection),
        );
        let running = tokio::select! {
            () = self.cancel.cancelled() => return,
            opened = opening => match opened {
                Ok(Ok(running)) => running,
                Ok(Err(error)) => return tracing::debug!(%error, "no SSH conversation"),
                Err(_) => return tracing::debug!("no SSH identification in time"),
            },
        };
        let handle = running.handle();
        let mut running = std::pin::pin!(running);
        tokio::select! {
            () = self.cancel.cancelled() => {
                let reason = Disconnect::ByApplication;
                let farewell = async {
                    let _ = handle.disconnect(reason, "the lab ends".into(), "en".into()).await;
                    let _ = running.await;
                };
                let _ = tokio::time::timeout(FAREWELL, farewell).await;
            }
            ended = &mut running => if let Err(error) = ended {
                tracing::debug!(%error, "an SSH conversation ended");
            },
        }
    }
}
