//! Files that are cut, changed, foreign or meant to do harm.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use age::secrecy::SecretString;
use fleetmend_credentials::vault::{DocumentError, Unlock, Vault, VaultError};

use crate::bench::{Bench, PASSPHRASE, by, edit};

/// Opens what must not open; the error names the file and nothing is changed by trying.
fn refused(bench: &Bench, unlock: &Unlock, bytes: &[u8], what: &str) -> VaultError {
    fs::write(&bench.path, bytes).unwrap();
    let error = Vault::open(&bench.path, unlock.clone())
        .map(drop)
        .expect_err(what);
    let shown = error.to_string();
    assert!(
        shown.contains(&bench.path.display().to_string()),
        "{what}: {shown}"
    );
    assert!(!shown.contains("canary"), "{what}: {shown}");
    assert_eq!(fs::read(&bench.path).unwrap(), bytes, "{what}");
    error
}

fn kinds() -> [(Bench, Unlock); 2] {
    let all = [Bench::with_passphrase(), Bench::with_key()];
    for (bench, unlock) in &all {
        bench.set(unlock, "local-admin", "canary-ひみつ");
    }
    all
}

#[test]
fn a_vault_cut_at_any_byte_is_refused() {
    for (bench, unlock) in kinds() {
        let whole = fs::read(&bench.path).unwrap();
        for length in 0..whole.len() {
            refused(
                &bench,
                &unlock,
                &whole[..length],
                &format!("cut at {length}"),
            );
        }
        refused(
            &bench,
            &unlock,
            &[&whole[..], b"\n"].concat(),
            "a byte more",
        );
        fs::write(&bench.path, &whole).unwrap();
        assert!(bench.password(&unlock, "local-admin").is_some());
    }
}

#[test]
fn a_vault_with_any_byte_changed_is_refused() {
    for (bench, unlock) in kinds() {
        let whole = fs::read(&bench.path).unwrap();
        for at in 0..whole.len() {
            for mask in [1 << (at % 8), 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= mask;
                refused(&bench, &unlock, &bytes, &format!("byte {at} ^ {mask:#x}"));
            }
        }
    }
}

/// A vault that breaks after it was opened, before it is written again.
#[test]
fn a_change_of_a_broken_vault_changes_nothing() {
    for (bench, unlock) in kinds() {
        let whole = fs::read(&bench.path).unwrap();
        for length in (0..whole.len()).step_by(7) {
            fs::write(&bench.path, &whole).unwrap();
            let vault = Vault::open(&bench.path, unlock.clone()).unwrap();
            fs::write(&bench.path, &whole[..length]).unwrap();
            vault.edit(&unlock).map(drop).unwrap_err();
            assert_eq!(fs::read(&bench.path).unwrap(), &whole[..length]);
            // What was opened is still what it was.
            assert!(vault.get("local-admin").unwrap().is_some());
        }
    }
}

#[test]
fn an_expensive_passphrase_is_refused_before_it_costs() {
    let (bench, unlock) = Bench::with_passphrase();
    let text = fs::read(&bench.path).unwrap();
    let end = text
        .iter()
        .skip(22)
        .position(|byte| *byte == b'\n')
        .unwrap()
        + 22;
    for (work, found) in [
        ("21", 21),
        ("31", 31),
        ("63", 63),
        ("99", 99),
        ("4000000000", 255),
    ] {
        let mut bytes = text.clone();
        // The first stanza ends with its work factor: `-> scrypt SALT 1`.
        bytes.splice(end - 1..end, work.bytes());
        let begun = Instant::now();
        let error = refused(&bench, &unlock, &bytes, work);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{work}: {:?}",
            begun.elapsed()
        );
        let VaultError::Work {
            found: said,
            limit: 20,
            ..
        } = error
        else {
            panic!("{work}: {error:?}");
        };
        assert_eq!(said, found);
        let asked = Vault::lock_of(&bench.path).unwrap_err();
        assert!(matches!(asked, VaultError::Work { .. }), "{asked:?}");
    }
}

/// age reads a head again with each of its lines; hours, with so many.
#[test]
fn an_endless_header_is_refused_at_once() {
    let bench = Bench::new();
    let mut bytes = b"age-encryption.org/v1\n".to_vec();
    for line in ["-> a\n\n", "\n", "-> X25519 a\n"] {
        bytes.extend(line.repeat(1_000_000 / line.len()).bytes());
        let begun = Instant::now();
        let error = refused(&bench, &by(PASSPHRASE), &bytes, "endless");
        assert!(matches!(error, VaultError::NotAge { .. }), "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        bytes.truncate(22);
        // As long as a head may be.
        bytes.extend(line.repeat(16_300 / line.len()).bytes());
        bytes.extend(b"--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
        let begun = Instant::now();
        refused(&bench, &by(PASSPHRASE), &bytes, "long");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        bytes.truncate(22);
    }
}

/// Encrypts with the library that vaults are made with, so that only the text is wrong.
fn sealed(text: &[u8]) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(PASSPHRASE));
    recipient.set_work_factor(1);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

#[test]
fn sound_age_files_that_are_no_vault_are_refused() {
    let bench = Bench::new();
    for (text, version) in [
        ("", None),
        ("canary", None),
        ("{\"fleetmend_vault\":1}\ncanary", None),
        ("{\"fleetmend_vault\":2,\"entries\":[]}\n", Some(2)),
        ("{\"fleetmend_vault\":0}\n", Some(0)),
    ] {
        let error = refused(&bench, &by(PASSPHRASE), &sealed(text.as_bytes()), text);
        match (error, version) {
            (
                VaultError::Document {
                    source: DocumentError::Version { found, known: 1 },
                    ..
                },
                Some(version),
            ) => {
                assert_eq!(found, version);
            }
            (VaultError::Document { .. }, None) => {}
            (error, _) => panic!("{text}: {error:?}"),
        }
    }
    fs::write(&bench.path, sealed(b"{\"fleetmend_vault\":1}\n")).unwrap();
    assert_eq!(
        edit(&bench.path, &by(PASSPHRASE))
            .get(&"a".parse().unwrap())
            .map(|_| ()),
        None
    );
}

#[test]
fn other_files_are_refused_in_their_own_words() {
    let bench = Bench::new();
    let unlock = by(PASSPHRASE);
    let opened = |path| Vault::open(path, unlock.clone()).unwrap_err();
    assert!(matches!(opened(&bench.path), VaultError::Missing { .. }));
    assert!(matches!(
        opened(bench.folder.path()),
        VaultError::Read { .. }
    ));
    let armored = b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n";
    let error = refused(&bench, &unlock, armored, "armored");
    assert!(matches!(error, VaultError::Armored { .. }));
    let error = refused(&bench, &unlock, b"age-encryption.org/v2\n", "a new age");
    assert!(matches!(error, VaultError::NotAge { .. }));
    let huge = fs::File::create(&bench.path).unwrap();
    huge.set_len(17 * 1024 * 1024).unwrap();
    assert!(matches!(opened(&bench.path), VaultError::Long { .. }));
}
