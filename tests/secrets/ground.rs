//! PCs of which each has its password from another source, over every transport.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_lab::{LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Secret, TransportKind};
use fleetmend_tests::{Site, scripts};
use russh::keys::ssh_key::{Cipher, Kdf, LineEnding};
use russh::keys::{Algorithm, PrivateKey};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

use crate::canary::Canary;
use crate::wire::{self, Wire};

/// The account of the PCs.
pub(crate) const ADMIN: &str = "fleetadmin";
/// Is meant to be seen: were it found nowhere, neither would canaries be.
pub(crate) const DECOY: &str = "sperling-9Bq3Ys7";

const HTTP: TransportKind = TransportKind::WinrmHttp;
const HTTPS: TransportKind = TransportKind::WinrmHttps;
const SSH: TransportKind = TransportKind::Ssh;

/// What each PC's password comes from, and that password.
pub(crate) const SOURCES: [(&str, TransportKind, &str); 10] = [
    ("legacy LAPS", HTTP, "kanaria-Laps0-4Tq8Zn2%&'ひ"),
    ("LAPS", HTTPS, "kanaria-Laps1-7Jw3Xc9\"<\\"),
    ("LAPS history", SSH, "kanaria-Laps2-2Bv6Mk5!$"),
    ("ansible-vault", HTTP, ""),
    ("vault", HTTPS, "kanaria-Vault-6Gd1Rp8é%"),
    ("command", SSH, "kanaria-Befehl-9Ls4Fy7&\""),
    ("env", HTTP, "kanaria-Umwelt-3Nh8Wd1'\\"),
    ("file", HTTPS, "kanaria-Datei-5Kx2Qj6<>"),
    ("SSH key", SSH, "kanaria-Konto-8Cz7Tb3"),
    ("keyring", HTTP, "kanaria-Bund-1Rm5Vg4ü&"),
];

pub(crate) const DOMAIN: &str = "kanaria-Domain-5Zr9Tk3\"&";
pub(crate) const DIRECTORY: &str = "kanaria-Reset-7Yp2Hs6'%";
pub(crate) const PASSPHRASE: &str = "kanaria-tresor-4Jh6Pm1-オウム";
pub(crate) const KEY_PASSPHRASE: &str = "kanaria-Schluessel-8Wn3Lf5 %";
pub(crate) const ANSIBLE: &str = "kanaria-ansible-6Tc1Ke9&";
/// LAPS' one from before, where the present one is right and nobody asks for another.
pub(crate) const OLDER: &str = "kanaria-Laps4-3Yv8Nf6";
/// LAPS' present one, where the PC still has the one from before.
pub(crate) const NEWER: &str = "kanaria-Laps3-9Dk4Sb2";
/// Of the PC that never answers: it is amid its logon.
pub(crate) const MUTE: &str = "kanaria-stumm-7Fx4Jc1";
/// Of a vault entry that nobody asks for.
pub(crate) const SPARE: &str = "kanaria-spare-2Ux7Gw5";

/// Every canary that is a constant.
pub(crate) const TEXTS: [&str; 18] = [
    SOURCES[0].2,
    SOURCES[1].2,
    SOURCES[2].2,
    SOURCES[4].2,
    SOURCES[5].2,
    SOURCES[6].2,
    SOURCES[7].2,
    SOURCES[8].2,
    SOURCES[9].2,
    DOMAIN,
    DIRECTORY,
    PASSPHRASE,
    KEY_PASSPHRASE,
    ANSIBLE,
    NEWER,
    OLDER,
    MUTE,
    SPARE,
];

/// How the ground is laid.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// The vault opens with a passphrase that is typed, instead of with a key.
    pub(crate) typed: bool,
    /// There is a keyring; else its password is in a file.
    pub(crate) keyring: bool,
    /// One more PC takes connections and never says anything.
    pub(crate) mute: bool,
}

pub(crate) struct Ground {
    pub(crate) site: Site,
    pub(crate) wire: Wire,
    pub(crate) shape: Shape,
    directory: SocketAddr,
}

