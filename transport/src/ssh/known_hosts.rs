//! The known-hosts file of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use tokio::io::AsyncWriteExt as _;

/// One process learns one key at a time, so that two lines never mix.
static LEARNING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// A thousand connections that begin at once do not hold the file a thousand times.
static READING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// What the file says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host has this key.
    Known,
    /// The file does not know the host.
    Unknown,
    /// The file knows the host by another key.
    Changed {
        /// The fingerprint that the file expects.
        expected: String,
        /// The line where it stands, counted from 1.
        line: usize,
    },
    /// The key is marked `@revoked`.
    Revoked {
        /// The line where it stands, counted from 1.
        line: usize,
    },
}

/// A known-hosts file as it was read.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    line: usize,
    revoked: bool,
    hosts: String,
    key: PublicKey,
}

impl KnownHosts {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub async fn load(path: &Path) -> io::Result<Self> {
        let bytes = read(path).await?;
        Ok(Self::parse(path, &String::from_utf8_lossy(&bytes)))
    }

    /// Reads what the file says of one host: the file of a fleet has a line for each of its PCs,
    /// and each connection needs its own.
    ///
    /// # Errors
    /// As [`KnownHosts::load`].
    pub async fn load_for(path: &Path, host: &str, port: u16) -> io::Result<Self> {
        let _turn = READING.acquire().await.map_err(io::Error::other)?;
        let bytes = read(path).await?;
        let name = name_of(host, port);
        Ok(Self::parse_where(
            path,
            &String::from_utf8_lossy(&bytes),
            |hosts| matches(hosts, &name),
        ))
    }

    /// Reads the text of a file; lines that nobody can read are passed over, as OpenSSH does.
    pub fn parse(path: &Path, text: &str) -> Self {
        Self::parse_where(path, text, |_| true)
    }

    fn parse_where(path: &Path, text: &str, wanted: impl Fn(&str) -> bool) -> Self {
        let entries = text
            .lines()
            .enumerate()
            .filter_map(|(index, line)| entry(index + 1, line, &wanted));
        Self {
            path: path.to_owned(),
            entries: entries.collect(),
        }
    }

    /// Returns where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Judges the key that a host showed.
    pub fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let name = name_of(host, port);
        let of_host: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| matches(&entry.hosts, &name))
            .collect();
        let same = |entry: &&&Entry| entry.key.key_data() == key.key_data();
        if let Some(entry) = of_host.iter().filter(|entry| entry.revoked).find(same) {
            return Verdict::Revoked { line: entry.line };
        }
        let valid: Vec<&&Entry> = of_host.iter().filter(|entry| !entry.revoked).collect();
        if valid.iter().any(same) {
            return Verdict::Known;
        }
        // A key of another type is a changed key too: we asked for the known types first.
        let same_type = valid
            .iter()
            .find(|entry| entry.key.algorithm() == key.algorithm());
        match same_type.or(valid.first()) {
            Some(entry) => Verdict::Changed {
                expected: fingerprint(&entry.key),
                line: entry.line,
            },
            None => Verdict::Unknown,
        }
    }

    /// Returns the types of the keys by which the file knows a host, so that the host is asked
    /// for one of them.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let name = name_of(host, port);
        self.entries
            .iter()
            .filter(|entry| !entry.revoked && matches(&entry.hosts, &name))
            .map(|entry| entry.key.algorithm())
            .collect()
    }

    /// Appends the key of a host that the file does not know. The file is made, readable by its
    /// owner only, if it is not there.
    ///
    /// # Errors
    /// When the file cannot be written. [`Verdict::Changed`] in the answer: meanwhile another
    /// connection learned another key.
    pub async fn learn(&self, host: &str, port: u16, key: &PublicKey) -> io::Result<Verdict> {
        let _alone = LEARNING.lock().await;
        let now = Self::load(&self.path).await?;
        let verdict = now.judge(host, port, key);
        if verdict != Verdict::Unknown {
            return Ok(verdict);
        }
        if let Some(folder) = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            make_folder(folder).await?;
        }
        let encoded = key.to_openssh().map_err(io::Error::other)?;
        // Type and key, without the comment.
        let encoded: Vec<&str> = encoded.split_whitespace().take(2).collect();
        let starts_new_line = ends_with_line_feed(&self.path).await?;
        let lead = if starts_new_line { "" } else { "\n" };
        let line = format!("{lead}{} {}\n", name_of(host, port), encoded.join(" "));
        let mut options = tokio::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&self.path).await?;
        file.write_all(line.as_bytes()).await?;
        file.sync_data().await?;
        Ok(Verdict::Known)
    }
}

