//! How a simulated PC joins and leaves a domain. Pure: machine, domain and time in, numbers out.

use jiff::Timestamp;

use crate::domain::{AccountState, Blob, Domain, PasswordId, Taking};
use crate::machine::{Machine, MachineSecret, PendingMembership, RepairFault};
use crate::{secure_channel, win32};

/// `NETSETUP_JOIN_DOMAIN`: into a domain; without it, a workgroup.
pub const JOIN_DOMAIN: u32 = 0x1;
/// `NETSETUP_ACCT_CREATE`: make the account if there is none.
pub const ACCOUNT_CREATE: u32 = 0x2;
/// `NETSETUP_ACCT_DELETE`: of an unjoin, disable the account.
pub const ACCOUNT_DELETE: u32 = 0x4;
/// `NETSETUP_DOMAIN_JOIN_IF_JOINED`: also when the PC is in a domain already.
pub const JOIN_IF_JOINED: u32 = 0x20;
/// `NETSETUP_MACHINE_PWD_PASSED`: the password is the machine's, not a user's.
pub const MACHINE_PASSWORD: u32 = 0x80;

/// RPC_S_CALL_FAILED: the connection broke amid the call.
const CALL_FAILED: u32 = 1726;

/// What `JoinDomainOrWorkgroup` is called with.
#[derive(Clone, Copy, Debug)]
pub struct JoinRequest<'r> {
    /// The domain or workgroup; `DOMAIN\CONTROLLER` names a controller, too.
    pub name: &'r str,
    /// The user, by any form of the name; `None`: none is given.
    pub user: Option<&'r str>,
    /// The user's password, or the machine's with [`MACHINE_PASSWORD`].
    pub password: &'r str,
    /// `FJoinOptions`.
    pub options: u32,
    /// The distinguished name of the unit for a new account.
    pub unit: Option<&'r str>,
}

/// Joins a domain or workgroup; what it makes is in force after the next boot. Returns 0 or a
/// Win32 code: 5, 87, 1326 and its kin, 1355, 1398, 2224, 2691, 2693, 2697, 2732, 8557; or 1726
/// after a [`RepairFault`] that cuts a repair short, when the directory has the new password and
/// the PC has not.
pub fn join(
    pc: &mut Machine,
    domain: &mut Domain,
    request: &JoinRequest<'_>,
    now: Timestamp,
) -> u32 {
    if pc.is_controller() {
        return win32::IS_CONTROLLER;
    }
    if request.options & JOIN_DOMAIN == 0 {
        pc.pending_membership = Some(PendingMembership::Workgroup(request.name.to_owned()));
        return win32::OK;
    }
    if pc.will_be_member() && request.options & JOIN_IF_JOINED == 0 {
        return win32::ALREADY_JOINED;
    }
    match enter(pc, domain, request, now) {
        Err(code) => code,
        Ok(_) if pc.repair_fault == RepairFault::LiesInJoinOnce => {
            pc.repair_fault = RepairFault::None;
            win32::OK
        }
        Ok(_) if pc.repair_fault == RepairFault::LiesAboutSuccess => win32::OK,
        Ok(_) if secure_channel::fails_to_store(pc.repair_fault) => CALL_FAILED,
        Ok(password) => {
            pend(pc, domain.dns_name.clone(), password, None, now);
            win32::OK
        }
    }
}

