//! Channel bindings of a TLS connection (RFC 5929, [MS-NLMP] 2.2.2.1 `MsvAvChannelBindings`).

use sha2::{Digest, Sha256};

use super::keys::md5;

/// Returns the application data of a `tls-server-end-point` binding for a certificate that is
/// signed with SHA-256, as the lab's are.
pub fn endpoint_binding(certificate_der: &[u8]) -> Vec<u8> {
    let mut data = b"tls-server-end-point:".to_vec();
    data.extend_from_slice(&Sha256::digest(certificate_der));
    data
}

/// Returns what stands in `MsvAvChannelBindings`: MD5 over a `gss_channel_bindings_struct` whose
/// addresses are empty.
pub fn channel_binding_value(application_data: &[u8]) -> [u8; 16] {
    let length = u32::try_from(application_data.len()).unwrap_or(u32::MAX);
    md5(&[&[0; 16], &length.to_le_bytes(), application_data])
}
