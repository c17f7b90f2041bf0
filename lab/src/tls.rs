//! The lab's own certificate authority and the certificates of its PCs.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// Why the lab has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("make a certificate for the lab")]
    Certificate(#[from] rcgen::Error),
    /// TLS did not take it.
    #[error("set up TLS for the lab")]
    Tls(#[from] rustls::Error),
}

/// Signs the certificates of simulated PCs. Made anew for each lab; its key is kept nowhere.
#[derive(Debug)]
pub struct LabAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl LabAuthority {
    /// Makes an authority.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new() -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "fleetmend lab");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Returns what a client must trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Makes a certificate for these DNS names and addresses; one may serve all PCs of a lab.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn server(&self, names: &[String]) -> Result<ServerTls, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        let subject = names.first().map_or("lab", String::as_str);
        params.distinguished_name.push(DnType::CommonName, subject);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let der = certificate.der().clone();
        let fingerprint = Sha256::digest(&der)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], key)?;
        Ok(ServerTls {
            config: Arc::new(config),
            der: der.to_vec(),
            fingerprint,
        })
    }
}

/// A certificate in use: clone it freely, the parts are shared.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    der: Vec<u8>,
    fingerprint: String,
}

impl ServerTls {
    /// Returns what a TLS acceptor needs.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Returns the certificate, to which a client may bind its logon.
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the SHA-256 of the certificate in lower-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_its_own_fingerprint() {
        let authority = LabAuthority::new().unwrap();
        let names = ["127.0.1.1".to_owned(), "pc-001.example.jp".to_owned()];
        let (one, other) = (
            authority.server(&names).unwrap(),
            authority.server(&names).unwrap(),
        );
        assert_eq!(one.fingerprint().len(), 64);
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
