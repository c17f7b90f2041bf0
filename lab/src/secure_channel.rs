//! What Netlogon on a simulated PC does with its secure channel. Pure: machine, domain and time
//! in, numbers out.

mod own_password;

use jiff::Timestamp;

use crate::domain::{Domain, DomainController};
use crate::machine::{Machine, RepairFault};
use crate::win32;

pub use own_password::{StoreRefused, change_password, store, store_for_restart};

/// Clocks further apart than this are refused, milliseconds (Kerberos' default of 5 minutes).
const SKEW_LIMIT_MS: i64 = 300_000;

/// What a Netlogon control call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAnswer {
    /// The status of the call itself; when it is not 0 the rest means nothing.
    pub call: u32,
    /// The controller it is about.
    pub controller: Option<String>,
    /// "Trusted DC Connection Status".
    pub connection: u32,
    /// "Trust Verification Status", by `sc_verify` only.
    pub verification: Option<u32>,
}

impl ChannelAnswer {
    fn failed(call: u32) -> Self {
        Self {
            call,
            controller: None,
            connection: call,
            verification: None,
        }
    }
}

/// Why a repair with a domain credential failed, by the error ids of the cmdlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairError {
    /// The PC is in no domain.
    NotInDomain,
    /// No controller answers, or the named one does not resolve.
    NoController,
    /// The controller refused the credential, with its number (1326, 1909, 1331).
    Credential(u32),
    /// The account is not there.
    NoAccount,
    /// The credential is good, but may not reset the account.
    NotAllowed,
    /// The directory has the new password, the PC has not.
    LocalStore,
    /// The caller is not elevated.
    NotElevated,
    /// A Netlogon call failed with this number.
    Call(u32),
}

impl RepairError {
    /// Returns the `FullyQualifiedErrorId` that `Test-ComputerSecureChannel` gives.
    pub fn id(self) -> &'static str {
        match self {
            Self::NotInDomain => "ComputerNotInDomain",
            Self::NoController => "AddressResolutionException",
            Self::Credential(_) | Self::NotAllowed => "FailToResetPasswordOnDomain",
            Self::NoAccount => "CannotFindMachineAccount",
            Self::LocalStore => "FailToResetPasswordOnLocalMachine",
            Self::NotElevated => "UnauthorizedAccessException",
            Self::Call(_) => "FailToTestSecureChannel",
        }
    }

    /// Returns the Win32 number beneath, where there is one.
    pub fn code(self) -> Option<u32> {
        match self {
            Self::Credential(code) | Self::Call(code) => Some(code),
            Self::NotAllowed | Self::NotElevated => Some(win32::ACCESS_DENIED),
            Self::NoController => Some(win32::NO_SUCH_DOMAIN),
            Self::NotInDomain | Self::NoAccount | Self::LocalStore => None,
        }
    }
}

/// Returns the first controller that runs and that the PC reaches.
pub fn locate<'d>(pc: &Machine, domain: &'d Domain) -> Option<&'d DomainController> {
    domain.controllers.iter().find(|dc| reaches(pc, dc))
}

/// Tells whether a controller answers this PC.
pub fn reaches(pc: &Machine, controller: &DomainController) -> bool {
    controller.up && !pc.unreachable.contains(&controller.dns_name)
}

/// Tells whether a controller that the PC reaches knows it: what makes its network the domain's.
pub fn is_known(pc: &Machine, domain: &Domain) -> bool {
    let own = pc.domain.as_ref().is_some_and(|own| domain.is_named(own));
    own && locate(pc, domain).is_some_and(|dc| authenticate(pc, domain, dc) == win32::OK)
}

/// Tells whether the PC's clock is too far from the domain's.
pub fn is_skewed(pc: &Machine) -> bool {
    pc.clock_offset_ms.abs() > SKEW_LIMIT_MS
}

