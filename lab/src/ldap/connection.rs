//! One connection: bytes in, messages cut out of them, answers out, each when it is due.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::ldap::frame;
use crate::ldap::server::Directory;
use crate::ldap::session::{Next, Session, farewell};

/// How many answers may wait until they are due; then the client must wait too.
const WAITING: usize = 256;

/// Serves one connection until either side ends it.
pub(super) async fn serve(
    stream: TcpStream,
    from_start: bool,
    tls: Arc<ServerConfig>,
    directory: Arc<Directory>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = directory.options.patience;
    let mut stream = stream;
    if !from_start {
        let mut talk = Talk::new(Session::new(Arc::clone(&directory), false), &directory);
        if !talk.go_on(&mut stream).await? || !talk.bytes.is_empty() {
            // What came before TLS must not count as said within it (RFC 4513 section 3.1.1).
            return Ok(());
        }
    }
    let accepting = TlsAcceptor::from(tls).accept(stream);
    let mut stream = timeout(patience, accepting).await??;
    let mut talk = Talk::new(Session::new(Arc::clone(&directory), true), &directory);
    talk.go_on(&mut stream).await?;
    timeout(patience, stream.shutdown()).await?
}

struct Talk {
    session: Session,
    bytes: BytesMut,
    /// Answers, with the moment from which they may arrive.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    longest: usize,
    latency: Duration,
    idle: Duration,
    patience: Duration,
}

impl Talk {
    fn new(session: Session, directory: &Directory) -> Self {
        let options = &directory.options;
        Self {
            session,
            bytes: BytesMut::new(),
            waiting: VecDeque::new(),
            longest: options.longest_message,
            latency: options.latency,
            idle: options.idle,
            patience: options.patience,
        }
    }

    /// Talks until the end, or until TLS is to begin; tells whether it is.
    async fn go_on<S>(&mut self, stream: &mut S) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let next = self.next_message();
            let end = match next {
                Some(Next::Say(said)) => {
                    self.say(said);
                    None
                }
                Some(Next::StartTls(said)) => {
                    self.say(said);
                    Some(true)
                }
                Some(Next::Close(said)) => {
                    self.say(said);
                    Some(false)
                }
                Some(Next::Hang) => std::future::pending().await,
                None => {
                    if !self.listen(stream).await? {
                        return Ok(false);
                    }
                    None
                }
            };
            if let Some(begins_tls) = end {
                while self.send_next(stream).await? {}
                return Ok(begins_tls);
            }
        }
    }

    /// Answers the next whole message, if there is one and room for its answer.
    fn next_message(&mut self) -> Option<Next> {
        if self.waiting.len() >= WAITING {
            return None;
        }
        let length = match frame::length(&self.bytes, self.longest) {
            Ok(length) => length?,
            Err(error) => return Some(Next::Close(farewell(&error.to_string()))),
        };
        let message = self.bytes.get(..length)?;
        if let Err(error) = frame::check(message) {
            return Some(Next::Close(farewell(&error.to_string())));
        }
        let next = self.session.answer(message);
        self.bytes.advance(length);
        Some(next)
    }

    fn say(&mut self, said: Vec<u8>) {
        if !said.is_empty() {
            self.waiting
                .push_back((Instant::now() + self.latency, said));
        }
    }

    /// Reads more, or sends what is due; false at the end.
    async fn listen<S>(&mut self, stream: &mut S) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some((due, _)) = self.waiting.front() else {
            let read = timeout(self.idle, stream.read_buf(&mut self.bytes));
            return Ok(read.await?? > 0);
        };
        let full = self.waiting.len() >= WAITING;
        tokio::select! {
            biased;
            () = sleep_until(*due) => self.send_next(stream).await,
            read = stream.read_buf(&mut self.bytes), if !full => {
                let heard = read? > 0;
                // Who has said everything may still listen.
                while !heard && self.send_next(stream).await? {}
                Ok(heard)
            }
        }
    }

    /// Sends the answer that is due next; false if there is none.
    async fn send_next<S>(&mut self, stream: &mut S) -> io::Result<bool>
    where
        S: AsyncWrite + Unpin,
    {
        let Some((due, said)) = self.waiting.pop_front() else {
            return Ok(false);
        };
        sleep_until(due).await;
        let sending = async {
            stream.write_all(&said).await?;
            stream.flush().await
        };
        timeout(self.patience, sending).await??;
        Ok(true)
    }
}
