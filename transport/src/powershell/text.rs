//! Late decoding of bytes in an unknown code page.

use std::borrow::Cow;

/// Returns bytes as text: UTF-8 if they are that, else code page 932 if they are that, else
/// UTF-8 with replacement characters. For showing only.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    encoding_rs::SHIFT_JIS
        .decode_without_bom_handling_and_without_replacement(bytes)
        .unwrap_or_else(|| String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn tells_utf8_from_cp932() {
        assert_eq!(decode("日本語".as_bytes()), "日本語");
        assert_eq!(decode(b"\x93\xfa\x96\x7b\x8c\xea"), "日本語");
        assert_eq!(decode(b"a\xff\xffb"), "a\u{fffd}\u{fffd}b");
    }
}
