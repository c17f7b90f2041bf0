//! The exit codes of a run.

/// Every PC ended healthy or repaired (check mode: every PC healthy; exec: every exit code 0).
pub const ALL_WELL: i32 = 0;
/// At least one did not, or the journal failed during the run.
pub const NOT_ALL_WELL: i32 = 1;
/// Nothing was touched: usage, inventory or playbook error, or no journal to begin with.
pub const NOTHING_TOUCHED: i32 = 2;
/// Stopped by a safety budget: a domain credential was refused.
pub const SAFETY: i32 = 3;
/// Interrupted by the operator.
pub const INTERRUPTED: i32 = 130;
