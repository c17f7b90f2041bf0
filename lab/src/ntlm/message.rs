//! The three NTLM messages ([MS-NLMP] 2.2.1), read and written without a socket.

use super::flags;
use super::keys::utf16;

/// The eight bytes that begin every message.
pub(crate) const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Attribute ids in target information ([MS-NLMP] 2.2.2.1).
pub(crate) mod av {
    pub(crate) const EOL: u16 = 0;
    pub(crate) const COMPUTER: u16 = 1;
    pub(crate) const DOMAIN: u16 = 2;
    pub(crate) const DNS_COMPUTER: u16 = 3;
    pub(crate) const DNS_DOMAIN: u16 = 4;
    pub(crate) const DNS_TREE: u16 = 5;
    pub(crate) const FLAGS: u16 = 6;
    pub(crate) const TIMESTAMP: u16 = 7;
    pub(crate) const CHANNEL_BINDINGS: u16 = 10;
}

/// Why a message could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It does not begin with `NTLMSSP`.
    #[error("find the NTLMSSP signature")]
    Signature,
    /// It is of another type than was due.
    #[error("read message type {0}, another was due")]
    Type(u32),
    /// It ends early, or a field points outside.
    #[error("read the field {0}")]
    Field(&'static str),
}

/// Reads little-endian numbers and fields of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&self, at: usize, what: &'static str) -> Result<u32, MessageError> {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or(MessageError::Field(what))
    }

    /// Reads the bytes that the length/offset field at `at` points to.
    fn bytes(&self, at: usize, what: &'static str) -> Result<&'a [u8], MessageError> {
        let length = (self.number(at, what)? & 0xffff) as usize;
        let offset = self.number(at + 4, what)? as usize;
        if length == 0 {
            return Ok(&[]);
        }
        let rest = self.0.get(offset..).and_then(|rest| rest.get(..length));
        rest.ok_or(MessageError::Field(what))
    }

    fn text(&self, at: usize, what: &'static str) -> Result<String, MessageError> {
        let bytes = self.bytes(at, what)?;
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        String::from_utf16(&units).map_err(|_| MessageError::Field(what))
    }

    fn open(message: &'a [u8], kind: u32) -> Result<Self, MessageError> {
        if !message.starts_with(SIGNATURE) {
            return Err(MessageError::Signature);
        }
        let fields = Self(message);
        match fields.number(8, "MessageType")? {
            found if found == kind => Ok(fields),
            found => Err(MessageError::Type(found)),
        }
    }
}

/// Reads a NEGOTIATE_MESSAGE and returns its flags.
pub(crate) fn read_negotiate(message: &[u8]) -> Result<u32, MessageError> {
    Fields::open(message, 1)?.number(12, "NegotiateFlags")
}

/// The names that a challenge tells about its PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetNames {
    /// The NetBIOS name of the PC.
    pub computer: String,
    /// The NetBIOS and DNS name of its domain; `None` for a PC of a workgroup.
    pub domain: Option<(String, String)>,
}

/// Writes a CHALLENGE_MESSAGE. `time` is a FILETIME.
pub(crate) fn write_challenge(
    names: &TargetNames,
    challenge: &[u8; 8],
    negotiated: u32,
    time: u64,
) -> Vec<u8> {
    let (target, dns_computer, dns_domain) = match &names.domain {
        Some((netbios, dns)) => (
            netbios.clone(),
            format!("{}.{dns}", names.computer),
            dns.clone(),
        ),
        None => (
            names.computer.clone(),
            names.computer.clone(),
            names.computer.clone(),
        ),
    };
    let mut info = Vec::new();
    let mut pair = |id: u16, value: &[u8]| {
        info.extend_from_slice(&id.to_le_bytes());
        info.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        info.extend_from_slice(value);
    };
    pair(av::DOMAIN, &utf16(&target));
    pair(av::COMPUTER, &utf16(&names.computer));
    pair(av::DNS_DOMAIN, &utf16(&dns_domain));
    pair(av::DNS_COMPUTER, &utf16(&dns_computer));
    if names.domain.is_some() {
        pair(av::DNS_TREE, &utf16(&dns_domain));
    }
    pair(av::TIMESTAMP, &time.to_le_bytes());
    pair(av::EOL, &[]);

    let kind = if names.domain.is_some() {
        flags::TARGET_TYPE_DOMAIN
    } else {
        flags::TARGET_TYPE_SERVER
    };
    let target = utf16(&target);
    let mut message = SIGNATURE.to_vec();
    message.extend_from_slice(&2u32.to_le_bytes());
    message.extend_from_slice(&field(target.len(), 56));
    message.extend_from_slice(&(negotiated | kind).to_le_bytes());
    message.extend_from_slice(challenge);
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&field(info.len(), 56 + target.len()));
    // 10.0.19045 (Windows 10 22H2), NTLMSSP_REVISION_W2K3
    message.extend_from_slice(&[10, 0, 0x65, 0x4a, 0, 0, 0, 15]);
    message.extend_from_slice(&target);
    message.extend_from_slice(&info);
    message
}

