//! Tests: what a logon tells of the password, however it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{Credential, Platform, Secret, SshSettings};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, run_stream};
use russh::{MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Endpoint, connect};
use crate::{ConnectError, DeniedWhy, Limits, LogonMark};

/// What the host does with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Accepts,
    WantsMore,
    Refuses,
    /// The connection just ends.
    Goes,
    /// It ends the connection with a message.
    SaysBye,
    Hangs,
}

impl Handler for Host {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, russh::Error> {
        let more = |partial_success| Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
            partial_success,
        };
        match self {
            Self::Accepts => Ok(Auth::Accept),
            Self::WantsMore => Ok(more(true)),
            Self::Refuses | Self::SaysBye => Ok(more(false)),
            Self::Goes => Err(russh::Error::HUP),
            Self::Hangs => std::future::pending().await,
        }
    }
}

async fn listen(host: Host) -> SocketAddr {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let config = Arc::new(Config {
        keys: vec![key],
        methods: MethodSet::from(&[MethodKind::Password][..]),
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        // The question what is offered was one; with the next one it is over.
        max_auth_attempts: if host == Host::SaysBye { 1 } else { 6 },
        ..Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let session = run_stream(config, stream, host).await.unwrap();
        let _ = session.await;
    });
    address
}

/// Logs on; returns how it ended, and its mark.
async fn log_on(host: Host, limits: Limits) -> (Option<ConnectError>, LogonMark) {
    let address = listen(host).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = SshSettings {
        known_hosts: Some(folder.path().join("known_hosts")),
        accept_new_host_keys: true,
        ..SshSettings::default()
    };
    let endpoint = Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
    };
    let credential = Credential::new("CORP\\bob", Secret::new("違う".to_owned()));
    let mark = limits.mark.clone();
    let logon = connect(
        &endpoint,
        None,
        Platform::Windows,
        &credential,
        &settings,
        &limits,
    );
    (logon.await.err(), mark)
}

fn limits(time: Duration, cancel: &CancellationToken) -> Limits {
    Limits::within(time, cancel)
}

#[tokio::test]
async fn each_answer_is_told_and_none_is_told_too() {
    let token = CancellationToken::new();
    for host in [
        Host::Accepts,
        Host::WantsMore,
        Host::Refuses,
        Host::Goes,
        Host::SaysBye,
    ] {
        let (error, mark) = log_on(host, limits(Duration::from_secs(20), &token)).await;
        let why = match &error {
            None => "in",
            Some(ConnectError::AccessDenied { why, .. }) => match why {
                DeniedWhy::Logon => "denied",
                _ => "more",
            },
            Some(ConnectError::Protocol { .. }) => "lost",
            Some(_) => "else",
        };
        let expected = match host {
            Host::Accepts => ("in", true, false),
            Host::WantsMore => ("more", true, false),
            Host::Refuses | Host::SaysBye => ("denied", false, true),
            Host::Goes => ("lost", false, true),
            Host::Hangs => unreachable!(),
        };
        let found = (why, mark.is_accepted(), mark.is_unanswered());
        assert_eq!(found, expected, "{host:?}: {error:?}");
    }
}

#[tokio::test]
async fn silence_a_cancel_and_a_dropped_future_leave_the_password_unanswered() {
    let token = CancellationToken::new();
    let short = limits(Duration::from_secs(3), &token);
    let (error, mark) = log_on(Host::Hangs, short).await;
    assert!(
        matches!(error, Some(ConnectError::Protocol { .. })),
        "{error:?}"
    );
    assert!(mark.is_unanswered());

    let long = limits(Duration::from_secs(60), &token);
    let mark = long.mark.clone();
    let cancelled = async {
        until_sent(&mark).await;
        token.cancel();
    };
    let ((error, mark), ()) = tokio::join!(log_on(Host::Hangs, long), cancelled);
    assert!(matches!(error, Some(ConnectError::Cancelled)), "{error:?}");
    assert!(mark.is_unanswered());

    let long = limits(Duration::from_secs(60), &CancellationToken::new());
    let mark = long.mark.clone();
    tokio::select! {
        _ = log_on(Host::Hangs, long) => unreachable!("it hangs"),
        () = until_sent(&mark) => {}
    }
    assert!(mark.is_unanswered());
}

async fn until_sent(mark: &LogonMark) {
    while !mark.is_unanswered() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
