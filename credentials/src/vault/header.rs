//! What an age file says of itself without being opened.

use std::cell::RefCell;
use std::fmt;

use age::{DecryptError, Decryptor, Identity};
use age_core::format::{FileKey, Stanza};

/// How long a head may be, in bytes and in lines: more than a hundred keys. age reads a head from
/// its beginning again with each of its lines, so one of some megabytes would keep it busy for hours.
const LIMIT: usize = 16 * 1024;
const LINES: usize = 300;

/// How a vault is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// By a passphrase.
    Passphrase,
    /// To one or several age keys.
    Keys,
}

/// The head of an age file, nothing of which is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How it is locked.
    pub kind: LockKind,
    /// The binary logarithm of scrypt's N; 0 where no passphrase locks it.
    pub work: u8,
    /// How many keys open it, of whatever kind.
    pub keys: usize,
}

/// This is no age file, or its head is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError;

/// Reads the head of an age file. Costs no scrypt.
///
/// # Errors
/// [`HeaderError`]: it has none that is whole and known.
pub fn read_header(file: &[u8]) -> Result<Header, HeaderError> {
    let start = file.get(..LIMIT).unwrap_or(file);
    if !start
        .split(|byte| *byte == b'\n')
        .take(LINES)
        .any(|line| line.starts_with(b"---"))
    {
        return Err(HeaderError);
    }
    let look = Look::default();
    let decryptor = Decryptor::new_buffered(file).map_err(|_| HeaderError)?;
    // The look opens nothing, so this always "fails".
    let _ = decryptor.decrypt(std::iter::once(&look as &dyn Identity));
    look.0.into_inner().ok_or(HeaderError)
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "a passphrase",
            Self::Keys => "age keys",
        })
    }
}

/// Looks at the stanzas instead of opening them.
#[derive(Default)]
struct Look(RefCell<Option<Header>>);

impl Identity for Look {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        None
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        *self.0.borrow_mut() = seen(stanzas);
        None
    }
}

/// [age v1, "The scrypt recipient type"]: it stands alone, and its second argument is the work
/// factor, a decimal number.
fn seen(stanzas: &[Stanza]) -> Option<Header> {
    let work = stanzas.iter().find(|stanza| stanza.tag == "scrypt");
    Some(match work {
        Some(stanza) => Header {
            kind: LockKind::Passphrase,
            // A number that is too large for a byte is too large anyway.
            work: match stanza.args.as_slice() {
                [_, work] if work.bytes().all(|digit| digit.is_ascii_digit()) => {
                    work.parse().unwrap_or(u8::MAX)
                }
                _ => return None,
            },
            keys: 0,
        },
        None => Header {
            kind: LockKind::Keys,
            work: 0,
            // Some programs add a stanza that opens nothing, so that readers learn to skip.
            keys: stanzas
                .iter()
                .filter(|stanza| !stanza.tag.ends_with("-grease"))
                .count(),
        },
    })
}
