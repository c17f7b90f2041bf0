//! One simulated Windows PC: pure state, no sockets, no clock of its own.

mod accounts;
mod disk;
mod membership;
mod restart;
mod safety;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::PasswordId;
use crate::rotation::Rotation;
use crate::servicing::Servicing;
use crate::time_service::TimeService;
use crate::win32;

pub use accounts::LocalAccount;
pub use disk::{Disk, Freeze, Uwf};
pub use membership::{Membership, PendingMembership};
pub use restart::{BootState, RepairLock, RestartFault, RestartOrder, Restarts};
pub use safety::{
    Battery, BitLocker, Firewall, FirewallRule, LoggedOn, PendingReboot, Profile, WriteFilter,
};

/// Every PC's own SID; nothing compares those of two.
const MACHINE_SID: &str = "S-1-5-21-1004336348-1177238915-682003330";

/// The LSA secret `$MACHINE.ACC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineSecret {
    /// The password in force.
    pub current: PasswordId,
    /// The one before.
    pub previous: Option<PasswordId>,
    /// `CupdTime`.
    pub changed: Timestamp,
}

/// How a service starts, with the number of `ServiceStartMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StartMode {
    Automatic = 2,
    Manual = 3,
    Disabled = 4,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Whether it runs (status 4; else 1).
    pub running: bool,
    /// How it starts.
    pub start: StartMode,
    /// Whether it refuses to start, whatever one does.
    pub refuses_start: bool,
}

impl Service {
    /// Returns a service that runs and starts by itself.
    pub fn running() -> Self {
        Self {
            running: true,
            start: StartMode::Automatic,
            refuses_start: false,
        }
    }

    /// Returns the number of `ServiceControllerStatus`: 4 running, 1 stopped.
    pub fn status(self) -> u32 {
        if self.running { 4 } else { 1 }
    }
}

/// What Windows may do with a network adapter to save power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its GUID, upper case, in braces.
    pub guid: String,
    /// `AllowComputerToTurnOffDevice` as it is in force: 0 unknown to the driver, 1 no, 2 yes.
    pub allowed: u32,
    /// `PnPCapabilities`, if there is such a value.
    pub capabilities: Option<u32>,
    /// Whether a change is in force only after the next start.
    pub takes_up_late: bool,
}

impl Adapter {
    /// Returns one that Windows leaves alone.
    pub fn new(number: u32) -> Self {
        Self {
            guid: format!("{{6F0C2E5A-7B1D-4C3E-9A58-0000000000{number:02X}}}"),
            allowed: 1,
            capabilities: Some(24),
            takes_up_late: true,
        }
    }

    /// Tells whether the next start finds that Windows must not turn it off.
    pub fn stored_off(&self) -> bool {
        self.capabilities.is_some_and(|bits| bits & 24 == 24)
    }
}

/// One record of the System log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// `NETLOGON`.
    pub provider: String,
    /// 3210, 5719, ….
    pub id: u32,
    /// When, by the PC's own clock.
    pub at: Timestamp,
    /// `RecordId`: counts up, and no clock change can move it.
    pub record: u64,
}

/// An installed update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// `KB5055523`.
    pub id: String,
    /// When it was installed.
    pub installed: Timestamp,
}

/// What the operating system says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsVersion {
    /// The build: 19045, 22631, 26100, 20348.
    pub build: u32,
    /// The update build revision.
    pub ubr: u32,
    /// 1 workstation, 2 domain controller, 3 server.
    pub product_type: u32,
}

/// What Netlogon remembers of its last use of the secure channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelMemory {
    /// The controller it is bound to.
    pub controller: Option<String>,
    /// The status of the last use, which `sc_query` reports without trying again.
    pub status: u32,
}

/// What goes wrong in the middle of a repair, when a test asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepairFault {
    /// Nothing.
    #[default]
    None,
    /// The directory takes the new password, then the PC fails to store it: the drift is worse
    /// than before.
    BetweenDirectoryAndPc,
    /// The process hangs after the directory took the new password, and never answers.
    HangsInBetween,
    /// The process dies after the directory took the new password, without an answer.
    DiesInBetween,
    /// As [`RepairFault::DiesInBetween`], but only while a password from the controller is being
    /// stored, and only the first time.
    DiesInStoreOnce,
    /// Nothing is done, and yet the step says that it was.
    LiesAboutSuccess,
    /// The domain lets members not change their own passwords.
    RefusesRotation,
    /// The first join says that it worked, and nothing was done; later ones do it.
    LiesInJoinOnce,
}

