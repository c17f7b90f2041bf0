//! The ports of a simulated PC: served while it is up, refused or silent while it is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::TransportKind;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::endpoints;
use crate::life::{Answer, Presence};
use crate::pc::SimPc;
use crate::process::Pc;
use crate::silent::Silent;
use crate::ssh::SshServer;
use crate::tls::ServerTls;
use crate::winrm::{self, Winrm};

/// How long a port that is not free yet is waited for between two attempts.
const AGAIN: Duration = Duration::from_millis(20);

/// Who serves at a port.
pub(crate) enum Service {
    Winrm(Arc<Winrm>, Option<ServerTls>),
    Ssh(Arc<SshServer>),
}

/// One port of a PC.
pub(crate) struct Door {
    pub(crate) pc: SimPc,
    pub(crate) transport: TransportKind,
    pub(crate) address: SocketAddr,
    pub(crate) service: Service,
    pub(crate) cancel: CancellationToken,
}

impl Door {
    /// Keeps the port until the lab ends. `listener` is what it begins with.
    pub(crate) async fn keep(self, listener: TcpListener) {
        let mut presence = self.pc.watch();
        let mut listener = Some(listener);
        loop {
            let (life, answer) = {
                let presence = presence.borrow_and_update();
                (presence.life.clone(), presence.answer(self.transport))
            };
            let present = life.clone();
            let standing = async {
                match answer {
                    Answer::Serves => {
                        let listener = match listener.take() {
                            Some(listener) => listener,
                            None => self.listen().await,
                        };
                        self.serve(listener, life).await;
                    }
                    Answer::Refuses => {
                        listener = None;
                        std::future::pending::<()>().await;
                    }
                    Answer::Silent => {
                        listener = None;
                        let _silent = self.fall_silent().await;
                        std::future::pending::<()>().await;
                    }
                }
            };
            let until = async {
                tokio::select! {
                    () = differs(&mut presence, self.transport, answer) => true,
                    // The boot has ended; what comes next is told in a moment.
                    () = standing => presence.changed().await.is_ok(),
                }
            };
            let goes_on = tokio::select! {
                () = self.cancel.cancelled() => false,
                goes_on = until => goes_on,
            };
            if !goes_on {
                return;
            }
            if present.is_cancelled()
                && let Service::Winrm(winrm, _) = &self.service
            {
                winrm.forget_shells();
            }
        }
    }

    async fn serve(&self, listener: TcpListener, life: CancellationToken) {
        match &self.service {
            Service::Winrm(winrm, tls) => {
                winrm::serve(listener, tls.clone(), Arc::clone(winrm), life).await;
            }
            Service::Ssh(server) => {
                let pc: Arc<dyn Pc> = Arc::new(self.pc.clone());
                server.serve_until(listener, pc, life).await;
            }
        }
    }

    async fn listen(&self) -> TcpListener {
        loop {
            match endpoints::listen(self.address) {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn fall_silent(&self) -> Silent {
        loop {
            match Silent::at(self.address).await {
                Ok(silent) => return silent,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

/// Returns once another answer than this is due at the port, or another boot has begun.
async fn differs(
    presence: &mut watch::Receiver<Presence>,
    transport: TransportKind,
    answer: Answer,
) {
    let other = |presence: &Presence| presence.answer(transport) != answer;
    if presence.wait_for(other).await.is_err() {
        // The PC is gone, and the lab is about to end.
        std::future::pending::<()>().await;
    }
}
