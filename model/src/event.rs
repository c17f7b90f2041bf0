//! What happened, in order. Screen, journal and reports only read this.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cause, CredentialRef, HostName, HostResult};

/// Identifies a run; ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub uuid::Uuid);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One event with its place in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which run.
    pub run: RunId,
    /// Counts up from 1 without gaps.
    pub seq: u64,
    /// When, by the controller's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// Diagnose, repair, verify.
    Repair,
    /// Diagnose only.
    Check,
    /// One command by hand.
    Exec,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins; nothing has been touched.
    RunStarted {
        /// Repair, check or exec.
        mode: RunMode,
        /// The playbook's name; for exec the command.
        subject: String,
        /// SHA-256 over the playbook and its scripts, in hex; empty for exec.
        digest: String,
        /// Version of fleetmend.
        version: String,
        /// Every PC of the run.
        hosts: Vec<HostName>,
        /// Who runs it, and from where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operator: Option<Operator>,
    },
    /// Something happened on one PC.
    Host {
        /// Which PC.
        host: HostName,
        /// What happened.
        what: HostEvent,
    },
    /// The operator pressed Ctrl-C.
    Interrupted {
        /// False: start nothing new. True: cut what runs.
        cut: bool,
    },
    /// The run goes on after it was cut: its process died, or it could not store events any more.
    /// What was open on a PC before this is not known; PCs with a result keep it.
    Resumed {
        /// Version of the fleetmend that goes on.
        version: String,
        /// Who went on: the account on the controller, where the system tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The next batch begins; every PC of those before has its result. A run in one batch has none.
    BatchStarted {
        /// Which one; the first is 1.
        number: usize,
        /// How many batches there are.
        of: usize,
        /// How many PCs it has, those included that had their result before a cut.
        hosts: usize,
    },
    /// Too many PCs failed, or one of the first batch in a new way: no further PC is begun.
    ErrorsSpent(ErrorsSpent),
    /// The run is over; every host has its result.
    RunEnded {
        /// The exit code of the process.
        exit_code: i32,
    },
}

/// How a run used up its allowance of failures of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorsSpent {
    /// In which batch; the first is 1.
    pub batch: usize,
    /// How many batches the run has.
    pub of: usize,
    /// The class of the failures: that of the outcome, or `verify-failed`.
    pub class: String,
    /// The kind of the failure, if it stopped the run because it is new:
    /// `not-repaired(no-account(1787))`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// How many PCs failed so: in the run, or in the batch if a share of it is allowed.
    pub count: usize,
    /// How many were allowed to.
    pub allowed: usize,
    /// The PCs that failed so.
    pub hosts: Vec<HostName>,
    /// How many PCs had not been begun, and are not any more.
    pub left: usize,
}

/// Who runs fleetmend, and from where, as far as the system tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The account on the controller under which the process runs.
    pub account: String,
    /// The account behind it, where another was taken on (`sudo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
    /// The controller's name.
    pub controller: String,
    /// The address of the operator's own computer, where they came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What a credential is about to be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "use", rename_all = "kebab-case")]
pub enum CredentialUse {
    /// To log on to the PC.
    Logon,
    /// A step of this rung is given it, or logs on with it.
    Rung {
        /// The rung.
        rung: String,
    },
    /// A step of this rung logs on with it at another PC than the one for which it runs.
    Elsewhere {
        /// The rung.
        rung: String,
        /// The other PC.
        on: HostName,
    },
}

/// Which way the PC was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TransportKind {
    WinrmHttp,
    WinrmHttps,
    Ssh,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WinrmHttp => "WinRM (HTTP)",
            Self::WinrmHttps => "WinRM (HTTPS)",
            Self::Ssh => "SSH",
        })
    }
}

/// Which part of the work a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Phase {
    Diagnose,
    Preflight,
    Repair,
    Verify,
    Exec,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diagnose => "diagnose",
            Self::Preflight => "preflight",
            Self::Repair => "repair",
            Self::Verify => "verify",
            Self::Exec => "exec",
        })
    }
}

/// Where a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the PC, through its session.
    #[default]
    Pc,
    /// On the controller, in the directory. Its end says nothing of the session.
    Controller,
}

impl Place {
    /// Tells whether it is the PC; so a journal needs no word for most steps.
    pub fn is_pc(&self) -> bool {
        *self == Self::Pc
    }
}

/// Names one step of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepRef {
    /// Diagnose, repair, verify or exec.
    pub phase: Phase,
    /// The rung, in repair and in the verify that follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<String>,
    /// The step's name in the playbook.
    pub step: String,
}

impl fmt::Display for StepRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rung {
            Some(rung) => write!(f, "{}/{rung}/{}", self.phase, self.step),
            None => write!(f, "{}/{}", self.phase, self.step),
        }
    }
}