/// Returns what `NETLOGON_CONTROL_TC_QUERY` says: the status of the last use, however old.
pub fn query(pc: &Machine, domain: &Domain, asked: &str) -> ChannelAnswer {
    if let Some(call) = refuse_call(pc, domain, asked) {
        return ChannelAnswer::failed(call);
    }
    let status = pc.channel.status;
    let controller = pc
        .channel
        .controller
        .clone()
        .filter(|_| status == win32::OK);
    ChannelAnswer {
        call: win32::OK,
        controller,
        connection: status,
        verification: None,
    }
}

/// Does `NETLOGON_CONTROL_TC_VERIFY`: tries the channel, looks for another controller when the
/// present one is gone, and remembers the result.
pub fn verify(pc: &mut Machine, domain: &Domain, asked: &str, now: Timestamp) -> ChannelAnswer {
    if let Some(call) = refuse_call(pc, domain, asked) {
        return ChannelAnswer::failed(call);
    }
    let status = set_up(pc, domain, None, now);
    let controller = pc.channel.controller.clone();
    ChannelAnswer {
        call: win32::OK,
        controller,
        connection: status,
        verification: Some(status),
    }
}

/// Does `NETLOGON_CONTROL_REDISCOVER` (`sc_reset`), pinned to a controller if one is named.
pub fn reset(
    pc: &mut Machine,
    domain: &Domain,
    asked: &str,
    controller: Option<&str>,
    now: Timestamp,
) -> ChannelAnswer {
    if let Some(call) = refuse_call(pc, domain, asked) {
        return ChannelAnswer::failed(call);
    }
    pc.channel.controller = None;
    let status = set_up(pc, domain, controller, now);
    if pc.channel.controller.is_none() {
        return ChannelAnswer::failed(win32::NO_SUCH_DOMAIN);
    }
    let controller = pc.channel.controller.clone();
    ChannelAnswer {
        call: win32::OK,
        controller,
        connection: status,
        verification: None,
    }
}

/// Restarts Netlogon and looks for a controller anew. Returns 0, or 1058 when the service is
/// disabled, or 1067 when it refuses to start.
pub fn restart_netlogon(pc: &mut Machine, domain: &Domain, now: Timestamp) -> u32 {
    pc.netlogon.running = false;
    if pc.netlogon.start == crate::machine::StartMode::Disabled {
        return 1058;
    }
    if pc.netlogon.refuses_start {
        return 1067;
    }
    pc.netlogon.running = true;
    if pc.domain.is_some() {
        pc.channel.controller = None;
        set_up(pc, domain, None, now);
    }
    win32::OK
}

/// Does what `Test-ComputerSecureChannel -Repair -Credential -Server` does: the new password
/// goes to the directory first, then to the PC, then Netlogon looks for a controller anew.
///
/// # Errors
/// See [`RepairError`]. After `LocalStore` the directory has a password that the PC lacks.
pub fn repair(
    pc: &mut Machine,
    domain: &mut Domain,
    server: Option<&str>,
    user: &str,
    password: &str,
    now: Timestamp,
) -> Result<(), RepairError> {
    let asked = pc.domain.clone().ok_or(RepairError::NotInDomain)?;
    let controller = match server {
        Some(name) => domain.controller(name).filter(|dc| reaches(pc, dc)),
        None => locate(pc, domain),
    };
    let controller = controller
        .ok_or(RepairError::NoController)?
        .dns_name
        .clone();
    match domain.log_on(user, password) {
        win32::OK => {}
        code => return Err(RepairError::Credential(code)),
    }
    if !domain
        .user(user)
        .is_some_and(|account| account.may_reset_computers)
    {
        return Err(RepairError::NotAllowed);
    }
    if pc.repair_fault == RepairFault::LiesAboutSuccess {
        return Ok(());
    }
    let new = domain
        .reset_computer(&pc.name, now)
        .ok_or(RepairError::NoAccount)?;
    if fails_to_store(pc.repair_fault) {
        return Err(RepairError::LocalStore);
    }
    pc.store_secret(new, now);
    if refuse_call(pc, domain, &asked).is_none() {
        reset(pc, domain, &asked, Some(&controller), now);
    }
    Ok(())
}

