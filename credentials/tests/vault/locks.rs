//! Passphrases and keys, right and wrong.

use std::fs;

use fleetmend_credentials::vault::{
    Keys, Lock, LockKind, Recipient, RecipientError, Unlock, Vault, VaultError, Work,
};
use fleetmend_model::Secret;

use crate::bench::{Bench, PASSPHRASE, by, cheap, edit, entry};

fn opened(bench: &Bench, unlock: &Unlock) -> Result<(), VaultError> {
    Vault::open(&bench.path, unlock.clone()).map(drop)
}

#[test]
fn only_the_right_passphrase_opens() {
    let (bench, unlock) = Bench::with_passphrase();
    assert_eq!(Vault::lock_of(&bench.path).unwrap(), LockKind::Passphrase);
    opened(&bench, &unlock).unwrap();
    for wrong in [
        "",
        "x",
        &PASSPHRASE.to_uppercase(),
        &format!("{PASSPHRASE} "),
    ] {
        let error = opened(&bench, &by(wrong)).unwrap_err();
        assert!(
            matches!(error, VaultError::WrongPassphrase { .. }),
            "{wrong}: {error}"
        );
    }
    let keys = Unlock::Keys(Keys::make(&bench.join("k")).unwrap());
    let error = opened(&bench, &keys).unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::OtherLock {
                needs: LockKind::Passphrase,
                ..
            }
        ),
        "{error}"
    );
}

/// `ガ` is one character or two; macOS may give the two.
#[test]
fn a_passphrase_opens_however_its_characters_are_composed() {
    let decomposed = PASSPHRASE
        .replace('ガ', "カ\u{3099}")
        .replace('ギ', "キ\u{3099}")
        .replace('グ', "ク\u{3099}");
    assert_ne!(decomposed, PASSPHRASE);
    let (bench, _) = Bench::with_passphrase();
    opened(&bench, &by(&decomposed)).unwrap();
    let other = Bench::new();
    Vault::create(&other.path, &cheap(&decomposed)).unwrap();
    opened(&other, &by(PASSPHRASE)).unwrap();
}

/// Other programs take the bytes as they come.
#[test]
fn a_passphrase_that_another_program_took_decomposed_opens_as_typed() {
    let decomposed = "ka\u{304b}\u{3099} long enough";
    let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from(decomposed));
    recipient.set_work_factor(1);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    std::io::Write::write_all(&mut writer, b"{\"fleetmend_vault\":1}\n").unwrap();
    let bench = Bench::new();
    fs::write(&bench.path, writer.finish().unwrap()).unwrap();
    opened(&bench, &by(decomposed)).unwrap();
    let composed = "kaが long enough";
    assert!(matches!(
        opened(&bench, &by(composed)),
        Err(VaultError::WrongPassphrase { .. })
    ));
}

#[test]
fn any_of_the_keys_opens_and_others_do_not() {
    let bench = Bench::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| Keys::make(&bench.join(name)).unwrap());
    let both = [a.recipients(), b.recipients()].concat();
    Vault::create(&bench.path, &Lock::Recipients(both)).unwrap();
    assert_eq!(Vault::lock_of(&bench.path).unwrap(), LockKind::Keys);
    // Each of them may write, and locks nobody out.
    bench.set(&Unlock::Keys(a.clone()), "x", "1");
    bench.set(&Unlock::Keys(b.clone()), "y", "2");
    assert_eq!(bench.password(&Unlock::Keys(a.clone()), "y").unwrap(), "2");
    let error = opened(&bench, &Unlock::Keys(c.clone())).unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
    assert!(matches!(
        opened(&bench, &by(PASSPHRASE)),
        Err(VaultError::OtherLock { .. })
    ));
    // Rotation: c in, a out.
    let now = [b.recipients(), c.recipients()].concat();
    let editor = edit(&bench.path, &Unlock::Keys(a.clone()));
    editor.relock(&Lock::Recipients(now)).unwrap();
    assert!(matches!(
        opened(&bench, &Unlock::Keys(a)),
        Err(VaultError::WrongKey { .. })
    ));
    assert_eq!(bench.password(&Unlock::Keys(c), "x").unwrap(), "1");
}

#[test]
fn as_many_keys_as_can_be_read_again() {
    let bench = Bench::new();
    let mut all: Vec<Recipient> = (0..100)
        .map(|_| age::x25519::Identity::generate().to_public().into())
        .collect();
    let keys = Keys::make(&bench.join("k")).unwrap();
    all[99] = keys.recipients().remove(0);
    Vault::create(&bench.path, &Lock::Recipients(all.clone())).unwrap();
    bench.set(&Unlock::Keys(keys.clone()), "x", "1");
    all.push(keys.recipients().remove(0));
    let editor = edit(&bench.path, &Unlock::Keys(keys.clone()));
    let error = editor.relock(&Lock::Recipients(all)).unwrap_err();
    assert!(
        matches!(error, VaultError::ManyRecipients { limit: 100, .. }),
        "{error}"
    );
    assert_eq!(bench.password(&Unlock::Keys(keys), "x").unwrap(), "1");
}