/// Returns the fingerprint as OpenSSH shows it: `SHA256:…`.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    match tokio::fs::read(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

async fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).await
}

async fn ends_with_line_feed(path: &Path) -> io::Result<bool> {
    match tokio::fs::read(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        other => Ok(other?.last().is_none_or(|byte| *byte == b'\n')),
    }
}

fn entry(line: usize, text: &str, wanted: impl Fn(&str) -> bool) -> Option<Entry> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let mut fields = text.split_whitespace();
    let mut first = fields.next()?;
    let mut revoked = false;
    if let Some(marker) = first.strip_prefix('@') {
        // Certificate authorities are not asked for, so their lines say nothing here.
        if marker != "revoked" {
            return None;
        }
        revoked = true;
        first = fields.next()?;
    }
    if !wanted(first) {
        return None;
    }
    let _type = fields.next()?;
    let key = parse_public_key_base64(fields.next()?).ok()?;
    Some(Entry {
        line,
        revoked,
        hosts: first.to_owned(),
        key,
    })
}

/// Returns the name under which OpenSSH keeps a host: `[host]:port` unless the port is 22.
fn name_of(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

fn matches(hosts: &str, name: &str) -> bool {
    if hosts.starts_with("|1|") {
        return matches_hashed(hosts, name);
    }
    let mut matched = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if matches_one(not, name) => return false,
            Some(_) => {}
            None => matched |= matches_one(pattern, name),
        }
    }
    matched
}

