//! The head and the text of a vault are read, or refused; a vault of which any byte was altered
//! opens as it was, or not at all.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use fleetmend_credentials::vault::{Keys, Lock, parse_document, read_header};
use fleetmend_credentials::{Unlock, Vault};
use libfuzzer_sys::fuzz_target;

struct Whole {
    folder: tempfile::TempDir,
    key_file: PathBuf,
    bytes: Vec<u8>,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let (key_file, path) = (folder.path().join("key"), folder.path().join("whole"));
    let keys = Keys::make(&key_file).expect("a key");
    Vault::create(&path, &Lock::Recipients(keys.recipients())).expect("a vault");
    let bytes = std::fs::read(&path).expect("its bytes");
    Whole {
        folder,
        key_file,
        bytes,
    }
});

fuzz_target!(|data: &[u8]| {
    let _ = read_header(data);
    let _ = parse_document(data);
    let [at, more, patch @ ..] = data else {
        return;
    };
    let whole = &*WHOLE;
    let at = usize::from(*at) + 256 * usize::from(*more % 4);
    let mut bytes = whole.bytes.clone();
    let Some(place) = bytes.get_mut(at..) else {
        return;
    };
    for (old, new) in place.iter_mut().zip(patch) {
        *old = *new;
    }
    let path = whole.folder.path().join("altered");
    std::fs::write(&path, &bytes).expect("a file");
    let keys = Keys::read(&whole.key_file).expect("a key");
    let opened = Vault::open(&path, Unlock::Keys(keys));
    assert!(
        opened.is_err() || bytes == whole.bytes,
        "an altered vault opens"
    );
});
