//! What is wrong with a simulated PC, and how a run over it must end.

use fleetmend_model::{Cause, Outcome, TransportKind};
use jiff::{SignedDuration, Timestamp};

use crate::domain::{AccountState, Domain};
use crate::machine::{LocalAccount, Machine, MachineSecret, RepairFault, Service, StartMode};
use crate::machine::{OsVersion, Update};
use crate::win32;

/// What is wrong with a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Nothing.
    Healthy,
    /// The directory has a newer machine password than the PC, as after a restored snapshot.
    PasswordMismatch,
    /// As [`Scenario::PasswordMismatch`], on a PC without `nltest.exe`.
    MismatchWithoutNltest,
    /// The channel is bound to a controller that replication has not reached yet.
    LaggingController,
    /// Netlogon is stopped.
    NetlogonStopped,
    /// Netlogon is disabled.
    NetlogonDisabled,
    /// The PC has lost its machine secret.
    LostSecret,
    /// The PC's clock is far off.
    TimeSkew,
    /// The computer account was deleted.
    AccountDeleted,
    /// The computer account is disabled.
    AccountDisabled,
    /// The PC reaches no controller.
    NoController,
    /// A mismatch, and a repair that fails between directory and PC.
    RepairCutShort,
    /// A mismatch, and a repair that says it worked and did not.
    RepairLies,
    /// A mismatch, and a process that dies while it stores a password from the controller; the
    /// second time it works.
    StoreCutShort,
    /// A mismatch, on a PC whose machine secret lives where nothing can be written.
    IsolationEnforced,
    /// The PC's machine password is newer than the directory's, as after a controller was
    /// restored.
    PcNewerThanAd,
    /// The local administrator has another password than we think.
    WrongLocalPassword,
    /// The local administrator's token is filtered over the network.
    NotElevated,
    /// The PC is in a workgroup.
    Workgroup,
    /// It is a domain controller.
    DomainController,
    /// The PC is off: its ports are closed.
    Off,
    /// The PC answers nothing at all.
    Silent,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 22] = [
        Self::Healthy,
        Self::PasswordMismatch,
        Self::MismatchWithoutNltest,
        Self::LaggingController,
        Self::NetlogonStopped,
        Self::NetlogonDisabled,
        Self::LostSecret,
        Self::TimeSkew,
        Self::AccountDeleted,
        Self::AccountDisabled,
        Self::NoController,
        Self::RepairCutShort,
        Self::RepairLies,
        Self::StoreCutShort,
        Self::IsolationEnforced,
        Self::PcNewerThanAd,
        Self::WrongLocalPassword,
        Self::NotElevated,
        Self::Workgroup,
        Self::DomainController,
        Self::Off,
        Self::Silent,
    ];

    /// Returns how a repair run of trust-repair ends, when a domain credential is given and may
    /// reach PCs.
    pub fn expected(self, transport: TransportKind) -> Outcome {
        let repaired = |rung: &str| Outcome::Repaired {
            rung: rung.to_owned(),
        };
        match self {
            Self::Healthy => Outcome::Healthy,
            Self::PasswordMismatch
            | Self::MismatchWithoutNltest
            | Self::LostSecret
            | Self::StoreCutShort
            | Self::PcNewerThanAd => repaired("secure-channel-repair"),
            Self::LaggingController => repaired("sc-reset"),
            Self::NetlogonStopped => repaired("netlogon-rediscover"),
            _ => self.expected_unmended(transport),
        }
    }

    /// Returns how such a run ends without a domain credential, but with the directory, asked as
    /// an account that may reset passwords of computers and nothing more.
    pub fn expected_with_directory(self, transport: TransportKind) -> Outcome {
        match self {
            Self::PasswordMismatch
            | Self::MismatchWithoutNltest
            | Self::LostSecret
            | Self::StoreCutShort => Outcome::Repaired {
                rung: "machine-password-reset".to_owned(),
            },
            // What is left is the rung with the credential.
            Self::RepairCutShort | Self::RepairLies => blocked("needs-credential"),
            Self::PcNewerThanAd => blocked("pc-newer-than-ad"),
            // An account with the right to reset and no more does not see deleted ones.
            // Only joining it again helps, and no restart is allowed.
            Self::AccountDeleted => blocked("needs-reboot"),
            Self::AccountDisabled => blocked("enable-accounts"),
            _ => self.expected(transport),
        }
    }

    /// Returns how such a run ends with neither directory nor domain credential.
    pub fn expected_without_credential(self, transport: TransportKind) -> Outcome {
        match self {
            Self::PasswordMismatch
            | Self::MismatchWithoutNltest
            | Self::LostSecret
            | Self::RepairCutShort
            | Self::RepairLies
            | Self::StoreCutShort
            | Self::IsolationEnforced
            | Self::PcNewerThanAd => blocked("needs-directory"),
            _ => self.expected(transport),
        }
    }

    /// Returns how a check ends (diagnose only), when a domain credential is given and may reach
    /// PCs.
    pub fn expected_in_check(self, transport: TransportKind) -> Outcome {
        let would = |rung: &str| Outcome::WouldRepair {
            rung: rung.to_owned(),
        };
        match self {
            Self::PasswordMismatch
            | Self::MismatchWithoutNltest
            | Self::LaggingController
            | Self::RepairCutShort
            | Self::RepairLies
            | Self::StoreCutShort
            | Self::IsolationEnforced
            | Self::PcNewerThanAd => would("sc-reset"),
            Self::NetlogonStopped => would("netlogon-rediscover"),
            Self::LostSecret => would("secure-channel-repair"),
            _ => self.expected(transport),
        }
    }

    /// Returns the end of what no rung mends.
    fn expected_unmended(self, transport: TransportKind) -> Outcome {
        let denied = |why: &str| Outcome::AccessDenied {
            why: why.to_owned(),
        };
        let unreachable = |why: &str| Outcome::Unreachable {
            why: why.to_owned(),
        };
        match self {
            Self::NetlogonDisabled => blocked("netlogon-disabled"),
            Self::IsolationEnforced => blocked("machine-identity-isolation"),
            Self::TimeSkew => not_repaired("time-skew", win32::TIME_SKEW),
            Self::AccountDeleted | Self::AccountDisabled => {
                not_repaired("account-missing-or-disabled", win32::NO_TRUST_SAM_ACCOUNT)
            }
            Self::NoController => not_repaired("no-dc", win32::NO_LOGON_SERVERS),
            Self::WrongLocalPassword => denied("logon"),
            // WinRM refuses a filtered token itself; sshd lets it in and diagnose finds out.
            Self::NotElevated if transport == TransportKind::Ssh => denied("not-elevated"),
            Self::NotElevated => denied("authorization"),
            Self::Workgroup => Outcome::NeedsHands {
                why: "not-a-domain-member".to_owned(),
            },
            Self::DomainController => Outcome::Skipped {
                why: "domain-controller".to_owned(),
            },
            Self::Off => unreachable("refused"),
            // Windows refuses what its backlog has no room for, instead of staying silent.
            Self::Silent => unreachable(if cfg!(windows) {
                "refused"
            } else {
                "timed-out"
            }),
            // What is left is to join it again, and no restart is allowed.
            _ => blocked("needs-reboot"),
        }
    }

    /// Tells whether anything listens.
    pub fn listens(self) -> bool {
        !matches!(self, Self::Off | Self::Silent)
    }
}