/// Finds a controller, logs on there and takes the account.
fn enter(
    pc: &Machine,
    domain: &mut Domain,
    request: &JoinRequest<'_>,
    now: Timestamp,
) -> Result<PasswordId, u32> {
    let (name, named) = match request.name.split_once('\\') {
        Some((name, controller)) => (name, Some(controller)),
        None => (request.name, None),
    };
    let controller = match named {
        Some(named) => domain
            .controller(named)
            .filter(|dc| secure_channel::reaches(pc, dc)),
        None => secure_channel::locate(pc, domain),
    };
    if controller.is_none() || !domain.is_named(name) {
        return Err(win32::NO_SUCH_DOMAIN);
    }
    if secure_channel::is_skewed(pc) {
        return Err(win32::TIME_SKEW);
    }
    if request.options & MACHINE_PASSWORD != 0 {
        let password = domain.password_id(request.password);
        let account = domain.computer(&pc.name);
        let right = account.is_some_and(|account| {
            account.state == AccountState::Enabled && account.current == password
        });
        return right.then_some(password).ok_or(win32::LOGON_FAILURE);
    }
    let user = request.user.ok_or(win32::INVALID_PARAMETER)?;
    match domain.log_on(user, request.password) {
        win32::OK => {}
        code => return Err(code),
    }
    if matches!(
        pc.repair_fault,
        RepairFault::LiesAboutSuccess | RepairFault::LiesInJoinOnce
    ) {
        return Ok(domain.draw_password());
    }
    let taking = Taking {
        computer: &pc.name,
        user,
        create: request.options & ACCOUNT_CREATE != 0,
        unit: request.unit,
    };
    domain.take_computer(taking, now)
}

/// Leaves the domain for a workgroup, after the next boot. Returns 0, 2692 (in no domain), or,
/// with [`ACCOUNT_DELETE`], which disables the account in the directory: 1355, 1326 and its kin,
/// 5.
pub fn unjoin(
    pc: &mut Machine,
    domain: &mut Domain,
    credential: Option<(&str, &str)>,
    options: u32,
    now: Timestamp,
) -> u32 {
    if pc.is_controller() {
        return win32::IS_CONTROLLER;
    }
    if !pc.will_be_member() {
        return win32::NOT_JOINED;
    }
    if options & ACCOUNT_DELETE != 0 {
        let Some((user, password)) = credential else {
            return win32::ACCESS_DENIED;
        };
        if secure_channel::locate(pc, domain).is_none() {
            return win32::NO_SUCH_DOMAIN;
        }
        match domain.log_on(user, password) {
            win32::OK => {}
            code => return code,
        }
        let rights = domain.user(user).map(crate::domain::UserAccount::rights);
        if !rights.is_some_and(|rights| rights.enable || rights.join) {
            return win32::ACCESS_DENIED;
        }
        domain.change_computer(&pc.name, Some(false), false, now);
    }
    if pc.repair_fault != RepairFault::LiesAboutSuccess {
        pc.pending_membership = Some(PendingMembership::Workgroup(pc.workgroup.clone()));
    }
    win32::OK
}

/// Takes in the blob of an offline join, as `djoin /requestodj` does; it needs no controller.
/// Returns 2713 (in force after the next boot) or 13 (no blob).
pub fn join_offline(pc: &mut Machine, domain: &mut Domain, blob: &str, now: Timestamp) -> u32 {
    let Some(blob) = Blob::read(blob) else {
        return win32::INVALID_DATA;
    };
    if pc.repair_fault != RepairFault::LiesAboutSuccess {
        let password = domain.password_id(&blob.password);
        pend(pc, blob.domain, password, Some(blob.computer), now);
    }
    win32::OFFLINE_JOIN_NEEDS_RESTART
}

