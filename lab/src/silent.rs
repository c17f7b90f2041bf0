//! A PC that answers nothing: connecting to it times out.
//!
//! A listening socket whose backlog is full drops further connections on Linux and macOS without
//! a word. Windows refuses them instead.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The most connections that a backlog of 1 may take before it is full.
const FILL: usize = 8;

/// After this long without an answer the backlog is full.
const PATIENCE: Duration = Duration::from_millis(60);

/// Holds the socket and the connections that fill its backlog.
#[derive(Debug)]
pub(crate) struct Silent {
    listener: TcpListener,
    _fill: Vec<TcpStream>,
}

impl Silent {
    /// Makes an address fall silent.
    pub(crate) async fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = match address.ip() {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut fill = Vec::new();
        for _ in 0..FILL {
            match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => fill.push(stream),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(Self {
            listener,
            _fill: fill,
        })
    }

    /// Returns the silent address.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn connecting_gets_no_answer() {
        let silent = Silent::at("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = silent.address().unwrap();
        let attempt = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address));
        assert!(attempt.await.is_err(), "neither accepted nor refused");
    }
}
