//! In which batches a run goes, how fast, and after how many failures it stops.

/// In which batches a run goes, how fast, and after how many failures it stops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {}
