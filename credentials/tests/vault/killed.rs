//! A process that is killed while it writes.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use fleetmend_credentials::vault::Vault;

use crate::bench::{Bench, PASSPHRASE, by, edit, entry};

/// Names the vault that the child is to write.
const VAULT: &str = "FLEETMEND_TEST_VAULT";

/// As long as several chunks of age, so that a write takes time.
const PADDING: usize = 400_000;

/// The child: writes for ever, each time one number in two entries. Not a test of its own.
#[test]
#[ignore = "the child of the test below"]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(VAULT) else {
        return;
    };
    let unlock = by(PASSPHRASE);
    for number in 0_u64.. {
        let mut editor = edit(path.as_ref(), &unlock);
        editor.set(entry("first", &number.to_string()));
        editor.set(entry("padding", &"x".repeat(PADDING)));
        editor.set(entry("second", &number.to_string()));
        editor.save().unwrap();
    }
}

fn child(bench: &Bench) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::writes_until_it_is_killed", "--ignored"])
        .env(VAULT, &bench.path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_writer_leaves_a_whole_vault_and_keeps_nobody_out() {
    let (bench, unlock) = Bench::with_passphrase();
    let (mut wrote, mut left_something) = (0, 0);
    for round in 0..15_u64 {
        let mut child = child(&bench);
        thread::sleep(Duration::from_millis(60 + round * 17));
        child.kill().unwrap();
        child.wait().unwrap();
        left_something += usize::from(bench.files() != ["金庫.vault"]);
        let vault = Vault::open(&bench.path, unlock.clone()).unwrap();
        let number = |name| {
            let entry = vault.get(name).unwrap();
            entry.map(|entry| entry.password.reveal().to_owned())
        };
        assert_eq!(number("first"), number("second"), "round {round}");
        wrote += usize::from(number("first").is_some());
        // The killed one's lock holds nobody up, and what it left goes.
        bench.set(&unlock, "after", &round.to_string());
        assert_eq!(bench.files(), ["金庫.vault"], "round {round}");
        bench.set(&unlock, "first", "0");
        bench.set(&unlock, "second", "0");
    }
    eprintln!("{wrote} of 15 children wrote, {left_something} left files");
    assert!(wrote >= 5, "the children hardly wrote: {wrote} of 15");
    assert!(
        left_something >= 1,
        "no child was killed in the middle of a write"
    );
}
