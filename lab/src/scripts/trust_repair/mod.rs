//! The scripts of `playbooks/library/trust-repair/`, by the schemas beside them.

mod controller;
pub(super) mod diagnose;
pub(super) mod ksetup_machine_password;
pub(super) mod membership;
pub(super) mod netlogon_rediscover;
mod probe;
pub(super) mod rejoin_safety;
pub(super) mod rotate_machine_password;
pub(super) mod sc_reset;
pub(super) mod secure_channel_repair;
pub(super) mod store_machine_password;
pub(super) mod verify;
