//! YAML and CSV inventories to checked hosts.
//!
//! Inventories have Ansible's shape, so that the one an administrator already has runs
//! unchanged: groups in groups, ranges, variables with Ansible's precedence, its `ansible_*`
//! names beside our own. [`load`] reads files into an [`Inventory`] or tells everything that is
//! wrong with them, each with its place. `docs/guide/inventory.md` is the operator's page.

mod check;
mod csv_source;
mod directory_listing;
mod directory_source;
mod error;
mod file;
mod graph;
mod group_names;
mod inventory;
mod limit;
mod load;
mod options;
mod place;
mod range;
mod render;
mod resolve;
mod settings;
mod template;
mod vars;
mod vars_files;
mod vaults;
mod warning;
mod yaml_source;

pub use directory_listing::{DirectoryListing, LeftOut, ListedPc};
pub use directory_source::DirectorySource;
pub use error::{InventoryError, InventoryErrors, Problem};
pub use inventory::{GroupView, Inventory};
pub use load::{load, load_text, load_with};
pub use options::Options;
pub use place::Place;
pub use range::RangeProblem;
pub use vaults::{Unseal, UnsealError, Vaults};
pub use warning::Warning;
