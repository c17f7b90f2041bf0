//! How NTLMv2 makes keys and proofs ([MS-NLMP] 3.3.2, 3.4.5).

use hmac::{Hmac, KeyInit, Mac};
use md4::Digest as _;
use rc4::{Rc4, StreamCipher};

use super::flags;

/// A key, hash or proof of NTLM.
pub(crate) type Key = [u8; 16];

/// Returns HMAC-MD5 over the parts, one after the other.
pub(crate) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Key {
    let Ok(mut mac) = Hmac::<md5::Md5>::new_from_slice(key) else {
        return [0; 16]; // HMAC takes keys of every length
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Returns MD5 over the parts.
pub(crate) fn md5(parts: &[&[u8]]) -> Key {
    let mut hash = md5::Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Runs RC4 once over the bytes with a key of its own.
pub(crate) fn rc4_once(key: &[u8], bytes: &mut [u8]) {
    if let Ok(mut cipher) = Rc4::new_from_slice(key) {
        cipher.apply_keystream(bytes);
    }
}

/// Returns the text in UTF-16LE.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Returns NTOWFv2: the password's hash bound to user and domain as the client wrote them.
pub(crate) fn ntowf_v2(password: &str, user: &str, domain: &str) -> Key {
    let nt_hash: Key = md4::Md4::digest(utf16(password)).into();
    hmac_md5(&nt_hash, &[&utf16(&user.to_uppercase()), &utf16(domain)])
}

/// Returns NTProofStr for a challenge and the client's blob.
pub(crate) fn nt_proof(response_key: &Key, server_challenge: &[u8; 8], blob: &[u8]) -> Key {
    hmac_md5(response_key, &[server_challenge, blob])
}

/// Which end of the connection a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

/// Returns the signing key of one direction (SIGNKEY with extended session security).
pub(crate) fn sign_key(session: &Key, end: End) -> Key {
    let magic: &[u8] = match end {
        End::Client => b"session key to client-to-server signing key magic constant\0",
        End::Server => b"session key to server-to-client signing key magic constant\0",
    };
    md5(&[session, magic])
}

/// Returns the sealing key of one direction (SEALKEY with extended session security).
pub(crate) fn seal_key(session: &Key, end: End, negotiated: u32) -> Key {
    let magic: &[u8] = match end {
        End::Client => b"session key to client-to-server sealing key magic constant\0",
        End::Server => b"session key to server-to-client sealing key magic constant\0",
    };
    let strength = if negotiated & flags::KEY_128 != 0 {
        16
    } else if negotiated & flags::KEY_56 != 0 {
        7
    } else {
        5
    };
    md5(&[session.get(..strength).unwrap_or(session), magic])
}

/// Compares without stopping at the first difference.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |sum, (left, right)| sum | (left ^ right))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// [MS-NLMP] 4.2.4.
    #[test]
    fn holds_the_vectors_of_the_specification() {
        let key = ntowf_v2("Password", "User", "Domain");
        assert_eq!(key.to_vec(), hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let blob = hex(concat!(
            "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c00",
            "44006f006d00610069006e0001000c005300650072007600650072000000000000000000"
        ));
        let proof = nt_proof(
            &key,
            &[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
            &blob,
        );
        assert_eq!(proof.to_vec(), hex("68cd0ab851e51c96aabc927bebef6a1c"));
        let base = hmac_md5(&key, &[&proof]);
        assert_eq!(base.to_vec(), hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
        let mut session = [0x55; 16];
        rc4_once(&base, &mut session);
        assert_eq!(session.to_vec(), hex("c5dad2544fc9799094ce1ce90bc9d03e"));
        let session = [0x55; 16];
        assert_eq!(
            seal_key(&session, End::Client, flags::KEY_128).to_vec(),
            hex("59f600973cc4960a25480a7c196e4c58")
        );
        assert_eq!(
            sign_key(&session, End::Client).to_vec(),
            hex("4788dc861b4782f35d43fd98fe1a2d39")
        );
    }

    #[test]
    fn upper_cases_the_user_but_not_the_domain() {
        assert_eq!(ntowf_v2("p", "admin", "Pc"), ntowf_v2("p", "ADMIN", "Pc"));
        assert_ne!(ntowf_v2("p", "admin", "Pc"), ntowf_v2("p", "admin", "PC"));
    }

    #[test]
    fn compares_all_of_both() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"ab"));
    }
}
