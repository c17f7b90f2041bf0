//! The places where secrets are kept.

mod laps;

pub use laps::{LapsReader, LapsSource};
