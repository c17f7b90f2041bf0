//! YAML text → checked playbook, with every error found.

pub(crate) mod actions;
pub(crate) mod also;
pub(crate) mod kinds;
pub(crate) mod ladder;
pub(crate) mod names;
pub(crate) mod playbook;
pub(crate) mod reader;
pub(crate) mod rules;
pub(crate) mod scripts;
pub(crate) mod steps;
