//! What others see of a process while it runs: command lines, environments, temporary files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that was seen, each once.
#[derive(Default)]
pub(crate) struct Watched {
    seen: BTreeMap<Vec<u8>, String>,
    pub(crate) looks: usize,
    /// Of processes that the first one started.
    pub(crate) of_others: usize,
}

impl Watched {
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let seen = self.seen.iter();
        seen.map(|(bytes, place)| (place.as_str(), bytes.as_slice()))
    }

    fn note(&mut self, place: String, bytes: Vec<u8>) -> bool {
        if bytes.is_empty() {
            return false;
        }
        self.seen.entry(bytes).or_insert(place);
        true
    }

    /// Looks once: at a process and all below it, and at a folder.
    pub(crate) fn look(&mut self, id: u32, temporary: &Path) {
        for process in family(id) {
            for name in ["cmdline", "environ"] {
                let place = format!("/proc/{process}/{name}");
                let Ok(bytes) = fs::read(&place) else {
                    continue;
                };
                if self.note(place, bytes) {
                    self.looks += 1;
                    self.of_others += usize::from(process != id);
                }
            }
        }
        let mut files = Vec::new();
        files_below(temporary, &mut files);
        for file in files {
            // It may be gone by now.
            if let Ok(bytes) = fs::read(&file) {
                self.note(file.display().to_string(), bytes);
            }
        }
    }
}

/// A process and all below it.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let tasks = fs::read_dir(format!("/proc/{parent}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            let ids = children.split_whitespace();
            all.extend(ids.filter_map(|id| id.parse::<u32>().ok()));
        }
        next += 1;
    }
    all
}

/// Every file below a folder, which need not be there.
pub(crate) fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}
