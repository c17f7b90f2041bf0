//! Which programs would be run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Store, Wanted};
use crate::settings::Origin;
use crate::sources::program_path;

impl Store {
    /// Returns the programs that would be run for these credentials: one that is named with a
    /// folder with its whole path, others as they are named. Runs none, and leaves out credentials
    /// that cannot be worked out.
    pub fn programs(&self, wanted: &[Wanted<'_>]) -> BTreeSet<PathBuf> {
        let folder = self.settings.folder();
        let choices = wanted.iter().filter_map(|one| {
            let entry = self.entry(one.name).ok()?;
            self.choices(one.name, entry, one.host).ok()
        });
        let mut programs = BTreeSet::new();
        for choice in choices.flatten() {
            for origin in choice.password.iter().chain(&choice.passphrase) {
                if let Origin::Command { words, .. } = origin
                    && let Some(program) = words.first()
                {
                    programs.insert(program_path(program, folder));
                }
            }
        }
        programs
    }
}
