//! `group_vars/` and `host_vars/` beside an inventory, as Ansible reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{InventoryError, Problem};
use crate::graph::Graph;
use crate::vars::{self, Vars};
use crate::vaults::{Opener, file_text};
use crate::{Options, Place, file, yaml_source};

/// Ansible looks for a name without ending first, then with these; the first found counts.
const ENDINGS: [&str; 4] = ["", "yml", "yaml", "json"];

/// The variables of the files beside one inventory, by group or host.
#[derive(Clone, Debug, Default)]
pub(crate) struct VarsFiles {
    pub(crate) groups: BTreeMap<String, Vars>,
    pub(crate) hosts: BTreeMap<String, Vars>,
}

/// Reads both folders beside an inventory.
pub(crate) fn read(
    folder: &Path,
    options: &Options,
    opener: &Opener<'_>,
    graph: &mut Graph,
) -> VarsFiles {
    let groups = read_folder(
        &folder.join("group_vars"),
        "group",
        (options, opener),
        graph,
    );
    let hosts = read_folder(&folder.join("host_vars"), "host", (options, opener), graph);
    VarsFiles { groups, hosts }
}

fn read_folder(
    folder: &Path,
    kind: &str,
    how: (&Options, &Opener<'_>),
    graph: &mut Graph,
) -> BTreeMap<String, Vars> {
    let mut found: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    for path in entries(folder) {
        let Some((name, rank)) = name_of(&path, kind, graph) else {
            continue;
        };
        if found.get(&name).is_none_or(|(other, _)| rank < *other) {
            found.insert(name, (rank, path));
        }
    }
    let mut all = BTreeMap::new();
    for (name, (_, path)) in found {
        let known = match kind {
            "group" => graph.group_id(&name).is_some(),
            _ => graph.host_id(&name).is_some(),
        };
        if !known {
            let text = format!("these variables are ignored: there is no {kind} `{name}`");
            graph.warn(Place::of_path(&path), text);
            continue;
        }
        let mut vars = Vars::new();
        for file in files(&path) {
            vars::merge(&mut vars, &read_file(&file, how, graph));
        }
        all.insert(name, vars);
    }
    all
}

/// Returns whom a file or folder is for and how early Ansible looks for it. Names with dots
/// (`pc-01.corp.example.jp`) make the ending ambiguous: the name that exists counts.
fn name_of(path: &Path, kind: &str, graph: &Graph) -> Option<(String, usize)> {
    let whole = path.file_name()?.to_str()?;
    if whole.starts_with('.') || whole.ends_with('~') {
        return None;
    }
    let exists = |name: &str| match kind {
        "group" => graph.group_id(name).is_some(),
        _ => graph.host_id(name).is_some(),
    };
    if exists(whole) {
        return Some((whole.to_owned(), 0));
    }
    let (stem, ending) = whole.rsplit_once('.').unwrap_or((whole, ""));
    let rank = ENDINGS.iter().position(|known| *known == ending)?;
    Some((stem.to_owned(), rank))
}

/// Returns the file itself, or the files of a folder in order, folders in it included.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut files = Vec::new();
    for entry in entries(path) {
        let name = entry
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.filter(|name| !name.starts_with('.') && !name.ends_with('~')) else {
            continue;
        };
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if entry.is_dir() {
            if ending.is_empty() {
                files.extend(self::files(&entry));
            }
        } else if ENDINGS.contains(&ending) {
            files.push(entry);
        }
    }
    files
}

/// Returns what a folder holds, sorted; nothing if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn read_file(path: &Path, (options, opener): (&Options, &Opener<'_>), graph: &mut Graph) -> Vars {
    let place = Place::of_path(path);
    let text =
        file::read(path, options.max_bytes).and_then(|bytes| file::decode_yaml(&bytes, &place));
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            graph.errors.push(error);
            return Vars::new();
        }
    };
    let Some(text) = file_text(text, &place, opener, graph) else {
        return Vars::new();
    };
    let Some(root) = yaml_source::parse(&text, &place, options, &mut graph.errors) else {
        return Vars::new();
    };
    vars::from_node(&root, &place, text.vaulted).unwrap_or_else(|| {
        let what = "a file of variables".to_owned();
        let problem = Problem::Shape {
            what,
            expected: "a mapping",
            found: root.kind(),
        };
        graph
            .errors
            .push(InventoryError::new(place.with(root.at), problem));
        Vars::new()
    })
}
