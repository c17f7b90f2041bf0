//! What ansible-vault encrypted: opened where it must be, closed as long as it can be, and never
//! shown.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmend_credentials::AnsibleVault;
use fleetmend_inventory::{Inventory, Options, Unseal, UnsealError, Vaults, load_text};
use fleetmend_model::Secret;
use serde_json::json;
use support::{Folder, host, messages, warnings};

/// Opens what [`sealed`] makes, which is plain hex, and counts.
#[derive(Debug, Default)]
struct Hex(AtomicUsize);

impl Unseal for Hex {
    fn label(&self, text: &str) -> Result<String, UnsealError> {
        let label = text.lines().next().unwrap().split(';').nth(3);
        Ok(label.unwrap_or("default").to_owned())
    }

    fn unseal(&self, text: &str) -> Result<Secret, UnsealError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if self.label(text)? == "other" {
            return Err(UnsealError {
                why: "no password fits".to_owned(),
                hint: "find it".to_owned(),
            });
        }
        let hex: Vec<u8> = text.lines().skip(1).flat_map(str::bytes).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        let bytes: Result<Vec<u8>, _> = hex.chunks(2).map(byte).collect();
        Ok(Secret::new(String::from_utf8(bytes.unwrap()).unwrap()))
    }
}

/// Returns lines of an encrypted text.
fn sealed(text: &str, label: Option<&str>) -> String {
    let header = match label {
        None => "$ANSIBLE_VAULT;1.1;AES256".to_owned(),
        Some(label) => format!("$ANSIBLE_VAULT;1.2;AES256;{label}"),
    };
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<&str> = hex
        .as_bytes()
        .chunks(80)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("{header}\n{}\n", lines.join("\n"))
}

/// Returns an encrypted value as it stands in YAML.
fn value(text: &str, label: Option<&str>, indent: usize) -> String {
    let mut yaml = "!vault |\n".to_owned();
    for line in sealed(text, label).lines() {
        yaml += &format!("{}{line}\n", " ".repeat(indent));
    }
    yaml
}

fn options(vaults: Vaults) -> Options {
    Options {
        vaults,
        ..Options::default()
    }
}

fn open() -> (Options, Arc<Hex>) {
    let hex = Arc::new(Hex::default());
    (options(Vaults::Open(Arc::clone(&hex) as _)), hex)
}

fn everything_shown(inventory: &Inventory) -> String {
    [
        inventory.list_json().to_string(),
        inventory.list_text(),
        inventory.graph_text(),
        format!("{inventory:?}"),
        serde_json::to_string(&inventory.hosts).unwrap(),
        warnings(inventory).join("\n"),
    ]
    .concat()
}

fn group_password() -> String {
    format!(
        "all:\n  hosts: {{pc-1: , pc-2: }}\n  vars:\n    ansible_user: 管理者\n    ansible_password: {}    unused: {}",
        value("canary-ひみつ", None, 6),
        value("canary-2", Some("other"), 6),
    )
}

#[test]
fn an_encrypted_password_stays_closed_until_the_logon() {
    let (options, hex) = open();
    let inventory = load_text("inv.yaml", &group_password(), &options).unwrap();
    for name in ["pc-1", "pc-2"] {
        let host = host(&inventory, name);
        assert_eq!(host.password, None);
        let sealed_password = host.sealed_password.as_ref().unwrap();
        assert_eq!(sealed_password.place, "inv.yaml:5:23");
        let opened = Hex::default().unseal(&sealed_password.text).unwrap();
        assert_eq!(opened.reveal(), "canary-ひみつ");
        assert!(host.brings_password());
        assert_eq!(host.vars, BTreeMap::new(), "no ciphertext in a journal");
    }
    assert_eq!(
        hex.0.load(Ordering::Relaxed),
        1,
        "one trial of the password"
    );
    assert_eq!(inventory.vaulted, []);
    assert_eq!(warnings(&inventory), [""; 0]);
    assert!(!everything_shown(&inventory).contains("canary"));
}

