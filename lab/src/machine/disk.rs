//! What a simulated PC keeps on its disk, and software that undoes its changes at every boot.

use std::collections::BTreeMap;

use super::{Adapter, LocalAccount, LogEvent, Machine, MachineSecret, Membership, Service, Update};
use crate::machine::safety::PendingReboot;
use crate::rotation::Rotation;
use crate::servicing::Servicing;
use crate::time_service::TimeService;

/// Everything of a PC that outlives a boot: a snapshot of its disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    membership: Membership,
    accounts: BTreeMap<String, LocalAccount>,
    remote_admins: bool,
    adapters: Vec<Adapter>,
    sleeps_after: u32,
    secret: Option<MachineSecret>,
    secret_after_restart: Option<MachineSecret>,
    time: TimeService,
    rotation: Rotation,
    services: [Service; 3],
    events: Vec<LogEvent>,
    updates: Vec<Update>,
    isolation: Option<u32>,
    pending_reboot: PendingReboot,
    servicing: Servicing,
    registry: BTreeMap<String, serde_json::Value>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Software that brings the disk back to what it was, at every boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    /// What each boot brings back.
    pub kept: Disk,
    /// `BootId` as it is kept: it counts up from here at every boot, and so stays the same.
    pub boot_id: Option<u64>,
    /// Whether the disk is still frozen after the next boot; what thaws is then kept.
    pub after_next_boot: bool,
    /// Whether the machine secret is let through (`UWF_RegistryFilter.PersistDomainSecretKey`).
    pub lets_secret_through: bool,
}

/// What the Unified Write Filter keeps of its own, past what it filters: what holds after the next
/// boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uwf {
    /// `UWF_Filter.NextEnabled`.
    pub enabled_next: bool,
    /// `UWF_RegistryFilter.PersistDomainSecretKey` of the next session.
    pub keeps_secret_next: bool,
}

impl Machine {
    /// Returns what the disk holds.
    pub fn snapshot(&self) -> Disk {
        Disk {
            membership: self.membership(),
            accounts: self.accounts.clone(),
            remote_admins: self.remote_admins,
            adapters: self.adapters.clone(),
            sleeps_after: self.sleeps_after,
            secret: self.secret,
            secret_after_restart: self.secret_after_restart,
            time: self.time.clone(),
            rotation: self.rotation,
            services: [self.netlogon, self.w32time, self.workstation],
            events: self.events.clone(),
            updates: self.updates.clone(),
            isolation: self.isolation,
            pending_reboot: self.pending_reboot.clone(),
            servicing: self.servicing.clone(),
            registry: self.registry.clone(),
            files: self.files.clone(),
        }
    }

    /// Makes the disk what it was; what is in memory stays.
    pub fn restore(&mut self, disk: &Disk) {
        let disk = disk.clone();
        self.set_membership(disk.membership);
        self.accounts = disk.accounts;
        self.remote_admins = disk.remote_admins;
        self.adapters = disk.adapters;
        self.sleeps_after = disk.sleeps_after;
        self.secret = disk.secret;
        self.secret_after_restart = disk.secret_after_restart;
        self.time = disk.time;
        self.rotation = disk.rotation;
        [self.netlogon, self.w32time, self.workstation] = disk.services;
        self.events = disk.events;
        self.updates = disk.updates;
        self.isolation = disk.isolation;
        self.pending_reboot = disk.pending_reboot;
        self.servicing = disk.servicing;
        self.registry = disk.registry;
        self.files = disk.files;
    }

    /// Freezes the disk as it is now: every boot from here on brings this back.
    pub fn freeze(&mut self) {
        self.freeze = Some(Freeze {
            kept: self.snapshot(),
            boot_id: self.boot.id,
            after_next_boot: true,
            lets_secret_through: false,
        });
    }

    /// Freezes the disk at the next boot, as it will be then.
    pub fn freeze_at_boot(&mut self) {
        match &mut self.freeze {
            Some(freeze) => freeze.after_next_boot = true,
            None => self.freezes_at_boot = true,
        }
    }

