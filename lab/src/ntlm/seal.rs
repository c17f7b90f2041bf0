//! Signing and sealing of messages with extended session security ([MS-NLMP] 3.4.3, 3.4.4.2).

use rc4::{KeyInit, Rc4, StreamCipher};

use super::flags;
use super::keys::{End, Key, hmac_md5, same, seal_key, sign_key};

/// Why a message could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The signature is not sixteen bytes.
    #[error("read a signature of {0} bytes instead of 16")]
    SignatureLength(usize),
    /// The sequence number is not the next one: messages were lost, repeated or mixed up.
    #[error("follow the sequence: expected message {expected}, got {got}")]
    Sequence {
        /// The number that was due.
        expected: u32,
        /// The number in the signature.
        got: u32,
    },
    /// The checksum does not fit the text.
    #[error("verify the checksum")]
    Checksum,
}

/// Both directions of a sealed connection, as the server sees them.
pub struct Sealing {
    incoming: Direction,
    outgoing: Direction,
}

impl std::fmt::Debug for Sealing {
    /// Shows no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Sealing(in {}, out {})",
            self.incoming.sequence, self.outgoing.sequence
        )
    }
}

impl Sealing {
    /// Makes the server's end from the exported session key.
    pub(crate) fn for_server(session: &Key, negotiated: u32) -> Self {
        Self {
            incoming: Direction::new(session, End::Client, negotiated),
            outgoing: Direction::new(session, End::Server, negotiated),
        }
    }

    /// Makes the client's end, for tests.
    #[cfg(test)]
    pub(crate) fn for_client(session: &Key, negotiated: u32) -> Self {
        Self {
            incoming: Direction::new(session, End::Server, negotiated),
            outgoing: Direction::new(session, End::Client, negotiated),
        }
    }

    /// Opens a message in place and verifies it.
    ///
    /// # Errors
    /// See [`SealError`]; the connection is of no use afterwards.
    pub fn unseal(&mut self, signature: &[u8], message: &mut [u8]) -> Result<(), SealError> {
        self.incoming.cipher.apply_keystream(message);
        self.incoming.verify(signature, message)
    }

    /// Seals a message in place and returns its signature.
    pub fn seal(&mut self, message: &mut [u8]) -> [u8; 16] {
        let checksum = self.outgoing.checksum(message);
        self.outgoing.cipher.apply_keystream(message);
        self.outgoing.signature(checksum)
    }

    /// Verifies a signature over clear bytes (the mechListMIC of SPNEGO).
    ///
    /// # Errors
    /// See [`SealError`].
    pub(crate) fn verify(&mut self, signature: &[u8], clear: &[u8]) -> Result<(), SealError> {
        self.incoming.verify(signature, clear)
    }

    /// Signs clear bytes.
    pub(crate) fn sign(&mut self, clear: &[u8]) -> [u8; 16] {
        let checksum = self.outgoing.checksum(clear);
        self.outgoing.signature(checksum)
    }

    /// Starts both ciphers anew, as SPNEGO does after its mechListMIC; the numbers go on.
    pub(crate) fn reset_ciphers(&mut self) {
        self.incoming.reset_cipher();
        self.outgoing.reset_cipher();
    }
}

struct Direction {
    sign: Key,
    seal: Key,
    cipher: Rc4,
    sequence: u32,
    key_exchanged: bool,
}

impl Direction {
    fn new(session: &Key, end: End, negotiated: u32) -> Self {
        let seal = seal_key(session, end, negotiated);
        Self {
            sign: sign_key(session, end),
            seal,
            cipher: cipher(&seal),
            sequence: 0,
            key_exchanged: negotiated & flags::KEY_EXCH != 0,
        }
    }

    fn reset_cipher(&mut self) {
        self.cipher = cipher(&self.seal);
    }

    fn checksum(&self, clear: &[u8]) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] =
            hmac_md5(&self.sign, &[&self.sequence.to_le_bytes(), clear]);
        [a, b, c, d, e, f, g, h]
    }

    /// Finishes a signature; the cipher goes over the checksum after the message.
    fn signature(&mut self, mut checksum: [u8; 8]) -> [u8; 16] {
        if self.key_exchanged {
            self.cipher.apply_keystream(&mut checksum);
        }
        let number = self.sequence.to_le_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        let [a, b, c, d, e, f, g, h] = checksum;
        let [w, x, y, z] = number;
        [1, 0, 0, 0, a, b, c, d, e, f, g, h, w, x, y, z]
    }

    fn verify(&mut self, signature: &[u8], clear: &[u8]) -> Result<(), SealError> {
        let Ok(given) = <[u8; 16]>::try_from(signature) else {
            return Err(SealError::SignatureLength(signature.len()));
        };
        let [.., w, x, y, z] = given;
        let got = u32::from_le_bytes([w, x, y, z]);
        if got != self.sequence {
            return Err(SealError::Sequence {
                expected: self.sequence,
                got,
            });
        }
        let checksum = self.checksum(clear);
        if same(&self.signature(checksum), &given) {
            Ok(())
        } else {
            Err(SealError::Checksum)
        }
    }
}

fn cipher(key: &Key) -> Rc4 {
    // RC4 takes every key of 1 to 256 bytes, so the other branch is never walked.
    Rc4::new_from_slice(key).unwrap_or_else(|_| Rc4::new(&[0; 32].into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: u32 = flags::FOR_SEALING | flags::KEY_EXCH;

    /// [MS-NLMP] 4.2.4.4.
    #[test]
    fn seals_as_the_specification_prints() {
        let mut client = Sealing::for_client(&[0x55; 16], FLAGS);
        let mut text: Vec<u8> = "Plaintext"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let signature = client.seal(&mut text);
        let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "54e50165bf1936dc996020c1811b0f06fb5f");
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "010000007fb38ec5c55d497600000000");
    }

    #[test]
    fn opens_what_was_sealed_and_nothing_else() {
        let session = [7; 16];
        let mut client = Sealing::for_client(&session, FLAGS);
        let mut server = Sealing::for_server(&session, FLAGS);
        for text in ["one", "二番目", ""] {
            let mut bytes = text.as_bytes().to_vec();
            let signature = client.seal(&mut bytes);
            server.unseal(&signature, &mut bytes).unwrap();
            assert_eq!(bytes, text.as_bytes());
            let mut answer = b"answer".to_vec();
            let signature = server.seal(&mut answer);
            client.unseal(&signature, &mut answer).unwrap();
            assert_eq!(answer, b"answer");
        }
        let mut lost = b"lost".to_vec();
        client.seal(&mut lost);
        let mut bytes = b"next".to_vec();
        let signature = client.seal(&mut bytes);
        assert_eq!(
            server.unseal(&signature, &mut bytes),
            Err(SealError::Sequence {
                expected: 3,
                got: 4
            })
        );
    }

    #[test]
    fn finds_a_changed_byte_and_a_short_signature() {
        let mut client = Sealing::for_client(&[7; 16], FLAGS);
        let mut server = Sealing::for_server(&[7; 16], FLAGS);
        let mut bytes = b"text".to_vec();
        let signature = client.seal(&mut bytes);
        bytes[0] ^= 1;
        assert_eq!(
            server.unseal(&signature, &mut bytes),
            Err(SealError::Checksum)
        );
        let short = &signature[..15];
        assert_eq!(
            server.unseal(short, &mut bytes),
            Err(SealError::SignatureLength(15))
        );
    }
}
