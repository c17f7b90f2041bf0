//! Scripted PCs, a playbook that needs no files, and a journal in memory.

mod budget;
mod directory;
mod judge;
mod life;
mod memory;
mod world;

pub use budget::{Consenting, MemoryBudget};
pub use directory::{FakeDirectory, MADE};
pub use judge::{CAUTION, NO_PREFLIGHT, directory_program, posix_program, program, rejoin_program};
pub use memory::MemoryJournal;
pub use world::{
    Act, Pc, World, not_repaired, outcomes, ports, quiet, resume_world, run_world, wait_until,
};
