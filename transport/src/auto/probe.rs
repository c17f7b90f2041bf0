//! A cheap look ahead of the logon: is anybody there?

use std::time::Duration;

use fleetmend_model::Host;
use tokio::time::Instant;

use super::candidates::candidates;
use super::dial::{self, DialError};
use super::race::race;
use crate::{ConnectError, Limits};

/// Tells whether any endpoint of a host answers on TCP, and returns the port that did. The
/// connection is closed at once; nothing is said on it.
///
/// # Errors
/// [`ConnectError::Unreachable`] with all ports that were asked, [`ConnectError::Settings`] for
/// settings that leave none, [`ConnectError::Cancelled`].
pub async fn probe(host: &Host, limits: &Limits) -> Result<u16, ConnectError> {
    let began = Instant::now();
    let mut ports: Vec<u16> = candidates(host)?
        .iter()
        .map(|candidate| candidate.port)
        .collect();
    ports.dedup();
    let work = async {
        let addresses = dial::resolve(&host.address).await?;
        let race = race(&addresses, &ports, Duration::ZERO, limits.deadline).await;
        let open = race
            .open
            .iter()
            .position(Option::is_some)
            .and_then(|place| ports.get(place));
        open.copied()
            .ok_or_else(|| race.error.unwrap_or_else(|| DialError::silent(began)))
    };
    let asked = tokio::select! {
        biased;
        () = limits.cancel.cancelled() => return Err(ConnectError::Cancelled),
        done = tokio::time::timeout_at(limits.deadline, work) => {
            done.unwrap_or_else(|_| Err(DialError::silent(began)))
        }
    };
    asked.map_err(|error| error.at(dial::authorities(&host.address, &ports)))
}

#[cfg(test)]
mod tests {
    use fleetmend_model::TransportChoice;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// The error and what lies beneath, as the engine tells it.
    async fn story(host: &Host, time: Duration) -> String {
        let limits = Limits::within(time, &CancellationToken::new());
        let error = probe(host, &limits).await.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    }

    fn host(address: &str, port: u16) -> Host {
        let mut host = Host::new("pc-1");
        host.address = address.to_owned();
        host.transport = TransportChoice::Ssh;
        host.port = Some(port);
        host
    }

    #[tokio::test]
    async fn tells_open_from_shut_and_unknown() {
        let time = Duration::from_secs(5);
        let limits = Limits::within(time, &CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut pc = host("127.0.0.1", port);
        assert_eq!(probe(&pc, &limits).await.unwrap(), port);
        drop(listener);
        // Linux and macOS, then Winsock.
        let number = if cfg!(windows) {
            10061
        } else if cfg!(target_os = "macos") {
            61
        } else {
            111
        };
        let told = format!(
            "failed to reach 127.0.0.1:{port}: the connection was refused: os error {number}"
        );
        assert_eq!(story(&pc, time).await, told);
        pc.address = "no-such-host.invalid".to_owned();
        let told =
            format!("failed to reach no-such-host.invalid:{port}: the name does not resolve");
        let story = story(&pc, time).await;
        assert!(story.starts_with(&told), "{story}");
    }

    #[tokio::test]
    async fn tells_how_long_it_waited_and_for_which_ports() {
        // Nothing can answer within no time.
        let error = story(&host("127.0.0.1", 9), Duration::ZERO).await;
        assert_eq!(
            error,
            "failed to reach 127.0.0.1:9: no answer in time: waited 0 s"
        );
        let long_ago = Instant::now() - Duration::from_millis(10_020);
        let error = DialError::silent(long_ago);
        assert_eq!(error.source.unwrap().to_string(), "waited 10 s");
        assert_eq!(
            dial::authorities("10.0.0.7", &[5986, 5985, 22]),
            "10.0.0.7 (ports 5986, 5985, 22)"
        );
    }

    #[tokio::test]
    async fn a_cancel_is_no_silence() {
        let limits = Limits::within(Duration::from_secs(5), &CancellationToken::new());
        limits.cancel.cancel();
        let error = probe(&host("127.0.0.1", 9), &limits).await.unwrap_err();
        assert!(matches!(error, ConnectError::Cancelled));
    }
}
