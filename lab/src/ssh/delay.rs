//! A connection whose answers come late, as over a slow line.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How many bytes the line holds on their way, per direction.
const BUFFER: usize = 256 * 1024;

/// Puts a line between the connection and the server: whatever the server writes arrives this
/// much later, so each exchange costs one latency. The pump ends with either side.
pub(crate) fn behind(
    latency: Duration,
    tcp: TcpStream,
) -> (DuplexStream, impl Future<Output = ()>) {
    let (server, line) = tokio::io::duplex(BUFFER);
    (server, pump(latency, tcp, line))
}

async fn pump(latency: Duration, tcp: TcpStream, line: DuplexStream) {
    let (mut from_client, mut to_client) = tcp.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(line);
    let (sender, mut late) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let inward = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let take = async move {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if sender
                .send((Instant::now() + latency, bytes))
                .await
                .is_err()
            {
                break;
            }
        }
    };
    let outward = async move {
        while let Some((due, bytes)) = late.recv().await {
            tokio::time::sleep_until(due).await;
            if to_client.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    // The server going away ends it all; the client's half-close does not.
    tokio::select! {
        ((), ()) = async { tokio::join!(take, outward) } => {}
        () = async { inward.await; std::future::pending().await } => {}
    }
}