#[test]
fn without_a_password_a_run_is_told_where_and_what_to_do() {
    let errors = load_text("inv.yaml", &group_password(), &Options::default()).unwrap_err();
    assert_eq!(
        messages(&errors),
        [
            "inv.yaml:5:23: `ansible_password` is encrypted by ansible-vault",
            "hint: give its password as to Ansible: `--vault-password-file FILE` or `--vault-id LABEL@FILE`; or set `ansible_vault` in credentials.yaml",
        ]
    );
    let unused = format!(
        "all:\n  hosts: {{a: }}\n  vars:\n    x: {}",
        value("y", None, 6)
    );
    load_text("inv.yaml", &unused, &Options::default()).unwrap();
}

#[test]
fn a_wrong_password_is_told_before_anything_begins() {
    let yaml = group_password().replace("1.1;AES256", "1.2;AES256;other");
    let errors = load_text("inv.yaml", &yaml, &open().0).unwrap_err();
    assert_eq!(
        messages(&errors),
        [
            "inv.yaml:5:23: `ansible_password` stays encrypted: no password fits",
            "hint: find it",
        ]
    );
}

#[test]
fn showing_needs_no_password() {
    let yaml = format!(
        "all:\n  hosts:\n    pc-1: {{ansible_host: \"{{{{ site }}}}.例.jp\"}}\n    pc-2:\n      ansible_port: {}  vars:\n    site: {}    ansible_user: {}    ansible_password: \"{{{{ site }}}}\"\n",
        value("5985", None, 8),
        value("canary", None, 6),
        value("canary", None, 6),
    );
    let inventory = load_text("inv.yaml", &yaml, &options(Vaults::Leave)).unwrap();
    assert_eq!(
        inventory.list_text(),
        "HOST  ADDRESS    OVER  USER       GROUPS\n\
         pc-1  <vaulted>  auto  <vaulted>  ungrouped\n\
         pc-2  pc-2       auto  <vaulted>  ungrouped\n"
    );
    let places: Vec<String> = inventory.vaulted.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["inv.yaml:5:21", "inv.yaml:9:11", "inv.yaml:12:19"]);
    // As Ansible lists it.
    let listed = inventory.list_json();
    let site = &listed["_meta"]["hostvars"]["pc-1"]["site"];
    assert!(site["__ansible_vault"].is_string(), "{site}");
    let read = load_text("inv.yaml", &yaml, &open().0).unwrap();
    assert_eq!(host(&read, "pc-1").address, "canary.例.jp");
    assert_eq!(host(&read, "pc-1").user.as_deref(), Some("canary"));
    assert_eq!(host(&read, "pc-2").port, Some(5985));
    assert!(host(&read, "pc-1").sealed_password.is_some());
}

fn with_file() -> Folder {
    let vault = "vault_pw: canary-ひみつ\nvault_user: 管理者\nsite: canary-site\nn: {deep: [canary-n]}\ncomputer_name: PC-0815\n";
    Folder::new(&[
        (
            "inv.yaml",
            "all:\n  children: {clients: {hosts: {pc-1: , pc-2: {ansible_password: \"{{ vault_pw }}-2\"}}}}\n"
                .as_bytes(),
        ),
        (
            "group_vars/clients/vars.yml",
            b"ansible_user: \"{{ vault_user }}\"\nansible_password: \"{{ vault_pw }}\"\nplain: seen\n",
        ),
        (
            "group_vars/clients/vault.yml",
            sealed(vault, Some("prod")).replace('\n', "\r\n").as_bytes(),
        ),
        ("host_vars/pc-1.yml", sealed("note: canary-note\n", None).as_bytes()),
    ])
}