impl Ground {
    pub(crate) async fn lay(shape: Shape) -> Self {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let key = key.unwrap();
        let mut options = LabOptions::new(0, scripts());
        let plan = SOURCES.map(|(source, transport, _)| {
            // There the domain's credential is needed on the PC.
            let scenario = match source {
                "env" => Scenario::RepairCutShort,
                _ => Scenario::PasswordMismatch,
            };
            PcPlan::new(scenario).over(transport).japanese()
        });
        let mut plan = plan.to_vec();
        if shape.mute {
            plan.push(PcPlan::new(Scenario::Healthy));
        }
        options.mix = Mix::Plan(plan);
        options.own_local_passwords = true;
        options.domain_password = Some(Secret::new(DOMAIN.to_owned()));
        options.directory_password = Some(Secret::new(DIRECTORY.to_owned()));
        options.ssh.accepted_keys = vec![key.public_key().clone()];
        let site = Site::start(options).await;
        let wire = Wire::default();
        let directory = wire.tap(site.lab.controllers()[0].ldaps()).await;
        let ground = Self {
            site,
            wire,
            shape,
            directory,
        };
        ground.passwords();
        ground.tapped().await;
        ground.files(&key).await;
        ground
    }

    /// Returns every canary of the ground.
    pub(crate) fn canaries(&self) -> Vec<Canary> {
        let sources = SOURCES.iter().zip(self.site.lab.pcs());
        let mut canaries: Vec<Canary> = sources
            .map(|((source, _, text), pc)| match *text {
                "" => Canary::new(source, pc.local.password.reveal()),
                text => Canary::new(source, text),
            })
            .collect();
        let more = [
            ("domain", DOMAIN),
            ("directory", DIRECTORY),
            ("vault passphrase", PASSPHRASE),
            ("SSH passphrase", KEY_PASSPHRASE),
            ("ansible-vault passphrase", ANSIBLE),
            ("LAPS newer", NEWER),
            ("LAPS older", OLDER),
            ("spare vault entry", SPARE),
        ];
        canaries.extend(more.map(|(what, text)| Canary::new(what, text)));
        canaries
    }

    /// Returns the machine passwords that were made and sent to PCs, as the PCs saw them.
    pub(crate) fn made(&self) -> Vec<Canary> {
        let pcs = self.site.lab.pcs().iter();
        pcs.flat_map(|pc| {
            let made = parameters(&pc.sim.received()).into_iter();
            let made = made.filter_map(|params| {
                let password = params.get("machine_password")?.as_str()?.to_owned();
                Some(Canary::new(&format!("made for {}", pc.name), &password))
            });
            made.collect::<Vec<_>>()
        })
        .collect()
    }

