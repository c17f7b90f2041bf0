//! The scripts of `playbooks/library/local-admin-access/`, by the schemas beside them.

mod account;
pub(super) mod diagnose;
pub(super) mod make_usable;
pub(super) mod set_account;