#[test]
fn from_passphrase_to_keys_and_back() {
    let (bench, passphrase) = Bench::with_passphrase();
    bench.set(&passphrase, "x", "1");
    let keys = Keys::make(&bench.join("k")).unwrap();
    let lock = Lock::Recipients(keys.recipients());
    edit(&bench.path, &passphrase).relock(&lock).unwrap();
    assert!(matches!(
        opened(&bench, &passphrase),
        Err(VaultError::OtherLock { .. })
    ));
    let keys = Unlock::Keys(keys);
    edit(&bench.path, &keys)
        .relock(&cheap("もう一つの合言葉"))
        .unwrap();
    assert_eq!(bench.password(&by("もう一つの合言葉"), "x").unwrap(), "1");
    assert!(matches!(
        opened(&bench, &keys),
        Err(VaultError::OtherLock { .. })
    ));
}

/// Somebody locked the file to one key more with another program: a change would lock them out.
#[test]
fn a_change_never_locks_out_whom_another_program_let_in() {
    let (bench, unlock) = Bench::with_key();
    let Unlock::Keys(keys) = &unlock else {
        unreachable!()
    };
    let other = Keys::make(&bench.join("other")).unwrap();
    let mine = keys.recipients()[0].to_string();
    let text = format!("{{\"fleetmend_vault\":1,\"recipients\":[\"{mine}\"]}}\n");
    let both: Vec<age::x25519::Recipient> = [keys.recipients(), other.recipients()]
        .concat()
        .iter()
        .map(|one| one.to_string().parse().unwrap())
        .collect();
    let encryptor =
        age::Encryptor::with_recipients(both.iter().map(|one| one as &dyn age::Recipient)).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
    let before = writer.finish().unwrap();
    fs::write(&bench.path, &before).unwrap();
    let mut editor = edit(&bench.path, &unlock);
    editor.set(entry("x", "1"));
    let error = editor.save().unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::Recipients {
                locked: 2,
                named: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read(&bench.path).unwrap(), before);
    // Saying who may open it is what mends it.
    let lock = Lock::Recipients([keys.recipients(), other.recipients()].concat());
    edit(&bench.path, &unlock).relock(&lock).unwrap();
    bench.set(&Unlock::Keys(other), "x", "2");
    let nobody = edit(&bench.path, &unlock).relock(&Lock::Recipients(Vec::new()));
    assert!(matches!(nobody, Err(VaultError::NoRecipient { .. })));
}

#[test]
fn key_files_are_refused_without_being_quoted() {
    let bench = Bench::new();
    let path = bench.join("k");
    let good = Keys::make(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(Keys::read(&path).unwrap().recipients(), good.recipients());
    assert!(
        Keys::make(&path)
            .unwrap_err()
            .to_string()
            .contains("exists")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    for (content, wanted) in [
        ("", "no key"),
        ("# AGE-SECRET-KEY-1\n", "no key"),
        ("# x\ncanary\n", "line 2"),
        (
            &text.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1X"),
            "line 3",
        ),
        ("AGE-PLUGIN-YUBIKEY-1CANARY\n", "line 1"),
        (&"#\n".repeat(40_000), "longer"),
    ] {
        fs::write(&path, content).unwrap();
        let shown = Keys::read(&path).unwrap_err().to_string();
        assert!(
            shown.contains(wanted) && shown.contains(&path.display().to_string()),
            "{shown}"
        );
        assert!(!shown.to_lowercase().contains("canary"), "{shown}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(&path, &text).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let shown = Keys::read(&path).unwrap_err().to_string();
            assert!(shown.contains(&format!("{mode:04o}")), "{shown}");
        }
        fs::remove_file(&path).unwrap();
        Keys::make(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_secret_key_is_no_recipient() {
    let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    assert_eq!(secret.parse::<Recipient>(), Err(RecipientError::Secret));
    assert_eq!("age1x".parse::<Recipient>(), Err(RecipientError::Unknown));
    assert_eq!(
        "ssh-ed25519 AAAA".parse::<Recipient>(),
        Err(RecipientError::Unknown)
    );
}

#[test]
fn a_change_costs_what_the_operator_chose() {
    let bench = Bench::new();
    let lock = Lock::Passphrase(Secret::new(PASSPHRASE.into()), Work::new(7).unwrap());
    Vault::create(&bench.path, &lock).unwrap();
    bench.set(&by(PASSPHRASE), "x", "1");
    let vault = Vault::open(&bench.path, by(PASSPHRASE)).unwrap();
    assert_eq!(vault.header().work, 7);
    assert_eq!((Work::new(0), Work::new(21)), (None, None));
}
