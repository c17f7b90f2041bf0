//! How a controller's certificate is judged.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::{TlsSettingsError, Trust};

/// Returns the TLS configuration for a way of trusting. Reads files: not for an async task.
pub(crate) fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TlsSettingsError> {
    let provider = Arc::new(ring::default_provider());
    let judge = match trust {
        Trust::System => Judge::Chain(chain(system_roots()?, &provider)?),
        Trust::CaFile(path) => Judge::Chain(chain(file_roots(path)?, &provider)?),
        Trust::Pinned(pins) => Judge::Pins(pins.clone()),
    };
    let verifier = Verifier {
        judge,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSettingsError::Library(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Returns why the certificate was refused, if the error of a handshake says so.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(match why {
                CertificateError::Other(other) => other.0.to_string(),
                why => why.to_string(),
            });
        }
        // An io::Error hides its inside from `source` where that has none itself.
        let inner = error.downcast_ref::<std::io::Error>();
        next = match inner.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn system_roots() -> Result<RootCertStore, TlsSettingsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsSettingsError::NoRoots);
    }
    Ok(roots)
}

fn file_roots(path: &Path) -> Result<RootCertStore, TlsSettingsError> {
    let unreadable = |error: rustls::pki_types::pem::Error| TlsSettingsError::CaFile {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add_parsable_certificates([certificate.map_err(unreadable)?]);
    }
    if roots.is_empty() {
        return Err(TlsSettingsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

fn chain(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsSettingsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsSettingsError::Library(error.to_string()))
}

#[derive(Debug)]
enum Judge {
    Chain(Arc<WebPkiServerVerifier>),
    Pins(Vec<[u8; 32]>),
}

/// A certificate is not accepted. The fingerprint is shown so that it can be compared and pinned.
#[derive(Debug, thiserror::Error)]
#[error(
    "its certificate (sha256:{}) is not accepted: {why}",
    actual.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
)]
struct Refused {
    actual: [u8; 32],
    why: String,
}

/// Judges the certificate as asked; the handshake's signature is checked in every case, so the
/// peer owns the key of the certificate that it shows.
#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let actual: [u8; 32] = Sha256::digest(certificate).into();
        let why = match &self.judge {
            Judge::Pins(pins) if pins.contains(&actual) => None,
            Judge::Pins(_) => Some("it is not the pinned one".to_owned()),
            Judge::Chain(inner) => inner
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .err()
                .map(|error| error.to_string()),
        };
        match why {
            None => Ok(ServerCertVerified::assertion()),
            Some(why) => Err(rustls::Error::InvalidCertificate(CertificateError::Other(
                OtherError(Arc::new(Refused { actual, why })),
            ))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
