//! Sealing as ansible-vault does, so that an inventory of the lab may hold passwords. Only
//! `credentials/` reads it; this is written apart, so that each can judge the other.

use std::num::NonZeroU32;

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use fleetmend_model::Secret;
use rand::Rng as _;
use ring::{hmac, pbkdf2};

/// Ansible's number of rounds.
const ROUNDS: u32 = 10_000;

/// Returns what `ansible-vault encrypt_string` would: a header and lines of hex.
pub(crate) fn seal(plain: &str, password: &Secret, label: Option<&str>) -> String {
    let salt: [u8; 32] = rand::rng().random();
    let mut keys = [0; 80];
    let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(
        algorithm,
        rounds,
        &salt,
        password.reveal().as_bytes(),
        &mut keys,
    );
    let (cipher_key, rest) = keys.split_at(32);
    let (mac_key, counter) = rest.split_at(32);
    let mut text = plain.as_bytes().to_vec();
    let padding = 16 - text.len() % 16;
    text.resize(
        text.len() + padding,
        u8::try_from(padding).unwrap_or_default(),
    );
    if let Ok(mut cipher) = Ctr128BE::<Aes256>::new_from_slices(cipher_key, counter) {
        cipher.apply_keystream(&mut text);
    }
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), &text);
    let inner = [hex(&salt), hex(mac.as_ref()), hex(&text)].join("\n");
    let mut sealed = match label {
        Some(label) => format!("$ANSIBLE_VAULT;1.2;AES256;{label}\n"),
        None => "$ANSIBLE_VAULT;1.1;AES256\n".to_owned(),
    };
    for (index, digit) in hex(inner.as_bytes()).chars().enumerate() {
        if index > 0 && index % 80 == 0 {
            sealed.push('\n');
        }
        sealed.push(digit);
    }
    sealed.push('\n');
    sealed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// The oracle: the real one opens what is sealed here.
    #[test]
    fn the_real_one_opens_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let program = root.join("target/venv/bin/ansible-vault");
        if !program.is_file() {
            let program = program.display();
            println!("SKIPPED: the real ansible-vault because {program} is not there");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let password = Secret::new("鍵 1".to_owned());
        std::fs::write(folder.path().join("pw"), password.reveal()).unwrap();
        for (plain, label) in [("ひみつ", None), ("sixteen-bytes-xx", Some("prod"))] {
            std::fs::write(folder.path().join("v"), seal(plain, &password, label)).unwrap();
            let mut command = Command::new(&program);
            command.args(["view", "--vault-password-file", "pw", "v"]);
            command.env("HOME", folder.path()).env("LC_ALL", "C.UTF-8");
            let done = command.env("PAGER", "cat").current_dir(folder.path());
            let done = done.output().unwrap();
            assert!(done.status.success(), "{done:?}");
            assert_eq!(String::from_utf8(done.stdout).unwrap().trim_end(), plain);
        }
    }
}
