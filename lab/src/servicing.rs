//! Updates of a simulated PC: packages, the component store, and the task that works as SYSTEM.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

/// CBS: installed.
pub const INSTALLED: i32 = 112;
/// CBS: gone after the next start.
pub const UNINSTALL_PENDING: i32 = 5;

/// A package of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its whole name.
    pub name: String,
    /// `cumulative`, `standalone`, `dotnet` or `servicing-stack`.
    pub kind: &'static str,
    /// Its version.
    pub version: String,
    /// Number of its update.
    pub kb: String,
    /// `CurrentState`.
    pub state: i32,
    /// What its manifest says.
    pub permanent: bool,
}

impl Package {
    /// Returns an installed cumulative update of Windows 11 24H2 with this revision.
    pub fn cumulative(kb: &str, revision: u32) -> Self {
        let version = format!("26100.{revision}.1.8");
        Self {
            name: format!("Package_for_RollupFix~31bf3856ad364e35~amd64~~{version}"),
            kind: "cumulative",
            version,
            kb: kb.to_owned(),
            state: INSTALLED,
            permanent: false,
        }
    }

    /// Returns an installed stand-alone update.
    pub fn standalone(kb: &str) -> Self {
        let version = "10.0.1.3".to_owned();
        Self {
            name: format!("Package_for_{kb}~31bf3856ad364e35~amd64~~{version}"),
            kind: "standalone",
            version,
            kb: kb.to_owned(),
            state: INSTALLED,
            permanent: false,
        }
    }
}

/// What servicing answers to a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// 3010: gone after the next start.
    #[default]
    AfterRestart,
    /// 0: gone.
    AtOnce,
    /// This code, to DISM; wusa does it all the same after the next start.
    RefusedByDism(i64),
    /// This code, to both.
    Refused(i64),
    /// 3010, and it is there again after the start.
    ComesBack,
}

/// How a PC updates itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Servicing {
    /// Packages of updates, beside those that nobody speaks of.
    pub packages: Vec<Package>,
    /// What a removal meets.
    pub removal: Removal,
    /// The revision that Windows has without its newest cumulative update.
    pub revision_before: u32,
    /// When updates are no longer paused.
    pub paused_until: Option<Timestamp>,
    /// Whether somebody else's work keeps servicing busy.
    pub busy: bool,
    /// How often a task of SYSTEM was started.
    pub tasks: u32,
    /// Whether wusa was ever used.
    pub wusa_used: bool,
    /// Whether the session is lost while the next task runs.
    pub session_lost_once: bool,
    /// The task that runs on after that, with what it was given.
    pub running: Option<(String, Value)>,
    /// The component store: 0 healthy, 1 can be repaired, 2 cannot.
    pub store_health: u32,
    /// What its repair answers.
    pub restore_code: i64,
    /// System files that cannot be repaired.
    pub bad_files: u64,
    /// Codes of the newest installations that failed; nothing went well since.
    pub failures: Vec<i64>,
    /// Whether new components make updates work again.
    pub reset_helps: bool,
    /// How often components were put aside.
    pub resets: u32,
    /// Size of the cache, megabytes.
    pub cache: u64,
    /// Disabled services of Windows Update.
    pub disabled: BTreeSet<String>,
}

impl Default for Servicing {
    fn default() -> Self {
        Self {
            packages: Vec::new(),
            removal: Removal::default(),
            revision_before: 4484,
            paused_until: None,
            busy: false,
            tasks: 0,
            wusa_used: false,
            session_lost_once: false,
            running: None,
            store_health: 0,
            restore_code: 0,
            bad_files: 0,
            failures: Vec::new(),
            reset_helps: true,
            resets: 0,
            cache: 812,
            disabled: BTreeSet::new(),
        }
    }
}

/// What came of a call for a task of SYSTEM.
pub(crate) enum Task {
    /// It answers now; whether it had been started before.
    Answers(bool),
    /// The session is lost while it runs.
    SessionLost,
    /// Another task of that name works on something else.
    Busy,
}

impl Servicing {
    /// Starts a task, or finds the one that runs.
    pub(crate) fn task(&mut self, name: &str, given: &Value) -> Task {
        match self.running.take() {
            Some((running, with)) if running == name && with == *given => {
                return Task::Answers(true);
            }
            Some(other) if other.0 == name => {
                self.running = Some(other);
                return Task::Busy;
            }
            other => self.running = other,
        }
        self.tasks += 1;
        if std::mem::take(&mut self.session_lost_once) {
            self.running = Some((name.to_owned(), given.clone()));
            return Task::SessionLost;
        }
        Task::Answers(false)
    }

    /// The part of a start of Windows; returns the revision that Windows has from now on, if it
    /// is another.
    pub(crate) fn boot(&mut self) -> Option<u32> {
        self.running = None;
        let mut revision = None;
        if self.removal == Removal::ComesBack {
            for package in &mut self.packages {
                package.state = INSTALLED;
            }
        }
        self.packages.retain(|package| {
            let leaves = package.state == UNINSTALL_PENDING;
            if leaves && package.kind == "cumulative" {
                revision = Some(self.revision_before);
            }
            !leaves
        });
        revision
    }
}
