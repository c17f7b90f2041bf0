//! Shared by the tests: inventories from texts and from files of a temporary folder.

#![expect(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use fleetmend_inventory::{Inventory, InventoryErrors, Options, load, load_text};
use fleetmend_model::Host;

/// Reads a YAML text.
pub(crate) fn read(yaml: &str) -> Result<Inventory, InventoryErrors> {
    load_text("inv.yaml", yaml, &Options::default())
}

/// Reads a YAML text that is right.
#[track_caller]
pub(crate) fn good(yaml: &str) -> Inventory {
    match read(yaml) {
        Ok(inventory) => inventory,
        Err(errors) => panic!("{errors}"),
    }
}

/// Returns one host of an inventory.
#[track_caller]
pub(crate) fn host<'a>(inventory: &'a Inventory, name: &str) -> &'a Host {
    inventory
        .hosts
        .iter()
        .find(|host| host.name.0 == name)
        .expect("no such host")
}

/// Compares the full text of all errors and their hints, one a line.
#[track_caller]
pub(crate) fn fails(yaml: &str, expected: &[&str]) {
    assert_eq!(messages(&read(yaml).unwrap_err()), expected);
}

/// Returns all errors and their hints, one a line.
pub(crate) fn messages(errors: &InventoryErrors) -> Vec<String> {
    let mut lines = Vec::new();
    for error in errors.iter() {
        lines.push(error.to_string());
        lines.extend(error.hint().map(|hint| format!("hint: {hint}")));
    }
    lines
}

/// Returns the texts of all warnings with their places.
pub(crate) fn warnings(inventory: &Inventory) -> Vec<String> {
    inventory.warnings.iter().map(ToString::to_string).collect()
}

/// A temporary folder of files.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn load(&self, names: &[&str]) -> Result<Inventory, InventoryErrors> {
        self.load_with(names, &Options::default())
    }

    pub(crate) fn load_with(
        &self,
        names: &[&str],
        options: &Options,
    ) -> Result<Inventory, InventoryErrors> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        load(&paths, options)
    }

    /// Replaces the folder's own name, which changes, by `DIR`.
    pub(crate) fn mask(&self, lines: Vec<String>) -> Vec<String> {
        let folder = format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR);
        lines
            .into_iter()
            .map(|line| line.replace(&folder, "DIR/"))
            .map(|line| {
                if cfg!(windows) {
                    line.replace('\\', "/")
                } else {
                    line
                }
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn fails(&self, names: &[&str], expected: &[&str]) {
        assert_eq!(
            self.mask(messages(&self.load(names).unwrap_err())),
            expected
        );
    }
}

/// The folder of examples.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}
