//! Where journals live.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::error::CliError;

/// Returns the folder given, or the user's own data folder for fleetmend; creates it.
///
/// # Errors
/// There is no home folder, or the folder cannot be created.
pub(crate) fn data_dir(given: Option<&Path>) -> Result<PathBuf, CliError> {
    let folder = find_data_dir(given)?;
    create_private(&folder).map_err(|error| {
        CliError::config(format!("failed to create {}", folder.display()))
            .because(error)
            .hint("name another folder: --data-dir DIR")
    })?;
    Ok(folder)
}

/// Returns the same folder without creating it, for those who only read.
///
/// # Errors
/// There is no home folder.
pub(crate) fn find_data_dir(given: Option<&Path>) -> Result<PathBuf, CliError> {
    Ok(match given {
        Some(folder) => folder.to_owned(),
        None => ProjectDirs::from("", "", "fleetmend")
            .ok_or_else(|| {
                CliError::config("failed to find your data folder").hint("name one: --data-dir DIR")
            })?
            .data_local_dir()
            .to_owned(),
    })
}

/// Creates a folder that only its owner can enter: journals tell much about a company's PCs.
pub(crate) fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
