//! Writes that fail in every way a disk can.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write as _;

use fleetmend_model::Secret;
use jiff::Timestamp;

use super::*;

/// What a faulty disk does after it took so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Says that it is full.
    Full,
    /// Says nothing, and loses the rest.
    Silent,
    /// The process is gone: nothing is written, and nothing is cleaned up. Returns by panicking.
    Killed,
}

/// A disk that fails once.
struct Faulty {
    fault: Fault,
    /// How many bytes it takes.
    bytes: usize,
    /// Which of opening the folder, sync, rename and sync of the folder fails, counted from 0.
    step: Option<usize>,
    steps: Cell<usize>,
}

impl Faulty {
    fn after(bytes: usize, fault: Fault) -> Self {
        Self {
            fault,
            bytes,
            step: None,
            steps: Cell::new(0),
        }
    }

    fn at(step: usize, fault: Fault) -> Self {
        Self {
            step: Some(step),
            ..Self::after(usize::MAX, fault)
        }
    }

    fn fail<T: Default>(&self) -> io::Result<T> {
        match self.fault {
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::Silent => Ok(T::default()),
            Fault::Killed => std::panic::resume_unwind(Box::new("killed")),
        }
    }

    fn step<T: Default>(&self, then: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let now = self.steps.replace(self.steps.get() + 1);
        match self.step {
            Some(step) if step == now => self.fail(),
            _ => then(),
        }
    }
}

impl Disk for Faulty {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if self.bytes >= bytes.len() {
            return file.write_all(bytes);
        }
        file.write_all(&bytes[..self.bytes])?;
        self.fail()
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|| RealDisk.sync(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| RealDisk.rename(from, to))
    }

    fn open_folder(&self, folder: &Path) -> io::Result<Option<File>> {
        self.step(|| RealDisk.open_folder(folder))
    }

    fn sync_folder(&self, folder: &File) -> io::Result<()> {
        self.step(|| RealDisk.sync_folder(folder))
    }
}

struct Bench {
    folder: tempfile::TempDir,
    path: PathBuf,
    by: Unlock,
}

impl Bench {
    /// A vault with `old` in it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.vault");
        let passphrase = Secret::new("合言葉 long enough".into());
        let lock = Lock::Passphrase(passphrase.clone(), Work::new(1).unwrap());
        Vault::create(&path, &lock).unwrap();
        let by = Unlock::Passphrase(passphrase);
        let bench = Self { folder, path, by };
        bench.editor("old").save().unwrap();
        bench
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.path, self.by.clone()).unwrap()
    }

    /// A change that sets the entry `a` to this password.
    fn editor(&self, password: &str) -> Editor {
        let mut editor = self.vault().edit(&self.by).unwrap();
        editor.set(Entry {
            name: "a".parse().unwrap(),
            user: None,
            password: Secret::new(password.into()),
            note: None,
            updated: Timestamp::UNIX_EPOCH,
        });
        editor
    }

    fn password(&self) -> String {
        let entry = self.vault().get("a").unwrap().unwrap();
        entry.password.reveal().to_owned()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| cfg!(unix) || !name.ends_with("fleetmend-lock"))
            .collect();
        names.sort();
        names
    }

    /// Saves on this disk; tells whether it said that it did.
    fn save(&self, disk: &Faulty) -> bool {
        let editor = self.editor("new");
        let saved = std::panic::AssertUnwindSafe(|| editor.save_on(disk));
        match std::panic::catch_unwind(saved) {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                let says_old = matches!(error, VaultError::Write { .. });
                let expected = if says_old { "old" } else { "new" };
                assert_eq!(self.password(), expected, "{error}");
                let shown = self.path.display().to_string();
                assert!(error.to_string().contains(&shown), "{error}");
                false
            }
            Err(_) => false,
        }
    }
}

#[test]
fn a_write_cut_at_any_byte_leaves_the_old_vault() {
    let bench = Bench::new();
    let before = fs::read(&bench.path).unwrap();
    // A sealed file is as long as the last one with the same texts.
    for fault in [Fault::Full, Fault::Silent, Fault::Killed] {
        for bytes in 0..before.len() {
            let said_so = bench.save(&Faulty::after(bytes, fault));
            assert!(!said_so, "{fault:?} after {bytes} bytes");
            assert_eq!(fs::read(&bench.path).unwrap(), before);
            let left = match fault {
                Fault::Killed => vec![".v.vault.fleetmend-new", "v.vault"],
                _ => vec!["v.vault"],
            };
            assert_eq!(bench.files(), left, "{fault:?} after {bytes} bytes");
        }
    }
    assert_eq!(bench.password(), "old");
    // What the killed ones left is not in the way, and goes.
    assert!(bench.save(&Faulty::after(before.len(), Fault::Full)));
    assert_eq!(bench.password(), "new");
    assert_eq!(bench.files(), ["v.vault"]);
}

#[test]
fn every_other_step_leaves_the_old_or_the_new_vault() {
    for fault in [Fault::Full, Fault::Killed] {
        for (step, after) in ["old", "old", "old", "new", "new"].into_iter().enumerate() {
            let bench = Bench::new();
            let said_so = bench.save(&Faulty::at(step, fault));
            assert_eq!(said_so, step == 4, "{fault:?} at {step}");
            assert_eq!(bench.password(), after, "{fault:?} at {step}");
            assert!(bench.save(&Faulty::after(usize::MAX, Fault::Full)));
            assert_eq!(bench.files(), ["v.vault"]);
        }
    }
}

#[test]
fn no_vault_is_written_that_could_not_be_read_again() {
    let bench = Bench::new();
    let mut editor = bench.editor("new");
    for number in 0..17 {
        editor.set(Entry {
            name: format!("n{number}").parse().unwrap(),
            user: None,
            password: Secret::new("p".into()),
            note: Some(Secret::new("注".repeat(1024 * 1024 / 3))),
            updated: Timestamp::UNIX_EPOCH,
        });
    }
    let error = editor.save().unwrap_err();
    assert!(matches!(error, VaultError::TooLong { .. }), "{error}");
    assert_eq!(bench.password(), "old");
}

#[test]
fn a_rekey_that_fails_leaves_the_old_lock() {
    let bench = Bench::new();
    let new = Secret::new("another one entirely".into());
    let lock = Lock::Passphrase(new.clone(), Work::new(1).unwrap());
    let editor = bench.vault().edit(&bench.by).unwrap();
    let error = editor
        .relock_on(&lock, &Faulty::after(100, Fault::Full))
        .unwrap_err();
    assert!(matches!(error, VaultError::Write { .. }), "{error}");
    assert_eq!(bench.password(), "old");
    bench
        .vault()
        .edit(&bench.by)
        .unwrap()
        .relock(&lock)
        .unwrap();
    let error = Vault::open(&bench.path, bench.by.clone()).unwrap_err();
    assert!(
        matches!(error, VaultError::WrongPassphrase { .. }),
        "{error}"
    );
    let vault = Vault::open(&bench.path, Unlock::Passphrase(new)).unwrap();
    assert_eq!(vault.get("a").unwrap().unwrap().password.reveal(), "old");
}
