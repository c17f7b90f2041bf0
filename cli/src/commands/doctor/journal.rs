//! Whether runs can be stored, and whether the trail of those before is whole.

use std::path::Path;

use fleetmend_journal::{Fault, JournalReader, StorageError};

use super::finding::Finding;
use crate::data_dir::data_dir;
use crate::wire::JOURNAL;

/// A run over a thousand PCs writes some ten megabytes.
const ROOM: u64 = 200 * 1024 * 1024;

/// Looks at the journal in a folder, or in the usual one, and at the room for it.
pub(super) fn look(folder: Option<&Path>) -> Vec<Finding> {
    let path = match data_dir(folder) {
        Ok(folder) => folder.join(JOURNAL),
        Err(error) => return vec![Finding::of_error("journal", &error)],
    };
    let folder = path.parent().unwrap_or(&path);
    let shown = path.display();
    if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| write_in(folder)) {
        let failed = Finding::failed("journal", format!("{shown} cannot be written: {error}"));
        let next = "make the folder writable, or name another: --data-dir DIR";
        return vec![failed.then(next)];
    }
    let mut findings = vec![trail(&path)];
    if let Some(free) = free(folder).filter(|free| *free < ROOM) {
        let (free, shown) = (free / 1024 / 1024, folder.display());
        let found = format!("{free} MiB are free where {shown} is");
        let next = "make room: a journal that cannot be written ends the run";
        findings.push(Finding::warning("room", found).then(next));
    }
    findings
}

fn trail(path: &Path) -> Finding {
    let shown = path.display();
    if !path.exists() {
        return Finding::ok("journal", format!("{shown} will be made"));
    }
    let verdict = JournalReader::open(path).and_then(|reader| reader.verify(&[]));
    match verdict {
        Ok(verdict) if verdict.faults.is_empty() => Finding::ok(
            "journal",
            format!("{shown} can be written; its audit trail is whole"),
        ),
        // It stays on the trail, and what is to be done about it needs doing once.
        Ok(verdict) if verdict.faults.iter().all(was_missing) => Finding::warning(
            "journal",
            format!(
                "{shown} can be written; the file that keeps the end of its audit trail was gone \
                 once"
            ),
        )
        .then("see when, and what to do: fleetmend audit verify"),
        Ok(verdict) => Finding::failed(
            "journal",
            format!(
                "{shown}: the audit trail has {} faults",
                verdict.faults.len()
            ),
        )
        .then("see them: fleetmend audit verify"),
        Err(StorageError::NoTrail { .. } | StorageError::Empty { .. }) => Finding::ok(
            "journal",
            format!("{shown} can be written; it has no audit trail yet"),
        ),
        Err(error) => Finding::failed("journal", format!("{shown} cannot be read: {error}"))
            .then("name another folder: --data-dir DIR"),
    }
}

fn was_missing(fault: &Fault) -> bool {
    matches!(fault, Fault::HeadWasMissing { .. })
}

/// Writes and removes a file, as a journal's log is.
fn write_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&path, b"fleetmend")?;
    std::fs::remove_file(&path)
}

/// Returns the bytes that we may still write there, if the system tells.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let told = rustix::fs::statvfs(folder).ok()?;
    told.f_bavail.checked_mul(told.f_frsize)
}

/// Windows is not asked.
#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}
