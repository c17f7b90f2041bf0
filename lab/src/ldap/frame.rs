//! Where one LDAP message ends in a stream of bytes, judged before anything is decoded.

/// How deep elements may lie in each other; a decoder that goes down with them has a stack.
const DEPTH: usize = 40;
/// `SEQUENCE`, with which every message begins (RFC 4511 section 4.1.1).
const SEQUENCE: u8 = 0x30;

/// Why bytes are no LDAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the message does not begin as one")]
    NoMessage,
    #[error("the message is longer than the server takes")]
    TooLong,
    #[error("an element of the message has no length that LDAP allows")]
    Length,
    #[error("the elements of the message lie too deep")]
    TooDeep,
}

/// Returns how long the first message is, once its header is there.
pub(super) fn length(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    match bytes.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(FrameError::NoMessage),
    }
    match header(bytes)? {
        Some(header) => {
            let total = header.start.checked_add(header.length);
            let total = total.filter(|total| *total <= limit);
            Ok(Some(total.ok_or(FrameError::TooLong)?))
        }
        None => Ok(None),
    }
}

/// Checks that every element of a whole message ends within the one around it and that none lies
/// too deep.
pub(super) fn check(message: &[u8]) -> Result<(), FrameError> {
    let mut ends = Vec::with_capacity(DEPTH);
    let mut at = 0;
    loop {
        while ends.last() == Some(&at) {
            ends.pop();
        }
        let end = ends.last().copied().unwrap_or(message.len());
        if at == end {
            return Ok(());
        }
        let rest = message.get(at..end).ok_or(FrameError::Length)?;
        let header = header(rest)?.ok_or(FrameError::Length)?;
        let start = at + header.start;
        let stop = start.checked_add(header.length).ok_or(FrameError::Length)?;
        if stop > end {
            return Err(FrameError::Length);
        }
        if header.constructed {
            if ends.len() == DEPTH {
                return Err(FrameError::TooDeep);
            }
            ends.push(stop);
            at = start;
        } else {
            at = stop;
        }
    }
}

struct Header {
    constructed: bool,
    /// Where the content begins.
    start: usize,
    length: usize,
}

/// Reads tag and length: one byte of tag, the definite form of length (RFC 4511 section 5.1).
fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let [tag, first, rest @ ..] = bytes else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err(FrameError::Length);
    }
    let constructed = tag & 0x20 != 0;
    if first & 0x80 == 0 {
        return Ok(Some(Header {
            constructed,
            start: 2,
            length: usize::from(*first),
        }));
    }
    let count = usize::from(first & 0x7f);
    // None is the indefinite form; more than four hold no length that anybody sends.
    if !(1..=4).contains(&count) {
        return Err(FrameError::Length);
    }
    let Some(digits) = rest.get(..count) else {
        return Ok(None);
    };
    let length = digits
        .iter()
        .fold(0_u32, |length, digit| length << 8 | u32::from(*digit));
    Ok(Some(Header {
        constructed,
        start: 2 + count,
        length: usize::try_from(length).map_err(|_| FrameError::Length)?,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_where_a_message_ends() {
        assert_eq!(length(&[], 99), Ok(None));
        assert_eq!(length(&[0x30], 99), Ok(None));
        assert_eq!(length(&[0x30, 5, 1], 99), Ok(Some(7)));
        assert_eq!(length(&[0x30, 0x82, 1], 999), Ok(None));
        assert_eq!(length(&[0x30, 0x84, 0, 0, 1, 0], 999), Ok(Some(262)));
        assert_eq!(length(&[0x16, 3, 1], 99), Err(FrameError::NoMessage));
        assert_eq!(length(&[0x30, 0x80], 99), Err(FrameError::Length));
        assert_eq!(length(&[0x30, 0x85], 99), Err(FrameError::Length));
        assert_eq!(
            length(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], 99),
            Err(FrameError::TooLong)
        );
    }

    #[test]
    fn refuses_what_would_exhaust_a_decoder() {
        // (!(!(!(…
        let mut filter = vec![0x87, 1, b'x'];
        for _ in 0..30_000 {
            let mut outer = vec![0xa2, 0x84];
            outer.extend_from_slice(&u32::try_from(filter.len()).unwrap().to_be_bytes());
            outer.append(&mut filter);
            filter = outer;
            if filter.len() > 300 {
                break;
            }
        }
        assert_eq!(check(&filter), Err(FrameError::TooDeep));
        assert_eq!(check(&[0x30, 3, 4, 2, 1]), Err(FrameError::Length));
        assert_eq!(check(&[0x30, 4, 4, 2, 1, 2]), Ok(()));
        assert_eq!(check(&[0x30, 0]), Ok(()));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = (length(&bytes, 1000), check(&bytes));
        }
    }
}