#[test]
fn encrypted_files_are_read_and_nothing_of_them_is_shown() {
    let folder = with_file();
    let inventory = folder.load_with(&["inv.yaml"], &open().0).unwrap();
    let one = host(&inventory, "pc-1");
    assert_eq!(one.user.as_deref(), Some("管理者"));
    assert_eq!(one.password.as_ref().unwrap().reveal(), "canary-ひみつ");
    let two = host(&inventory, "pc-2").password.as_ref().unwrap();
    assert_eq!(two.reveal(), "canary-ひみつ-2");
    assert_eq!(
        one.vars,
        BTreeMap::from([
            ("plain".to_owned(), json!("seen")),
            ("computer_name".to_owned(), json!("PC-0815")),
        ])
    );
    let vars = &inventory.list_json()["_meta"]["hostvars"]["pc-1"];
    for name in ["vault_pw", "vault_user", "site", "n", "note"] {
        assert_eq!(vars[name], "<vaulted>", "{vars:#}");
    }
    assert_eq!(vars["plain"], "seen");
    assert!(!everything_shown(&inventory).contains("canary"));
    assert_eq!(warnings(&inventory), [""; 0]);
}

#[test]
fn encrypted_files_without_a_password() {
    let folder = with_file();
    let hint = "hint: give its password as to Ansible: `--vault-password-file FILE` or `--vault-id LABEL@FILE`; or set `ansible_vault` in credentials.yaml";
    let errors = folder.load(&["inv.yaml"]).unwrap_err();
    let told = folder.mask(messages(&errors));
    let first = "DIR/group_vars/clients/vault.yml:1:1: this file is encrypted by ansible-vault";
    assert_eq!(told[..2], [first, hint]);
    let inventory = folder
        .load_with(&["inv.yaml"], &options(Vaults::Leave))
        .unwrap();
    assert_eq!(inventory.list_text().matches("<vaulted>").count(), 2);
    assert_eq!(inventory.vaulted.len(), 2);
    assert_eq!(
        folder.mask(warnings(&inventory)),
        [
            "DIR/group_vars/clients/vault.yml: this file is encrypted by ansible-vault and not shown: a run needs its password (`--vault-password-file`)"
        ]
    );
}

#[test]
fn a_whole_inventory_may_be_encrypted() {
    let yaml = "all:\n  hosts: {pc-1: {ansible_password: canary, ansible_port: 5985, x: canary}}\n";
    let inventory = load_text("inv.yaml", &sealed(yaml, None), &open().0).unwrap();
    let pc = host(&inventory, "pc-1");
    assert_eq!(pc.port, Some(5985));
    assert_eq!(pc.password.as_ref().unwrap().reveal(), "canary");
    assert!(!everything_shown(&inventory).contains("canary"));
    let folder = Folder::new(&[(
        "pcs.csv",
        sealed("host,password\npc-1,canary\n", None).as_bytes(),
    )]);
    let inventory = folder.load_with(&["pcs.csv"], &open().0).unwrap();
    assert!(host(&inventory, "pc-1").password.is_some());
    assert!(!everything_shown(&inventory).contains("canary"));
}

#[test]
fn errors_quote_nothing_that_was_encrypted() {
    for vault in [
        "vault_x: [canary\n",
        "vault_x: !!int canary\n",
        "canary-ひみつ\n",
        "vault_x: 1\nansible_port: canary\n",
        "vault_x: 1\nansible_winrm_scheme: canary\n",
        "vault_x: 1\ntransport: Canary\n",
        "vault_x: 1\ntls: canary\n",
        "vault_x: 1\ntls: {fingerprint: canary}\n",
        "vault_x: 1\nwinrm: {auth: canary}\n",
        "vault_x: 1\nansible_winrm_transport: [canary]\n",
        "vault_x: 1\nansible_host: canary x\n",
        "vault_x: 1\nansible_ssh_host_key_checking: canary\n",
        "vault_x: 'a{{canary b}}'\n",
        "vault_x: 1\npassword: [canary]\n",
        "vault_x: 1\nansible_group_priority: canary\n",
    ] {
        let folder = Folder::new(&[
            (
                "inv.yaml",
                b"all:\n  hosts: {pc-1: {user: \"{{ vault_x }}\"}}\n",
            ),
            ("group_vars/all.yml", sealed(vault, None).as_bytes()),
        ]);
        let told = match folder.load_with(&["inv.yaml"], &open().0) {
            Err(errors) => messages(&errors).join("\n"),
            // No error in Ansible either.
            Ok(inventory) => everything_shown(&inventory),
        };
        assert!(!told.to_lowercase().contains("canary"), "{vault}: {told}");
    }
}

