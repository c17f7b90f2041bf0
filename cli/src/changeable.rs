//! Who else may change what a file says: it decides which programs run here, and which password
//! goes to which PC.

use std::path::Path;

use crate::error::CliError;

/// Refuses a file that anybody may change or replace: itself, or a folder above it in which
/// anybody may put another in its place (in one with the sticky bit nobody may). `what` says why
/// that matters. What a link leads to is looked at.
///
/// # Errors
/// As said, with the part of the path that is open.
#[cfg(unix)]
pub(crate) fn refuse(path: &Path, what: &str) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt as _;

    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    // What is not there, or is a pipe's, is told by whoever opens it.
    let Ok(real) = path.canonicalize() else {
        return Ok(());
    };
    for (above, part) in real.ancestors().enumerate() {
        let Ok(metadata) = part.metadata() else {
            continue;
        };
        let mode = metadata.permissions().mode();
        let is_open = mode & OTHERS_WRITE != 0 && (above == 0 || mode & STICKY == 0);
        let is_plain = above > 0 || metadata.is_file();
        if is_open && is_plain {
            let (shown, part) = (path.display(), part.display());
            let through = match above {
                0 => String::new(),
                _ => format!(" through {part}"),
            };
            return Err(CliError::config(format!(
                "{shown} can be changed by anybody{through} (mode {:04o}), and {what}",
                mode & 0o7777
            ))
            .hint(format!("chmod o-w {part}")));
        }
    }
    Ok(())
}

/// Windows: the folders' access lists decide, which a mode cannot say.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix twin refuses")]
pub(crate) fn refuse(_: &Path, _: &str) -> Result<(), CliError> {
    Ok(())
}

/// Returns the permission bits of a file that the group or others can read.
#[cfg(unix)]
pub(crate) fn shared(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

/// Windows: as above.
#[cfg(not(unix))]
pub(crate) fn shared(_: &Path) -> Option<u32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_and_each_folder_above_count() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("中");
        let file = inner.join("credentials.yaml");
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "").unwrap();
        let link = outer.path().join("link.yaml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        let told = |path: &Path| refuse(path, "it matters").map_err(|error| error.to_string());
        mode(&file, 0o664);
        assert_eq!(told(&file), Ok(()));
        mode(&file, 0o666);
        assert!(
            told(&link)
                .unwrap_err()
                .ends_with("(mode 0666), and it matters")
        );
        mode(&file, 0o600);
        mode(&inner, 0o777);
        let through = format!("through {}", inner.canonicalize().unwrap().display());
        assert!(told(&file).unwrap_err().contains(&through));
        // A link's own folder is not what it leads to; that one is.
        assert!(told(&link).unwrap_err().contains(&through));
        mode(&inner, 0o1777);
        assert_eq!(told(&file), Ok(()));
        assert_eq!(told(&inner.join("nothing")), Ok(()));
    }
}
