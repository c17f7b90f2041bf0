//! A lab, the files that a run over it needs, and the real binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support"
)]

#[cfg(unix)]
pub mod samba;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fleetmend_lab::{InventoryFiles, Lab, LabOptions};
use fleetmend_playbooks::Builtin;
use fleetmend_transport::Script;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a run of the binary may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the shipped scripts, which the lab knows by content; also the engine's own.
pub fn scripts() -> Vec<Script> {
    let own = Builtin::ALL
        .into_iter()
        .filter(|builtin| builtin.is_script())
        .map(|builtin| builtin.file().unwrap());
    fleetmend_playbooks::library_scripts()
        .unwrap()
        .into_iter()
        .chain(own)
        .map(|script| Script {
            name: script.name.clone(),
            text: script.text.clone(),
        })
        .collect()
}

/// Returns the path of the binary: `FLEETMEND_BINARY`, else the one built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("FLEETMEND_BINARY_UNDER_TEST") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join(format!("fleetmend{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run cargo build first",
        path.display()
    );
    path
}

/// A running lab with a folder of everything that a run over it needs.
pub struct Site {
    /// The lab.
    pub lab: Lab,
    folder: TempDir,
}

/// What the binary left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Ended {
    /// Returns standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Returns standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out(), self.err()))
    }

    /// Returns every host of a JSON report with its outcome as one line: `repaired(sc-reset)`.
    pub fn outcomes(&self) -> BTreeMap<String, String> {
        let report = self.json();
        let hosts = report["hosts"].as_array().expect("hosts").clone();
        let found: BTreeMap<String, String> = hosts
            .iter()
            .map(|host| {
                (
                    host["host"].as_str().unwrap().to_owned(),
                    outcome(&host["outcome"]),
                )
            })
            .collect();
        assert_eq!(found.len(), hosts.len(), "a host has two results");
        found
    }
}

/// Reads an outcome of the report back into the form that `Outcome` shows.
fn outcome(value: &Value) -> String {
    serde_json::from_value::<fleetmend_model::Outcome>(value.clone())
        .unwrap()
        .to_string()
}

impl Site {
    /// Starts a lab and writes its files.
    pub async fn start(options: LabOptions) -> Self {
        let lab = Lab::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let site = Self { lab, folder };
        let write = |name: &str, text: &str| private_file(&site.path(name), text);
        write(
            "lab.yaml",
            &site.lab.inventory_yaml(&InventoryFiles::default()),
        );
        write("lab-ca.pem", site.lab.ca_pem());
        write("known_hosts", &site.lab.known_hosts());
        write("local.pw", site.lab.local_credential().password.reveal());
        write("domain.pw", site.lab.domain_credential().password.reveal());
        site
    }

    /// Starts a lab in the mix of the demo in which nothing takes time.
    pub async fn demo(pcs: usize) -> Self {
        Self::start(LabOptions::new(pcs, scripts())).await
    }

    /// Returns a path in the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the folder with the journal.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns the arguments of a run with everything given and nothing asked.
    pub fn run_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["run".into(), "trust-repair".into()];
        arguments.extend(self.logon_arguments());
        let domain_user = self.lab.domain_credential().user.clone();
        arguments.extend(["--domain-user".into(), domain_user.into()]);
        arguments.extend([
            "--domain-password-file".into(),
            self.path("domain.pw").into(),
        ]);
        arguments.extend(["--allow-credential-on-pcs", "--yes"].map(OsString::from));
        arguments
    }

    /// Returns the arguments that every command over the inventory takes.
    pub fn logon_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-i".into(), self.path("lab.yaml").into()];
        arguments.extend(["--password-file".into(), self.path("local.pw").into()]);
        arguments.extend(["--data-dir".into(), self.data().into()]);
        arguments.extend(["--connect-timeout", "3s"].map(OsString::from));
        arguments
    }

    /// Starts the binary with these arguments, in a clean environment.
    pub fn spawn<I: IntoIterator<Item = S>, S: Into<OsString>>(&self, arguments: I) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Returns the command of [`Site::spawn`], to be changed further.
    pub fn command<I: IntoIterator<Item = S>, S: Into<OsString>>(&self, arguments: I) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.into_iter().map(Into::into))
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Waits until a run that was spawned has logged on somewhere, and a second longer: it is amid
    /// its work then, however slow the machine is.
    ///
    /// # Panics
    /// No logon came within a minute.
    pub async fn until_begun(&self) {
        let begun = std::time::Instant::now();
        while self.lab.counts().logons_accepted == 0 {
            assert!(begun.elapsed().as_secs() < 60, "no logon came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Runs the binary to its end.
    pub async fn run<I: IntoIterator<Item = S>, S: Into<OsString>>(&self, arguments: I) -> Ended {
        finish(self.spawn(arguments)).await
    }
}

/// Waits for the binary to end.
pub async fn finish(child: Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("the binary hangs")
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// Appends arguments.
pub fn with<S: Into<OsString>>(
    mut arguments: Vec<OsString>,
    more: impl IntoIterator<Item = S>,
) -> Vec<OsString> {
    arguments.extend(more.into_iter().map(Into::into));
    arguments
}

/// Writes a file that only its owner can read, as password files must be.
fn private_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
