//! Vaults in a folder that goes away.

use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_credentials::vault::{Editor, Entry, Keys, Lock, Unlock, Vault, Work};
use fleetmend_model::Secret;
use jiff::Timestamp;

/// A passphrase in Japanese, composed.
pub(crate) const PASSPHRASE: &str = "合言葉 ガギグ correct horse";

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Bench {
    /// An empty folder, and where the vault will be.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("金庫.vault");
        Self { folder, path }
    }

    /// A vault that a passphrase opens, at hardly any cost.
    pub(crate) fn with_passphrase() -> (Self, Unlock) {
        let bench = Self::new();
        Vault::create(&bench.path, &cheap(PASSPHRASE)).unwrap();
        (bench, by(PASSPHRASE))
    }

    /// A vault that a key opens.
    pub(crate) fn with_key() -> (Self, Unlock) {
        let bench = Self::new();
        let keys = Keys::make(&bench.join("ops.key")).unwrap();
        Vault::create(&bench.path, &Lock::Recipients(keys.recipients())).unwrap();
        (bench, Unlock::Keys(keys))
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn set(&self, by: &Unlock, name: &str, password: &str) {
        let mut editor = edit(&self.path, by);
        editor.set(entry(name, password));
        editor.save().unwrap();
    }

    pub(crate) fn password(&self, by: &Unlock, name: &str) -> Option<String> {
        let vault = Vault::open(&self.path, by.clone()).unwrap();
        let entry = vault.get(name).unwrap();
        entry.map(|entry| entry.password.reveal().to_owned())
    }

    /// The names in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| cfg!(unix) || !name.ends_with("fleetmend-lock"))
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn edit(path: &Path, by: &Unlock) -> Editor {
    Vault::open(path, by.clone()).unwrap().edit(by).unwrap()
}

pub(crate) fn cheap(passphrase: &str) -> Lock {
    Lock::Passphrase(Secret::new(passphrase.into()), Work::new(1).unwrap())
}

pub(crate) fn by(passphrase: &str) -> Unlock {
    Unlock::Passphrase(Secret::new(passphrase.into()))
}

pub(crate) fn entry(name: &str, password: &str) -> Entry {
    Entry {
        name: name.parse().unwrap(),
        user: Some("管理者".into()),
        password: Secret::new(password.into()),
        note: None,
        updated: Timestamp::UNIX_EPOCH,
    }
}
