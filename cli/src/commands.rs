//! The commands, one a file.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod completion;
pub(crate) mod demo;
pub(crate) mod directory;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod handoff;
pub(crate) mod inventory;
pub(crate) mod lab;
pub(crate) mod playbook;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod vault;
