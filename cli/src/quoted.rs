//! Paths in command lines that are shown to be copied.

use std::path::Path;

/// Returns the path as a shell takes it for one word: between double quotes where it must be.
/// cmd.exe, PowerShell and POSIX shells agree on these.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/\\.:_-+@,~".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_is_quoted() {
        assert_eq!(
            quoted(Path::new("/tmp/経理/pcs.yaml")),
            "/tmp/経理/pcs.yaml"
        );
        assert_eq!(quoted(Path::new("/a b/c")), "\"/a b/c\"");
    }
}
