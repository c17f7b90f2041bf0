//! W32Time on a simulated PC: where it takes the time from, and what a resync does to the clock.

use crate::domain::{Domain, DomainController};
use crate::machine::Machine;
use crate::secure_channel;
use crate::win32;

/// How far a clock is off that was just set, milliseconds.
const JUST_SET_MS: i64 = 12;

/// What `w32tm` exits with: `HRESULT_FROM_WIN32(ERROR_SERVICE_NOT_ACTIVE)`.
pub const NOT_ACTIVE: i32 = -2_147_023_834;
/// What `w32tm` exits with for somebody who is not elevated: `E_ACCESSDENIED`.
pub const DENIED: i32 = -2_147_024_891;
/// What `w32tm /resync` exits with when no source gave a time that counts.
pub const NO_TIME_DATA: i32 = -2_147_023_728;
/// What `w32tm /resync` exits with when the clock may not be set that far.
pub const TOO_BIG: i32 = -2_147_023_729;

/// Where W32Time takes the time from, with the numbers that the scripts answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SyncType {
    Nobody = 0,
    Servers = 1,
    Domain = 2,
}

/// The settings of W32Time, and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeService {
    /// Its own setting.
    pub sync_type: SyncType,
    /// What Group Policy says; it counts first.
    pub policy: Option<SyncType>,
    /// The servers of its own setting.
    pub servers: String,
    /// Whether servers that are no controllers answer.
    pub servers_answer: bool,
    /// How far the clock may be set forward and back, seconds.
    pub limits: (u32, u32),
    /// The clock of a virtual machine's host minus the domain's, milliseconds; `None`: no host.
    pub host_offset_ms: Option<i64>,
    /// Whether it listens to the host.
    pub host_listened: bool,
    /// Whether NTP to the controllers is blocked.
    pub ntp_blocked: bool,
    /// The clock of somebody else who answers NTP for the controllers, minus the domain's,
    /// milliseconds.
    pub false_ntp_ms: Option<i64>,
    /// The settings from before a temporary server: kind and servers.
    pub saved: Option<(SyncType, String)>,
}

impl Default for TimeService {
    fn default() -> Self {
        Self {
            sync_type: SyncType::Domain,
            policy: None,
            servers: "time.windows.com,0x8".to_owned(),
            servers_answer: true,
            limits: (u32::MAX, u32::MAX),
            host_offset_ms: None,
            host_listened: true,
            ntp_blocked: false,
            false_ntp_ms: None,
            saved: None,
        }
    }
}

impl TimeService {
    /// Returns the source that counts.
    pub fn in_force(&self) -> SyncType {
        self.policy.unwrap_or(self.sync_type)
    }

    /// Names one server in place of what is set, and keeps that unless something is kept already.
    pub fn use_temporary_server(&mut self, server: &str) {
        let own = (self.sync_type, self.servers.clone());
        self.saved.get_or_insert(own);
        self.sync_type = SyncType::Servers;
        self.servers = format!("{server},0x8");
    }

    /// Puts back what was kept.
    pub fn restore(&mut self) {
        if let Some((sync_type, servers)) = self.saved.take() {
            self.sync_type = sync_type;
            self.servers = servers;
        }
    }
}

/// Does what `w32tm /resync` does and returns its exit code.
pub fn resync(pc: &mut Machine, domain: &Domain) -> i32 {
    if !pc.w32time.running {
        return NOT_ACTIVE;
    }
    let Some(source_ms) = source(pc, domain) else {
        return NO_TIME_DATA;
    };
    // What must be added to the clock.
    let correction = source_ms - pc.clock_offset_ms;
    let (forward, back) = pc.time.limits;
    let limit = if correction > 0 { forward } else { back };
    if limit != u32::MAX && correction.abs() > i64::from(limit) * 1000 {
        return TOO_BIG;
    }
    pc.clock_offset_ms = source_ms + JUST_SET_MS;
    0
}

/// Sets the clock by hand to a measured distance.
pub fn step(pc: &mut Machine, measured_ms: i64) {
    pc.clock_offset_ms += JUST_SET_MS - measured_ms;
}

/// Lets time pass, in which a host may pull the clock to its own.
pub fn wait(pc: &mut Machine) {
    if let Some(host) = listened_host(pc) {
        pc.clock_offset_ms = host;
    }
}

/// Measures the PC's clock against a controller's by SNTP and by LDAP (whole seconds), as far as
/// they answer: PC minus controller.
pub fn measure(pc: &Machine, controller: &DomainController) -> (Option<f64>, Option<i64>) {
    if !secure_channel::reaches(pc, controller) {
        return (None, None);
    }
    let ntp = pc.clock_offset_ms - pc.time.false_ntp_ms.unwrap_or(0);
    let sntp = (!pc.time.ntp_blocked).then_some(ntp as f64 / 1000.0);
    let ldap = (pc.clock_offset_ms as f64 / 1000.0).round() as i64;
    (sntp, Some(ldap))
}

fn listened_host(pc: &Machine) -> Option<i64> {
    let listens = pc.w32time.running && pc.time.host_listened;
    pc.time.host_offset_ms.filter(|_| listens)
}

/// Returns the clock of the source that W32Time believes, minus the domain's, milliseconds.
fn source(pc: &Machine, domain: &Domain) -> Option<i64> {
    if let Some(host) = listened_host(pc) {
        return Some(host);
    }
    let controllers = || domain.controllers.iter();
    let reached = |dc: &&DomainController| !pc.time.ntp_blocked && secure_channel::reaches(pc, dc);
    let told = pc.time.false_ntp_ms.unwrap_or(0);
    match pc.time.in_force() {
        SyncType::Nobody => None,
        SyncType::Servers => {
            let named = pc.time.servers.split(',').next().unwrap_or_default();
            match controllers().find(|dc| dc.dns_name.eq_ignore_ascii_case(named)) {
                Some(dc) => reached(&dc).then_some(told),
                None => pc.time.servers_answer.then_some(0),
            }
        }
        // The answer is signed with the PC's password; somebody else's has no signature.
        SyncType::Domain => {
            let dc = controllers().find(reached)?;
            let secret = pc.secret?;
            let status = domain.authenticate_machine(dc, &pc.name, secret.current, secret.previous);
            (status == win32::OK && pc.time.false_ntp_ms.is_none()).then_some(0)
        }
    }
}
