//! The scripts of `playbooks/library/trust-repair/`, by the schemas beside them.

mod controller;
pub(super) mod diagnose;
pub(super) mod netlogon_rediscover;
mod probe;
pub(super) mod sc_reset;
pub(super) mod secure_channel_repair;
pub(super) mod verify;
