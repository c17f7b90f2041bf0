//! The folder table of ARCHITECTURE.md holds: who may import whom, and no test is forgotten.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Folder → what it may import at run time. `*`: everything.
const TABLE: &[(&str, &[&str])] = &[
    ("cli", &["*"]),
    ("model", &[]),
    ("yaml", &[]),
    ("inventory", &["model", "yaml"]),
    ("playbooks", &["model", "yaml"]),
    ("transport", &["model"]),
    ("directory", &["model"]),
    ("credentials", &["model", "yaml", "directory"]),
    ("engine", &["model", "playbooks", "transport", "directory"]),
    ("journal", &["model", "engine"]),
    ("report", &["model"]),
    ("lab", &["model", "transport"]),
    ("tests", &["lab", "model", "playbooks", "transport"]),
    ("bench", &["lab", "model", "playbooks", "transport"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Every workspace folder with the folders that it imports at run time.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let folder = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    metadata
        .packages
        .iter()
        .map(|package| {
            let own = folder(package.manifest_path.parent().unwrap().as_std_path());
            let used = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .filter_map(|dependency| dependency.path.as_ref())
                .map(|path| folder(path.as_std_path()))
                .collect();
            (own, used)
        })
        .collect()
}

#[test]
fn imports_follow_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let found = imports();
    let mut wrong = Vec::new();
    for (folder, used) in &found {
        let Some(allowed) = table.get(folder.as_str()) else {
            wrong.push(format!("{folder}/ is not in the table"));
            continue;
        };
        for other in used {
            if !allowed.contains(&"*") && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{folder}/ imports {other}/"));
            }
        }
    }
    for (folder, _) in TABLE {
        if !found.contains_key(*folder) {
            wrong.push(format!("the table names {folder}/, which does not exist"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn architecture_page_shows_the_same_table() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (folder, allowed) in TABLE {
        let names = match *allowed {
            ["*"] => "all".to_owned(),
            [] => "–".to_owned(),
            list => list.join(", "),
        };
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{folder}/`")))
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {folder}/"));
        assert!(
            row.ends_with(&format!("| {names} |")),
            "ARCHITECTURE.md: {row}"
        );
    }
}

/// A test file that Cargo does not know passes by never running.
#[test]
fn every_test_file_here_is_registered() {
    let manifest = fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".rs") {
            assert!(
                manifest.contains(&format!("path = \"{name}\"")),
                "tests/{name} never runs"
            );
        }
    }
}

/// Every Rust source that sits in a `src` folder is reachable from its crate: an orphan file
/// compiles into nothing and rots.
#[test]
fn no_source_file_is_an_orphan() {
    let mut orphans = Vec::new();
    for (folder, _) in TABLE {
        collect_orphans(&root().join(folder).join("src"), &mut orphans);
    }
    assert!(orphans.is_empty(), "{orphans:#?}");
}

fn collect_orphans(folder: &Path, orphans: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let sources: Vec<&PathBuf> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect();
    // The files that may declare the modules of this folder: those in it, and `NAME.rs` beside it.
    let mut declaring: String = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    declaring += &fs::read_to_string(folder.with_extension("rs")).unwrap_or_default();
    for source in sources {
        let name = source.file_stem().unwrap().to_str().unwrap();
        let declared = declaring.contains(&format!("mod {name};"))
            || declaring.contains(&format!("#[path = \"{name}.rs\"]"));
        if !["lib", "main", "mod"].contains(&name) && !declared {
            orphans.push(source.clone());
        }
    }
    for path in paths.iter().filter(|path| path.is_dir()) {
        collect_orphans(path, orphans);
    }
}

/// A page that sends its reader to a file that is not there.
#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = Vec::new();
    collect_pages(&root(), &mut pages);
    assert!(pages.len() > 10, "{pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        // Every other piece is code, in which `](` is no link.
        let prose: String = text.split("```").step_by(2).collect();
        for rest in prose.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap();
            let is_file = !target.is_empty() && !target.contains("://");
            if is_file && !page.parent().unwrap().join(target).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

fn collect_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect_pages(&path, pages);
        } else if name.ends_with(".md") {
            pages.push(path);
        }
    }
}
