//! Files to an inventory: read, join, understand, check.

use std::path::{Path, PathBuf};

use crate::error::{InventoryError, InventoryErrors, Problem};
use crate::graph::{ALL, Graph, start};
use crate::inventory::Inventory;
use crate::vars::Vars;
use crate::vars_files::{self, VarsFiles};
use crate::vaults::{Opener, file_text};
use crate::{DirectoryListing, Options, Place, csv_source, file, resolve, yaml_source};

/// Reads inventories and joins them into one, later ones adding to earlier ones as with
/// Ansible's several `-i`.
///
/// # Errors
/// Everything found wrong in all of them; nothing is returned half read.
pub fn load(sources: &[PathBuf], options: &Options) -> Result<Inventory, InventoryErrors> {
    load_with(sources, &[], options)
}

/// As [`load`], with the computers of the directories that the files name
/// ([`Inventory::sources`] of an earlier reading). Where both speak of a host the files count.
///
/// # Errors
/// Everything found wrong in all of them.
pub fn load_with(
    sources: &[PathBuf],
    listings: &[DirectoryListing],
    options: &Options,
) -> Result<Inventory, InventoryErrors> {
    let mut graph = Graph::new();
    let opener = Opener::new(&options.vaults);
    for source in sources {
        if let Err(error) = read_source(source, options, &opener, &mut graph) {
            graph.errors.push(error);
        }
    }
    if sources.is_empty() {
        let place = Place {
            file: "-i".into(),
            at: None,
        };
        graph.error(place, Problem::Empty);
    }
    for listing in listings {
        listing.add_to(&mut graph, options);
    }
    graph.reconcile();
    let mut folders: Vec<&Path> = Vec::new();
    for source in sources.iter().filter(|source| host_list(source).is_none()) {
        let folder = source.parent().unwrap_or(Path::new(""));
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let files: Vec<VarsFiles> = folders
        .into_iter()
        .map(|folder| vars_files::read(folder, options, &opener, &mut graph))
        .collect();
    resolve::resolve(graph, &files, options, opener)
}

/// Reads one inventory from a text instead of a file, for tests and for generated ones.
///
/// # Errors
/// Everything found wrong in it.
pub fn load_text(name: &str, yaml: &str, options: &Options) -> Result<Inventory, InventoryErrors> {
    let mut graph = Graph::new();
    let place = Place {
        file: name.into(),
        at: None,
    };
    let opener = Opener::new(&options.vaults);
    if let Some(text) = file_text(yaml.to_owned(), &place, &opener, &mut graph) {
        yaml_source::read(&text, &place, options, &mut graph);
    }
    graph.reconcile();
    resolve::resolve(graph, &[], options, opener)
}

fn read_source(
    path: &Path,
    options: &Options,
    opener: &Opener<'_>,
    graph: &mut Graph,
) -> Result<(), InventoryError> {
    let place = Place::of_path(path);
    if let Some(list) = host_list(path) {
        let all = graph.add_group(ALL, &place);
        for name in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            yaml_source::add_hosts(graph, options, all, name, &place, Vars::new());
        }
        return Ok(());
    }
    let bytes = file::read(path, options.max_bytes)?;
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("ini") => graph.error(start(&place), Problem::Ini),
        Some("csv" | "tsv" | "txt") => {
            let text = file::decode_csv(&bytes, &place)?;
            if let Some(text) = file_text(text, &place, opener, graph) {
                csv_source::read(&text, &place, options, graph);
            }
        }
        _ => {
            let text = file::decode_yaml(&bytes, &place)?;
            if let Some(text) = file_text(text, &place, opener, graph) {
                yaml_source::read(&text, &place, options, graph);
            }
        }
    }
    Ok(())
}

/// Returns the names of a source that lists hosts itself, as in `-i pc-01,pc-02` or `-i pc-01,`.
fn host_list(source: &Path) -> Option<&str> {
    source
        .to_str()
        .filter(|text| text.contains(',') && !source.exists())
}
