//! The last line of standard error, if it may be told.

use super::child::Output;
use crate::sources::password_text::MAX_BYTES;

/// Characters of a line that are told.
const SHOWN: usize = 300;

/// Returns the last line that a program wrote on standard error. None where there is none, where
/// it holds any line that was printed on standard output (which may be the secret), or where
/// that cannot be known.
pub(super) fn complaint(output: &Output) -> Option<String> {
    let printed = output.printed();
    let (complained, is_cut) = output.complained();
    if printed.len() > MAX_BYTES {
        return None;
    }
    let mut lines = complained.rsplit(|byte| matches!(byte, b'\n' | b'\r'));
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    // The half of a secret is not found, and is too much.
    let is_whole = !is_cut || lines.next().is_some();
    let secrets = printed.split(|byte| matches!(byte, b'\n' | b'\r'));
    let mut secrets = secrets
        .map(<[u8]>::trim_ascii)
        .filter(|secret| !secret.is_empty());
    if !is_whole || secrets.any(|secret| holds(line, secret)) {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    Some(text.trim().to_owned())
}

fn holds(line: &[u8], secret: &[u8]) -> bool {
    line.windows(secret.len()).any(|window| window == secret)
}