fn not_repaired(id: &str, code: u32) -> Outcome {
    Outcome::NotRepaired {
        cause: Cause {
            code: Some(i64::from(code)),
            ..Cause::new(id)
        },
    }
}

fn blocked(guard: &str) -> Outcome {
    Outcome::Blocked {
        guard: guard.to_owned(),
    }
}

/// The local administrator that every PC of a lab has.
#[derive(Clone, Copy)]
pub(crate) struct LocalAdmin<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

/// Builds the machine of a scenario and puts its account into the domain.
pub(crate) fn build(
    name: &str,
    scenario: Scenario,
    admin: &LocalAdmin<'_>,
    domain: &mut Domain,
    now: Timestamp,
) -> Machine {
    let mut pc = Machine::new(name);
    let before = |hours| {
        now.checked_sub(SignedDuration::from_hours(hours))
            .unwrap_or(now)
    };
    pc.booted = before(9);
    pc.updates = updates(&before);
    let mut built_in = LocalAccount::new("disabled-anyway", true);
    built_in.enabled = false;
    built_in.rid = 500;
    pc.accounts.insert("administrator".to_owned(), built_in);
    pc.accounts.insert(
        admin.user.to_lowercase(),
        LocalAccount::new(admin.password, true),
    );
    join(&mut pc, domain, before(24 * 12));
    break_it(&mut pc, scenario, admin, domain, now);
    pc
}

/// Makes the PC a healthy member.
fn join(pc: &mut Machine, domain: &mut Domain, then: Timestamp) {
    pc.domain = Some(domain.dns_name.clone());
    pc.domain_role = 1;
    pc.netlogon = Service::running();
    let current = domain.create_computer(&pc.name, then);
    pc.secret = Some(MachineSecret {
        current,
        previous: None,
        changed: then,
    });
    pc.channel.controller = domain.controllers.first().map(|dc| dc.dns_name.clone());
    pc.log("NETLOGON", 5823, then);
}