/// A simulated Windows PC.
#[derive(Clone, Debug)]
pub struct Machine {
    /// NetBIOS name, upper case.
    pub name: String,
    /// The domain it believes to be in; `None`: a workgroup.
    pub domain: Option<String>,
    /// `Win32_ComputerSystem.DomainRole`: 0, 1 workstation, 2, 3 server, 4, 5 controller.
    pub domain_role: u32,
    /// Local accounts by lower-case name.
    pub accounts: BTreeMap<String, LocalAccount>,
    /// Wrong passwords after which a local account is locked; 0: never.
    pub lockout_threshold: u32,
    /// Whether `LocalAccountTokenFilterPolicy` lets local administrators be administrators over
    /// the network.
    pub remote_admins: bool,
    /// SIDs of those who may not log on over the network (`SeDenyNetworkLogonRight`).
    pub network_denied: BTreeSet<String>,
    /// Characters that a new local password must have at least.
    pub shortest_password: usize,
    /// Whether LAPS looks after a local password.
    pub laps: bool,
    /// Its network adapters.
    pub adapters: Vec<Adapter>,
    /// Seconds of nothing to do until it sleeps, on mains; 0: never.
    pub sleeps_after: u32,
    /// The machine secret; `None`: gone.
    pub secret: Option<MachineSecret>,
    /// Its clock minus the domain's, milliseconds.
    pub clock_offset_ms: i64,
    /// What W32Time is told to do.
    pub time: TimeService,
    /// How it changes its machine password.
    pub rotation: Rotation,
    /// Controllers (DNS names) it cannot reach.
    pub unreachable: BTreeSet<String>,
    /// Netlogon.
    pub netlogon: Service,
    /// The Windows time service.
    pub w32time: Service,
    /// The workstation service.
    pub workstation: Service,
    /// What Netlogon remembers.
    pub channel: ChannelMemory,
    /// The operating system.
    pub os: OsVersion,
    /// When it was started, by the domain's clock.
    pub booted: Timestamp,
    /// `Win32_ComputerSystem.Model`.
    pub model: String,
    /// UI language: 1033 English, 1041 Japanese.
    pub lcid: u32,
    /// The System log, oldest first.
    pub events: Vec<LogEvent>,
    /// The record id before the first event that is still in the log.
    pub first_record: u64,
    /// Installed updates, oldest first.
    pub updates: Vec<Update>,
    /// Whether `nltest.exe` is there.
    pub nltest: bool,
    /// Multiplies every duration.
    pub slowness: f64,
    /// Whether a profile or a tool writes stray lines to standard output.
    pub noisy: bool,
    /// What goes wrong in a repair.
    pub repair_fault: RepairFault,
    /// The setting for Machine Identity Isolation: 0 off, 1 audit, 2 enforced; `None`: not set.
    pub isolation: Option<u32>,
    /// A secret that takes effect when the PC is restarted.
    pub secret_after_restart: Option<MachineSecret>,
    /// The workgroup it is in, or was last.
    pub workgroup: String,
    /// The membership that is in force after the next boot.
    pub pending_membership: Option<PendingMembership>,
    /// The site of its directory.
    pub site: String,
    /// The present boot.
    pub boot: BootState,
    /// How it restarts.
    pub restarts: Restarts,
    /// Software that undoes changes of the disk at every boot.
    pub freeze: Option<Freeze>,
    /// How it updates itself.
    pub servicing: Servicing,
    /// Whether the next boot freezes the disk.
    pub freezes_at_boot: bool,
    /// Windows' Unified Write Filter, where this Windows has it; it filters now if the disk is frozen.
    pub uwf: Option<Uwf>,
    /// Registry values that no other field stands for, by path and name (`HKLM\…\Name`).
    pub registry: BTreeMap<String, serde_json::Value>,
    /// Files that no other field stands for, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Encryption of the system volume.
    pub bitlocker: BitLocker,
    /// Who is logged on at the screen or by Remote Desktop.
    pub users: Vec<LoggedOn>,
    /// Who logs on while the script of this name runs there for the next time.
    pub comes_during: Option<(String, LoggedOn)>,
    /// What waits for a restart.
    pub pending_reboot: PendingReboot,
    /// Its battery; `None`: it has none.
    pub battery: Option<Battery>,
    /// Its firewall.
    pub firewall: Firewall,
    /// What a diagnosis finds of software that throws changes away.
    pub write_filter: Option<WriteFilter>,
}

