//! The few DER structures of SPNEGO that an acceptor of NTLM needs (RFC 4178 4.2).

/// 1.3.6.1.5.5.2, with tag and length.
const SPNEGO: &[u8] = &[0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];

/// 1.3.6.1.4.1.311.2.2.10 (NTLMSSP), with tag and length.
const NTLMSSP: &[u8] = &[
    0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a,
];

/// What a client sent, out of its wrapping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// NegTokenInit: the mechanisms as encoded (their MIC goes over these bytes), whether NTLM
    /// stands first or anywhere, and its first message if it sent one.
    Init {
        mechanisms: &'a [u8],
        ntlm: Preference,
        token: Option<&'a [u8]>,
    },
    /// NegTokenResp.
    Response {
        token: Option<&'a [u8]>,
        mic: Option<&'a [u8]>,
    },
}

/// Where NTLM stands in a client's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    First,
    Later,
    Absent,
}

/// Tells whether a token is wrapped in SPNEGO rather than bare NTLM.
pub(crate) fn is_wrapped(token: &[u8]) -> bool {
    matches!(token.first(), Some(0x60 | 0xa0 | 0xa1))
}

/// Reads a wrapped token; `None` if it is malformed.
pub(crate) fn read(token: &[u8]) -> Option<Token<'_>> {
    match token.first()? {
        0x60 => {
            let (_, body, _) = element(token)?;
            read_init(body.strip_prefix(SPNEGO)?)
        }
        0xa0 => read_init(token),
        0xa1 => {
            let (_, sequence, _) = element(token)?;
            let (_, mut body, _) = element(sequence)?;
            let (mut token, mut mic) = (None, None);
            while let Some((tag, content, rest)) = element(body) {
                match tag {
                    0xa2 => token = element(content).map(|(_, bytes, _)| bytes),
                    0xa3 => mic = element(content).map(|(_, bytes, _)| bytes),
                    _ => {}
                }
                body = rest;
            }
            // An old bug that some clients have: the token once more in the place of the MIC.
            Some(Token::Response {
                token,
                mic: mic.filter(|mic| Some(*mic) != token),
            })
        }
        _ => None,
    }
}

fn read_init(bytes: &[u8]) -> Option<Token<'_>> {
    let (_, sequence, _) = element(bytes)?;
    let (_, mut body, _) = element(sequence)?;
    let (mut mechanisms, mut token) = (None, None);
    while let Some((tag, content, rest)) = element(body) {
        match tag {
            0xa0 => mechanisms = Some(content),
            0xa2 => token = element(content).map(|(_, bytes, _)| bytes),
            _ => {}
        }
        body = rest;
    }
    let mechanisms = mechanisms?;
    let (_, list, _) = element(mechanisms)?;
    let ntlm = if list.starts_with(NTLMSSP) {
        Preference::First
    } else if contains(list, NTLMSSP) {
        Preference::Later
    } else {
        Preference::Absent
    };
    Some(Token::Init {
        mechanisms,
        ntlm,
        token,
    })
}

fn contains(mut list: &[u8], wanted: &[u8]) -> bool {
    while let Some((_, _, rest)) = element(list) {
        if list.starts_with(wanted) {
            return true;
        }
        list = rest;
    }
    false
}

/// The `negState` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Completed = 0,
    Incomplete = 1,
    RequestMic = 3,
}

/// Writes a NegTokenResp. The mechanism is named only in the first answer.
pub(crate) fn write(
    state: State,
    name_mechanism: bool,
    token: Option<&[u8]>,
    mic: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = wrap(0xa0, &wrap(0x0a, &[state as u8]));
    if name_mechanism {
        body.extend(wrap(0xa1, NTLMSSP));
    }
    if let Some(token) = token {
        body.extend(wrap(0xa2, &wrap(0x04, token)));
    }
    if let Some(mic) = mic {
        body.extend(wrap(0xa3, &wrap(0x04, mic)));
    }
    wrap(0xa1, &wrap(0x30, &body))
}

/// Splits tag, content and what follows off a DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (
            digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
            rest,
        )
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 0x80 => out.push(short),
        (Ok(byte), _) => out.extend([0x81, byte]),
        (_, Ok(word)) => {
            out.push(0x82);
            out.extend(word.to_be_bytes());
        }
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

/// Writes a NegTokenInit as a client would, for tests.
#[cfg(test)]
pub(crate) fn write_init(mechanisms: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
    let mut body = wrap(0xa0, &wrap(0x30, &mechanisms.concat()));
    if let Some(token) = token {
        body.extend(wrap(0xa2, &wrap(0x04, token)));
    }
    let mut inner = SPNEGO.to_vec();
    inner.extend(wrap(0xa0, &wrap(0x30, &body)));
    wrap(0x60, &inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERBEROS: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02,
    ];

    #[test]
    fn reads_where_ntlm_stands() {
        let long = vec![1; 300];
        let init = write_init(&[NTLMSSP], Some(&long));
        let Some(Token::Init {
            ntlm,
            token,
            mechanisms,
        }) = read(&init)
        else {
            panic!()
        };
        assert_eq!((ntlm, token), (Preference::First, Some(&long[..])));
        assert_eq!(mechanisms, wrap(0x30, NTLMSSP));
        let init = write_init(&[KERBEROS, NTLMSSP], None);
        assert!(matches!(
            read(&init),
            Some(Token::Init {
                ntlm: Preference::Later,
                token: None,
                ..
            })
        ));
        let init = write_init(&[KERBEROS], None);
        assert!(matches!(
            read(&init),
            Some(Token::Init {
                ntlm: Preference::Absent,
                ..
            })
        ));
    }

    #[test]
    fn reads_what_it_writes() {
        let bytes = write(State::Incomplete, true, Some(b"token"), Some(b"mic"));
        assert_eq!(
            read(&bytes),
            Some(Token::Response {
                token: Some(b"token"),
                mic: Some(b"mic")
            })
        );
    }

    #[test]
    fn refuses_lengths_that_lie() {
        assert_eq!(read(&[0x60, 0x7f, 0x06]), None);
        assert_eq!(read(&[0xa1, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(read(&[0xa1, 0x80]), None);
    }
}
