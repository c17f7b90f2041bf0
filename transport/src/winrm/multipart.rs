//! The multipart framing around a sealed message ([MS-WSMV] 2.2.9.1).

/// NTLM's signature ([MS-NLMP] 2.2.2.9.1).
pub(crate) const SIGNATURE_LENGTH: usize = 16;

/// The content type of a sealed body under the scheme Negotiate.
pub(crate) const CONTENT_TYPE: &str = "multipart/encrypted;\
    protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"";

const BOUNDARY: &str = "Encrypted Boundary";
const PROTOCOL: &str = "application/HTTP-SPNEGO-session-encrypted";

/// A sealed message taken out of its frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed<'a> {
    /// The signature, 16 bytes.
    pub(crate) signature: &'a [u8],
    /// The cipher text, as long as the frame said.
    pub(crate) data: &'a [u8],
}

/// Why a frame was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame of the sealed answer is wrong: {0}")]
pub(crate) struct FrameError(&'static str);

/// Returns the body that carries a signature and the cipher text of as many plain bytes.
///
/// The part headers carry a leading tab, as all clients but Windows' own send it and Windows
/// accepts; there is no CRLF before the closing boundary.
pub(crate) fn frame(signature: &[u8; SIGNATURE_LENGTH], data: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\n\tContent-Type: {PROTOCOL}\r\n\
         \tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={}\r\n\
         --{BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n",
        data.len()
    );
    let tail = format!("--{BOUNDARY}--\r\n");
    let mut body = Vec::with_capacity(head.len() + 4 + signature.len() + data.len() + tail.len());
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&16_u32.to_le_bytes());
    body.extend_from_slice(signature);
    body.extend_from_slice(data);
    body.extend_from_slice(tail.as_bytes());
    body
}

/// Tells whether a content type announces a sealed body of ours.
pub(crate) fn is_sealed(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    lower.starts_with("multipart/encrypted")
        && lower.contains("application/http-spnego-session-encrypted")
}

/// Takes signature and cipher text out of a body.
///
/// Lengths come from `Length=`; the boundary is never searched for in cipher text. Part headers
/// are read with or without the tab, the boundary with or without a blank after its dashes
/// (older Microsoft servers), the closing one with or without its dashes.
///
/// # Errors
/// Anything else.
pub(crate) fn unframe(body: &[u8]) -> Result<Sealed<'_>, FrameError> {
    let mut rest = body;
    if !is_boundary(line(&mut rest)?) {
        return Err(FrameError("it does not begin with the boundary"));
    }
    let mut length = None;
    let mut typed = false;
    loop {
        let text = line(&mut rest)?;
        if is_boundary(text) {
            break;
        }
        let (name, value) = header(text)?;
        if name.eq_ignore_ascii_case("Content-Type") {
            typed = value.eq_ignore_ascii_case(PROTOCOL);
        } else if name.eq_ignore_ascii_case("OriginalContent") {
            length = original_length(value);
        }
    }
    if !typed {
        return Err(FrameError("its first part is of another type"));
    }
    let length = length.ok_or(FrameError("it names no length"))?;
    let (name, value) = header(line(&mut rest)?)?;
    if !name.eq_ignore_ascii_case("Content-Type")
        || !value.eq_ignore_ascii_case("application/octet-stream")
    {
        return Err(FrameError("its second part is of another type"));
    }
    let (size, rest) = rest
        .split_first_chunk::<4>()
        .ok_or(FrameError("it is cut short"))?;
    if u32::from_le_bytes(*size) != 16 {
        return Err(FrameError("its signature is not 16 bytes long"));
    }
    let short = FrameError("it holds less than it says");
    let (signature, rest) = rest.split_at_checked(SIGNATURE_LENGTH).ok_or(short)?;
    let (data, end) = rest
        .split_at_checked(length)
        .ok_or(FrameError("it holds less than it says"))?;
    if !is_end(end) {
        return Err(FrameError("it does not end where it says"));
    }
    Ok(Sealed { signature, data })
}

/// Takes one line off; part headers are short, so a far-off line end is none.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    let wrong = || FrameError("a part header is broken");
    let window = rest.get(..rest.len().min(512)).unwrap_or(rest);
    let end = window
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or_else(wrong)?;
    let text = rest
        .get(..end)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    *rest = rest.get(end + 2..).unwrap_or_default();
    text.ok_or_else(wrong)
}

fn is_boundary(line: &str) -> bool {
    line.strip_prefix("--")
        .is_some_and(|rest| rest.strip_prefix(' ').unwrap_or(rest) == BOUNDARY)
}

fn header(line: &str) -> Result<(&str, &str), FrameError> {
    let (name, value) = line
        .split_once(':')
        .ok_or(FrameError("a part header has no colon"))?;
    Ok((name.trim(), value.trim()))
}

fn original_length(value: &str) -> Option<usize> {
    value.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("Length")
            .then(|| value.trim().parse().ok())?
    })
}

fn is_end(end: &[u8]) -> bool {
    let end = end.strip_suffix(b"\r\n").unwrap_or(end);
    let Ok(text) = std::str::from_utf8(end) else {
        return false;
    };
    is_boundary(text.strip_suffix("--").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(data: &[u8]) -> Vec<u8> {
        frame(&[7; 16], data)
    }

    #[test]
    fn reads_what_it_writes_even_with_the_boundary_in_cipher_text() {
        for data in [
            &b""[..],
            b"x",
            b"a--Encrypted Boundary--\r\nb\r\n--Encrypted Boundary\r\n",
        ] {
            let body = framed(data);
            let sealed = unframe(&body).unwrap();
            assert_eq!(
                sealed,
                Sealed {
                    signature: &[7; 16],
                    data
                }
            );
        }
    }

    #[test]
    fn reads_the_variants_of_other_servers() {
        let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
        let plain = text(framed(b"cipher"));
        for variant in [
            plain.replace('\t', ""),
            plain.replace("--Encrypted", "-- Encrypted"),
            plain.replace("Boundary--\r\n", "Boundary\r\n"),
            plain.replace("Boundary--\r\n", "Boundary--"),
            plain.replace("Content-Type", "content-type"),
        ] {
            assert_eq!(
                unframe(variant.as_bytes()).unwrap().data,
                b"cipher",
                "{variant}"
            );
        }
    }

    #[test]
    fn refuses_every_cut_and_wrong_length() {
        let body = framed(b"cipher text");
        for end in 0..body.len() - 4 {
            assert!(unframe(&body[..end]).is_err(), "cut at {end}");
        }
        let text = String::from_utf8(body).unwrap();
        for (from, to) in [
            ("Length=11", "Length=12"),
            ("Length=11", "Length=10"),
            ("Length=11", "Length=-1"),
            ("Length=11", "Length=99999999999999999999999"),
            ("\u{10}\0\0\0", "\u{11}\0\0\0"),
            ("SPNEGO", "Kerberos"),
            ("octet-stream", "text"),
        ] {
            assert!(
                unframe(text.replace(from, to).as_bytes()).is_err(),
                "{to:?}"
            );
        }
    }

    #[test]
    fn knows_its_content_type() {
        assert!(is_sealed(CONTENT_TYPE));
        assert!(!is_sealed("application/soap+xml;charset=UTF-8"));
    }
}