/// Writes length, allocated length and offset of a field.
fn field(length: usize, offset: usize) -> [u8; 8] {
    let [a, b] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    let [c, d, e, f] = u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes();
    [a, b, a, b, c, d, e, f]
}

/// An AUTHENTICATE_MESSAGE.
#[derive(Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// NegotiateFlags.
    pub flags: u32,
    /// The domain as the client wrote it.
    pub domain: String,
    /// The user as the client wrote it.
    pub user: String,
    /// The client's own name.
    pub workstation: String,
    /// NtChallengeResponse: proof (16 bytes) and blob.
    pub nt_response: Vec<u8>,
    /// EncryptedRandomSessionKey, empty without key exchange.
    pub session_key: Vec<u8>,
    /// The MIC, if the message has room for one before its first field.
    pub mic: Option<[u8; 16]>,
}

impl std::fmt::Debug for Authenticate {
    /// Shows neither proof nor keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Authenticate({}\\{} from {})",
            self.domain, self.user, self.workstation
        )
    }
}

/// Where the MIC stands in an AUTHENTICATE_MESSAGE with a version field.
pub(crate) const MIC_AT: std::ops::Range<usize> = 72..88;

impl Authenticate {
    /// Reads the message.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn read(message: &[u8]) -> Result<Self, MessageError> {
        let fields = Fields::open(message, 3)?;
        let mut first = message.len();
        for at in [12, 20, 28, 36, 44, 52] {
            if fields.number(at, "fields")? & 0xffff != 0 {
                first = first.min(fields.number(at + 4, "fields")? as usize);
            }
        }
        let mic = message.get(MIC_AT).filter(|_| first >= MIC_AT.end);
        Ok(Self {
            flags: fields.number(60, "NegotiateFlags")?,
            domain: fields.text(28, "DomainName")?,
            user: fields.text(36, "UserName")?,
            workstation: fields.text(44, "Workstation")?,
            nt_response: fields.bytes(20, "NtChallengeResponse")?.to_vec(),
            session_key: fields.bytes(52, "EncryptedRandomSessionKey")?.to_vec(),
            mic: mic.and_then(|mic| mic.try_into().ok()),
        })
    }

    /// Returns the proof and the blob of an NTLMv2 response; `None` for anything older.
    pub(crate) fn proof_and_blob(&self) -> Option<([u8; 16], &[u8])> {
        let (proof, blob) = self.nt_response.split_first_chunk::<16>()?;
        (blob.len() >= 28 && blob.starts_with(&[1, 1])).then_some((*proof, blob))
    }
}

/// Reads the attribute/value pairs of a target information, up to its end mark.
pub fn av_pairs(mut info: &[u8]) -> Vec<(u16, &[u8])> {
    let mut pairs = Vec::new();
    while let Some(([a, b, c, d], rest)) = info.split_first_chunk::<4>() {
        let (id, length) = (
            u16::from_le_bytes([*a, *b]),
            usize::from(u16::from_le_bytes([*c, *d])),
        );
        let Some((value, rest)) = rest.split_at_checked(length) else {
            break;
        };
        if id == av::EOL {
            break;
        }
        pairs.push((id, value));
        info = rest;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_message() {
        assert_eq!(read_negotiate(b"NTLMSSP"), Err(MessageError::Signature));
        assert_eq!(
            read_negotiate(b"NTLMSSP\0\x02\0\0\0"),
            Err(MessageError::Type(2))
        );
        assert_eq!(
            read_negotiate(b"NTLMSSP\0\x01\0\0\0"),
            Err(MessageError::Field("NegotiateFlags"))
        );
        let mut outside = SIGNATURE.to_vec();
        outside.extend_from_slice(&3u32.to_le_bytes());
        outside.extend_from_slice(&[0; 52]);
        outside[36..44].copy_from_slice(&field(10, 4000));
        assert_eq!(
            Authenticate::read(&outside),
            Err(MessageError::Field("UserName"))
        );
    }

    #[test]
    fn tells_its_names_in_a_challenge() {
        let names = TargetNames {
            computer: "PC-001".to_owned(),
            domain: Some(("EXAMPLE".to_owned(), "example.jp".to_owned())),
        };
        let message = write_challenge(&names, &[9; 8], flags::FOR_SEALING, 5);
        let fields = Fields::open(&message, 2).unwrap();
        assert_eq!(fields.text(12, "target"), Ok("EXAMPLE".to_owned()));
        assert_eq!(&message[24..32], &[9; 8]);
        let pairs = av_pairs(fields.bytes(40, "info").unwrap());
        assert!(pairs.contains(&(av::DNS_COMPUTER, &utf16("PC-001.example.jp"))));
        assert!(pairs.contains(&(av::TIMESTAMP, &5u64.to_le_bytes())));
    }
}
