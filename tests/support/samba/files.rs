//! Looks for secrets in the files of a member, from outside.

use std::path::{Path, PathBuf};

/// Where a member has files of its own; the rest of its tree is the machine's.
const OWN: [&str; 10] = [
    "etc",
    "var/lib/samba",
    "var/cache/samba",
    "var/log",
    "home",
    "root",
    "run",
    "tmp",
    "var/tmp",
    "dev/shm",
];

/// Returns the files below a member's root that hold one of these, in ASCII or as UTF-16.
pub(super) fn with_any(root: &Path, needles: &[&str]) -> Vec<PathBuf> {
    OWN.iter()
        .flat_map(|part| below(&root.join(part), needles))
        .collect()
}

/// Returns the files below a folder that hold one of these, in ASCII or as UTF-16.
pub fn below(folder: &Path, needles: &[&str]) -> Vec<PathBuf> {
    let forms: Vec<Vec<u8>> = needles
        .iter()
        .flat_map(|needle| {
            let wide = needle.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [needle.as_bytes().to_vec(), wide]
        })
        .collect();
    let mut found = Vec::new();
    walk(folder, &forms, &mut found);
    found
}

fn walk(path: &Path, needles: &[Vec<u8>], found: &mut Vec<PathBuf>) {
    let Ok(kind) = std::fs::symlink_metadata(path).map(|data| data.file_type()) else {
        return;
    };
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), needles, found);
        }
    } else if kind.is_file() {
        let bytes = std::fs::read(path).unwrap_or_default();
        if needles.iter().any(|needle| holds(&bytes, needle)) {
            found.push(path.to_owned());
        }
    }
}

/// Tells whether the bytes hold the needle; fast enough for megabytes in a debug build.
pub(super) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else {
        return true;
    };
    let mut left = bytes;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        let (_, tail) = left.split_at(at + 1);
        if tail.starts_with(rest) {
            return true;
        }
        left = tail;
    }
    false
}
