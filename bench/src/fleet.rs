//! A lab of PCs that are all alike, and one run of the binary over it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fleetmend_lab::{InventoryFiles, Lab, LabOptions, Mix, PcPlan};
use fleetmend_transport::Script;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Error;
use crate::usage::Usage;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// From start to end of the process.
    pub(crate) wall: Duration,
    /// User and system time of the process.
    pub(crate) cpu: Duration,
    /// Its largest resident set (VmHWM).
    pub(crate) peak_kib: u64,
}

/// A lab and the files of a run.
pub(crate) struct Fleet {
    lab: Lab,
    folder: TempDir,
}

impl Fleet {
    /// Starts a lab of `pcs` PCs.
    pub(crate) async fn start(pcs: usize, plan: PcPlan, latency: Duration) -> Result<Self, Error> {
        let scripts = fleetmend_playbooks::library_scripts()?
            .iter()
            .map(|script| Script {
                name: script.name.clone(),
                text: script.text.clone(),
            })
            .collect();
        let mut options = LabOptions::new(pcs, scripts);
        options.mix = Mix::All(plan);
        options.latency = latency;
        let lab = Lab::start(options).await?;
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| private_file(&folder.path().join(name), text);
        write("lab.yaml", &lab.inventory_yaml(&InventoryFiles::default()))?;
        write("lab-ca.pem", lab.ca_pem())?;
        write("known_hosts", &lab.known_hosts())?;
        write("local.pw", lab.local_credential().password.reveal())?;
        write("domain.pw", lab.domain_credential().password.reveal())?;
        Ok(Self { lab, folder })
    }

    /// Runs the binary over the whole fleet at once and checks that every PC ends well.
    pub(crate) async fn run(self, binary: &Path) -> Result<Measured, Error> {
        let path = |name: &str| self.folder.path().join(name);
        let pcs = self.lab.pcs().len();
        let mut command = Command::new(binary);
        command
            .args([
                "run",
                "trust-repair",
                "--yes",
                "--quiet",
                "--output",
                "json",
            ])
            .args([
                "--allow-credential-on-pcs",
                "--connect-timeout",
                "30s",
                "--max-concurrency",
            ])
            .arg(pcs.clamp(1, 10_000).to_string())
            .args(["--domain-user", &self.lab.domain_credential().user])
            .arg("--inventory")
            .arg(path("lab.yaml"))
            .arg("--password-file")
            .arg(path("local.pw"))
            .arg("--domain-password-file")
            .arg(path("domain.pw"))
            .arg("--data-dir")
            .arg(path("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let id = child.id().ok_or("the binary ended at once")?;
        let mut usage = Usage::default();
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                () = tokio::time::sleep(Duration::from_millis(10)) => usage.look(id),
            }
        };
        let wall = started.elapsed();
        if status.code() != Some(0) {
            return Err(format!("the run over {pcs} PCs ended with {status}").into());
        }
        self.lab.shutdown().await;
        Ok(Measured {
            wall,
            cpu: usage.cpu,
            peak_kib: usage.peak_kib,
        })
    }
}

/// Writes a file that only its owner can read, as password files must be.
fn private_file(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
