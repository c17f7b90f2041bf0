//! Debian's own OpenSSH server, run by a test on a loopback port with its own keys and settings.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password of [`Account::Fleet`].
pub(crate) const PASSWORD: &str = "Kaigi-室 7\"x";

/// `openssl passwd -6 -salt fleetmend` of it.
const HASH: &str = "$6$fleetmend$ida6/O5CTz.l1yDNto9KukuLkhtq3nxF.hUXby0t5L/cQsyu9zPdQnZy9ipwzJb0aQfWncPmlucyUiyt9tgUm0";

/// The passphrase of the encrypted key.
pub(crate) const PASSPHRASE: &str = "鍵 pass";

/// Whom one can log on as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Ourselves, by key only.
    Own,
    /// `fleet`, who exists in the server's own view of `/etc` only, by key or password.
    Fleet,
    /// As `fleet`, but the password only by keyboard-interactive (PAM).
    FleetInteractive,
}

/// A running server; it ends when this is dropped.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    pub(crate) user: String,
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    /// Starts a server; `None`, and a visible word, where that cannot be.
    pub(crate) fn start(account: Account) -> Option<Self> {
        Self::try_start(account)
            .map_err(|why| println!("SKIPPED: OpenSSH because {why}"))
            .ok()
    }

    fn try_start(account: Account) -> Result<Self, String> {
        let program = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .ok_or("there is no sshd")?;
        let is_root = output("id", &["-u"])? == "0";
        if account != Account::Own && !is_root {
            return Err("an account with a password needs root".to_owned());
        }
        let user = match account {
            Account::Own => output("id", &["-un"])?,
            _ => "fleet".to_owned(),
        };
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        make_files(folder.path(), account)?;
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::write(
            folder.path().join("sshd_config"),
            config(folder.path(), port, account),
        )
        .unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("/bin/sh");
        let script = match account {
            Account::Own => r#"exec "$0" -D -e -f "$1/sshd_config""#,
            // A mount namespace of its own: nothing of this machine is changed.
            _ => {
                r#"exec unshare -m /bin/sh -c 'set -e
                mount --bind "$1/passwd" /etc/passwd
                mount --bind "$1/shadow" /etc/shadow
                mount --bind "$1/pam" /etc/pam.d/sshd
                exec "$0" -D -e -f "$1/sshd_config"' "$0" "$1""#
            }
        };
        if is_root {
            fs::create_dir_all("/run/sshd").map_err(|error| error.to_string())?;
        }
        command.args(["-c", script, program]).arg(folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut sshd = Self {
            port,
            user,
            folder,
            child,
        };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if sshd.child.try_wait().unwrap().is_some() || Instant::now() > until {
                return Err(format!("sshd does not start: {}", sshd.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(sshd)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what the server wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the log holds a text, and returns how many times it does.
    pub(crate) fn count_in_log(&self, text: &str) -> usize {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.log().contains(text) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(200));
        self.log().matches(text).count()
    }

    /// Writes a known-hosts file that holds this key under the server's name.
    pub(crate) fn known_hosts(&self, name: &str, public_key: &str) -> PathBuf {
        let key = fs::read_to_string(self.path(public_key)).unwrap();
        let path = self.path(name);
        let mut file = File::create(&path).unwrap();
        writeln!(file, "# made by a test\n[127.0.0.1]:{} {key}", self.port).unwrap();
        path
    }
}

fn config(folder: &Path, port: u16, account: Account) -> String {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let folder = folder.display();
    let password = yes(account == Account::Fleet);
    let interactive = yes(account == Account::FleetInteractive);
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUseDNS no\n\
         StrictModes no\nPermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 100\nUsePAM {interactive}\n\
         AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication {password}\n\
         KbdInteractiveAuthentication {interactive}\nPubkeyAuthentication yes\n"
    )
}

fn make_files(folder: &Path, account: Account) -> Result<(), String> {
    for (name, passphrase) in [
        ("host", ""),
        ("other", ""),
        ("client", ""),
        ("locked", PASSPHRASE),
        ("stranger", ""),
    ] {
        let path = folder.join(name);
        let path = path.to_str().ok_or("a strange temporary folder")?;
        output(
            "ssh-keygen",
            &[
                "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", path,
            ],
        )?;
    }
    let mut allowed = fs::read_to_string(folder.join("client.pub")).unwrap();
    allowed.push_str(&fs::read_to_string(folder.join("locked.pub")).unwrap());
    fs::write(folder.join("authorized_keys"), allowed).unwrap();
    if account != Account::Own {
        let home = folder.join("home");
        fs::create_dir(&home).unwrap();
        let add = |system: &str, line: String| {
            let text = fs::read_to_string(system).map_err(|error| format!("{system}: {error}"))?;
            let name = Path::new(system).file_name().unwrap();
            fs::write(folder.join(name), format!("{}\n{line}\n", text.trim_end()))
                .map_err(|error| error.to_string())
        };
        add(
            "/etc/passwd",
            format!("fleet:x:64999:64999::{}:/bin/sh", home.display()),
        )?;
        add("/etc/shadow", format!("fleet:{HASH}:19000:0:99999:7:::"))?;
        fs::write(
            folder.join("pam"),
            "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n",
        )
        .unwrap();
        if !Path::new("/etc/pam.d/sshd").exists() {
            return Err("there is no PAM service sshd".to_owned());
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    Ok(())
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
