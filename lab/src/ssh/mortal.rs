//! A connection that breaks when the PC behind it goes down.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The stream, and the end of its life.
pub(super) struct Mortal<S> {
    stream: S,
    life: CancellationToken,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Mortal<S> {
    /// Returns the stream, which breaks when `life` ends.
    pub(super) fn new(stream: S, life: CancellationToken) -> Self {
        Self {
            stream,
            end: Box::pin(life.clone().cancelled_owned()),
            life,
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.life.is_cancelled() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mortal<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever waits for bytes must wake up for the end, too.
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mortal<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_reader_learns_of_the_end() {
        let (near, _far) = tokio::io::duplex(16);
        let life = CancellationToken::new();
        let mut stream = Mortal::new(near, life.clone());
        let reader = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        life.cancel();
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
