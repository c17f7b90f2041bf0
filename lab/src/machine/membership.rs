//! Which domain or workgroup a simulated PC belongs to, now and after its next boot.

use super::{Machine, MachineSecret, Service, StartMode};

/// A membership that is in force after the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingMembership {
    /// Of a domain.
    Domain {
        /// Its DNS name.
        domain: String,
        /// The machine secret that goes with it.
        secret: MachineSecret,
        /// The PC's name in it.
        name: String,
    },
    /// Of a workgroup.
    Workgroup(String),
}

/// Which domain or workgroup a PC belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The domain; `None`: a workgroup.
    pub domain: Option<String>,
    /// The workgroup it is in, or was last.
    pub workgroup: String,
    /// `Win32_ComputerSystem.DomainRole`.
    pub domain_role: u32,
    /// What is in force after the next boot.
    pub pending: Option<PendingMembership>,
}

impl Machine {
    /// Returns its membership.
    pub fn membership(&self) -> Membership {
        Membership {
            domain: self.domain.clone(),
            workgroup: self.workgroup.clone(),
            domain_role: self.domain_role,
            pending: self.pending_membership.clone(),
        }
    }

    /// Sets its membership, without a boot.
    pub fn set_membership(&mut self, membership: Membership) {
        self.domain = membership.domain;
        self.workgroup = membership.workgroup;
        self.domain_role = membership.domain_role;
        self.pending_membership = membership.pending;
    }

    /// Tells whether it is in a domain, whatever the next boot makes of that.
    pub fn is_member(&self) -> bool {
        self.domain.is_some()
    }

    /// Tells whether it is in a domain once it has booted.
    pub fn will_be_member(&self) -> bool {
        match &self.pending_membership {
            Some(PendingMembership::Domain { .. }) => true,
            Some(PendingMembership::Workgroup(_)) => false,
            None => self.is_member(),
        }
    }

    /// Returns what `Win32_ComputerSystem.Domain` says: the domain, else the workgroup.
    pub fn domain_or_workgroup(&self) -> &str {
        self.domain.as_deref().unwrap_or(&self.workgroup)
    }

    /// The membership's part of a boot.
    pub(super) fn boot_membership(&mut self) {
        let alone = if self.os.product_type == 1 { 0 } else { 2 };
        match self.pending_membership.take() {
            None => {}
            Some(PendingMembership::Workgroup(name)) => {
                self.domain = None;
                self.workgroup = name;
                self.domain_role = alone;
                self.secret = None;
                self.netlogon = Service {
                    running: false,
                    start: StartMode::Manual,
                    ..self.netlogon
                };
            }
            Some(PendingMembership::Domain {
                domain,
                secret,
                name,
            }) => {
                self.name = name;
                self.domain = Some(domain);
                self.domain_role = alone + 1;
                self.secret = Some(secret);
                self.netlogon.start = StartMode::Automatic;
            }
        }
        // Services that start by themselves do so at each boot; all others stand still.
        for service in [&mut self.netlogon, &mut self.w32time, &mut self.workstation] {
            service.running = service.start == StartMode::Automatic && !service.refuses_start;
        }
    }
}
