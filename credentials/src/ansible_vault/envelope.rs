//! The text around what ansible-vault encrypted.

use zeroize::Zeroizing;

use super::AnsibleVaultError;

/// What every such text begins with.
const MAGIC: &str = "$ANSIBLE_VAULT";
/// The label of a text that has none, and of a password that was given none.
pub(super) const DEFAULT_LABEL: &str = "default";

/// A text of ansible-vault, taken apart and not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Which password opens it, as who sealed it said.
    pub(super) label: String,
    pub(super) salt: Vec<u8>,
    /// HMAC-SHA256 of the ciphertext.
    pub(super) mac: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
}

impl Envelope {
    /// Takes a text apart: `$ANSIBLE_VAULT;1.1;AES256` or `$ANSIBLE_VAULT;1.2;AES256;label`, then
    /// lines of hex that are salt, HMAC and ciphertext in hex, apart by line feeds (Ansible,
    /// `lib/ansible/parsing/vault`).
    pub(super) fn read(text: &str) -> Result<Self, AnsibleVaultError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines();
        let label = header(lines.next().unwrap_or_default())?;
        let mut body = Vec::with_capacity(text.len());
        for (number, line) in (2_u32..).zip(lines) {
            // Ansible allows no blanks, but an editor may have left some at an end.
            let line = line.trim();
            if line.contains(|c: char| !c.is_ascii_hexdigit()) {
                return Err(AnsibleVaultError::Damaged {
                    line: Some(number),
                    why: "it holds more than hex digits",
                });
            }
            body.extend_from_slice(line.as_bytes());
        }
        let inner = hex(&body, "the hex digits are cut off")?;
        let mut parts = inner.splitn(3, |byte| *byte == b'\n');
        let mut part = |why| hex(parts.next().unwrap_or_default(), why);
        let envelope = Self {
            label,
            salt: part("its salt is no hex")?,
            mac: part("its HMAC is no hex")?,
            ciphertext: part("its ciphertext is no hex")?,
        };
        // Blocks are whole even in counter mode, for the text is padded.
        let whole = !envelope.ciphertext.is_empty() && envelope.ciphertext.len().is_multiple_of(16);
        if envelope.salt.is_empty() || envelope.mac.len() != 32 || !whole {
            return Err(damaged("a part of it is missing"));
        }
        Ok(envelope)
    }
}

/// Reads the first line and returns the label.
fn header(line: &str) -> Result<String, AnsibleVaultError> {
    let mut parts = line.trim().split(';').map(str::trim);
    if parts.next() != Some(MAGIC) {
        return Err(AnsibleVaultError::NotSealed);
    }
    let version = parts.next().unwrap_or_default();
    if !["1.1", "1.2"].contains(&version) {
        return Err(AnsibleVaultError::Version {
            version: shown(version),
        });
    }
    let cipher = parts.next().unwrap_or_default();
    if cipher != "AES256" {
        return Err(AnsibleVaultError::Cipher {
            cipher: shown(cipher),
        });
    }
    let label = parts.next().filter(|label| !label.is_empty());
    Ok(shown(label.unwrap_or(DEFAULT_LABEL)))
}

/// A word of the header as it may stand in an error.
fn shown(word: &str) -> String {
    word.chars()
        .filter(|c| !c.is_control())
        .take(60)
        .collect::<String>()
}

fn damaged(why: &'static str) -> AnsibleVaultError {
    AnsibleVaultError::Damaged { line: None, why }
}

fn hex(digits: &[u8], why: &'static str) -> Result<Vec<u8>, AnsibleVaultError> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.ok_or_else(|| damaged(why))
}

/// Takes the padding of PKCS #7 (RFC 5652 section 6.3) off; none if it is not there.
pub(super) fn unpadded(mut padded: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let last = *padded.last()?;
    let length = usize::from(last);
    let body = padded.len().checked_sub(length)?;
    let right = (1..=16).contains(&length) && padded.get(body..)?.iter().all(|byte| *byte == last);
    right.then(|| {
        padded.truncate(body);
        padded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Salt `salt`, an HMAC of 32 zeros, one block of zeros.
    fn body() -> String {
        let hexed = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let inner = [hexed(b"salt"), hexed(&[0; 32]), hexed(&[0; 16])].join("\n");
        hexed(inner.as_bytes())
    }

    fn with(header: &str) -> Result<Envelope, AnsibleVaultError> {
        Envelope::read(&format!("{header}\n{}\n", body()))
    }

    #[test]
    fn reads_both_versions() {
        let plain = with("$ANSIBLE_VAULT;1.1;AES256").unwrap();
        assert_eq!(plain.label, "default");
        assert_eq!(plain.salt, b"salt");
        assert_eq!((plain.mac.len(), plain.ciphertext.len()), (32, 16));
        let labelled = with("$ANSIBLE_VAULT;1.2;AES256;本番 ").unwrap();
        assert_eq!(labelled.label, "本番");
        let text = format!("$ANSIBLE_VAULT;1.1;AES256\r\n{}\r\n\r\n", body());
        assert_eq!(Envelope::read(&text).unwrap(), plain, "CRLF");
    }

    #[test]
    fn says_what_it_cannot_read() {
        use AnsibleVaultError::{Cipher, NotSealed, Version};
        assert_eq!(with("hunter2"), Err(NotSealed));
        assert_eq!(with("$ANSIBLE_VAULTS;1.1;AES256"), Err(NotSealed));
        let version = |version: &str| Version {
            version: version.to_owned(),
        };
        assert_eq!(with("$ANSIBLE_VAULT;1.0;AES"), Err(version("1.0")));
        assert_eq!(with("$ANSIBLE_VAULT"), Err(version("")));
        let cipher = "AES".to_owned();
        assert_eq!(with("$ANSIBLE_VAULT;1.1;AES"), Err(Cipher { cipher }));
    }

    #[test]
    fn every_cut_is_seen() {
        let body = body();
        for length in 0..body.len() {
            let text = format!("$ANSIBLE_VAULT;1.1;AES256\n{}", &body[..length]);
            let error = Envelope::read(&text);
            assert!(
                matches!(error, Err(AnsibleVaultError::Damaged { .. })),
                "{length}: {error:?}"
            );
        }
        let foreign = format!("$ANSIBLE_VAULT;1.1;AES256\n{body}\nsecret: x\n");
        assert_eq!(
            Envelope::read(&foreign),
            Err(AnsibleVaultError::Damaged {
                line: Some(3),
                why: "it holds more than hex digits"
            })
        );
    }

    #[test]
    fn padding_must_be_whole() {
        let of = |bytes: &[u8]| unpadded(Zeroizing::new(bytes.to_vec())).map(|b| b.to_vec());
        assert_eq!(of(b"abc\x01"), Some(b"abc".to_vec()));
        assert_eq!(of(&[16; 16]), Some(Vec::new()));
        for bad in [&b""[..], b"abc\x00", b"ab\x01\x02", b"\x02", &[17; 17]] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
