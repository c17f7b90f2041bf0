//! A cheap look ahead of the logon: is anybody there?

use fleetmend_model::Host;

use super::candidates::candidates;
use super::dial;
use super::race::race;
use crate::{Limits, UnreachableWhy};

/// Tells whether any endpoint of a host answers on TCP, and returns the port that did. The
/// connection is closed at once; nothing is said on it.
///
/// # Errors
/// Why none answers. Settings that leave no endpoint, and a cancel, give
/// [`UnreachableWhy::TimedOut`]: connecting will say more.
pub async fn probe(host: &Host, limits: &Limits) -> Result<u16, UnreachableWhy> {
    let candidates = candidates(host).map_err(|_| UnreachableWhy::TimedOut)?;
    let mut ports: Vec<u16> = candidates.iter().map(|candidate| candidate.port).collect();
    ports.dedup();
    let work = async {
        let addresses = dial::resolve(&host.address)
            .await
            .map_err(|error| error.why)?;
        let grace = std::time::Duration::ZERO;
        let race = race(&addresses, &ports, grace, limits.deadline).await;
        let open = race
            .open
            .iter()
            .position(Option::is_some)
            .and_then(|place| ports.get(place));
        open.copied().ok_or(
            race.error
                .map_or(UnreachableWhy::TimedOut, |error| error.why),
        )
    };
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Err(UnreachableWhy::TimedOut),
        done = tokio::time::timeout_at(limits.deadline, work) => {
            done.unwrap_or(Err(UnreachableWhy::TimedOut))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleetmend_model::TransportChoice;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn tells_open_from_shut_and_unknown() {
        let limits = Limits::within(Duration::from_secs(5), &CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut host = Host::new("pc-1");
        host.address = "127.0.0.1".to_owned();
        host.transport = TransportChoice::Ssh;
        host.port = Some(listener.local_addr().unwrap().port());
        assert_eq!(probe(&host, &limits).await, Ok(host.port.unwrap()));
        drop(listener);
        assert_eq!(probe(&host, &limits).await, Err(UnreachableWhy::Refused));
        host.address = "no-such-host.invalid".to_owned();
        assert_eq!(
            probe(&host, &limits).await,
            Err(UnreachableWhy::NameNotFound)
        );
    }
}
