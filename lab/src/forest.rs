//! How the lab's domain is furnished: who may do what, where the computers lie, what LAPS keeps.

use fleetmend_model::{Credential, Secret};
use jiff::{SignedDuration, Timestamp};

use crate::domain::{ComputerKind, Domain, LapsValues, Rights};
use crate::inventory;
use crate::machine::Machine;
use crate::mix::PcPlan;
use crate::scenario::Scenario;

/// May reset and rejoin computers, from a PC or from the controller.
pub(crate) const REPAIR_ACCOUNT: &str = "trust-repair";
/// Was delegated Reset Password on computers, and nothing more.
pub(crate) const DIRECTORY_ACCOUNT: &str = "svc-directory";
/// May read what LAPS keeps, and nothing more.
pub(crate) const LAPS_ACCOUNT: &str = "svc-laps";

const CONTROLLERS: &str = "Domain Controllers";
/// How long a password of LAPS is good for.
const LAPS_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Creates the accounts of users and of the domain controllers.
pub(crate) fn furnish(domain: &mut Domain, accounts: [&Credential; 3], now: Timestamp) {
    let [repair, directory, laps] = accounts.map(|account| account.password.reveal());
    domain.create_user(REPAIR_ACCOUNT, repair, true);
    domain.create_user(DIRECTORY_ACCOUNT, directory, true);
    domain.create_user(LAPS_ACCOUNT, laps, false);
    let rights = [
        (
            REPAIR_ACCOUNT,
            Rights {
                enable: true,
                unlock: true,
                restore: true,
                ..Rights::default()
            },
        ),
        (
            LAPS_ACCOUNT,
            Rights {
                laps: true,
                ..Rights::default()
            },
        ),
    ];
    for (name, rights) in rights {
        if let Some(account) = domain.user_mut(name) {
            account.rights = rights;
        }
    }
    let names: Vec<String> = domain
        .controllers
        .iter()
        .filter_map(|dc| dc.dns_name.split('.').next().map(str::to_owned))
        .collect();
    for name in names {
        domain.create_computer(&name, now);
        promote(
            domain,
            &name,
            "Windows Server 2022 Standard",
            "10.0 (20348)",
        );
    }
}

/// Puts the computers where they belong and gives them what a joined computer has.
pub(crate) fn settle(
    domain: &mut Domain,
    plan: &[PcPlan],
    machines: &[Machine],
    (locals, laps): (&[Credential], Laps),
    now: Timestamp,
) {
    let pcs = plan.iter().zip(machines).zip(locals);
    for (index, ((pc, machine), local)) in pcs.enumerate() {
        let (system, build) = system(machine);
        if pc.scenario == Scenario::DomainController {
            promote(domain, &machine.name, system, &build);
            continue;
        }
        let department = inventory::department_of(pc.scenario, pc.japanese, index);
        domain.place_computer(&machine.name, &["端末", department]);
        let laps = laps(index, local, now);
        if let Some(account) = domain.computer_mut(&machine.name) {
            account.os = Some((system.to_owned(), build));
            account.laps = laps;
            if pc.japanese {
                account.description = Some(inventory::place(index));
            }
        }
    }
}

fn promote(domain: &mut Domain, name: &str, system: &str, build: &str) {
    domain.place_computer(name, &[CONTROLLERS]);
    if let Some(account) = domain.computer_mut(name) {
        account.kind = ComputerKind::Controller;
        account.os = Some((system.to_owned(), build.to_owned()));
    }
}

fn system(machine: &Machine) -> (&'static str, String) {
    let name = match (machine.os.product_type, machine.os.build) {
        (1, ..22_000) => "Windows 10 Pro",
        (1, _) => "Windows 11 Pro",
        _ => "Windows Server 2022 Standard",
    };
    (name, format!("10.0 ({})", machine.os.build))
}

/// What LAPS keeps for the PC of this number.
pub(crate) type Laps = fn(usize, &Credential, Timestamp) -> LapsValues;

/// LAPS of either generation keeps the password that opens the PC; for some it is encrypted.
pub(crate) fn laps_mixed(index: usize, local: &Credential, now: Timestamp) -> LapsValues {
    if index % 4 != 3 {
        return laps_readable(index, local, now);
    }
    LapsValues {
        encrypted: Some(vec![0x5a; 64]),
        expires: now.checked_add(LAPS_AGE).ok(),
        ..LapsValues::default()
    }
}

/// LAPS of either generation keeps the password that opens the PC.
pub(crate) fn laps_readable(index: usize, local: &Credential, now: Timestamp) -> LapsValues {
    let password = &local.password;
    let kept = LapsValues {
        expires: now.checked_add(LAPS_AGE).ok(),
        ..LapsValues::default()
    };
    match index % 4 {
        0 => LapsValues {
            legacy: Some(password.clone()),
            ..kept
        },
        _ => {
            let since = now.as_nanosecond() / 100 + 116_444_736_000_000_000;
            let json = serde_json::json!({
                "n": crate::domain::account_name(&local.user),
                "t": format!("{since:x}"),
                "p": password.reveal(),
            });
            LapsValues {
                clear: Some(Secret::new(json.to_string())),
                ..kept
            }
        }
    }
}
