//! Ports that forward, and keep everything that passed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What passed.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// Forwards a port of the same address, so that certificates and known hosts fit.
    pub(crate) async fn tap(&self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind((to.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else {
                    continue;
                };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(wire.clone().forward(near_read, far_write));
                tokio::spawn(wire.clone().forward(far_read, near_write));
            }
        });
        address
    }

    async fn forward(
        self,
        mut from: impl AsyncReadExt + Unpin,
        mut to: impl AsyncWriteExt + Unpin,
    ) {
        let mut buffer = vec![0; 16_384];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            self.0.lock().unwrap().extend_from_slice(&buffer[..n]);
            if to.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }
}

/// Returns the address of somebody who takes every connection and says nothing.
pub(crate) async fn mute(near: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((near.ip(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

/// Returns the URL of somebody who thanks for everything, and keeps it.
pub(crate) async fn hook(wire: &Wire) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let wire = wire.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 65_536];
            let mut said = Vec::new();
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                said.extend_from_slice(&buffer[..n]);
                if said.ends_with(b"}") {
                    break;
                }
            }
            wire.0.lock().unwrap().extend_from_slice(&said);
            let thanks = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(thanks).await;
        }
    });
    url
}
