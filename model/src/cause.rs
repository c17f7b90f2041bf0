//! The class of fault that facts add up to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names a cause as the playbook does: `password-mismatch`, `time-skew`, `healthy`, `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CauseId(pub String);

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cause with the number that told it apart, where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// Which cause.
    pub id: CauseId,
    /// The Win32 or NTSTATUS code behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
}

impl Cause {
    /// Returns a cause without a number.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: CauseId(id.into()),
            code: None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}({code})", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}
