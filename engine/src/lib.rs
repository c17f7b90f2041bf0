//! The state machine of one PC and the dispatcher of many.

mod journal;

pub use journal::{Journal, JournalError};