    /// Returns what a repair of all of them is begun with.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut all = words(&["run", "trust-repair", "--yes", "-vv", "--output", "jsonl"]);
        all.extend(self.over_all());
        all.extend(words(&["--allow-credential-on-pcs"]));
        all
    }

    /// Returns the inventory, the credentials and the directory.
    pub(crate) fn over_all(&self) -> Vec<OsString> {
        let site = &self.site;
        let mut all = words(&["-i"]);
        all.push(site.path("lab.yaml").into());
        all.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
        all.extend(["--data-dir".into(), site.data().into()]);
        let user = site.lab.directory_credential().user.clone();
        all.extend(words(&["--directory", "corp.example.jp"]));
        all.extend(words(&["--directory-user", &user]));
        all.extend(["--directory-password-file".into(), self.secret("reset.pw")]);
        all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
        all.extend(words(&["--directory-server", &self.directory.to_string()]));
        let patience = if self.shape.mute { "100s" } else { "10s" };
        all.extend(words(&["--connect-timeout", patience]));
        all
    }

    /// Returns the binary with this ground's environment, which names a file.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("KANARIA_FILE", self.secret(&format!("{DECOY}.pw"))),
            ("TMPDIR", self.temporary().into()),
            ("RUST_LOG", "trace".into()),
        ]
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.site.path("tmp")
    }

    fn secret(&self, name: &str) -> OsString {
        self.site.path("secret").join(name).into()
    }

    /// Gives each PC, and LAPS, the password of its source.
    fn passwords(&self) {
        let mut domain = self.site.lab.shared().domain();
        let account = self.site.lab.directory_credential().user.clone();
        domain.user_mut(&account).unwrap().rights.laps = true;
        for (pc, (source, _, text)) in self.site.lab.pcs().iter().zip(SOURCES) {
            pc.sim.record();
            if text.is_empty() {
                continue;
            }
            assert_eq!(pc.sim.machine().set_password(ADMIN, text), 0);
            let laps = &mut domain.computer_mut(short(pc)).unwrap().laps;
            let json = |text: &str| {
                let json = serde_json::json!({"n": ADMIN, "t": "1dd5b2f9a8c8000", "p": text});
                Some(Secret::new(json.to_string()))
            };
            let legacy = Some(Secret::new(text.to_owned()));
            (laps.legacy, laps.clear) = match source {
                "legacy LAPS" => (legacy, None),
                "LAPS" => (Some(Secret::new(OLDER.to_owned())), json(text)),
                "LAPS history" => (legacy, json(NEWER)),
                _ => (None, None),
            };
        }
    }

    /// Puts a tap before every PC.
    async fn tapped(&self) {
        let mut inventory = fs::read_to_string(self.site.path("lab.yaml")).unwrap();
        let mut known = fs::read_to_string(self.site.path("known_hosts")).unwrap();
        for (index, pc) in self.site.lab.pcs().iter().enumerate() {
            let new = match index < SOURCES.len() {
                true => self.wire.tap(pc.address).await,
                false => wire::mute(pc.address).await,
            };
            let at = |address: SocketAddr| {
                let (ip, port) = (address.ip(), address.port());
                let host = format!("ansible_host: {ip}\n          ansible_port: {port}\n");
                (host, format!("[{ip}]:{port} "))
            };
            let ((from, from_key), (to, to_key)) = (at(pc.address), at(new));
            assert!(inventory.contains(&from), "{inventory}");
            inventory = inventory.replace(&from, &to);
            if pc.transport == SSH {
                assert!(known.contains(&from_key), "{from_key} {known}");
                known = known.replace(&from_key, &to_key);
            }
        }
        // The account is the credentials' business here.
        let lines = inventory
            .lines()
            .filter(|line| !line.contains("ansible_user"));
        let inventory = lines.collect::<Vec<_>>().join("\n");
        fs::write(self.site.path("lab.yaml"), inventory).unwrap();
        fs::write(self.site.path("known_hosts"), known).unwrap();
    }

    async fn files(&self, key: &PrivateKey) {
        let site = &self.site;
        for folder in ["tmp", "host_vars", "secret"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        let of = |name: &str| SOURCES.iter().find(|(source, ..)| *source == name);
        let of = |name: &str| of(name).unwrap().2;
        for (name, text) in [
            ("befehl.pw", of("command")),
            ("datei.pw", of("file")),
            ("mute.pw", MUTE),
            (&format!("{DECOY}.pw"), of("env")),
            ("bund.pw", of("keyring")),
            ("eintrag.pw", of("vault")),
            ("spare.pw", SPARE),
            ("domain.pw", DOMAIN),
            ("reset.pw", DIRECTORY),
            ("tresor.pw", PASSPHRASE),
            ("key.pw", KEY_PASSPHRASE),
            ("ansible.pw", ANSIBLE),
        ] {
            private(&site.path("secret").join(name), text);
        }
        // More rounds take seconds, unoptimised.
        let kdf = Kdf::Bcrypt {
            salt: vec![7; 16],
            rounds: 1,
        };
        let sealed = key.encrypt_with(Cipher::Aes256Ctr, kdf, 7, KEY_PASSPHRASE);
        let text = sealed.unwrap().to_openssh(LineEnding::LF).unwrap();
        private(&site.path("secret").join("id"), &text);
        self.vault().await;
        for ((source, ..), pc) in SOURCES.iter().zip(site.lab.pcs()) {
            let vars = match *source {
                "ansible-vault" => self.sealed(pc),
                other => format!("credential: {}\n", other.replace(' ', "-")),
            };
            let file = site.path("host_vars").join(format!("{}.yaml", pc.name));
            fs::write(file, vars).unwrap();
        }
        private(&site.path("credentials.yaml"), &self.credentials());
    }

    fn credentials(&self) -> String {
        let domain = &self.site.lab.domain_credential().user;
        let lock = match self.shape.typed {
            true => "",
            false => ", key_file: secret/age.key",
        };
        let bund = match self.shape.keyring {
            true => "{keyring: {service: fleetmend-test, account: bund}}",
            false => "{file: secret/bund.pw}",
        };
        format!(
            r#"version: 1
vaults: {{default: {{file: tresor{lock}}}}}
credentials:
  local-admin: {{user: {ADMIN}, password: {{file: secret/mute.pw}}}}
  legacy-LAPS: {{user: {ADMIN}, laps: {{}}}}
  LAPS: {{laps: {{history: 1}}, attempts: 2}}
  LAPS-history: {{user: {ADMIN}, laps: {{history: 1}}, attempts: 2}}
  vault: {{user: {ADMIN}, password: {{vault: eintrag}}}}
  command: {{user: {ADMIN}, password: {{command: [sh, -c, 'sleep 0.2; cat "$0"', secret/befehl.pw]}}}}
  env: {{user: {ADMIN}, password: {{env: KANARIA_FILE}}}}
  file: {{user: {ADMIN}, password: {{file: secret/datei.pw}}}}
  SSH-key: {{user: {ADMIN}, ssh: {{key_file: secret/id, passphrase: {{file: secret/key.pw}}, agent: false}}}}
  keyring: {{user: {ADMIN}, password: {bund}}}
  {DECOY}: {{user: '{domain}', password: {{file: secret/domain.pw}}}}
playbook: {{domain_credential: {DECOY}}}
ansible_vault: {{password: {{file: secret/ansible.pw}}}}
"#
        )
    }

    /// Returns the variables of a PC whose password ansible-vault encrypted.
    fn sealed(&self, pc: &LabPc) -> String {
        let password = Secret::new(ANSIBLE.to_owned());
        let files = fleetmend_lab::InventoryFiles::default();
        let whole = self
            .site
            .lab
            .vaulted_inventory_yaml(&files, &password, None);
        let (_, of_pc) = whole.split_once(&format!("{}:\n", pc.name)).unwrap();
        let (_, sealed) = of_pc.split_once("!vault |\n").unwrap();
        let lines = sealed.lines().take_while(|line| line.starts_with("      "));
        let lines = lines.map(|line| format!("  {}\n", line.trim()));
        let lines: String = lines.take_while(|line| !line.contains(':')).collect();
        format!("ansible_user: {ADMIN}\nansible_password: !vault |\n{lines}")
    }

    /// Makes a vault of two entries.
    async fn vault(&self) {
        let site = &self.site;
        let vault = site.path("tresor");
        let lock: [OsString; 2] = match self.shape.typed {
            true => ["--passphrase-file".into(), self.secret("tresor.pw")],
            false => ["--key-file".into(), self.secret("age.key")],
        };
        let mut init = words(&["vault", "init"]);
        init.push(vault.clone().into());
        init.extend(lock.clone());
        let mut calls = vec![init];
        for (entry, file) in [("eintrag", "eintrag.pw"), ("spare", "spare.pw")] {
            let mut set = words(&["vault", "set", entry, "--password-file"]);
            set.push(self.secret(file));
            set.extend(["--vault".into(), vault.clone().into()]);
            set.extend(lock.clone());
            calls.push(set);
        }
        let mut list = words(&["vault", "list", "--vault"]);
        list.push(vault.clone().into());
        list.extend(lock);
        calls.push(list);
        let search = crate::canary::Search::new(self.canaries());
        for call in calls {
            let ended = site.run(call.clone()).await;
            assert_eq!(ended.code, Some(0), "{call:?} {}", ended.err());
            search.assert_clean("the vault's output", &[ended.stdout, ended.stderr].concat());
        }
        search.assert_clean("the vault", &fs::read(vault).unwrap());
    }
}

