//! No secret where it does not belong.

use std::fs;

use fleetmend_credentials::vault::{Keys, Unlock, Vault};

use crate::bench::{Bench, PASSPHRASE, by, cheap, edit, entry};

#[test]
fn nothing_shows_a_secret() {
    let (bench, unlock) = Bench::with_passphrase();
    bench.set(&unlock, "a", "canary");
    let vault = Vault::open(&bench.path, unlock.clone()).unwrap();
    let keys = Keys::make(&bench.join("k")).unwrap();
    let mut editor = vault.edit(&unlock).unwrap();
    let mut noted = entry("b", "canary");
    noted.note = Some(fleetmend_model::Secret::new("canary".into()));
    let shown = format!(
        "{vault:?} {unlock:?} {:?} {noted:?} {:?} {:?} {keys:?} {:?} {:?}",
        cheap(PASSPHRASE),
        vault.get("a").unwrap(),
        vault.list().unwrap(),
        Unlock::Keys(keys.clone()),
        Vault::open(&bench.path, by("canary-wrong")).unwrap_err(),
    );
    editor.set(noted);
    let shown = format!("{shown} {editor:?}");
    let key = fs::read_to_string(bench.join("k")).unwrap();
    let secret = key.lines().last().unwrap();
    assert!(secret.starts_with("AGE-SECRET-KEY-1"));
    for secret in ["canary", PASSPHRASE, secret] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // What is shown at all: the test would pass with empty texts.
    assert!(
        shown.contains("Passphrase(Secret(…))") && shown.contains("entries: 1"),
        "{shown}"
    );
}

#[test]
fn neither_names_nor_secrets_stand_in_the_file() {
    let (bench, unlock) = Bench::with_key();
    let mut editor = edit(&bench.path, &unlock);
    editor.set(entry("canary-name", "canary-password"));
    editor.save().unwrap();
    let bytes = fs::read(&bench.path).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("canary") && !text.contains("管理者"));
}