/// Tells whether the fault keeps a password that the directory has from reaching the PC.
pub(crate) fn fails_to_store(fault: RepairFault) -> bool {
    matches!(
        fault,
        RepairFault::BetweenDirectoryAndPc
            | RepairFault::HangsInBetween
            | RepairFault::DiesInBetween
    )
}

/// Returns the status with which a Netlogon control call fails as a whole, if it does.
fn refuse_call(pc: &Machine, domain: &Domain, asked: &str) -> Option<u32> {
    if !pc.netlogon.running {
        return Some(win32::RPC_SERVER_UNAVAILABLE);
    }
    let known = pc.domain.as_ref().is_some_and(|own| domain.is_named(own));
    // A controller has no channel to itself.
    let none = !known || !domain.is_named(asked) || pc.is_controller();
    none.then_some(win32::NO_SUCH_DOMAIN)
}

/// Sets the channel up and remembers how that went.
fn set_up(pc: &mut Machine, domain: &Domain, pinned: Option<&str>, now: Timestamp) -> u32 {
    let named = pinned.or(pc.channel.controller.as_deref());
    let present = named
        .and_then(|name| domain.controller(name))
        .filter(|dc| reaches(pc, dc));
    let found = if pinned.is_some() {
        present
    } else {
        present.or_else(|| locate(pc, domain))
    };
    let status = found.map_or(win32::NO_LOGON_SERVERS, |dc| authenticate(pc, domain, dc));
    pc.channel.controller = found.map(|dc| dc.dns_name.clone());
    pc.channel.status = status;
    pc.log_channel_failure(status, now);
    status
}

