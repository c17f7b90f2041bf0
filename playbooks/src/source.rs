//! Where a playbook's files come from.

use std::path::PathBuf;

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
}

/// Reads bytes as UTF-8 text with LF line ends.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.replace("\r\n", "\n"))
}
