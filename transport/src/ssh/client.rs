//! The connection: algorithms, host key, and what russh calls back.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::DisconnectReason;
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Preferred, client, kex};

use super::known_hosts::{KnownHosts, Verdict, fingerprint};

/// How often a silent connection is asked whether it lives, and how often in vain.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES: usize = 3;

/// Why the key exchange failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// What russh met.
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    /// The host key is not to be trusted.
    #[error("{0}")]
    Identity(String),
    /// The known-hosts file cannot be written.
    #[error("{0}")]
    Store(String),
}

/// Judges the host key, and hears how the connection ends.
pub(super) struct HostKeyCheck {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) known: KnownHosts,
    pub(super) accept_new: bool,
    /// Set when the host ends the connection with a message of its own, and does not just go.
    pub(super) said_bye: Arc<AtomicBool>,
}

impl client::Handler for HostKeyCheck {
    type Error = HandshakeError;

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<HandshakeError>,
    ) -> Result<(), HandshakeError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => {
                self.said_bye.store(true, Ordering::SeqCst);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, HandshakeError> {
        let key = shown.public_key();
        let mut verdict = self.known.judge(&self.host, self.port, &key);
        if verdict == Verdict::Unknown && self.accept_new {
            let path = self.known.path().display().to_string();
            verdict = self
                .known
                .learn(&self.host, self.port, &key)
                .await
                .map_err(|error| HandshakeError::Store(format!("{path}: {error}")))?;
        }
        let shown = format!("{} {}", key.algorithm(), fingerprint(&key));
        let path = self.known.path().display();
        match verdict {
            Verdict::Known => Ok(true),
            Verdict::Unknown => Err(HandshakeError::Identity(format!(
                "its host key {shown} is not in {path}"
            ))),
            Verdict::Changed { expected, line } => Err(HandshakeError::Identity(format!(
                "its host key is {shown}, but {path}:{line} expects {expected}"
            ))),
            Verdict::Revoked { line } => Err(HandshakeError::Identity(format!(
                "its host key {shown} is revoked at {path}:{line}"
            ))),
        }
    }
}

/// Returns the settings of a connection: russh's choice of modern algorithms, the NIST curves
/// for hosts that offer nothing newer, no SHA-1, no compression.
pub(super) fn config(known_types: &[Algorithm]) -> Arc<client::Config> {
    let mut kex: Vec<kex::Name> = Preferred::DEFAULT.kex.to_vec();
    let extensions = kex
        .iter()
        .position(|name| *name == kex::EXTENSION_SUPPORT_AS_CLIENT);
    let at = extensions.unwrap_or(kex.len());
    for curve in [
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
    ] {
        kex.insert(at, curve);
    }
    let (known, other): (Vec<Algorithm>, Vec<Algorithm>) = Preferred::DEFAULT
        .key
        .iter()
        .filter(|algorithm| **algorithm != Algorithm::Rsa { hash: None })
        .cloned()
        .partition(|algorithm| known_types.iter().any(|known| same_type(known, algorithm)));
    Arc::new(client::Config {
        preferred: Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(known.into_iter().chain(other).collect()),
            compression: Cow::Borrowed(&[russh::compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        ..client::Config::default()
    })
}

fn same_type(known: &Algorithm, offered: &Algorithm) -> bool {
    known == offered
        || matches!(
            (known, offered),
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_asked_for_first_and_sha1_never() {
        let config = config(&[Algorithm::Rsa { hash: None }]);
        let order = &config.preferred.key;
        assert!(matches!(
            order.first(),
            Some(Algorithm::Rsa { hash: Some(_) })
        ));
        assert!(order.contains(&Algorithm::Ed25519));
        assert!(!order.contains(&Algorithm::Rsa { hash: None }));
    }
}
