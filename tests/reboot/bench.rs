//! A lab, the trial playbook, and runs of it at a pace at which restarts take no minutes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleetmend_lab::machine::{Machine, RestartFault, Restarts};
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, finish, scripts, with};
use fleetmend_transport::Script;
use serde_json::Value;
use tokio::process::{Child, Command};

/// By which the waits of the engine are multiplied.
const PACE: &str = "0.02";

pub(crate) struct Bench {
    pub(crate) site: Site,
}

fn trial() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reboot")
}

pub(crate) fn pcs(count: usize) -> LabOptions {
    let mut options = LabOptions::new(count, Vec::new());
    options.mix = Mix::All(PcPlan::new(Scenario::Healthy));
    options
}

impl Bench {
    pub(crate) async fn start(mut options: LabOptions) -> Self {
        options.scripts = scripts();
        for name in ["diagnose", "mark"] {
            let name = format!("restart-trial/{name}.ps1");
            let text = std::fs::read_to_string(trial().join(&name)).unwrap();
            options.scripts.push(Script { name, text });
        }
        let site = Site::start(options).await;
        for pc in site.lab.pcs() {
            pc.sim.record();
        }
        let bench = Self { site };
        bench.patience(Duration::from_secs(60));
        bench
    }

    /// Writes the playbook, with so much time for each restart.
    pub(crate) fn patience(&self, time: Duration) {
        let folder = self.site.path("restart-trial");
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(trial().join("restart-trial")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        let text = std::fs::read_to_string(trial().join("restart-trial.yaml")).unwrap();
        assert_eq!(text.matches("deadline: 60s").count(), 2);
        let limit = format!("deadline: {}ms", time.as_millis());
        let text = text.replace("deadline: 60s", &limit);
        std::fs::write(self.site.path("restart-trial.yaml"), text).unwrap();
    }

    pub(crate) fn each(&self, change: impl Fn(usize, &mut Machine)) {
        for (index, pc) in self.site.lab.pcs().iter().enumerate() {
            change(index, &mut pc.sim.machine());
        }
    }

    /// The first restart of every PC goes wrong like this.
    pub(crate) fn fault(&self, fault: RestartFault) {
        self.each(|_, machine| machine.restarts.faults = [fault].into());
    }

    pub(crate) fn arguments(&self, mode: &str, more: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![mode.into(), self.site.path("restart-trial.yaml").into()];
        all.extend(self.site.logon_arguments());
        let all = with(all, ["--output", "json", "--yes"]);
        with(all, more.iter().copied())
    }

    pub(crate) fn command(&self, arguments: Vec<OsString>) -> Command {
        let mut command = self.site.command(arguments);
        command.env("FLEETMEND_RESTART_PACE", PACE);
        command
    }

    pub(crate) fn spawn(&self, more: &[&str]) -> Child {
        self.command(self.arguments("run", more)).spawn().unwrap()
    }

    pub(crate) async fn run(&self, more: &[&str]) -> Ended {
        let ended = finish(self.spawn(more)).await;
        assert_eq!(self.site.lab.counts().unknown_scripts, 0, "{}", ended.err());
        ended
    }

    pub(crate) async fn resume(&self) -> Ended {
        let all = ["resume", "--yes", "--output", "json", "--data-dir"];
        let all = with(Vec::new(), all);
        finish(self.command(with(all, [self.site.data()])).spawn().unwrap()).await
    }

    /// Waits until this is so.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Machine) -> bool) {
        let begun = Instant::now();
        loop {
            let pcs = self.site.lab.pcs();
            if pcs.iter().any(|pc| so(&pc.sim.machine())) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Restarts that are over quickly.
pub(crate) fn quick() -> Restarts {
    let moment = Duration::from_millis(50);
    Restarts {
        down_for: Duration::from_millis(150),
        servicing_for: moment,
        logon_ready_after: moment,
        ..Restarts::default()
    }
}

/// What the trial wrote on a PC: how often it was marked at all.
pub(crate) fn marks(machine: &Machine) -> u64 {
    let runs = machine.registry.get(r"HKLM\SOFTWARE\Lab\Trial\Runs");
    runs.and_then(Value::as_u64).unwrap_or(0)
}

/// Asserts that every PC came to this end.
pub(crate) fn all(ended: &Ended, outcome: &str) {
    let outcomes = ended.outcomes();
    assert!(!outcomes.is_empty(), "{}", ended.err());
    for (pc, found) in outcomes {
        assert_eq!(found, outcome, "{pc}: {}\n{}", ended.out(), ended.err());
    }
}

/// Asserts that each PC was marked and restarted twice, and no more.
pub(crate) fn done_once(bench: &Bench) {
    bench.each(|_, machine| {
        let done = (marks(machine), machine.boot.orders, machine.boot.restarts);
        assert_eq!(done, (2, 2, 2), "{}: marks, orders, restarts", machine.name);
    });
}
