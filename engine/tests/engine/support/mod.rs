//! Scripted PCs, a playbook that needs no files, and a journal in memory.

mod judge;
mod memory;
mod world;

pub use judge::program;
pub use memory::MemoryJournal;
pub use world::{Act, Pc, World, not_repaired, outcomes, quiet, run_world, wait_until};
