//! Reading files with a cap, and their bytes to text.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};
use fleetmend_yaml::Position;

use crate::Place;
use crate::error::{InventoryError, Problem};

/// Reads a file of at most `max` bytes; a larger one costs nothing.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, InventoryError> {
    let fail = |problem| InventoryError::new(Place::of_path(path), problem);
    let unreadable = |error: std::io::Error| {
        fail(match error.kind() {
            ErrorKind::NotFound => Problem::Missing,
            ErrorKind::IsADirectory => Problem::Directory,
            kind => Problem::Unreadable { kind },
        })
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(fail(Problem::Directory));
    }
    if metadata.len() > max {
        return Err(fail(Problem::TooLarge {
            bytes: Some(metadata.len()),
            max,
        }));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(fail(Problem::TooLarge { bytes: None, max }));
    }
    Ok(bytes)
}

/// Decodes a YAML text: UTF-8, or UTF-16 with its byte order mark.
pub(crate) fn decode_yaml(bytes: &[u8], file: &Place) -> Result<String, InventoryError> {
    decode(bytes).map_err(|bad| {
        let looks_like = clean(bytes, SHIFT_JIS).map(|_| "cp932 (Shift_JIS)");
        let problem = Problem::Encoding {
            byte: bad.byte,
            looks_like,
        };
        InventoryError::new(file.with(bad.at), problem)
    })
}

/// Decodes a CSV text: as a YAML text, or cp932 as Excel writes it on a Japanese Windows.
pub(crate) fn decode_csv(bytes: &[u8], file: &Place) -> Result<String, InventoryError> {
    decode(bytes).or_else(|bad| {
        clean(bytes, SHIFT_JIS).ok_or_else(|| {
            InventoryError::new(file.with(bad.at), Problem::CsvEncoding { byte: bad.byte })
        })
    })
}

struct BadByte {
    byte: u8,
    at: Position,
}

fn decode(bytes: &[u8]) -> Result<String, BadByte> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes)
        && [UTF_16LE, UTF_16BE].contains(&encoding)
        && let Some(text) = clean(bytes, encoding)
    {
        return Ok(text);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| {
            let (good, rest) = bytes
                .split_at_checked(error.valid_up_to())
                .unwrap_or((bytes, &[]));
            let (good, _) = UTF_8.decode_without_bom_handling(good);
            BadByte {
                byte: rest.first().copied().unwrap_or_default(),
                at: end_of(&good),
            }
        })
}

/// Decodes if every byte makes sense and no character appears that no text file holds.
fn clean(bytes: &[u8], encoding: &'static Encoding) -> Option<String> {
    let (text, _, errors) = encoding.decode(bytes);
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!errors && !text.contains(odd)).then(|| text.into_owned())
}

/// Returns the place right after a text.
fn end_of(text: &str) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    let last_line = text.rsplit('\n').next().unwrap_or(text);
    Position::new(
        number(text.matches('\n').count()),
        number(last_line.chars().count()),
    )
}
