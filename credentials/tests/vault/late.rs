//! Unlocked once, decrypted late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_credentials::vault::{Lock, Vault, VaultSource, Work};
use fleetmend_credentials::{Scope, Source as _, SourceError, Subject};
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, PASSPHRASE, by, edit, entry};

#[test]
fn a_passphrase_is_paid_for_once() {
    let bench = Bench::new();
    let lock = Lock::Passphrase(Secret::new(PASSPHRASE.into()), Work::USUAL);
    Vault::create(&bench.path, &lock).unwrap();
    let mut editor = edit(&bench.path, &by(PASSPHRASE));
    for pc in 0..1_000 {
        editor.set(entry(&format!("pc-{pc:04}"), &format!("ひみつ-{pc}")));
    }
    editor.save().unwrap();
    let begun = Instant::now();
    let vault = Vault::open(&bench.path, by(PASSPHRASE)).unwrap();
    let opened = begun.elapsed();
    let begun = Instant::now();
    for pc in 0..1_000 {
        let entry = vault.get(&format!("pc-{pc:04}")).unwrap().unwrap();
        assert_eq!(entry.password.reveal(), format!("ひみつ-{pc}"));
    }
    let fetched = begun.elapsed();
    eprintln!("opened in {opened:?}, 1,000 entries in {fetched:?}");
    // A tenth of a millisecond each on a small machine; scrypt for each would take many minutes.
    assert!(fetched < Duration::from_secs(5), "{fetched:?}");
}

/// age encrypts 64 KiB at once: entries before, across and after the seams.
#[test]
fn entries_are_found_wherever_they_stand() {
    let (bench, unlock) = Bench::with_passphrase();
    let mut editor = edit(&bench.path, &unlock);
    let password = |pc: usize| format!("{pc}-{}", "長い".repeat(pc % 97 * 5));
    for pc in 0..700 {
        editor.set(entry(&format!("営業/pc-{pc:03}"), &password(pc)));
    }
    editor.save().unwrap();
    assert!(std::fs::metadata(&bench.path).unwrap().len() > 5 * 65_536);
    let vault = Vault::open(&bench.path, unlock).unwrap();
    for pc in 0..700 {
        let entry = vault.get(&format!("営業/pc-{pc:03}")).unwrap().unwrap();
        assert_eq!(entry.password.reveal(), password(pc), "{pc}");
    }
    assert!(vault.get("営業/pc-700").unwrap().is_none());
    assert!(vault.get("").unwrap().is_none());
    assert_eq!(vault.list().unwrap().len(), 700);
}

#[tokio::test]
async fn a_source_gives_each_subject_its_entry() {
    let (bench, unlock) = Bench::with_passphrase();
    bench.set(&unlock, "運用", "canary");
    let vault = Arc::new(Vault::open(&bench.path, unlock).unwrap());
    let limit = Limit::within(Duration::from_secs(5), &CancellationToken::new());
    let source = |name: Result<&'static str, SourceError>| {
        let entry = Box::new(move |_: Subject<'_>| name.clone().map(str::to_owned));
        let describe = "the vault 金庫".to_owned();
        VaultSource::new(vault.clone(), entry, describe, Scope::Run)
    };
    let there = source(Ok("運用"));
    let found = there.fetch(Subject::Run, &limit).await.unwrap();
    assert_eq!(found.user.as_deref(), Some("管理者"));
    assert_eq!(found.password.reveal(), "canary");
    assert_eq!(
        (there.describe(), there.scope()),
        ("the vault 金庫".into(), Scope::Run)
    );
    assert!(!format!("{there:?} {found:?}").contains("canary"));
    let missing = source(Ok("nobody"))
        .fetch(Subject::Run, &limit)
        .await
        .unwrap_err();
    assert!(
        missing.absent && missing.why.contains("nobody"),
        "{missing:?}"
    );
    let unnamed = SourceError::new("x", "site is undefined", "");
    let error = source(Err(unnamed.clone()))
        .fetch(Subject::Run, &limit)
        .await;
    assert_eq!(error.unwrap_err(), unnamed);
}
