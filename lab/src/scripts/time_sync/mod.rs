//! The scripts of `playbooks/library/time-sync/`, by the schemas beside them.

mod clock;
pub(super) mod diagnose;
mod service;
pub(super) mod set_clock;
pub(super) mod settings;
pub(super) mod temporary_peer;
pub(super) mod verify;