fn authenticate(pc: &Machine, domain: &Domain, controller: &DomainController) -> u32 {
    let Some(secret) = pc.secret else {
        return win32::NO_TRUST_LSA_SECRET;
    };
    // The challenge of Netlogon holds no time, so another password shows first.
    let status = domain.authenticate_machine(controller, &pc.name, secret.current, secret.previous);
    if status == win32::OK && is_skewed(pc) {
        return win32::TIME_SKEW;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{MachineSecret, Service};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const D: &str = "corp.example.jp";

    /// A member that had a channel once, and whose password then drifted.
    fn drifted() -> (Machine, Domain) {
        let (mut pc, mut domain) = healthy();
        domain.reset_computer(&pc.name, NOW).unwrap();
        domain.reset_computer(&pc.name, NOW).unwrap();
        pc.channel.status = win32::ACCESS_DENIED;
        (pc, domain)
    }

    fn healthy() -> (Machine, Domain) {
        let mut domain = Domain::new(D, "CORP");
        domain.create_user("repair", "pw", true);
        domain.create_user("clerk", "pw", false);
        let mut pc = Machine::new("PC-001");
        pc.domain = Some(D.into());
        pc.netlogon = Service::running();
        let current = domain.create_computer(&pc.name, NOW);
        pc.secret = Some(MachineSecret {
            current,
            previous: None,
            changed: NOW,
        });
        (pc, domain)
    }

    #[test]
    fn query_is_stale_and_verify_is_not() {
        let (mut pc, mut domain) = healthy();
        verify(&mut pc, &domain, D, NOW);
        domain.reset_computer("PC-001", NOW).unwrap();
        assert_eq!(query(&pc, &domain, D).connection, win32::OK);
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).verification,
            Some(win32::ACCESS_DENIED)
        );
        assert_eq!(query(&pc, &domain, D).connection, win32::ACCESS_DENIED);
        assert_eq!(pc.events.last().unwrap().id, 3210);
    }

    #[test]
    fn repair_mends_a_mismatch_and_a_lost_secret() {
        for lost in [false, true] {
            let (mut pc, mut domain) = drifted();
            if lost {
                pc.secret = None;
                assert_eq!(verify(&mut pc, &domain, D, NOW).connection, 1786);
            }
            repair(
                &mut pc,
                &mut domain,
                Some("dc02"),
                r"CORP\repair",
                "pw",
                NOW,
            )
            .unwrap();
            let answer = verify(&mut pc, &domain, "CORP", NOW);
            assert_eq!((answer.connection, answer.verification), (0, Some(0)));
            assert_eq!(answer.controller.as_deref(), Some("dc02.corp.example.jp"));
        }
    }

    #[test]
    fn reset_keeps_the_secret_and_cannot_cure_a_mismatch() {
        let (mut pc, domain) = drifted();
        let before = pc.secret;
        assert_eq!(
            reset(&mut pc, &domain, D, None, NOW).connection,
            win32::ACCESS_DENIED
        );
        assert_eq!(restart_netlogon(&mut pc, &domain, NOW), 0);
        assert_eq!(pc.secret, before);
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).connection,
            win32::ACCESS_DENIED
        );
    }

    #[test]
    fn a_fault_in_between_leaves_the_directory_ahead() {
        let (mut pc, mut domain) = healthy();
        pc.repair_fault = RepairFault::BetweenDirectoryAndPc;
        let error = repair(&mut pc, &mut domain, None, "repair", "pw", NOW).unwrap_err();
        assert_eq!(error.id(), "FailToResetPasswordOnLocalMachine");
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).connection,
            win32::ACCESS_DENIED
        );
        pc.repair_fault = RepairFault::None;
        repair(&mut pc, &mut domain, None, "repair", "pw", NOW).unwrap();
        assert_eq!(verify(&mut pc, &domain, D, NOW).connection, win32::OK);
    }

    #[test]
    fn a_bad_credential_changes_nothing() {
        let (mut pc, mut domain) = drifted();
        let before = domain.computer("PC-001").unwrap().clone();
        let mut attempt =
            |user, password| repair(&mut pc, &mut domain, None, user, password, NOW).unwrap_err();
        assert_eq!(
            attempt("repair", "no"),
            RepairError::Credential(win32::LOGON_FAILURE)
        );
        assert_eq!(attempt("clerk", "pw"), RepairError::NotAllowed);
        assert_eq!(domain.computer("PC-001").unwrap(), &before);
    }

    #[test]
    fn each_state_has_its_number() {
        let check = |change: &dyn Fn(&mut Machine, &mut Domain), call, status| {
            let (mut pc, mut domain) = healthy();
            change(&mut pc, &mut domain);
            let answer = verify(&mut pc, &domain, D, NOW);
            assert_eq!((answer.call, answer.connection), (call, status));
        };
        check(&|_, _| {}, 0, 0);
        check(&|pc, _| pc.netlogon.running = false, 1722, 1722);
        check(&|pc, _| pc.clock_offset_ms = 2_400_000, 0, 1398);
        check(&|pc, _| pc.domain = None, 1355, 1355);
        check(
            &|_, domain| domain.controllers.iter_mut().for_each(|dc| dc.up = false),
            0,
            1311,
        );
        check(
            &|_, domain| {
                domain.computer_mut("PC-001").unwrap().state = crate::domain::AccountState::Deleted;
            },
            0,
            1787,
        );
    }

    #[test]
    fn pinning_a_controller_cures_a_lagging_one() {
        let (mut pc, mut domain) = healthy();
        let new = domain.reset_computer("PC-001", NOW).unwrap();
        pc.secret = Some(MachineSecret {
            current: new,
            previous: None,
            changed: NOW,
        });
        domain.controllers[0].lagging = true;
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).connection,
            win32::ACCESS_DENIED
        );
        assert_eq!(
            reset(&mut pc, &domain, D, Some("dc02"), NOW).connection,
            win32::OK
        );
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).verification,
            Some(win32::OK)
        );
    }
}
