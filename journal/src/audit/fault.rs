//! What can be wrong with a trail.

use std::fmt;

use super::head::{Head, HeadClaim};

/// Where an end of the trail was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadSource {
    /// In the file beside the journal.
    File,
    /// Elsewhere; whoever verifies gave it.
    Given,
}

/// One thing that is not as it was stored, or not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The database itself is damaged.
    Damaged {
        /// What SQLite says.
        detail: String,
    },
    /// Entries are missing before this one.
    Missing {
        /// The first number that is missing.
        number: u64,
        /// The number that stands in its place.
        found: u64,
    },
    /// The entry's hash does not follow from the entry and the hash before it.
    Changed {
        /// The entry.
        number: u64,
    },
    /// The entry cannot be understood.
    Unreadable {
        /// The entry.
        number: u64,
        /// What of it.
        what: &'static str,
    },
    /// The trail does not begin with its beginning.
    NoBeginning,
    /// An entry tells of another thing than its event.
    Differs {
        /// The entry.
        number: u64,
        /// Its run.
        run: String,
        /// The number of its event.
        seq: u64,
        /// What differs.
        what: String,
    },
    /// The event of an entry is not there.
    NoEvent {
        /// The entry.
        number: u64,
        /// Its run.
        run: String,
        /// The number of its event.
        seq: u64,
    },
    /// Events of a run are not what they were when an entry was written.
    Events {
        /// The entry.
        number: u64,
        /// The run.
        run: String,
        /// The last event that is proven by an earlier entry; 0: none is.
        after: u64,
        /// The last event that this entry covers.
        until: u64,
    },
    /// An event that must have an entry has none.
    NoEntry {
        /// The run.
        run: String,
        /// The event's number.
        seq: u64,
        /// The entry's kind.
        kind: String,
    },
    /// An event is missing, or is not what was stored, behind the last entry of its run.
    Event {
        /// The run.
        run: String,
        /// The event's number.
        seq: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A run of which the trail says nothing.
    UnknownRun {
        /// The run.
        run: String,
    },
    /// A run of which the trail tells is not in the journal.
    NoRun {
        /// Its first entry.
        number: u64,
        /// The run.
        run: String,
    },
    /// The line of a run in the list of runs does not say what its events say.
    Run {
        /// The run.
        run: String,
        /// What of it.
        what: &'static str,
    },
    /// The trail does not hold an end that was noted.
    Head {
        /// Where it was noted.
        source: HeadSource,
        /// The noted end.
        claim: HeadClaim,
        /// The end that the trail has.
        now: Head,
    },
    /// The file beside the journal that keeps the end is not there.
    NoHeadFile,
    /// That file cannot be read.
    OddHeadFile {
        /// What it is about.
        detail: String,
    },
    /// The file was gone, or could not be read, when this entry was written: what stood behind the
    /// entry before may have been cut off.
    HeadWasMissing {
        /// The entry, which says so.
        end: Head,
    },
    /// The file beside the journal tells of a trail, and the journal has none.
    NoTrail,
}

impl Fault {
    /// Returns the number of the entry at which it shows, if it is one.
    #[must_use]
    pub fn entry(&self) -> Option<u64> {
        match self {
            Self::Missing { number, .. }
            | Self::Changed { number }
            | Self::Unreadable { number, .. }
            | Self::Differs { number, .. }
            | Self::NoEvent { number, .. }
            | Self::Events { number, .. }
            | Self::NoRun { number, .. } => Some(*number),
            Self::NoBeginning => Some(1),
            Self::Head { claim, .. } => Some(claim.number()),
            Self::HeadWasMissing { end } => Some(end.number),
            Self::Damaged { .. }
            | Self::NoEntry { .. }
            | Self::Event { .. }
            | Self::UnknownRun { .. }
            | Self::Run { .. }
            | Self::NoHeadFile
            | Self::OddHeadFile { .. }
            | Self::NoTrail => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { detail } => write!(f, "the file is damaged: {detail}"),
            Self::Missing { number, found } if found <= number => {
                write!(f, "entry {found} stands where entry {number} must be")
            }
            Self::Missing { number, found } if number + 1 == *found => {
                write!(f, "entry {number} is missing")
            }
            Self::Missing { number, found } => {
                write!(f, "entries {number} to {} are missing", found - 1)
            }
            Self::Changed { number } => write!(
                f,
                "entry {number} is not what was stored, or does not follow on the one before it"
            ),
            Self::Unreadable { number, what } => {
                write!(f, "entry {number} cannot be understood: {what}")
            }
            Self::NoBeginning => f.write_str("the trail does not begin with its first entry"),
            Self::Differs {
                number,
                run,
                seq,
                what,
            } => write!(
                f,
                "entry {number} does not say what event {seq} of the run {run} says: {what}"
            ),
            Self::NoEvent { number, run, seq } => write!(
                f,
                "entry {number} tells of event {seq} of the run {run}, which is not there"
            ),
            Self::Events {
                number,
                run,
                after,
                until,
            } => write!(
                f,
                "of the run {run}, one of the events {} to {until} is not what it was when entry \
                 {number} was written",
                after + 1
            ),
            Self::NoEntry { run, seq, kind } => {
                write!(f, "event {seq} of the run {run} has no entry ({kind})")
            }
            Self::Event { run, seq, what } => write!(f, "event {seq} of the run {run} {what}"),
            Self::UnknownRun { run } => {
                write!(f, "the run {run} is in the journal without an entry")
            }
            Self::NoRun { number, run } => write!(
                f,
                "entry {number} tells of the run {run}, which is not in the journal"
            ),
            Self::Run { run, what } => write!(
                f,
                "{what} of the run {run} in the list of runs is not what its events say"
            ),
            Self::Head { source, claim, now } => self::head(f, *source, claim, now),
            Self::NoHeadFile => f.write_str(
                "the file that keeps the end of the trail is not there, so a cut end would not show",
            ),
            Self::OddHeadFile { detail } => {
                write!(f, "the file that keeps the end of the trail cannot be read: {detail}")
            }
            Self::HeadWasMissing { end } => write!(
                f,
                "when entry {} was written, the file that keeps the end of the trail was gone or \
                 could not be read, so entries behind {} may have been cut off",
                end.number,
                end.number.saturating_sub(1)
            ),
            Self::NoTrail => {
                f.write_str("a file beside the journal keeps the end of a trail, and there is none")
            }
        }
    }
}

fn head(
    f: &mut fmt::Formatter<'_>,
    source: HeadSource,
    claim: &HeadClaim,
    now: &Head,
) -> fmt::Result {
    let source = match source {
        HeadSource::File => "the file beside the journal",
        HeadSource::Given => "--head",
    };
    if claim.number() > now.number {
        write!(
            f,
            "the trail was cut: {source} names entry {}, and the last is {}",
            claim.number(),
            now.number
        )
    } else {
        write!(
            f,
            "entry {} is another than the one that {source} names ({claim})",
            claim.number()
        )
    }
}