#[derive(Debug)]
struct Real(AnsibleVault);

impl Unseal for Real {
    fn label(&self, text: &str) -> Result<String, UnsealError> {
        AnsibleVault::check(text).map_err(told)
    }

    fn unseal(&self, text: &str) -> Result<Secret, UnsealError> {
        self.0.unseal(text).map_err(told)
    }
}

fn told(error: fleetmend_credentials::AnsibleVaultError) -> UnsealError {
    UnsealError {
        why: error.to_string(),
        hint: error.hint().to_owned(),
    }
}

fn real(password: &str) -> Options {
    let vault = AnsibleVault::new(vec![("prod".to_owned(), Secret::new(password.to_owned()))]);
    options(Vaults::Open(Arc::new(Real(vault))))
}

/// Runs the real ansible-vault of the virtual environment that `tests/run` makes.
fn ansible_vault(folder: &Path, arguments: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program: PathBuf = root.join("target/venv/bin/ansible-vault");
    if !program.is_file() {
        let path = program.display();
        println!("SKIPPED: an inventory of the real ansible-vault, because {path} is not there");
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let done = command
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    Some(String::from_utf8(done.stdout).unwrap())
}

/// The oracle: values and files as the real one writes them, with Windows line ends.
#[test]
fn an_inventory_that_the_real_one_encrypted() {
    let password = "合言葉 1";
    let folder = Folder::new(&[
        ("pw", password.as_bytes()),
        (
            "group_vars/all.yml",
            "vault_user: 管理者\nport: 5985\n".as_bytes(),
        ),
    ]);
    let at = folder.path("");
    let string = |value| {
        let arguments = ["encrypt_string", "--vault-id", "prod@pw", value];
        ansible_vault(&at, &arguments)
    };
    let Some(first) = string("ひみつ\"'\\") else {
        return;
    };
    ansible_vault(&at, &["encrypt", "--vault-id", "pw", "group_vars/all.yml"]).unwrap();
    let first = first.trim_end();
    let yaml = format!(
        "all:\n  hosts:\n    pc-1:\n      ansible_user: \"{{{{ vault_user }}}}\"\n      ansible_password: {first}\n"
    );
    assert!(yaml.contains("$ANSIBLE_VAULT;1.2;AES256;prod"), "{yaml}");
    for yaml in [yaml.clone(), yaml.replace('\n', "\r\n")] {
        std::fs::write(folder.path("inv.yaml"), &yaml).unwrap();
        let inventory = folder.load_with(&["inv.yaml"], &real(password)).unwrap();
        let pc = host(&inventory, "pc-1");
        assert_eq!(pc.user.as_deref(), Some("管理者"));
        assert_eq!(pc.port, Some(5985));
        let sealed = pc.sealed_password.as_ref().unwrap();
        let Vaults::Open(opens) = real(password).vaults else {
            panic!("closed");
        };
        assert_eq!(opens.unseal(&sealed.text).unwrap().reveal(), "ひみつ\"'\\");
    }
    let wrong = folder
        .load_with(&["inv.yaml"], &real("falsch"))
        .unwrap_err();
    let wrong = messages(&wrong).join("\n");
    assert!(
        wrong.contains(
            "all.yml:1:1: this file stays encrypted: the password `prod` does not open it"
        ),
        "{wrong}"
    );
    assert!(
        wrong.contains("hint: see which password opens it"),
        "{wrong}"
    );
    // A digit of the password's value is changed.
    let at = yaml.find("AES256;prod").unwrap() + 40;
    let mut tampered = yaml.into_bytes();
    tampered[at] = if tampered[at] == b'6' { b'3' } else { b'6' };
    std::fs::write(folder.path("inv.yaml"), &tampered).unwrap();
    let error = folder
        .load_with(&["inv.yaml"], &real(password))
        .unwrap_err();
    let error = folder.mask(messages(&error)).join("\n");
    assert!(
        error.starts_with("DIR/inv.yaml:5:25: `ansible_password` stays encrypted: "),
        "{error}"
    );
}
