//! What the operator should know although nothing is wrong.

use std::fmt;

use serde::Serialize;

use crate::Place;

/// Something that was not understood or is handled otherwise than it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// Where it stands first.
    pub place: Place,
    /// What, as a sentence without a full stop.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}