fn pend(
    pc: &mut Machine,
    domain: String,
    password: PasswordId,
    name: Option<String>,
    now: Timestamp,
) {
    let secret = MachineSecret {
        current: password,
        previous: pc.secret.map(|secret| secret.current),
        changed: pc.local_time(now),
    };
    pc.pending_membership = Some(PendingMembership::Domain {
        domain,
        secret,
        name: name.unwrap_or_else(|| pc.name.clone()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Service;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const D: &str = "corp.example.jp";
    const REJOIN: u32 = JOIN_DOMAIN | ACCOUNT_CREATE | JOIN_IF_JOINED;

    /// A member whose trust is broken.
    fn broken() -> (Machine, Domain) {
        let mut domain = Domain::new(D, "CORP");
        domain.create_user("repair", "pw", true);
        domain.create_user("clerk", "pw", false);
        let mut pc = Machine::new("PC-001");
        pc.domain = Some(D.into());
        pc.domain_role = 1;
        pc.netlogon = Service::running();
        let current = domain.create_computer(&pc.name, NOW);
        pc.store_secret(current, NOW);
        for _ in 0..2 {
            domain.reset_computer(&pc.name, NOW);
        }
        (pc, domain)
    }

    fn request(user: &'static str, options: u32) -> JoinRequest<'static> {
        JoinRequest {
            name: D,
            user: Some(user),
            password: "pw",
            options,
            unit: None,
        }
    }

    fn works(pc: &mut Machine, domain: &Domain) -> bool {
        let answer = secure_channel::verify(pc, domain, D, NOW);
        (answer.call, answer.connection) == (0, 0)
    }

    #[test]
    fn a_join_in_place_mends_the_trust_after_the_boot() {
        let (mut pc, mut domain) = broken();
        let wanted = request(r"CORP\repair", REJOIN);
        assert_eq!(join(&mut pc, &mut domain, &wanted, NOW), 0);
        assert!(!works(&mut pc, &domain), "not before the boot");
        pc.restart(NOW);
        assert!(works(&mut pc, &domain));
        let again = request("repair", JOIN_DOMAIN | ACCOUNT_CREATE);
        assert_eq!(join(&mut pc, &mut domain, &again, NOW), 2691);
    }

    #[test]
    fn leaving_and_joining_takes_two_boots() {
        let (mut pc, mut domain) = broken();
        let account = domain.computer("PC-001").unwrap().clone();
        assert_eq!(unjoin(&mut pc, &mut domain, None, 0, NOW), 0);
        assert!(pc.is_member() && !pc.will_be_member());
        assert_eq!(unjoin(&mut pc, &mut domain, None, 0, NOW), 2692);
        pc.restart(NOW);
        assert!(!pc.is_member() && !pc.netlogon.running && pc.secret.is_none());
        assert_eq!(pc.domain_or_workgroup(), "WORKGROUP");
        assert_eq!(
            domain.computer("PC-001"),
            Some(&account),
            "AD is left alone"
        );
        let wanted = request("repair", JOIN_DOMAIN | ACCOUNT_CREATE);
        assert_eq!(join(&mut pc, &mut domain, &wanted, NOW), 0);
        pc.restart(NOW);
        assert!(pc.netlogon.running && works(&mut pc, &domain));
        assert_eq!(pc.domain_role, 1);
        let credential = Some(("clerk", "pw"));
        let disable = ACCOUNT_DELETE;
        assert_eq!(unjoin(&mut pc, &mut domain, credential, disable, NOW), 5);
        domain.user_mut("repair").unwrap().rights.enable = true;
        let credential = Some(("repair", "pw"));
        assert_eq!(unjoin(&mut pc, &mut domain, credential, disable, NOW), 0);
        let state = domain.computer("PC-001").unwrap().state;
        assert_eq!(state, AccountState::Disabled);
    }

    #[test]
    fn each_refusal_has_its_number_and_changes_nothing() {
        let refused = |change: &dyn Fn(&mut Machine, &mut Domain), wanted: JoinRequest<'_>| {
            let (mut pc, mut domain) = broken();
            change(&mut pc, &mut domain);
            let before = domain.computer("PC-001").cloned();
            let code = join(&mut pc, &mut domain, &wanted, NOW);
            assert_eq!(domain.computer("PC-001").cloned(), before, "{code}");
            assert_eq!(pc.pending_membership, None, "{code}");
            code
        };
        let ours = request("repair", REJOIN);
        let wrong = JoinRequest {
            password: "no",
            ..ours
        };
        assert_eq!(refused(&|_, _| {}, wrong), 1326);
        assert_eq!(refused(&|_, _| {}, request("clerk", REJOIN)), 5);
        let unreachable = |pc: &mut Machine, domain: &mut Domain| {
            let names = domain.controllers.iter().map(|dc| dc.dns_name.clone());
            pc.unreachable = names.collect();
        };
        assert_eq!(refused(&unreachable, ours), 1355);
        assert_eq!(refused(&|pc, _| pc.clock_offset_ms = 999_999, ours), 1398);
        assert_eq!(refused(&|pc, _| pc.domain_role = 4, ours), 2693);
        let others = |_: &mut Machine, domain: &mut Domain| {
            domain.computer_mut("PC-001").unwrap().creator = Some(4711);
        };
        assert_eq!(refused(&others, ours), 2732);
        let taken = |_: &mut Machine, domain: &mut Domain| {
            domain.taken_names.insert("pc-001".into());
        };
        assert_eq!(refused(&taken, ours), 2224);
        let gone = |_: &mut Machine, domain: &mut Domain| {
            domain.remove_computer("PC-001");
        };
        let without = request("repair", JOIN_DOMAIN | JOIN_IF_JOINED);
        assert_eq!(refused(&gone, without), 2697);
        let used_up = |pc: &mut Machine, domain: &mut Domain| {
            gone(pc, domain);
            domain.machine_quota = 0;
        };
        assert_eq!(refused(&used_up, request("clerk", REJOIN)), 8557);
    }

    #[test]
    fn a_wrong_password_counts_and_an_allowed_owner_lets_others_in() {
        let (mut pc, mut domain) = broken();
        let wrong = JoinRequest {
            password: "no",
            ..request("repair", REJOIN)
        };
        join(&mut pc, &mut domain, &wrong, NOW);
        assert_eq!(domain.user("repair").unwrap().bad_passwords, 1);
        domain.computer_mut("PC-001").unwrap().owner = Some(4711);
        let ours = request("repair", REJOIN);
        assert_eq!(join(&mut pc, &mut domain, &ours, NOW), 2732);
        domain.reuse_allowed.insert(4711);
        assert_eq!(join(&mut pc, &mut domain, &ours, NOW), 0);
    }

    #[test]
    fn the_machine_password_alone_joins_too() {
        let (mut pc, mut domain) = broken();
        domain.set_computer_password("PC-001", "secret", NOW);
        let with = |password| JoinRequest {
            name: r"corp.example.jp\dc02",
            user: None,
            password,
            options: 0xE1,
            unit: None,
        };
        assert_eq!(join(&mut pc, &mut domain, &with("other"), NOW), 1326);
        assert_eq!(join(&mut pc, &mut domain, &with("secret"), NOW), 0);
        pc.restart(NOW);
        assert!(works(&mut pc, &domain));
    }

    #[test]
    fn an_offline_join_needs_no_controller_and_its_blob_fits_one_pc() {
        let (mut pc, mut domain) = broken();
        let credential = ("repair", "pw");
        let refused = domain.provision("PC-001", credential, false, None, NOW);
        assert_eq!(refused, Err(2224));
        let refused = domain.provision("PC-001", ("repair", "no"), true, None, NOW);
        assert_eq!(refused, Err(1326));
        let blob = domain
            .provision("PC-001", credential, true, None, NOW)
            .unwrap();
        for dc in &mut domain.controllers {
            dc.up = false;
        }
        assert_eq!(join_offline(&mut pc, &mut domain, "no blob", NOW), 13);
        assert_eq!(join_offline(&mut pc, &mut domain, &blob, NOW), 2713);
        pc.restart(NOW);
        for dc in &mut domain.controllers {
            dc.up = true;
        }
        assert!(works(&mut pc, &domain));
        let unit = Some("OU=営業,OU=端末,DC=corp,DC=example,DC=jp");
        domain.user_mut("repair").unwrap().rights.join = true;
        let blob = domain
            .provision("PC-002", credential, false, unit, NOW)
            .unwrap();
        assert_eq!(domain.computer("PC-002").unwrap().ou, ["端末", "営業"]);
        join_offline(&mut pc, &mut domain, &blob, NOW);
        pc.restart(NOW);
        assert_eq!(pc.name, "PC-002", "the blob brings its own name");
    }

    #[test]
    fn a_join_cut_short_leaves_the_directory_ahead() {
        let (mut pc, mut domain) = broken();
        pc.repair_fault = RepairFault::BetweenDirectoryAndPc;
        let before = domain.computer("PC-001").unwrap().current;
        let ours = request("repair", REJOIN);
        assert_eq!(join(&mut pc, &mut domain, &ours, NOW), CALL_FAILED);
        assert_ne!(domain.computer("PC-001").unwrap().current, before);
        assert_eq!(pc.pending_membership, None);
        pc.repair_fault = RepairFault::None;
        assert_eq!(join(&mut pc, &mut domain, &ours, NOW), 0);
        pc.restart(NOW);
        assert!(works(&mut pc, &domain));
    }
}
