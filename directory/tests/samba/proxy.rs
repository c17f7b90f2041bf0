//! Between us and the controller: counts connections, and cuts or stalls them when told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Proxy {
    opened: AtomicUsize,
    /// How many pieces may still go to the controller before the connection is cut behind one.
    until_cut: AtomicI64,
    cutting: AtomicBool,
    stalled: AtomicBool,
    all: Notify,
}

impl Proxy {
    /// Starts one in front of this address and returns it with its own.
    pub(crate) async fn start(controller: String) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Arc::new(Self::default());
        let accepting = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.opened.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(&controller).await.unwrap();
                tokio::spawn(Arc::clone(&accepting).serve(client, server));
            }
        });
        (proxy, address)
    }

    /// How many connections there were.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Ends every connection.
    pub(crate) fn cut_all(&self) {
        self.all.notify_waiters();
    }

    /// Lets so many messages pass to the controller, and ends the connection so that the answer to
    /// the last of them is never heard.
    pub(crate) fn cut_behind(&self, messages: i64) {
        self.until_cut.store(messages, Ordering::SeqCst);
        self.cutting.store(true, Ordering::SeqCst);
    }

    /// Says nothing any more, and lets nothing pass.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::SeqCst);
    }

    async fn serve(self: Arc<Self>, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let deaf = AtomicBool::new(false);
        let up = async {
            let mut piece = vec![0; 65536];
            loop {
                let read = from_client.read(&mut piece).await.unwrap_or(0);
                if read == 0 {
                    return;
                }
                while self.stalled.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let cutting = self.cutting.load(Ordering::SeqCst);
                if cutting && self.until_cut.fetch_sub(1, Ordering::SeqCst) == 1 {
                    self.cutting.store(false, Ordering::SeqCst);
                    deaf.store(true, Ordering::SeqCst);
                }
                to_server.write_all(&piece[..read]).await.unwrap();
            }
        };
        let down = async {
            let mut piece = vec![0; 65536];
            loop {
                let read = from_server.read(&mut piece).await.unwrap_or(0);
                // The controller did what it was asked; nobody hears of it.
                if read == 0 || deaf.load(Ordering::SeqCst) {
                    return;
                }
                if to_client.write_all(&piece[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = up => {}
            () = down => {}
            () = self.all.notified() => {}
        }
    }
}
