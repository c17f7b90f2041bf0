//! Asks several ports of one host at once, and settles on the best that answers.

use std::net::IpAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::dial::{self, DialError};

/// What came of each port, in the order of preference.
pub(crate) struct Race {
    /// The connections that were made.
    pub(crate) open: Vec<Option<TcpStream>>,
    /// The ports that have failed; of the others nothing is known yet.
    pub(crate) failed: Vec<u16>,
    /// The most telling failure.
    pub(crate) error: Option<DialError>,
}

/// Connects to every port. Once one has answered, better ones have only `grace` left.
/// `deadline` ends the wait for all.
pub(crate) async fn race(
    addresses: &[IpAddr],
    ports: &[u16],
    grace: Duration,
    deadline: Instant,
) -> Race {
    let began = Instant::now();
    let mut race = Race {
        open: ports.iter().map(|_| None).collect(),
        failed: Vec::new(),
        error: None,
    };
    let mut pending: Vec<usize> = (0..ports.len()).collect();
    let mut until = deadline;
    let mut attempts: FuturesUnordered<_> = ports
        .iter()
        .enumerate()
        .map(|(index, port)| async move { (index, dial::connect_any(addresses, *port).await) })
        .collect();
    loop {
        let best_open = race.open.iter().position(Option::is_some);
        // Settled: nothing better than the best open port can still answer.
        if best_open.is_some_and(|best| pending.iter().all(|index| *index > best)) {
            return race;
        }
        let next = tokio::select! {
            biased;
            next = attempts.next() => next,
            () = sleep_until(until) => {
                if best_open.is_none() {
                    race.error = Some(dial::telling(race.error.take(), DialError::silent(began)));
                }
                return race;
            }
        };
        let Some((index, result)) = next else {
            return race;
        };
        pending.retain(|waiting| *waiting != index);
        match result {
            Ok(tcp) => {
                until = until.min(Instant::now() + grace);
                if let Some(place) = race.open.get_mut(index) {
                    *place = Some(tcp);
                }
            }
            Err(error) => {
                race.failed.extend(ports.get(index));
                race.error = Some(dial::telling(race.error.take(), error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::UnreachableWhy;

    const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];

    async fn run(ports: &[u16]) -> Race {
        let deadline = Instant::now() + Duration::from_secs(5);
        race(&LOOPBACK, ports, Duration::from_millis(200), deadline).await
    }

    #[tokio::test]
    async fn settles_on_the_best_that_answers() {
        let one = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let two = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shut = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (one, two) = (
            one.local_addr().unwrap().port(),
            two.local_addr().unwrap().port(),
        );
        let race = run(&[shut, one, two]).await;
        assert!(race.open[0].is_none() && race.open[1].is_some());
        assert_eq!(race.failed, [shut]);
    }

    #[tokio::test]
    async fn tells_why_none_answers() {
        let shut = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let race = run(&[shut]).await;
        assert_eq!(race.error.unwrap().why, UnreachableWhy::Refused);
    }
}
