//! A real Active Directory domain (`tests/samba/`), and what the tests ask of it.
//!
//! Everything said here about the state of a member or an account comes from Samba's own tools
//! and OpenLDAP's client, never from fleetmend: they are the independent witnesses.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test support"
)]

mod entry;
mod files;
mod fleetmend;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

pub use entry::Entry;
pub use files::below as files_below;
pub use watcher::{Seen, Watcher};

/// What the recipe needs; without any of these the tests say that they are skipped.
const TOOLS: [&str; 8] = [
    "samba",
    "samba-tool",
    "winbindd",
    "ldbmodify",
    "ldapsearch",
    "sshd",
    "nsenter",
    "openssl",
];

/// Session keys of the channel and answers of the controller.
const CACHES: [&str; 2] = ["/netlogon_creds_cli.tdb", "/winbindd_cache.tdb"];

/// How many domains this process has built.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Where programs are, for the recipe and for what runs on the controller.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running domain; it ends when this value is dropped or its process dies, however that happens.
pub struct Domain {
    folder: TempDir,
    settings: BTreeMap<String, String>,
    keeper: Child,
    // Its other end is watched by the domain's first process: closed, all of it ends.
    lifeline: Option<ChildStdin>,
}

/// How many members of which kind a domain has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Members {
    /// `pc1`, `pc2`, …: joined by Samba's `net`, with winbindd.
    pub winbind: usize,
    /// `ad1`, `ad2`, …: joined by adcli.
    pub adcli: usize,
}

/// Wrong passwords that lock an account: more than winbindd spends by itself with a wrong secret
/// while a test is going on.
const LOCKOUT: u32 = 50;

/// What a command on a node said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// What Samba's own tools say of a member: their exit codes, 0 for well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// `wbinfo -t`: the one that proves the secret.
    pub secret: i32,
    /// `net ads testjoin`, or `adcli testjoin`.
    pub join: i32,
    /// `wbinfo --ping-dc`.
    pub ping: i32,
}

impl Trust {
    /// Tells whether every tool is content.
    pub fn is_healthy(self) -> bool {
        (self.secret, self.join, self.ping) == (0, 0, 0)
    }
}

/// The account names of [`Domain`] that `tests/samba/populate.py` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The domain's administrator.
    Administrator,
    /// May reset passwords of computers, nothing more.
    Reset,
    /// May also enable and unlock them.
    Enable,
    /// May join and create computers.
    Join,
    /// May read LAPS passwords.
    Laps,
    /// May do nothing.
    None,
}

impl Account {
    /// Returns the logon name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Reset => "svc-reset",
            Self::Enable => "svc-enable",
            Self::Join => "svc-join",
            Self::Laps => "svc-laps",
            Self::None => "svc-none",
        }
    }
}

impl Domain {
    /// Tells whether this machine can hold a domain; if not, says visibly that it is skipped.
    pub fn is_possible() -> bool {
        let hindrance = hindrance();
        if let Some(why) = &hindrance {
            println!("SKIPPED: the real domain, because {why}");
        }
        hindrance.is_none()
    }

    /// Builds a domain; `None`, and a visible word, where this machine cannot.
    pub fn up(members: Members) -> Option<Self> {
        Self::up_with_lockout(members, LOCKOUT)
    }

    /// The same, with an own number of wrong passwords that lock an account. A member whose secret
    /// is wrong gets there by itself.
    pub fn up_with_lockout(members: Members, lockout: u32) -> Option<Self> {
        if !Self::is_possible() {
            return None;
        }
        // Domains of one process must not look alike, if only to be told apart in a log.
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let range = (std::process::id() + nth) % 250 + 1;
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Command::new(recipe())
            .args(["up", "--members", &members.winbind.to_string()])
            .args(["--adcli", &members.adcli.to_string()])
            .args(["--lockout", &lockout.to_string()])
            .args(["--range", &range.to_string()])
            .arg(folder.path().join("domain"))
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lifeline = keeper.stdin.take();
        let mut said = String::new();
        let mut out = BufReader::new(keeper.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        let mut domain = Self {
            folder,
            settings: BTreeMap::new(),
            keeper,
            lifeline,
        };
        assert_eq!(said.trim(), "ready", "the domain does not come up");
        domain.settings = settings(&domain.root().join("env"));
        Some(domain)
    }

    /// Returns the domain's own directory.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("domain")
    }

