//! A client written from the specification, for tests: it shares with the acceptor only the
//! functions that the vectors of the specification prove.

use super::flags;
use super::keys::{Key, hmac_md5, nt_proof, ntowf_v2, rc4_once, utf16};
use super::message::SIGNATURE;

pub(crate) const ASKED: u32 = flags::FOR_SEALING | flags::KEY_EXCH | flags::NTLM;
pub(crate) const USER: &str = "管理者";
pub(crate) const PASSWORD: &str = "ひみつ-1";

/// Returns a NEGOTIATE_MESSAGE.
pub(crate) fn negotiate() -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend(1u32.to_le_bytes());
    message.extend(ASKED.to_le_bytes());
    message.extend([0; 16]);
    message
}

/// What the client of these tests does wrong, or adds.
#[derive(Default)]
pub(crate) struct Shape {
    pub(crate) user: Option<&'static str>,
    pub(crate) password: Option<&'static str>,
    pub(crate) spoil_mic: bool,
    pub(crate) no_mic: bool,
    pub(crate) binding: Option<[u8; 16]>,
    pub(crate) version_1: bool,
}

/// Answers a challenge; returns the exported session key too.
pub(crate) fn authenticate(challenge: &[u8], shape: &Shape) -> (Vec<u8>, Key) {
    let (user, domain) = (shape.user.unwrap_or(USER), "PC-001");
    let nonce: [u8; 8] = challenge[24..32].try_into().unwrap();
    let at = u32::from_le_bytes(challenge[44..48].try_into().unwrap()) as usize;
    let mut info = challenge[at..challenge.len() - 4].to_vec();
    if !shape.no_mic {
        info.extend([6, 0, 4, 0, 2, 0, 0, 0]);
    }
    if let Some(binding) = shape.binding {
        info.extend([10, 0, 16, 0]);
        info.extend(binding);
    }
    info.extend([0; 4]);
    let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
    blob.extend(0x01d9_0000_0000_0000u64.to_le_bytes());
    blob.extend([0xaa; 8]);
    blob.extend([0; 4]);
    blob.extend(info);
    blob.extend([0; 4]);
    let key = ntowf_v2(shape.password.unwrap_or(PASSWORD), user, domain);
    let proof = nt_proof(&key, &nonce, &blob);
    let session: Key = [0x42; 16];
    let mut wire = session;
    rc4_once(&hmac_md5(&key, &[&proof]), &mut wire);
    let response = if shape.version_1 {
        vec![1; 24]
    } else {
        [proof.to_vec(), blob].concat()
    };
    let mut fields = Vec::new();
    let mut payload = Vec::new();
    for bytes in [
        &[][..],
        &response,
        &utf16(domain),
        &utf16(user),
        &utf16("ME"),
        &wire,
    ] {
        let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
        fields.extend([length, length].concat());
        fields.extend(u32::try_from(88 + payload.len()).unwrap().to_le_bytes());
        payload.extend_from_slice(bytes);
    }
    let mut message = SIGNATURE.to_vec();
    message.extend(3u32.to_le_bytes());
    message.extend(fields);
    message.extend(ASKED.to_le_bytes());
    message.extend([0; 24]); // version and room for the MIC
    message.extend(payload);
    if !shape.no_mic {
        let mut mic = hmac_md5(&session, &[&negotiate(), challenge, &message]);
        mic[0] ^= u8::from(shape.spoil_mic);
        message[72..88].copy_from_slice(&mic);
    }
    (message, session)
}
