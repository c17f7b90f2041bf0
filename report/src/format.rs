//! The fold of a run as text, JSON and JSON Lines.

pub(crate) mod clean;
mod exec;
mod json;
mod jsonl;
mod text;

pub use exec::exec;
pub use json::{json, json_value};
pub use jsonl::jsonl;
pub use text::{elapsed, text};

/// How wide and how colourful text may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns of the terminal; `None`: not a terminal, so nothing is wrapped and each row is one
    /// line that `grep` finds.
    pub width: Option<u16>,
    /// Whether to use ANSI colours. The text says the same without them.
    pub color: bool,
}
