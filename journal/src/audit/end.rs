//! A quick look at the end of the trail.

use rusqlite::OptionalExtension as _;

use super::chain::last;
use super::head::{Head, HeadClaim};
use super::head_file::{self, Kept};
use crate::{JournalReader, StorageError};

/// How the end of the trail stands against the one that is noted beside the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrailEnd {
    /// The trail holds the end that is noted.
    Held(Head),
    /// Nothing is noted beside a trail that has entries, or it cannot be read.
    NotNoted(Head),
    /// What is noted is not in the trail: it was cut or changed.
    Differs {
        /// What is noted.
        noted: HeadClaim,
        /// The end of the trail.
        now: Head,
    },
}

impl JournalReader {
    /// Looks whether the trail holds the end that is noted beside the journal. Takes no time on a
    /// big journal; what was changed further back shows only in [`JournalReader::verify`].
    ///
    /// # Errors
    /// [`StorageError::NoTrail`], and see there.
    pub fn trail_end(&self) -> Result<TrailEnd, StorageError> {
        self.must_have_trail()?;
        // Before the trail is read: what is written meanwhile is then only in the trail.
        let kept = head_file::read(&self.path);
        let now = last(&self.connection).map_err(|error| self.wrap(error))?;
        let Kept::Claim(noted) = kept else {
            return Ok(TrailEnd::NotNoted(now));
        };
        let query = "SELECT hash FROM audit WHERE number = ?1";
        let number = i64::try_from(noted.number()).unwrap_or(i64::MAX);
        let hash: Option<Vec<u8>> = self
            .connection
            .query_row(query, [number], |row| row.get(0))
            .optional()
            .map_err(|error| self.wrap(error))?;
        let hash = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        let held = hash.is_some_and(|hash| {
            let number = noted.number();
            noted.fits(&Head { number, hash })
        });
        Ok(if held {
            TrailEnd::Held(now)
        } else {
            TrailEnd::Differs { noted, now }
        })
    }
}
