//! Shipped playbooks and those on disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::PlaybookErrors;
use crate::read::playbook::read;
use crate::source::{LIBRARY, Source, text};
use crate::{Playbook, ScriptFile};
use fleetmend_yaml::nearest;

/// Returns the names of the shipped playbooks, sorted.
pub fn library() -> Vec<&'static str> {
    let mut names: Vec<_> = LIBRARY
        .files()
        .filter_map(|file| shipped_stem(file.path()))
        .collect();
    names.sort_unstable();
    names
}

/// Returns every script of every shipped playbook, each once, for the lab.
///
/// # Errors
/// [`PlaybookErrors`] when a shipped playbook is wrong, which a test rules out.
pub fn library_scripts() -> Result<Vec<Arc<ScriptFile>>, PlaybookErrors> {
    let mut scripts: Vec<Arc<ScriptFile>> = Vec::new();
    for name in library() {
        for script in Playbook::load_shipped(name)?.scripts() {
            if !scripts.iter().any(|known| known.name == script.name) {
                scripts.push(Arc::clone(script));
            }
        }
    }
    Ok(scripts)
}

impl Playbook {
    /// Loads what an operator named: a file if it ends in `.yaml` or `.yml` or holds a path
    /// separator, else a shipped playbook.
    ///
    /// # Errors
    /// As [`Playbook::load_file`] and [`Playbook::load_shipped`].
    pub fn load(name_or_path: &str) -> Result<Self, PlaybookErrors> {
        match file_named(name_or_path) {
            Some(path) => Self::load_file(path),
            None => Self::load_shipped(name_or_path),
        }
    }

    /// Loads the playbooks for hosts of other platforms, in the order of `also`: shipped ones of
    /// a shipped playbook, else the files beside its own. `name_or_path` is what this one was
    /// loaded by.
    ///
    /// # Errors
    /// As [`Playbook::load`], of the first that is wrong.
    pub fn load_also(&self, name_or_path: &str) -> Result<Vec<Self>, PlaybookErrors> {
        let path = file_named(name_or_path);
        let load = |name: &String| match path {
            Some(path) => Self::load_file(&path.with_file_name(format!("{name}.yaml"))),
            None => Self::load_shipped(name),
        };
        self.also.iter().map(load).collect()
    }

    /// Loads a playbook that is inside the binary.
    ///
    /// # Errors
    /// [`PlaybookErrors::NotShipped`] when there is none of this name.
    pub fn load_shipped(name: &str) -> Result<Self, PlaybookErrors> {
        let file = format!("{name}.yaml");
        let known = library().contains(&name);
        let text = Source::Shipped
            .read(&file)
            .ok()
            .flatten()
            .filter(|_| known)
            .ok_or_else(|| PlaybookErrors::NotShipped {
                name: name.to_owned(),
                nearest: nearest(name, library()),
            })?;
        read(&file, name, &text, &Source::Shipped)
    }

    /// Loads a playbook from disk; its scripts are in the folder of its own name beside it.
    ///
    /// # Errors
    /// [`PlaybookErrors`] with everything that is wrong.
    pub fn load_file(path: &Path) -> Result<Self, PlaybookErrors> {
        let unreadable = |source| PlaybookErrors::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = text(bytes)
            .map_err(|why| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, why)))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        read(
            &path.display().to_string(),
            &stem,
            &text,
            &Source::Folder(folder),
        )
    }
}

/// Returns the file that an operator named, or nothing for a shipped playbook.
fn file_named(name_or_path: &str) -> Option<&Path> {
    let path = Path::new(name_or_path);
    let is_yaml = path
        .extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml");
    (is_yaml || name_or_path.contains(['/', '\\'])).then_some(path)
}

/// Why a shipped playbook could not be written to a folder.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No shipped playbook has this name.
    #[error("failed to find a shipped playbook named `{name}`")]
    NotShipped {
        /// The name asked for.
        name: String,
    },
    /// A file is there already; nothing is overwritten.
    #[error("failed to write {}: it is there already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("failed to write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes a shipped playbook with its scripts and schemas into a folder, to be edited and run
/// from there, and returns the files, the YAML first. The playbooks that it names under `also`
/// are written beside it, for without them it does not load. Nothing is overwritten.
///
/// # Errors
/// [`ExportError`]; files written before it stay.
pub fn export(name: &str, folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let not_shipped = || ExportError::NotShipped {
        name: name.to_owned(),
    };
    let playbook = Playbook::load_shipped(name).map_err(|_| not_shipped())?;
    let names = std::iter::once(&playbook.name).chain(&playbook.also);
    let own: Vec<_> = names.flat_map(|name| shipped_files(name)).collect();
    let shared = shared_files(&own);
    let files: Vec<_> = own
        .into_iter()
        .chain(shared)
        .map(|file| (folder.join(file.path()), file))
        .collect();
    // What another export left there is as good.
    let is_other = |path: &Path, file: &include_dir::File<'_>| {
        path.exists()
            && !(file.path().starts_with(SHARED)
                && std::fs::read(path).is_ok_and(|there| there == file.contents()))
    };
    if let Some((path, _)) = files.iter().find(|(path, file)| is_other(path, file)) {
        return Err(ExportError::Exists { path: path.clone() });
    }
    for (path, file) in &files {
        let io = |source| ExportError::Io {
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        std::fs::write(path, file.contents()).map_err(io)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Returns the files of a shipped playbook, the YAML first.
fn shipped_files(name: &str) -> impl Iterator<Item = &'static include_dir::File<'static>> {
    let folders = [name.to_owned(), format!("{name}/include")];
    let beside = folders
        .into_iter()
        .filter_map(|folder| LIBRARY.get_dir(folder))
        .flat_map(include_dir::Dir::files);
    LIBRARY
        .get_file(format!("{name}.yaml"))
        .into_iter()
        .chain(beside)
}

/// The folder of what the scripts of several playbooks include.
const SHARED: &str = "include";

/// Returns the shared files that any of these scripts includes, each once.
fn shared_files(
    scripts: &[&'static include_dir::File<'static>],
) -> Vec<&'static include_dir::File<'static>> {
    let included: BTreeSet<&str> = scripts
        .iter()
        .filter_map(|file| file.contents_utf8())
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("#include "))
        .map(str::trim)
        .collect();
    let file = |name: &str| LIBRARY.get_file(format!("{SHARED}/{name}"));
    included.into_iter().filter_map(file).collect()
}

fn shipped_stem(path: &'static Path) -> Option<&'static str> {
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml");
    path.file_stem().filter(|_| is_yaml)?.to_str()
}
