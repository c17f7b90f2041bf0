//! What a PC has refused, for those who choose what it is shown next.

use std::fmt;

use crate::Secret;

/// How often a PC has refused a credential, and which ones.
///
/// A list must not be counted by its places: what stands in one may be another at the next look
/// (LAPS sets a new password), and two may be the same in different words.
#[derive(Clone, Copy)]
pub struct Refusals<'a> {
    /// How many different ones of this credential the PC has refused in this run.
    pub count: u32,
    /// How many of these nobody knows any more, because they were refused before the run was cut.
    pub forgotten: u32,
    /// Judges an account with its password.
    pub judge: &'a (dyn Fn(&str, &Secret) -> Judged + Send + Sync),
}

/// What is known of an account with its password, on one PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The account, the same however it is written.
    pub account: String,
    /// A print of the password, which tells it from others in this run and says nothing else.
    pub print: u64,
    /// The PC has refused it.
    pub refused: bool,
}

impl fmt::Debug for Refusals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals")
            .field("count", &self.count)
            .field("forgotten", &self.forgotten)
            .finish_non_exhaustive()
    }
}
