//! `multipart/encrypted` around sealed messages ([MS-WSMV] 2.2.9.1.1).

use super::MimeForm;

/// The content type of a sealed message.
pub(crate) const CONTENT_TYPE: &str = "multipart/encrypted;\
    protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"";

const PROTOCOL: &str = "application/HTTP-SPNEGO-session-encrypted";
const BOUNDARY: &[u8] = b"--Encrypted Boundary";

/// Tells whether a content type is that of a sealed message.
pub(crate) fn is_sealed(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    lower.starts_with("multipart/encrypted")
        && lower.contains("application/http-spnego-session-encrypted")
}

/// A sealed message in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed<'a> {
    pub(crate) signature: &'a [u8],
    pub(crate) cipher: &'a [u8],
}

/// Takes the framing off; `None` if it is not exactly what it must be. The cipher text is cut
/// by `Length=`, never by looking for the boundary in it.
pub(crate) fn read(body: &[u8]) -> Option<Sealed<'_>> {
    let body = line(body, BOUNDARY)?;
    let (head, body) = header(body)?;
    if !head.eq_ignore_ascii_case(&format!("Content-Type: {PROTOCOL}")) {
        return None;
    }
    let (head, body) = header(body)?;
    let value = head.strip_prefix("OriginalContent: ")?;
    let length: usize = value
        .split(';')
        .find_map(|part| part.trim().strip_prefix("Length="))
        .and_then(|digits| digits.parse().ok())?;
    let body = line(body, BOUNDARY)?;
    let (head, body) = header(body)?;
    if !head.eq_ignore_ascii_case("Content-Type: application/octet-stream") {
        return None;
    }
    let (size, body) = body.split_first_chunk::<4>()?;
    let (signature, body) = body.split_at_checked(u32::from_le_bytes(*size) as usize)?;
    let (cipher, end) = body.split_at_checked(length)?;
    let end = end.strip_prefix(BOUNDARY)?;
    matches!(end, b"--\r\n" | b"--").then_some(Sealed { signature, cipher })
}

/// Puts the framing around a sealed message.
pub(crate) fn write(signature: &[u8; 16], cipher: &[u8], form: MimeForm) -> Vec<u8> {
    let tab = match form {
        MimeForm::Tab => "\t",
        MimeForm::Plain => "",
    };
    let mut out = format!(
        "--Encrypted Boundary\r\n{tab}Content-Type: {PROTOCOL}\r\n{tab}OriginalContent: \
         type=application/soap+xml;charset=UTF-8;Length={}\r\n--Encrypted Boundary\r\n\
         {tab}Content-Type: application/octet-stream\r\n",
        cipher.len()
    )
    .into_bytes();
    out.extend_from_slice(&16u32.to_le_bytes());
    out.extend_from_slice(signature);
    out.extend_from_slice(cipher);
    out.extend_from_slice(BOUNDARY);
    out.extend_from_slice(b"--\r\n");
    out
}

/// Takes a line that begins with these bytes off.
fn line<'a>(body: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    body.strip_prefix(start)?.strip_prefix(b"\r\n")
}

/// Takes a header line off, with or without a tab before it.
fn header(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.windows(2).take(512).position(|pair| pair == b"\r\n")?;
    let (head, rest) = body.split_at_checked(end)?;
    let head = std::str::from_utf8(head).ok()?;
    Some((head.trim_start_matches('\t').trim_end(), rest.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_even_with_a_boundary_in_the_cipher_text() {
        let cipher = b"xx--Encrypted Boundary--\r\nyy";
        for form in [MimeForm::Tab, MimeForm::Plain] {
            let body = write(&[7; 16], cipher, form);
            assert_eq!(
                read(&body),
                Some(Sealed {
                    signature: &[7; 16],
                    cipher
                })
            );
        }
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        let body = write(&[7; 16], b"cipher", MimeForm::Tab);
        let text = String::from_utf8_lossy(&body);
        for wrong in ["Length=5", "Length=7", "Length=", "Length=99999"] {
            assert_eq!(
                read(text.replace("Length=6", wrong).as_bytes()),
                None,
                "{wrong}"
            );
        }
        assert_eq!(read(&body[..body.len() - 10]), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn knows_its_content_type() {
        assert!(is_sealed(CONTENT_TYPE));
        assert!(!is_sealed("application/soap+xml;charset=UTF-8"));
    }
}