    /// Returns a path for a test's own files, visible on the controller as well.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a value of the domain's `env` file, by its name without `FLEETMEND_SAMBA_`.
    pub fn setting(&self, name: &str) -> &str {
        self.settings
            .get(name)
            .unwrap_or_else(|| panic!("no setting {name}"))
    }

    /// Returns every member's name.
    pub fn members(&self) -> Vec<String> {
        let all = self.setting("MEMBERS").split_whitespace();
        all.map(str::to_owned).collect()
    }

    /// Returns an account's password file.
    pub fn password_file(&self, account: Account) -> PathBuf {
        let name = match account {
            Account::Administrator => "ADMIN_PASSWORD_FILE",
            _ => "SERVICE_PASSWORD_FILE",
        };
        self.setting(name).into()
    }

    /// Returns an account's password.
    pub fn password(&self, account: Account) -> String {
        std::fs::read_to_string(self.password_file(account)).unwrap()
    }

    /// Runs a command on a node to its end.
    pub fn exec(&self, node: &str, command: &[&str]) -> Said {
        self.exec_with(node, command, "")
    }

    /// Runs a command on a node with this standard input.
    pub fn exec_with(&self, node: &str, command: &[&str], input: &str) -> Said {
        let mut arguments = vec![node];
        arguments.extend(command);
        self.recipe("exec", &arguments, input)
    }

    /// Runs a shell text on a node; it must succeed.
    pub fn shell(&self, node: &str, text: &str) -> String {
        let said = self.exec(node, &["bash", "-c", text]);
        assert_eq!(said.code, 0, "{node}: {text}: {said:?}");
        said.out
    }

    /// Breaks a member's trust: `password`, `rollback`, `disable`, `delete`, `no-dc`, `no-dns`,
    /// `clock`, `local-password` or `off`.
    pub fn harm(&self, member: &str, how: &str) {
        let said = self.recipe("break", &[member, how], "");
        assert_eq!(said.code, 0, "{member}: {how}: {said:?}");
    }

    /// Takes a wrong clock, a cut way or a wrong name server away again.
    pub fn heal(&self, member: &str) {
        let said = self.recipe("heal", &[member], "");
        assert_eq!(said.code, 0, "{member}: {said:?}");
    }

    /// Asks Samba's own tools about a member.
    pub fn trust(&self, member: &str) -> Trust {
        let said = self.recipe("status", &[member], "");
        let number = |name: &str| {
            let found = said.out.split_whitespace().find_map(|word| {
                let (left, right) = word.split_once('=')?;
                (left == name).then(|| right.parse().unwrap())
            });
            found.unwrap_or_else(|| panic!("{said:?}"))
        };
        Trust {
            secret: number("wbinfo_t"),
            join: number("testjoin"),
            ping: number("ping_dc"),
        }
    }

    /// Searches the whole directory as the administrator, with OpenLDAP's client.
    pub fn search(&self, filter: &str, attributes: &[&str]) -> Vec<Entry> {
        let certificate = format!("LDAPTLS_CACERT={}", self.setting("CA"));
        let server = format!("ldaps://{}", self.setting("DC"));
        let user = format!("administrator@{}", self.setting("DOMAIN"));
        let password = self.password_file(Account::Administrator);
        let mut command = vec!["env", &certificate, "ldapsearch", "-LLL", "-H", &server];
        command.extend(["-o", "ldif-wrap=no", "-E", "pr=500/noprompt", "-D", &user]);
        command.extend(["-y", password.to_str().unwrap()]);
        command.extend(["-b", self.setting("BASE"), filter]);
        command.extend(attributes);
        let said = self.exec("ctl", &command);
        assert_eq!(said.code, 0, "{filter}: {said:?}");
        Entry::read_all(&said.out)
    }

    /// Returns a user's or computer's account, with every attribute; a computer's ends in `$`.
    pub fn account(&self, name: &str) -> Option<Entry> {
        let mut found = self.search(&format!("(sAMAccountName={name})"), &["*"]);
        assert!(found.len() < 2, "{name} is there more than once");
        found.pop()
    }

    /// Returns a member's account.
    pub fn computer(&self, member: &str) -> Option<Entry> {
        self.account(&format!("{}$", member.to_uppercase()))
    }