    /// Thaws the disk at the next boot, which still brings back what was kept.
    pub fn thaw_at_boot(&mut self) {
        self.freezes_at_boot = false;
        if let Some(freeze) = &mut self.freeze {
            freeze.after_next_boot = false;
        }
    }

    /// Sets what the Unified Write Filter does from the next boot on.
    pub fn set_uwf(&mut self, next: Uwf) {
        self.uwf = Some(next);
        if next.enabled_next {
            self.freeze_at_boot();
        } else {
            self.thaw_at_boot();
        }
    }

    /// Tells whether what is written now is gone after the next boot.
    pub fn is_frozen(&self) -> bool {
        self.freeze.is_some()
    }

    /// Writes to the disk past the software that freezes it, as its own tools can.
    pub fn commit(&mut self, write: impl Fn(&mut Machine)) {
        write(self);
        let Some(mut freeze) = self.freeze.take() else {
            return;
        };
        let mut beneath = self.clone();
        beneath.restore(&freeze.kept);
        write(&mut beneath);
        freeze.kept = beneath.snapshot();
        self.freeze = Some(freeze);
    }

    /// The disk's part of a boot.
    pub(super) fn boot_disk(&mut self) {
        if let Some(freeze) = self.freeze.take() {
            let secret = self.secret;
            self.restore(&freeze.kept);
            self.boot.id = freeze.boot_id;
            if freeze.lets_secret_through {
                self.secret = secret;
            }
            if freeze.after_next_boot {
                self.freeze = Some(freeze);
            }
        } else if std::mem::take(&mut self.freezes_at_boot) {
            self.freeze();
        }
        if let (Some(uwf), Some(freeze)) = (self.uwf, &mut self.freeze) {
            freeze.lets_secret_through = uwf.keeps_secret_next;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::domain::PasswordId;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn change(pc: &mut Machine) {
        pc.store_secret(PasswordId(2), NOW);
        pc.registry
            .insert(r"HKLM\SOFTWARE\Lab\Marker".into(), json!(1));
        pc.files.insert(r"C:\marker".into(), vec![1]);
        pc.log("NETLOGON", 5823, NOW);
        pc.accounts.clear();
    }

    #[test]
    fn a_frozen_disk_undoes_everything_at_each_boot_until_it_is_thawed() {
        let mut pc = Machine::new("PC-001");
        pc.accounts
            .insert("admin".into(), LocalAccount::new("pw", true));
        pc.store_secret(PasswordId(1), NOW);
        let before = pc.snapshot();
        pc.freeze();
        change(&mut pc);
        assert_ne!(pc.snapshot(), before);
        pc.restart(NOW);
        assert_eq!(pc.snapshot(), before, "every change is undone");
        let id = pc.boot.id;
        change(&mut pc);
        pc.restart(NOW);
        assert_eq!(pc.boot.id, id, "the number of the boot is undone, too");
        change(&mut pc);
        pc.thaw_at_boot();
        assert!(pc.is_frozen(), "until the next boot");
        pc.restart(NOW);
        assert_eq!(pc.snapshot(), before);
        change(&mut pc);
        let changed = pc.snapshot();
        pc.restart(NOW);
        assert_eq!(pc.snapshot(), changed, "now it keeps what is written");
        pc.freeze_at_boot();
        pc.restart(NOW);
        pc.files.clear();
        pc.restart(NOW);
        assert_eq!(pc.snapshot(), changed);
    }

    #[test]
    fn what_is_committed_or_let_through_stays() {
        let mut pc = Machine::new("PC-001");
        pc.store_secret(PasswordId(1), NOW);
        pc.freeze();
        pc.commit(|pc| pc.rotation.changes_disabled = Some(1));
        pc.store_secret(PasswordId(2), NOW);
        pc.restart(NOW);
        assert_eq!(pc.secret.unwrap().current, PasswordId(1));
        assert_eq!(pc.rotation.changes_disabled, Some(1));
        pc.freeze.as_mut().unwrap().lets_secret_through = true;
        pc.store_secret(PasswordId(2), NOW);
        pc.restart(NOW);
        assert_eq!(pc.secret.unwrap().current, PasswordId(2));
    }
}
