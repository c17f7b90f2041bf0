//! YAML text to a tree in which every value knows its line and column.
//!
//! `serde_yaml` forgets where a value stood, and an error in an inventory of ten thousand lines
//! is worth little without its place. This crate reads the events of `saphyr-parser` into a
//! [`Document`] and resolves plain scalars as PyYAML and so Ansible do (YAML 1.1: `yes` is true,
//! `0644` is 420). It does no IO. See `docs/decisions/yaml-positions.md`.

mod builder;
mod document;
mod error;
mod limits;
mod nearest;
mod node;
mod path;
mod position;
mod scalar;
mod timestamp;

pub use document::Document;
pub use error::{Problem, YamlError, YamlErrors};
pub use limits::Limits;
pub use nearest::nearest;
pub use node::{Entry, Key, Map, Node, Tag, Value};
pub use path::Segment;
pub use position::Position;