impl Machine {
    /// Returns a Windows 11 workstation outside any domain, with no accounts.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_ascii_uppercase(),
            domain: None,
            domain_role: 0,
            accounts: BTreeMap::new(),
            lockout_threshold: 10,
            remote_admins: true,
            network_denied: BTreeSet::new(),
            shortest_password: 0,
            laps: false,
            adapters: vec![Adapter::new(1)],
            sleeps_after: 1800,
            secret: None,
            clock_offset_ms: 40,
            time: TimeService::default(),
            rotation: Rotation::default(),
            unreachable: BTreeSet::new(),
            netlogon: Service {
                running: false,
                start: StartMode::Manual,
                refuses_start: false,
            },
            w32time: Service::running(),
            workstation: Service::running(),
            channel: ChannelMemory::default(),
            os: OsVersion {
                build: 22631,
                ubr: 5335,
                product_type: 1,
            },
            booted: Timestamp::UNIX_EPOCH,
            model: "OptiPlex 7010".to_owned(),
            lcid: 1033,
            events: Vec::new(),
            first_record: 48_200,
            updates: Vec::new(),
            nltest: true,
            slowness: 1.0,
            noisy: false,
            repair_fault: RepairFault::None,
            isolation: None,
            secret_after_restart: None,
            workgroup: "WORKGROUP".to_owned(),
            pending_membership: None,
            site: "Default-First-Site-Name".to_owned(),
            boot: BootState {
                id: Some(311),
                ..BootState::default()
            },
            restarts: Restarts::default(),
            freeze: None,
            servicing: Servicing::default(),
            freezes_at_boot: false,
            uwf: None,
            registry: BTreeMap::new(),
            files: BTreeMap::new(),
            bitlocker: BitLocker::default(),
            users: Vec::new(),
            comes_during: None,
            pending_reboot: PendingReboot::default(),
            battery: None,
            firewall: Firewall::default(),
            write_filter: None,
        }
    }

    /// Returns the SID of a local account by its last part.
    pub fn local_sid(&self, rid: u32) -> String {
        format!("{MACHINE_SID}-{rid}")
    }

    /// Tells whether its language is Japanese.
    pub fn is_japanese(&self) -> bool {
        self.lcid == 1041
    }

    /// Returns the code page of its console: 932 in Japanese, else 437.
    pub fn oem_code_page(&self) -> u32 {
        if self.is_japanese() { 932 } else { 437 }
    }

    /// Tells whether it is a domain controller.
    pub fn is_controller(&self) -> bool {
        self.domain_role >= 4
    }

    /// Returns the time its own clock shows.
    pub fn local_time(&self, now: Timestamp) -> Timestamp {
        let offset = jiff::SignedDuration::from_millis(self.clock_offset_ms);
        now.checked_add(offset).unwrap_or(now)
    }

    /// Tells whether the machine's secret lives where nothing can be written.
    pub fn isolates_identity(&self) -> bool {
        self.isolation == Some(2)
    }

    /// Stores a machine password; the one in force becomes the previous one.
    pub fn store_secret(&mut self, password: PasswordId, now: Timestamp) {
        self.secret = Some(MachineSecret {
            current: password,
            previous: self.secret.map(|secret| secret.current),
            changed: self.local_time(now),
        });
    }

    /// Writes a Netlogon event to the System log.
    pub fn log_netlogon(&mut self, id: u32, now: Timestamp) {
        self.log("NETLOGON", id, now);
    }

    /// Writes an event to the System log.
    pub fn log(&mut self, provider: &str, id: u32, now: Timestamp) {
        let record = self.last_record() + 1;
        let at = self.local_time(now);
        self.events.push(LogEvent {
            provider: provider.to_owned(),
            id,
            at,
            record,
        });
    }

    /// Returns the newest event's record id.
    pub fn last_record(&self) -> u64 {
        self.events
            .last()
            .map_or(self.first_record, |event| event.record)
    }

    /// Writes the event that Netlogon writes for a status: 5719 when no controller answers,
    /// 3210 when one refuses.
    pub fn log_channel_failure(&mut self, status: u32, now: Timestamp) {
        match status {
            win32::OK => {}
            win32::NO_LOGON_SERVERS | win32::NO_SUCH_DOMAIN => self.log_netlogon(5719, now),
            _ => self.log_netlogon(3210, now),
        }
    }
}