/// `|1|salt|HMAC-SHA1(salt, name)`, both in base64.
fn matches_hashed(hosts: &str, name: &str) -> bool {
    let mut parts = hosts.split('|').skip(2).map(|part| STANDARD.decode(part));
    let (Some(Ok(salt)), Some(Ok(hash))) = (parts.next(), parts.next()) else {
        return false;
    };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    ring::hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// `name` is in lower case.
fn matches_one(pattern: &str, name: &str) -> bool {
    if pattern.contains(['*', '?']) {
        wildcard(&pattern.to_ascii_lowercase(), name)
    } else {
        pattern.eq_ignore_ascii_case(name)
    }
}

/// `*` stands for any characters, `?` for one.
fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last star stood, and how much of the name it has taken: no recursion, so no
    // pattern can be slow.
    let (mut at, mut taken, mut star) = (0, 0, None);
    while taken < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, taken));
                at += 1;
            }
            Some(character) if *character == '?' || Some(character) == name.get(taken) => {
                at += 1;
                taken += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    at = place + 1;
                    taken = from + 1;
                    star = Some((place, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|character| *character == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(base64: &str) -> PublicKey {
        parse_public_key_base64(base64).unwrap()
    }

    fn known(text: &str) -> KnownHosts {
        KnownHosts::parse(Path::new("known_hosts"), text)
    }

    #[test]
    fn judges_plain_port_and_pattern_names() {
        let known = known(&format!(
            "# comment\n\nPC-1,10.0.0.1 ssh-ed25519 {A}\n[pc-1]:2222 ssh-ed25519 {B} admin\n\
             *.corp.example.jp,!bad.corp.example.jp ssh-ed25519 {A}\nbroken line\n"
        ));
        assert_eq!(known.judge("pc-1", 22, &key(A)), Verdict::Known);
        assert_eq!(known.judge("10.0.0.1", 22, &key(A)), Verdict::Known);
        assert_eq!(known.judge("Pc-1", 2222, &key(B)), Verdict::Known);
        let Verdict::Changed { expected, line } = known.judge("pc-1", 2222, &key(A)) else {
            panic!("a changed key was accepted");
        };
        assert_eq!((expected, line), (fingerprint(&key(B)), 4));
        assert_eq!(
            known.judge("x.corp.example.jp", 22, &key(A)),
            Verdict::Known
        );
        assert_eq!(
            known.judge("bad.corp.example.jp", 22, &key(A)),
            Verdict::Unknown
        );
        assert_eq!(known.judge("pc-2", 22, &key(A)), Verdict::Unknown);
        assert_eq!(known.algorithms("pc-1", 22), [Algorithm::Ed25519]);
    }

    #[test]
    fn judges_hashed_names() {
        // ssh-keygen -H of "pc-1.example.jp".
        let salt = STANDARD.encode([7; 20]);
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[7; 20]);
        let hash = STANDARD.encode(ring::hmac::sign(&mac, b"pc-1.example.jp"));
        let known = known(&format!(
            "|1|{salt}|{hash} ssh-ed25519 {A}\n|1|x|y ssh-ed25519 {A}\n"
        ));
        assert_eq!(known.judge("pc-1.example.jp", 22, &key(A)), Verdict::Known);
        assert!(matches!(
            known.judge("pc-1.example.jp", 22, &key(B)),
            Verdict::Changed { line: 1, .. }
        ));
        assert_eq!(
            known.judge("pc-2.example.jp", 22, &key(A)),
            Verdict::Unknown
        );
    }

    #[test]
    fn a_revoked_key_is_never_known() {
        let known = known(&format!(
            "pc-1 ssh-ed25519 {A}\n@revoked * ssh-ed25519 {A}\n"
        ));
        assert_eq!(
            known.judge("pc-1", 22, &key(A)),
            Verdict::Revoked { line: 2 }
        );
        assert_eq!(known.judge("pc-2", 22, &key(B)), Verdict::Unknown);
    }

    #[tokio::test]
    async fn reads_only_what_is_said_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let text = format!(
            "pc-9 ssh-ed25519 {A}\n# pc-1\nPC-1,10.0.0.1 ssh-ed25519 {A}\n\
             @revoked * ssh-ed25519 {B}\n[pc-1]:2222 ssh-ed25519 {B}\n"
        );
        std::fs::write(&path, &text).unwrap();
        let whole = KnownHosts::parse(&path, &text);
        let known = KnownHosts::load_for(&path, "Pc-1", 22).await.unwrap();
        let lines: Vec<usize> = known.entries.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [3, 4]);
        for shown in [A, B] {
            let (key, whole) = (key(shown), whole.judge("pc-1", 22, &key(shown)));
            assert_eq!(known.judge("pc-1", 22, &key), whole);
        }
        let none = KnownHosts::load_for(&folder.path().join("none"), "pc-1", 22).await;
        assert!(none.unwrap().entries.is_empty());
    }

    #[tokio::test]
    async fn learns_into_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/known_hosts");
        let empty = KnownHosts::load(&path).await.unwrap();
        assert_eq!(
            empty.learn("PC-1", 2222, &key(A)).await.unwrap(),
            Verdict::Known
        );
        assert_eq!(
            empty.learn("pc-1", 2222, &key(A)).await.unwrap(),
            Verdict::Known
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("[pc-1]:2222 ssh-ed25519 {A}\n"));
        std::fs::write(&path, text.trim_end()).unwrap();
        empty.learn("pc-2", 22, &key(B)).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert!(matches!(
            empty.learn("pc-2", 22, &key(A)).await.unwrap(),
            Verdict::Changed { line: 2, .. }
        ));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn wildcards_do_not_blow_up() {
        assert!(wildcard("*a*b?", "xxaxxbc"));
        assert!(!wildcard("a?", "a"));
        assert!(!wildcard(&"*a".repeat(200), &"a".repeat(150)));
    }
}