/// Tells one boot of a PC from another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// When Windows booted, by the PC's clock, in seconds since 1970
    /// (`Win32_OperatingSystem.LastBootUpTime`). It moves when the clock is set.
    pub last_boot_unix: f64,
    /// The number of the boot, where Windows counts them (`BootId` under
    /// `Session Manager\Memory Management\PrefetchParameters`).
    pub boot_id: Option<u64>,
    /// How long it runs, in seconds.
    pub uptime_seconds: f64,
}

/// What a person did on a PC with the script for a USB stick, as the file that it left says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedIn {
    /// SHA-256 of the file, in hex: the same file is not taken in twice.
    pub file: String,
    /// Which stick: the id that its script carries.
    pub stick: String,
    /// What the PC calls itself.
    pub computer: String,
    /// The account under which the script ran, as the PC says it.
    pub by: String,
    /// When it was begun, by the PC's clock.
    pub began: Timestamp,
    /// When it ended, by the PC's clock.
    pub ended: Timestamp,
    /// Whether the person gave it a domain credential (never kept).
    pub credential_given: bool,
    /// What happened, in order; none of it went through the controller.
    pub story: Vec<HandedStep>,
    /// What follows from it, by the decisions of the controller itself.
    pub result: HostResult,
}

/// One thing that a script from a USB stick did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedStep {
    /// When, by the PC's clock.
    pub at: Timestamp,
    /// What: steps and rungs only.
    #[serde(flatten)]
    pub what: HostEvent,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum StepEnd {
    /// It answered.
    Answered {
        /// The JSON it gave, never holding a secret.
        answer: Value,
    },
    /// The script failed on the PC in an orderly way.
    Failed {
        /// `FullyQualifiedErrorId`, or our own id.
        error_id: String,
        /// HRESULT or Win32 code, where there is one.
        code: Option<i64>,
        /// The PC's own words, for showing only.
        message: String,
    },
    /// It certainly did not run.
    NotRun {
        /// Why.
        reason: String,
    },
    /// Nobody knows whether it ran to its end: the answer was lost, or its deadline cut it.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// One thing that happened on one PC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum HostEvent {
    /// Work on the PC begins: it will be connected to.
    Connecting,
    /// A credential is about to be used for the PC. Stored before it is; its secret never is.
    CredentialUsed {
        /// Its name: that of the inventory or of `credentials.yaml`.
        credential: CredentialRef,
        /// The account.
        account: String,
        /// What for.
        what_for: CredentialUse,
    },
    /// Logged on.
    Connected {
        /// Over what.
        transport: TransportKind,
        /// `address:port`.
        address: String,
    },
    /// No session came about; the PC's result follows.
    ConnectFailed {
        /// The short code of the outcome.
        why: String,
        /// The whole story.
        reason: String,
    },
    /// A step is about to be sent. Stored before the first byte leaves.
    StepStarted {
        /// Which step.
        step: StepRef,
        /// Whether it may change the PC or its account.
        changes: bool,
        /// On the PC or on the controller.
        #[serde(default, skip_serializing_if = "Place::is_pc")]
        place: Place,
    },
    /// The PC is about to be told to restart. Stored before the order leaves: from here on the PC
    /// is waited for, whatever becomes of the connection or of the controller.
    RebootOrdered {
        /// The step that restarts it.
        step: StepRef,
        /// The boot that is to end.
        boot: Boot,
        /// When, by the controller's clock.
        ordered: Timestamp,
    },
    /// A step of a rung is left out, because its `when` does not hold.
    StepSkipped {
        /// Which step.
        step: StepRef,
    },
    /// A step ended.
    StepEnded {
        /// Which step.
        step: StepRef,
        /// How.
        end: StepEnd,
        /// Milliseconds.
        elapsed_ms: u64,
    },
    /// The facts added up to a cause.
    Diagnosed {
        /// Which.
        cause: Cause,
    },
    /// A rung is about to run. Stored before anything of it is sent.
    RungStarted {
        /// Which rung.
        rung: String,
        /// What must be known if the run is cut inside it: the PC may then be worse off than
        /// before, and how it is finished. None where a cut does no harm.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caution: Option<String>,
    },
    /// A rung was tried and verify ran.
    RungEnded {
        /// Which rung.
        rung: String,
        /// Whether verify holds.
        verified: bool,
    },
    /// A person repaired the PC, or tried to, with the script for a USB stick, after the run could
    /// not; the file that it left was taken in. The result counts from here on instead of the
    /// one before.
    HandedIn(Box<HandedIn>),
    /// The PC's one result.
    Finished {
        /// The result.
        result: HostResult,
    },
}