/// Returns the parameters of every step that a PC was sent (docs/step-channel.md).
fn parameters(received: &[u8]) -> Vec<serde_json::Map<String, Value>> {
    use base64::Engine as _;

    let text = String::from_utf8_lossy(received);
    let lines = text.lines().filter(|line| line.split(' ').count() == 4);
    let last = lines.filter_map(|line| {
        let last = line.rsplit(' ').next()?;
        base64::engine::general_purpose::STANDARD.decode(last).ok()
    });
    last.filter_map(|json| serde_json::from_slice(&json).ok())
        .collect()
}

fn short(pc: &LabPc) -> &str {
    pc.name.split('.').next().unwrap()
}

pub(crate) fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(Into::into).collect()
}

/// How long a run over the ground may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// Starts a command with the environment of this ground.
pub(crate) fn with_environment(
    ground: &Ground,
    mut command: tokio::process::Command,
) -> tokio::process::Child {
    command
        .envs(ground.environment())
        .env("PATH", "/usr/bin:/bin")
        .spawn()
        .unwrap()
}

/// Reads standard output until this stands there so often, and returns it.
pub(crate) async fn until(child: &mut Child, text: &str, times: usize) -> String {
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = child.stderr.take().unwrap();
    tokio::spawn(async move {
        let mut sink = Vec::new();
        let _ = err.read_to_end(&mut sink).await;
    });
    let mut told = String::new();
    let reading = async {
        while let Some(line) = out.next_line().await.unwrap() {
            told.push_str(&line);
            told.push('\n');
            if told.matches(text).count() >= times {
                return;
            }
        }
        panic!("it ended: {told}");
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the run hangs");
    told
}
