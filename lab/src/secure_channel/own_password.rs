//! The machine password as the PC itself stores and changes it.

use jiff::Timestamp;

use super::{ChannelAnswer, fails_to_store, refuse_call, set_up};
use crate::domain::Domain;
use crate::machine::{Machine, MachineSecret, RepairFault};
use crate::win32;

/// STATUS_UNSUCCESSFUL.
const UNSUCCESSFUL: u32 = 0xC000_0001;

/// STATUS_NOT_SUPPORTED: what the LSA is taken to say where the secret lives elsewhere.
const NOT_SUPPORTED: u32 = 0xC000_00BB;

/// Netlogon's event for a password that it has changed.
const PASSWORD_CHANGED: u32 = 5823;

/// The NTSTATUS with which `LsaSetSecret` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreRefused(pub u32);

/// Stores a password that the directory has already, by `LsaSetSecret`. Tells whether the secret
/// had to be created first.
///
/// # Errors
/// [`StoreRefused`]; the PC then has what it had.
pub fn store(
    pc: &mut Machine,
    domain: &mut Domain,
    password: &str,
    now: Timestamp,
) -> Result<bool, StoreRefused> {
    let created = pc.secret.is_none();
    if fails_to_store(pc.repair_fault) || pc.repair_fault == RepairFault::DiesInStoreOnce {
        return Err(StoreRefused(UNSUCCESSFUL));
    }
    if pc.isolates_identity() {
        return Err(StoreRefused(NOT_SUPPORTED));
    }
    if pc.repair_fault != RepairFault::LiesAboutSuccess {
        let password = domain.password_id(password);
        pc.store_secret(password, now);
    }
    Ok(created)
}

/// Stores a password as `ksetup /setcomputerpassword` does: it is in force after a restart. Tells
/// whether it was stored.
pub fn store_for_restart(
    pc: &mut Machine,
    domain: &mut Domain,
    password: &str,
    now: Timestamp,
) -> bool {
    if fails_to_store(pc.repair_fault) || pc.isolates_identity() {
        return false;
    }
    let current = domain.password_id(password);
    pc.secret_after_restart = Some(MachineSecret {
        current,
        previous: pc.secret.map(|secret| secret.current),
        changed: pc.local_time(now),
    });
    true
}

/// Does `NETLOGON_CONTROL_CHANGE_PASSWORD`: PC and directory agree on a password that only they
/// know. It travels over the channel, so only one that works can carry it.
pub fn change_password(
    pc: &mut Machine,
    domain: &mut Domain,
    asked: &str,
    now: Timestamp,
) -> ChannelAnswer {
    if let Some(call) = refuse_call(pc, domain, asked) {
        return ChannelAnswer::failed(call);
    }
    let mut status = set_up(pc, domain, None, now);
    if status == win32::OK && pc.repair_fault == RepairFault::RefusesRotation {
        status = win32::ACCESS_DENIED;
    }
    let controller = pc.channel.controller.clone();
    if status == win32::OK {
        let at = controller.as_deref().unwrap_or_default();
        if let Some(password) = domain.reset_computer_at(&pc.name, at, now) {
            pc.store_secret(password, now);
            pc.log_netlogon(PASSWORD_CHANGED, now);
        }
    }
    ChannelAnswer {
        call: win32::OK,
        controller,
        connection: status,
        verification: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Service;
    use crate::secure_channel::{reset, verify};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const D: &str = "corp.example.jp";

    fn member() -> (Machine, Domain) {
        let mut domain = Domain::new(D, "CORP");
        let mut pc = Machine::new("PC-001");
        pc.domain = Some(D.into());
        pc.netlogon = Service::running();
        let password = domain.create_computer(&pc.name, NOW);
        pc.store_secret(password, NOW);
        (pc, domain)
    }

    #[test]
    fn only_the_text_that_the_directory_has_makes_the_channel_work() {
        let (mut pc, mut domain) = member();
        domain.set_computer_password("PC-001", "one", NOW).unwrap();
        for (text, status) in [("two", win32::ACCESS_DENIED), ("one", win32::OK)] {
            // Twice, so that nothing older is left as the previous one.
            for _ in 0..2 {
                assert_eq!(store(&mut pc, &mut domain, text, NOW), Ok(false));
            }
            reset(&mut pc, &domain, D, Some("dc01"), NOW);
            assert_eq!(verify(&mut pc, &domain, D, NOW).connection, status);
        }
        pc.secret = None;
        assert_eq!(store(&mut pc, &mut domain, "one", NOW), Ok(true));
        assert_eq!(verify(&mut pc, &domain, D, NOW).connection, win32::OK);
    }

    #[test]
    fn an_isolated_identity_takes_no_password() {
        let (mut pc, mut domain) = member();
        pc.isolation = Some(2);
        let before = pc.secret;
        assert_eq!(
            store(&mut pc, &mut domain, "one", NOW),
            Err(StoreRefused(NOT_SUPPORTED))
        );
        assert!(!store_for_restart(&mut pc, &mut domain, "one", NOW));
        assert_eq!(pc.secret, before);
    }

    #[test]
    fn what_ksetup_sets_is_in_force_after_a_restart() {
        let (mut pc, mut domain) = member();
        for text in ["one", "two"] {
            domain.set_computer_password("PC-001", text, NOW).unwrap();
        }
        assert!(store_for_restart(&mut pc, &mut domain, "two", NOW));
        assert_eq!(
            verify(&mut pc, &domain, D, NOW).connection,
            win32::ACCESS_DENIED
        );
        pc.restart(NOW);
        assert_eq!(verify(&mut pc, &domain, D, NOW).connection, win32::OK);
    }

    #[test]
    fn a_channel_that_works_carries_a_new_password_and_a_broken_one_does_not() {
        let (mut pc, mut domain) = member();
        domain.set_computer_password("PC-001", "one", NOW).unwrap();
        let before = domain.computer("PC-001").unwrap().clone();
        let answer = change_password(&mut pc, &mut domain, D, NOW);
        assert_eq!(answer.connection, win32::ACCESS_DENIED);
        assert_eq!(domain.computer("PC-001").unwrap().current, before.current);
        store(&mut pc, &mut domain, "one", NOW).unwrap();
        pc.repair_fault = RepairFault::RefusesRotation;
        let answer = change_password(&mut pc, &mut domain, D, NOW);
        assert_eq!(answer.connection, win32::ACCESS_DENIED);
        pc.repair_fault = RepairFault::None;
        assert_eq!(
            change_password(&mut pc, &mut domain, D, NOW).connection,
            win32::OK
        );
        let after = domain.computer("PC-001").unwrap().current;
        assert_ne!(after, domain.password_id("one"), "nobody knows it");
        assert_eq!(pc.secret.unwrap().current, after);
        assert_eq!(pc.events.last().unwrap().id, PASSWORD_CHANGED);
        assert_eq!(verify(&mut pc, &domain, D, NOW).connection, win32::OK);
    }
}
