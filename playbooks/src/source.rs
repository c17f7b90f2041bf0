//! Where a playbook's files come from.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

/// The playbooks inside the binary.
pub(crate) static LIBRARY: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/library");

/// Where the files beside a playbook are.
pub(crate) enum Source {
    /// Inside the binary.
    Shipped,
    /// In this folder.
    Folder(PathBuf),
}

impl Source {
    /// Reads a file; line ends become LF, so that digests and the lab do not depend on how the
    /// file was checked out.
    ///
    /// # Errors
    /// `Ok(None)` if there is no such file, a description if it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Result<Option<String>, String> {
        let bytes = match self {
            Self::Shipped => LIBRARY.get_file(path).map(|file| file.contents().to_vec()),
            Self::Folder(folder) => match std::fs::read(folder.join(path)) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(error.to_string()),
            },
        };
        bytes.map(text).transpose()
    }

    /// Returns the names of the playbooks here, sorted; none where the folder cannot be read.
    pub(crate) fn playbooks(&self) -> Vec<String> {
        let paths: Vec<PathBuf> = match self {
            Self::Shipped => LIBRARY.files().map(|file| file.path().to_owned()).collect(),
            Self::Folder(folder) => {
                let folder = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                let entries = std::fs::read_dir(folder).into_iter().flatten();
                entries.flatten().map(|entry| entry.path()).collect()
            }
        };
        let mut names: Vec<_> = paths.iter().filter_map(|path| stem(path)).collect();
        names.sort_unstable();
        names
    }
}

fn stem(path: &Path) -> Option<String> {
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml");
    Some(path.file_stem().filter(|_| is_yaml)?.to_str()?.to_owned())
}

/// Reads bytes as UTF-8 text with LF line ends.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.replace("\r\n", "\n"))
}
