//! The listeners of one simulated domain controller.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Domain;
use crate::ldap::connection;
use crate::shared::{Shared, lock};
use crate::tls::ServerTls;

/// How a simulated directory behaves. The numbers are those of Active Directory's query policy.
#[derive(Clone, Debug)]
pub struct LdapOptions {
    /// How much later everything that a controller sends arrives.
    pub latency: Duration,
    /// The longest message that is taken, in bytes (`MaxReceiveBuffer`).
    pub longest_message: usize,
    /// How long a connection may be silent (`MaxConnIdleTime`).
    pub idle: Duration,
    /// How long a client may take to read an answer or to finish TLS.
    pub patience: Duration,
    /// How many objects a search gives at once (`MaxPageSize`).
    pub page_size: usize,
    /// How many connections may be open (`MaxConnections`).
    pub connections: usize,
    /// Whether the schema has the attributes of LAPS.
    pub laps: bool,
    /// Whether the forest's recycle bin is enabled.
    pub recycle_bin: bool,
}

impl Default for LdapOptions {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            longest_message: 10_485_760,
            idle: Duration::from_secs(900),
            patience: Duration::from_secs(20),
            page_size: 1_000,
            connections: 5_000,
            laps: true,
            recycle_bin: true,
        }
    }
}

/// What goes wrong at a controller, when a test asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LdapFault {
    /// Nothing.
    #[default]
    None,
    /// It answers nothing at all any more.
    Hangs,
    /// It answers no change, and makes none.
    HangsOnWrites,
    /// It makes a change and closes the connection without an answer.
    DropsAfterWrites,
    /// It is too busy to search.
    Busy,
}

/// What happened at a controller so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LdapCounts {
    /// Connections that were taken.
    pub connections: u64,
    /// Logons that were tried.
    pub binds: u64,
    /// Logons that were refused.
    pub binds_refused: u64,
    /// Searches, the one for what a controller says of itself among them.
    pub searches: u64,
    /// Changes that were asked for.
    pub writes: u64,
}

#[derive(Debug, Default)]
pub(super) struct LdapCounters {
    pub(super) connections: AtomicU64,
    pub(super) binds: AtomicU64,
    pub(super) binds_refused: AtomicU64,
    pub(super) searches: AtomicU64,
    pub(super) writes: AtomicU64,
}

/// What all connections to one controller share.
#[derive(Debug)]
pub(super) struct Directory {
    shared: Arc<Shared>,
    /// The controller's DNS name.
    pub(super) dc: String,
    pub(super) options: LdapOptions,
    pub(super) counters: LdapCounters,
    fault: Mutex<LdapFault>,
}

impl Directory {
    pub(super) fn new(dc: &str, shared: Arc<Shared>, options: LdapOptions) -> Self {
        Self {
            shared,
            dc: dc.to_owned(),
            options,
            counters: LdapCounters::default(),
            fault: Mutex::default(),
        }
    }

    pub(super) fn domain(&self) -> MutexGuard<'_, Domain> {
        self.shared.domain()
    }

    pub(super) fn fault(&self) -> LdapFault {
        *lock(&self.fault)
    }

    pub(super) fn is_up(&self) -> bool {
        let domain = self.domain();
        domain
            .controllers
            .iter()
            .any(|dc| dc.dns_name == self.dc && dc.up)
    }
}

/// One simulated domain controller that speaks LDAP.
#[derive(Clone, Debug)]
pub struct LdapServer {
    directory: Arc<Directory>,
    ldaps: SocketAddr,
    ldap: SocketAddr,
}

impl LdapServer {
    /// Starts the controller of this name on free ports of 127.0.0.1. It listens when this
    /// returns and ends with `cancel`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(
        dc: &str,
        shared: Arc<Shared>,
        tls: ServerTls,
        options: LdapOptions,
        (cancel, tasks): (CancellationToken, TaskTracker),
    ) -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (secure, plain) = (TcpListener::bind(any).await?, TcpListener::bind(any).await?);
        let permits = Arc::new(Semaphore::new(options.connections));
        let directory = Arc::new(Directory::new(dc, shared, options));
        let server = Self {
            directory: Arc::clone(&directory),
            ldaps: secure.local_addr()?,
            ldap: plain.local_addr()?,
        };
        for (listener, from_start) in [(secure, true), (plain, false)] {
            let door = Door {
                directory: Arc::clone(&directory),
                tls: tls.clone(),
                permits: Arc::clone(&permits),
                from_start,
                cancel: cancel.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(door.listen(listener));
        }
        Ok(server)
    }

    /// Returns its DNS name.
    pub fn name(&self) -> &str {
        &self.directory.dc
    }

    /// Returns where it speaks LDAP over TLS.
    pub fn ldaps(&self) -> SocketAddr {
        self.ldaps
    }

    /// Returns where it speaks LDAP without TLS, and takes StartTLS.
    pub fn ldap(&self) -> SocketAddr {
        self.ldap
    }

    /// Returns what happened so far.
    pub fn counts(&self) -> LdapCounts {
        let counters = &self.directory.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LdapCounts {
            connections: of(&counters.connections),
            binds: of(&counters.binds),
            binds_refused: of(&counters.binds_refused),
            searches: of(&counters.searches),
            writes: of(&counters.writes),
        }
    }

    /// Lets something go wrong from now on.
    pub fn set_fault(&self, fault: LdapFault) {
        *lock(&self.directory.fault) = fault;
    }
}

/// One listener.
struct Door {
    directory: Arc<Directory>,
    tls: ServerTls,
    permits: Arc<Semaphore>,
    /// TLS begins with the first byte.
    from_start: bool,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Door {
    async fn listen(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.cancel.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of files: others will close theirs.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                continue;
            };
            if !self.directory.is_up() {
                continue;
            }
            crate::shared::count(&self.directory.counters.connections);
            let serving = connection::serve(
                stream,
                self.from_start,
                self.tls.config(),
                Arc::clone(&self.directory),
            );
            let cancel = self.cancel.clone();
            self.tasks.spawn(async move {
                let _permit = permit;
                tokio::select! {
                    () = cancel.cancelled() => {}
                    // A peer that breaks off is no event.
                    _ = serving => {}
                }
            });
        }
    }
}
