//! What a password may look like, whatever it was read from.

use fleetmend_model::Secret;

/// No password is longer, in bytes; what is was named by mistake.
pub(super) const MAX_BYTES: usize = 4_096;

/// Why a text is no password. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has more bytes than any password.
    #[error("is too long for a password")]
    Long,
    /// Its bytes are no UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// Nothing is left without the line end; Windows refuses empty passwords over the network.
    #[error("is empty")]
    Empty,
    /// It has a second line.
    #[error("has more than one line")]
    Lines,
}

impl Unfit {
    /// Returns what to do about it, if anything can be said.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("Windows refuses empty passwords over the network"),
            Self::Lines => Some("the file must hold one password and nothing else"),
            Self::Long | Self::NotText => None,
        }
    }
}

/// Takes a password: the text without one line end at the end, and without the byte order mark
/// that Notepad, and programs of .NET, begin UTF-8 with.
///
/// # Errors
/// [`Unfit`].
pub(super) fn password(bytes: &[u8]) -> Result<Secret, Unfit> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.len() > MAX_BYTES {
        return Err(Unfit::Long);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unfit::NotText)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Unfit::Empty);
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(Unfit::Lines);
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_goes_and_the_rest_stays() {
        for (bytes, expected) in [
            (&b"hunter2"[..], Ok("hunter2")),
            (b"hunter2\n", Ok("hunter2")),
            (b"hunter2\r\n", Ok("hunter2")),
            (b" two words \n", Ok(" two words ")),
            ("ひみつ\n".as_bytes(), Ok("ひみつ")),
            (b"", Err(Unfit::Empty)),
            (b"\r\n", Err(Unfit::Empty)),
            (b"a\n\n", Err(Unfit::Lines)),
            (b"a\rb", Err(Unfit::Lines)),
            (b"a\0", Err(Unfit::Lines)),
            (b"\x83p\x83X", Err(Unfit::NotText)),
            (&[b'x'; MAX_BYTES + 1], Err(Unfit::Long)),
        ] {
            let read = password(bytes);
            let read = read.as_ref().map(Secret::reveal).map_err(|why| *why);
            assert_eq!(read, expected, "{bytes:?}");
        }
        let longest = [b'x'; MAX_BYTES];
        assert_eq!(password(&longest).unwrap().reveal().len(), MAX_BYTES);
    }
}
