//! What a change does to the files around it.

use std::fs;
use std::thread;

use fleetmend_credentials::vault::{Vault, VaultError};

use crate::bench::{Bench, PASSPHRASE, by, cheap, edit, entry};

#[test]
fn nothing_is_overwritten_by_a_new_vault() {
    let (bench, unlock) = Bench::with_passphrase();
    bench.set(&unlock, "x", "1");
    let error = Vault::create(&bench.path, &cheap("another one")).unwrap_err();
    assert!(matches!(error, VaultError::Exists { .. }), "{error}");
    assert_eq!(bench.password(&unlock, "x").unwrap(), "1");
    assert_eq!(bench.files(), ["金庫.vault"]);
    let nowhere = bench.join("no/such/folder/v");
    let error = Vault::create(&nowhere, &cheap("another one")).unwrap_err();
    assert!(matches!(error, VaultError::Write { .. }), "{error}");
}

/// Eight writers, each with its own entry: none loses another's.
#[test]
fn writers_wait_for_each_other() {
    let (bench, unlock) = Bench::with_passphrase();
    thread::scope(|scope| {
        for writer in 0..8 {
            let (bench, unlock) = (&bench, &unlock);
            scope.spawn(move || {
                for change in 0..5 {
                    bench.set(unlock, &format!("pc-{writer}"), &format!("{change}"));
                    bench.set(unlock, &format!("pc-{writer}-{change}"), "x");
                }
            });
        }
    });
    let vault = Vault::open(&bench.path, unlock.clone()).unwrap();
    assert_eq!(vault.list().unwrap().len(), 8 + 8 * 5);
    for writer in 0..8 {
        let entry = vault.get(&format!("pc-{writer}")).unwrap().unwrap();
        assert_eq!(entry.password.reveal(), "4");
    }
    assert_eq!(bench.files(), ["金庫.vault"]);
}

/// A change is made to the vault as it is, not as it was when it was opened.
#[test]
fn a_change_sees_what_others_changed_meanwhile() {
    let (bench, unlock) = Bench::with_passphrase();
    let early = Vault::open(&bench.path, unlock.clone()).unwrap();
    bench.set(&unlock, "x", "1");
    assert!(!early.has("x"));
    let mut editor = early.edit(&unlock).unwrap();
    editor.set(entry("y", "2"));
    editor.save().unwrap();
    assert_eq!(bench.password(&unlock, "x").unwrap(), "1");
    // Locked anew meanwhile: the old passphrase changes nothing any more.
    edit(&bench.path, &unlock)
        .relock(&cheap("changed meanwhile"))
        .unwrap();
    let error = early.edit(&unlock).unwrap_err();
    assert!(
        matches!(error, VaultError::WrongPassphrase { .. }),
        "{error}"
    );
}

#[test]
fn an_editor_that_is_dropped_changes_nothing() {
    let (bench, unlock) = Bench::with_passphrase();
    let before = fs::read(&bench.path).unwrap();
    let mut editor = edit(&bench.path, &unlock);
    assert!(!editor.set(entry("x", "1")));
    assert!(editor.set(entry("x", "2")));
    assert!(editor.remove(&"x".parse().unwrap()));
    assert!(!editor.remove(&"x".parse().unwrap()));
    drop(editor);
    assert_eq!(fs::read(&bench.path).unwrap(), before);
    assert_eq!(bench.files(), ["金庫.vault"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_link_is_written_through() {
        let (bench, unlock) = Bench::with_passphrase();
        fs::create_dir(bench.join("real")).unwrap();
        let real = bench.join("real/v");
        fs::rename(&bench.path, &real).unwrap();
        symlink("real/v", bench.join("hop")).unwrap();
        symlink(bench.join("hop"), &bench.path).unwrap();
        bench.set(&unlock, "x", "1");
        assert!(fs::symlink_metadata(&bench.path).unwrap().is_symlink());
        let vault = Vault::open(&real, unlock.clone()).unwrap();
        assert!(vault.has("x"));
        assert_eq!(fs::read_dir(bench.join("real")).unwrap().count(), 1);
        // A link that leads nowhere is not written through by a new vault.
        symlink("nowhere", bench.join("loose")).unwrap();
        let error = Vault::create(&bench.join("loose"), &cheap(PASSPHRASE)).unwrap_err();
        assert!(matches!(error, VaultError::Exists { .. }), "{error}");
    }

    #[test]
    fn a_new_vault_is_its_owners_alone_and_later_modes_stay() {
        let (bench, unlock) = Bench::with_passphrase();
        assert_eq!(mode(&bench.path), 0o600);
        fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o640)).unwrap();
        bench.set(&unlock, "x", "1");
        assert_eq!(mode(&bench.path), 0o640);
    }

    #[test]
    fn the_owner_stays() {
        let (bench, unlock) = Bench::with_passphrase();
        if chown(&bench.path, Some(4_711), Some(4_712)).is_err() {
            eprintln!("SKIPPED: the_owner_stays because only root gives files away");
            return;
        }
        fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o660)).unwrap();
        bench.set(&unlock, "x", "1");
        let now = fs::metadata(&bench.path).unwrap();
        assert_eq!(
            (now.uid(), now.gid(), mode(&bench.path)),
            (4_711, 4_712, 0o660)
        );
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let (bench, unlock) = Bench::with_passphrase();
        let vault = Vault::open(&bench.path, unlock.clone()).unwrap();
        fs::create_dir(bench.join(".金庫.vault.fleetmend-lock")).unwrap();
        let error = vault.edit(&by(PASSPHRASE)).unwrap_err();
        assert!(matches!(error, VaultError::WriteLock { .. }), "{error}");
        assert!(
            error.to_string().contains(".金庫.vault.fleetmend-lock"),
            "{error}"
        );
    }
}
