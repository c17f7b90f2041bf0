//! Where in which file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fleetmend_yaml::Position;
use serde::{Serialize, Serializer};

/// A file, or a line and column in it. Cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as the operator named it.
    pub file: Arc<str>,
    /// The line and column; none where the file as a whole is meant.
    pub at: Option<Position>,
}

impl Place {
    /// Returns the place that is a whole file.
    pub(crate) fn of_path(path: &Path) -> Self {
        Self {
            file: path.display().to_string().into(),
            at: None,
        }
    }

    /// Returns a place in the same file.
    pub(crate) fn with(&self, at: Position) -> Self {
        Self {
            file: Arc::clone(&self.file),
            at: Some(at),
        }
    }
}

impl fmt::Display for Place {
    /// Writes `file:line:column` or `file`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{at}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