fn break_it(
    pc: &mut Machine,
    scenario: Scenario,
    admin: &LocalAdmin<'_>,
    domain: &mut Domain,
    now: Timestamp,
) {
    match scenario {
        Scenario::Healthy | Scenario::Off | Scenario::Silent => {}
        Scenario::PasswordMismatch => drift(pc, domain, now),
        Scenario::MismatchWithoutNltest => {
            pc.nltest = false;
            drift(pc, domain, now);
        }
        Scenario::RepairCutShort => {
            pc.repair_fault = RepairFault::BetweenDirectoryAndPc;
            drift(pc, domain, now);
        }
        Scenario::RepairLies => {
            pc.repair_fault = RepairFault::LiesAboutSuccess;
            drift(pc, domain, now);
        }
        Scenario::StoreCutShort => {
            pc.repair_fault = RepairFault::DiesInStoreOnce;
            drift(pc, domain, now);
        }
        Scenario::IsolationEnforced => {
            pc.isolation = Some(2);
            drift(pc, domain, now);
        }
        Scenario::PcNewerThanAd => outrun(pc, domain, now),
        Scenario::LaggingController => lag(pc, domain, now),
        Scenario::NetlogonStopped | Scenario::NetlogonDisabled => {
            pc.netlogon.running = false;
            if scenario == Scenario::NetlogonDisabled {
                pc.netlogon.start = StartMode::Disabled;
            }
        }
        Scenario::LostSecret => {
            pc.secret = None;
            fail(pc, win32::NO_TRUST_LSA_SECRET, now);
        }
        Scenario::TimeSkew => {
            pc.clock_offset_ms = 41 * 60 * 1000 + 370;
            fail(pc, win32::TIME_SKEW, now);
        }
        Scenario::AccountDeleted => account(pc, domain, AccountState::Deleted, now),
        Scenario::AccountDisabled => account(pc, domain, AccountState::Disabled, now),
        Scenario::NoController => {
            pc.unreachable = domain
                .controllers
                .iter()
                .map(|dc| dc.dns_name.clone())
                .collect();
            fail(pc, win32::NO_LOGON_SERVERS, now);
        }
        Scenario::WrongLocalPassword => {
            let other = format!("{}-of-last-year", admin.password);
            pc.accounts
                .insert(admin.user.to_lowercase(), LocalAccount::new(&other, true));
        }
        Scenario::NotElevated => pc.remote_admins = false,
        Scenario::Workgroup => {
            pc.domain = None;
            pc.domain_role = 0;
            pc.secret = None;
            pc.netlogon = Service {
                running: false,
                start: StartMode::Manual,
                ..pc.netlogon
            };
        }
        Scenario::DomainController => {
            pc.domain_role = 4;
            pc.secret = None;
            pc.model = "ProLiant DL360 Gen10".to_owned();
            pc.os = OsVersion {
                build: 20348,
                ubr: 3807,
                product_type: 2,
            };
        }
    }
}

/// The directory gets two newer passwords than the PC has.
fn drift(pc: &mut Machine, domain: &mut Domain, now: Timestamp) {
    for hours in [30, 18] {
        let then = now
            .checked_sub(SignedDuration::from_hours(hours))
            .unwrap_or(now);
        domain.reset_computer(&pc.name, then);
    }
    fail(pc, win32::ACCESS_DENIED, now);
}

/// The PC changed its password twice since; the directory has forgotten both.
fn outrun(pc: &mut Machine, domain: &mut Domain, now: Timestamp) {
    for days in [7, 3] {
        let then = now
            .checked_sub(SignedDuration::from_hours(24 * days))
            .unwrap_or(now);
        let password = domain.draw_password();
        pc.store_secret(password, then);
        pc.log("NETLOGON", 5823, then);
    }
    fail(pc, win32::ACCESS_DENIED, now);
}

/// PC and directory agree on a new password; the last controller does not know it yet, and the
/// PC is bound to that one.
fn lag(pc: &mut Machine, domain: &mut Domain, now: Timestamp) {
    if let Some(current) = domain.reset_computer(&pc.name, now) {
        pc.secret = Some(MachineSecret {
            current,
            previous: None,
            changed: now,
        });
    }
    if let Some(last) = domain.controllers.last_mut() {
        last.lagging = true;
        pc.channel.controller = Some(last.dns_name.clone());
    }
    fail(pc, win32::ACCESS_DENIED, now);
}

fn account(pc: &mut Machine, domain: &mut Domain, state: AccountState, now: Timestamp) {
    if let Some(account) = domain.computer_mut(&pc.name) {
        account.state = state;
    }
    fail(pc, win32::NO_TRUST_SAM_ACCOUNT, now);
}

/// Netlogon remembers this status and has complained since this morning.
fn fail(pc: &mut Machine, status: u32, now: Timestamp) {
    pc.channel.status = status;
    for minutes in [170, 110, 50] {
        let then = now
            .checked_sub(SignedDuration::from_mins(minutes))
            .unwrap_or(now);
        pc.log_channel_failure(status, then);
    }
}

fn updates(before: &dyn Fn(i64) -> Timestamp) -> Vec<Update> {
    [
        ("KB5050021", 24 * 96),
        ("KB5053602", 24 * 41),
        ("KB5055523", 20),
    ]
    .map(|(id, hours)| Update {
        id: id.to_owned(),
        installed: before(hours),
    })
    .to_vec()
}