    /// Changes the directory from within, under any right, with `ldbadd` or `ldbmodify`.
    pub fn write_sam(&self, tool: &str, ldif: &str) {
        let database = ["-H", "/var/lib/samba/private/sam.ldb"];
        let said = self.exec_with("dc1", &[tool, database[0], database[1]], ldif);
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Returns a member's tree of files as it sees it itself.
    pub fn tree(&self, member: &str) -> PathBuf {
        let pid = std::fs::read_to_string(self.root().join(member).join("pid")).unwrap();
        Path::new("/proc")
            .join(pid.split(' ').next().unwrap())
            .join("root")
    }

    /// Returns the files of a member that hold one of these.
    pub fn files_with(&self, member: &str, needles: &[&str]) -> Vec<PathBuf> {
        files::with_any(&self.tree(member), needles)
    }

    /// Returns what a repair could change on a winbind member, by the file's path: the secret and
    /// the keytab by their content, settings and Samba's files by time, size and mode. Left out are
    /// Samba's caches, which any use of the channel writes.
    pub fn footprint(&self, member: &str) -> BTreeMap<String, String> {
        let said = self.shell(
            member,
            "sha256sum /var/lib/samba/private/secrets.tdb /etc/krb5.keytab | sed 's/  / content of /'
             find /etc /var/lib/samba /root /home -type f -printf '%T@/%s/%m %p\\n'",
        );
        said.lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, path)| !CACHES.iter().any(|cache| path.ends_with(cache)))
            .map(|(state, path)| (path.to_owned(), state.to_owned()))
            .collect()
    }

    /// Returns the machine passwords that a winbind member has stored: the present one, the one
    /// before, and the one before that; none that are no text, as Samba's own choices are.
    pub fn stored_passwords(&self, member: &str) -> Vec<Option<String>> {
        let dump = self.shell(member, "net primarytrust dumpinfo -f");
        let mut found = Vec::new();
        let mut bytes: Option<Vec<u8>> = None;
        let finish = |bytes: Vec<u8>| {
            let (pairs, _) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            String::from_utf16(&units)
                .ok()
                .filter(|text| text.is_ascii())
        };
        for line in dump.lines() {
            if line.contains("cleartext_blob") {
                bytes = Some(Vec::new());
            } else if let (Some(bytes), true) = (&mut bytes, line.starts_with('[')) {
                let hex = line
                    .split(']')
                    .nth(1)
                    .unwrap()
                    .get(1..50)
                    .unwrap_or_default();
                bytes.extend(
                    hex.split_whitespace()
                        .map(|pair| u8::from_str_radix(pair, 16).unwrap()),
                );
            } else if let Some(bytes) = bytes.take() {
                found.push(finish(bytes));
            }
        }
        found
    }

    /// Returns how many connections a member's sshd has seen.
    pub fn connections(&self, member: &str) -> usize {
        let log = std::fs::read_to_string(self.root().join(member).join("log/sshd.log"));
        log.unwrap().matches("Connection from ").count()
    }

    /// Ends the domain now.
    ///
    /// # Panics
    ///
    /// If it does not end within 20 s.
    pub fn down(mut self) {
        assert!(self.end(), "the domain does not end");
    }

    fn end(&mut self) -> bool {
        drop(self.lifeline.take());
        for _ in 0..400 {
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Runs a command of the recipe on this domain.
    fn recipe(&self, command: &str, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(recipe())
            .arg(command)
            .arg(self.root())
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads none of it may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the files that differ between two footprints.
pub fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect()
}

/// Returns the recipe's path.
pub fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samba/domain")
}

/// Tells why this machine cannot hold a domain.
fn hindrance() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("it needs Linux namespaces".into());
    }
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|tool| {
            !PATH
                .split(':')
                .any(|dir| Path::new(dir).join(tool).exists())
        })
        .collect();
    if !missing.is_empty() {
        return Some(format!("not installed: {}", missing.join(", ")));
    }
    let tried = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "true"])
        .stderr(Stdio::null())
        .status();
    let allowed = tried.is_ok_and(|status| status.success());
    (!allowed).then(|| "namespaces need root, or are not allowed here".into())
}

/// Reads lines `FLEETMEND_SAMBA_NAME='value'`.
fn settings(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).expect("the domain left no env file");
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("FLEETMEND_SAMBA_")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        })
        .collect()
}
