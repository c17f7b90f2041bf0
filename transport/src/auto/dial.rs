//! Names to addresses to a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::{ConnectError, Limits, UnreachableWhy};

/// How long one address has before the next one is tried beside it (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// Why no connection came about.
#[derive(Debug)]
pub(crate) struct DialError {
    pub(crate) why: UnreachableWhy,
    pub(crate) source: Option<io::Error>,
}

impl DialError {
    /// Says that nothing had come since `began`.
    pub(crate) fn silent(began: Instant) -> Self {
        let waited = format!("waited {:.0} s", began.elapsed().as_secs_f64());
        Self {
            why: UnreachableWhy::TimedOut,
            source: Some(io::Error::new(io::ErrorKind::TimedOut, waited)),
        }
    }

    /// Turns it into the error of a whole connect.
    pub(crate) fn at(self, address: String) -> ConnectError {
        // What is refused is said already, and the system says it in its own language.
        let source = self
            .source
            .map(|error| match (self.why, error.raw_os_error()) {
                (UnreachableWhy::Refused, Some(number)) => Box::new(OsNumber(number)) as Box<_>,
                _ => Box::new(error) as Box<_>,
            });
        ConnectError::Unreachable {
            address,
            why: self.why,
            source,
        }
    }
}

/// The number of an error of the system: `errno`, or that of Winsock.
#[derive(Debug, thiserror::Error)]
#[error("os error {0}")]
struct OsNumber(i32);

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self {
            why: class(&error),
            source: Some(error),
        }
    }
}

/// Resolves a name and connects to the first of its addresses that answers.
///
/// # Errors
/// [`ConnectError::Unreachable`] or [`ConnectError::Cancelled`].
pub(crate) async fn connect(
    host: &str,
    port: u16,
    limits: &Limits,
) -> Result<TcpStream, ConnectError> {
    let began = Instant::now();
    let work = async {
        let addresses = resolve(host).await?;
        connect_any(&addresses, port).await
    };
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Err(ConnectError::Cancelled),
        done = tokio::time::timeout_at(limits.deadline, work) => match done {
            Ok(Ok(tcp)) => Ok(tcp),
            Ok(Err(error)) => Err(error.at(authority(host, port))),
            Err(_) => Err(DialError::silent(began).at(authority(host, port))),
        },
    }
}

/// Returns the addresses of a name, in the order of the system's resolver.
///
/// The resolver works on threads of its own; a caller that gives up leaves it to its own time
/// limit.
pub(crate) async fn resolve(host: &str) -> Result<Vec<IpAddr>, DialError> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let not_found = |source| DialError {
        why: UnreachableWhy::NameNotFound,
        source,
    };
    let found = tokio::net::lookup_host((host, 0))
        .await
        .map_err(|error| not_found(Some(error)))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()).take(ADDRESSES) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        Err(not_found(None))
    } else {
        Ok(addresses)
    }
}

/// Connects to the first address that answers; a slow one does not hold up the next.
pub(crate) async fn connect_any(addresses: &[IpAddr], port: u16) -> Result<TcpStream, DialError> {
    let began = Instant::now();
    let mut attempts: FuturesUnordered<_> = (0_u32..)
        .zip(addresses)
        .map(|(index, address)| async move {
            tokio::time::sleep_until(began + STAGGER * index).await;
            TcpStream::connect(SocketAddr::new(*address, port)).await
        })
        .collect();
    let mut worst = None;
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(tcp) => return Ok(tcp),
            Err(error) => worst = Some(telling(worst, DialError::from(error))),
        }
    }
    Err(worst.unwrap_or(DialError {
        why: UnreachableWhy::NameNotFound,
        source: None,
    }))
}

/// Returns the error that says more: a refusal shows that somebody is there.
pub(crate) fn telling(one: Option<DialError>, other: DialError) -> DialError {
    let rank = |why| match why {
        UnreachableWhy::Refused => 0,
        UnreachableWhy::Closed => 1,
        UnreachableWhy::NoRoute => 2,
        _ => 3,
    };
    match one {
        Some(one) if rank(one.why) <= rank(other.why) => one,
        _ => other,
    }
}

/// Returns `host:port`, or the host and all of several ports.
pub(crate) fn authorities(host: &str, ports: &[u16]) -> String {
    match ports {
        [port] => authority(host, *port),
        _ => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("{host} (ports {})", ports.join(", "))
        }
    }
}

/// Returns `host:port`, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

fn class(error: &io::Error) -> UnreachableWhy {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => UnreachableWhy::Refused,
        io::ErrorKind::TimedOut => UnreachableWhy::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => UnreachableWhy::Closed,
        _ => UnreachableWhy::NoRoute,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn limits() -> Limits {
        Limits::within(Duration::from_secs(5), &CancellationToken::new())
    }

    #[tokio::test]
    async fn connects_past_an_address_that_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let addresses = ["127.77.0.1", "127.0.0.1"].map(|address| address.parse().unwrap());
        let tcp = connect_any(&addresses, port).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn names_the_failure() {
        let port = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let refused = connect("127.0.0.1", port, &limits()).await.unwrap_err();
        assert!(matches!(
            refused,
            ConnectError::Unreachable {
                why: UnreachableWhy::Refused,
                ..
            }
        ));
        let unknown = connect("no-such-host.invalid", 22, &limits())
            .await
            .unwrap_err();
        assert!(matches!(
            unknown,
            ConnectError::Unreachable {
                why: UnreachableWhy::NameNotFound,
                ..
            }
        ));
        let cancelled = limits();
        cancelled.cancel.cancel();
        let error = connect("127.0.0.1", port, &cancelled).await.unwrap_err();
        assert!(matches!(error, ConnectError::Cancelled));
    }

    #[test]
    fn a_refusal_says_more_than_silence() {
        let error = |why| DialError { why, source: None };
        let merged = telling(
            Some(error(UnreachableWhy::TimedOut)),
            error(UnreachableWhy::Refused),
        );
        assert_eq!(merged.why, UnreachableWhy::Refused);
        let merged = telling(
            Some(error(UnreachableWhy::Refused)),
            error(UnreachableWhy::TimedOut),
        );
        assert_eq!(merged.why, UnreachableWhy::Refused);
    }
}
