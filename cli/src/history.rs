//! How often PCs were repaired before, by the journal: `host.history` of playbooks.

use std::collections::BTreeMap;
use std::path::Path;

use fleetmend_engine::History;
use fleetmend_journal::JournalReader;
use fleetmend_model::HostName;
use jiff::{SignedDuration, Timestamp};

/// What repairs trust.
const SUBJECTS: [&str; 2] = ["trust-repair", "trust-repair-linux"];
/// How far back a repair counts.
const LATELY: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Reads it. A journal that cannot be read has no history: to write it is another matter, and the
/// run ends where that fails.
pub(crate) fn read(journal: &Path) -> BTreeMap<HostName, History> {
    let since = Timestamp::now() - LATELY;
    let repairs = JournalReader::open(journal)
        .and_then(|reader| reader.repairs(&SUBJECTS, since))
        .inspect_err(|error| tracing::warn!(%error, "the history of the PCs is not known"))
        .unwrap_or_default();
    let history = |times: Vec<Timestamp>| History {
        repairs: u32::try_from(times.len()).unwrap_or(u32::MAX),
        last_repaired: times.last().copied(),
    };
    repairs
        .into_iter()
        .map(|(host, times)| (host, history(times)))
        .collect()
}
