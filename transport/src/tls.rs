//! How certificates are judged, and what binds a logon to its TLS channel.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use fleetmend_model::TlsVerification;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    /// The CA file cannot be read.
    #[error("the CA file {path} cannot be read: {source}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The CA file holds no usable certificate.
    #[error("the CA file {path} holds no usable certificate")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The system has no roots.
    #[error("the system offers no trusted roots; name a CA file or pin the fingerprint")]
    NoRoots,
    /// Not a SHA-256 fingerprint.
    #[error("the fingerprint is not 64 hex digits of SHA-256")]
    Fingerprint,
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

/// A certificate was refused: what came and what was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateRefused {
    /// It is not the pinned one.
    #[error("its certificate has the fingerprint {actual}, not the pinned {expected}")]
    Pin {
        /// As pinned.
        expected: String,
        /// As shown.
        actual: String,
    },
    /// It does not verify.
    #[error(
        "its certificate (SHA-256 {actual}) is not accepted: {why}; if it is the right one, pin \
         this fingerprint or trust its CA"
    )]
    Untrusted {
        /// As shown.
        actual: String,
        /// The library's reason.
        why: String,
    },
}

/// Returns the client configuration for a way of judging. Configurations are shared: a
/// thousand hosts hold one set of roots.
///
/// # Errors
/// See [`TlsSetupError`].
pub(crate) async fn client_config(
    verification: &TlsVerification,
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    static SHARED: LazyLock<Mutex<HashMap<TlsVerification, Arc<ClientConfig>>>> =
        LazyLock::new(Mutex::default);
    let shared = || SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = shared().get(verification) {
        return Ok(Arc::clone(config));
    }
    // Reading roots touches files.
    let wanted = verification.clone();
    let config = tokio::task::spawn_blocking(move || build(&wanted))
        .await
        .map_err(|error| TlsSetupError::Library(error.to_string()))??;
    // Pins are as many as hosts and cheap to build again.
    if !matches!(verification, TlsVerification::Fingerprint(_)) {
        shared().insert(verification.clone(), Arc::clone(&config));
    }
    Ok(config)
}

fn build(verification: &TlsVerification) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(ring::default_provider());
    let judge = match verification {
        TlsVerification::System => Judge::Chain {
            inner: chain(system_roots()?, &provider)?,
        },
        TlsVerification::CaFile(path) => Judge::Chain {
            inner: chain(file_roots(path)?, &provider)?,
        },
        TlsVerification::Fingerprint(text) => {
            Judge::Pin(parse_fingerprint(text).ok_or(TlsSetupError::Fingerprint)?)
        }
        TlsVerification::None => Judge::Nothing,
    };
    let verifier = Arc::new(Verifier {
        judge,
        provider: Arc::clone(&provider),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError::Library(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // Every connection shows its certificate: the channel binding is taken from it.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(TlsSetupError::NoRoots)
    } else {
        Ok(roots)
    }
}

fn file_roots(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let unreadable = |source| TlsSetupError::CaFile {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add_parsable_certificates([certificate.map_err(unreadable)?]);
    }
    if roots.is_empty() {
        return Err(TlsSetupError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

fn chain(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsSetupError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsSetupError::Library(error.to_string()))
}

/// Reads 64 hex digits; colons, blanks and dashes between them are let pass.
fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !matches!(character, ':' | ' ' | '-'))
        .map(|character| {
            character
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect();
    if digits.len() == 64 {
        bytes.try_into().ok()
    } else {
        None
    }
}

/// Writes a fingerprint as lower-case hex.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
enum Judge {
    Chain { inner: Arc<WebPkiServerVerifier> },
    Pin([u8; 32]),
    Nothing,
}

/// Judges the certificate as asked; the handshake's signature is checked in every case, so the
/// peer at least owns the key of the certificate that it shows.
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
        match &self.judge {
            Judge::Nothing => Ok(ServerCertVerified::assertion()),
            Judge::Pin(expected) if Sha256::digest(certificate)[..] == expected[..] => {
                Ok(ServerCertVerified::assertion())
            }
            Judge::Pin(expected) => Err(refused(CertificateRefused::Pin {
                expected: hex(expected),
                actual: fingerprint(certificate),
            })),
            Judge::Chain { inner } => inner
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .map_err(|error| {
                    refused(CertificateRefused::Untrusted {
                        actual: fingerprint(certificate),
                        why: error.to_string(),
                    })
                }),
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

fn refused(why: CertificateRefused) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// Returns the refusal inside an error of the TLS handshake, if it was one.
pub(crate) fn refusal(error: &std::io::Error) -> Option<String> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match inner {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            Some(other.0.to_string())
        }
        rustls::Error::InvalidCertificate(_) => Some(inner.to_string()),
        _ => None,
    }
}

/// Returns the channel binding `tls-server-end-point` of RFC 5929 section 4 for the peer's
/// certificate, with its prefix; none where the certificate cannot be read.
pub(crate) fn channel_binding(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = end_point_hash(certificate)?;
    let mut token = b"tls-server-end-point:".to_vec();
    token.extend_from_slice(&hash);
    Some(token)
}

/// Hashes the certificate with its own signature's hash; MD5, SHA-1 and what names no hash
/// count as SHA-256.
fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm;
    let hash = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
            parameters.hash_algorithm_oid().to_id_string()
        }
        _ => algorithm.algorithm.to_id_string(),
    };
    // Hash with RSA, with ECDSA, and bare (for PSS).
    Some(match hash.as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Sha384::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => {
            Sha512::digest(certificate).to_vec()
        }
        _ => Sha256::digest(certificate).to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fingerprints_as_people_write_them() {
        let plain = "00".repeat(31) + "ff";
        let mut expected = [0; 32];
        expected[31] = 0xff;
        assert_eq!(parse_fingerprint(&plain), Some(expected));
        let colons = vec!["00"; 31].join(":") + ":FF";
        assert_eq!(parse_fingerprint(&colons), Some(expected));
        for bad in [
            "",
            "00",
            &"0".repeat(63),
            &"0".repeat(66),
            &"g".repeat(64),
            "日本",
        ] {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn says_what_is_wrong_with_settings() {
        let missing = TlsVerification::CaFile("no-such-file.pem".into());
        let error = client_config(&missing).await.unwrap_err().to_string();
        assert!(error.contains("no-such-file.pem"), "{error}");
        let bad = TlsVerification::Fingerprint("xyz".into());
        assert!(matches!(
            client_config(&bad).await,
            Err(TlsSetupError::Fingerprint)
        ));
        assert!(client_config(&TlsVerification::None).await.is_ok());
    }
}
