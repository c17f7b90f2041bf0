//! Groups' names for organizational units.

use std::collections::BTreeSet;

use crate::graph::{ALL, UNGROUPED};

/// Gives each organizational unit a name of its own: its path, outermost first, joined by `_`.
/// Two units `PCs` in two places are two groups.
#[derive(Debug)]
pub(crate) struct GroupNames {
    taken: BTreeSet<String>,
}

impl Default for GroupNames {
    fn default() -> Self {
        Self {
            taken: [ALL, UNGROUPED].map(str::to_owned).into(),
        }
    }
}

impl GroupNames {
    /// Takes a name that the operator chose.
    pub(crate) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Returns the name for a path: letters and digits of any script and `_`, so that patterns
    /// and other readers of the inventory find nothing special in it.
    pub(crate) fn of_path(&mut self, path: &[&str]) -> String {
        let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
        let name: String = path.join("_").chars().map(plain).collect();
        let name = match name.chars().next() {
            Some(first) if first.is_alphabetic() => name,
            _ => format!("ou_{name}"),
        };
        let numbered = (2..).map(|number: u32| format!("{name}_{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names
            .find(|name| !self.taken.contains(name))
            .unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_a_name_of_its_own() {
        let mut names = GroupNames::default();
        names.take("kiosks");
        for (path, name) in [
            (&["端末", "経理部"][..], "端末_経理部"),
            (&["端末", "営業部"], "端末_営業部"),
            (&["Tokyo", "PCs"], "Tokyo_PCs"),
            (&["Osaka", "PCs"], "Osaka_PCs"),
            (&["Osaka-PCs"], "Osaka_PCs_2"),
            (&["all"], "all_2"),
            (&["kiosks"], "kiosks_2"),
            (&["1F: 会議室, [A]"], "ou_1F__会議室___A_"),
        ] {
            assert_eq!(names.of_path(path), name);
        }
    }
}
