//! Scripted PCs, a playbook that needs no files, and a journal in memory.
#![expect(unreachable_pub, reason = "a test's own module has no outside")]

mod judge;
mod memory;
mod world;

pub use judge::program;
pub use memory::MemoryJournal;
pub use world::{Act, Pc, World, not_repaired, outcomes, quiet, run_world, wait_until};
