//! What keeps a restart or a change of membership from being harmless: disk encryption, people,
//! other restarts that wait, power, firewall, write filters.

use fleetmend_model::TransportKind;
use jiff::Timestamp;

use super::Machine;
use crate::domain::Domain;
use crate::secure_channel;

/// BitLocker on the system volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitLocker {
    /// Whether the volume is encrypted and protected (`ProtectionStatus`), unless suspended.
    pub protected: bool,
    /// Whether a boot asks for a PIN, unless suspended.
    pub pin: bool,
    /// For how many boots protection is suspended; 0: until it is resumed.
    pub suspended_for: Option<u32>,
}

impl BitLocker {
    /// Returns `GetProtectionStatus`: 0 off or suspended, 1 on.
    pub fn status(self) -> u32 {
        u32::from(self.protected && self.suspended_for.is_none())
    }

    /// Suspends protection for so many boots; 0: until it is resumed.
    pub fn suspend(&mut self, boots: u32) {
        if self.protected {
            self.suspended_for = Some(boots);
        }
    }

    /// Protects again.
    pub fn resume(&mut self) {
        self.suspended_for = None;
    }

    /// Tells whether a boot waits for somebody at the keyboard.
    pub fn stops_boot(self) -> bool {
        self.pin && self.status() == 1
    }
}

/// Somebody who is logged on at the screen or by Remote Desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOn {
    /// `CORP\tanaka`.
    pub user: String,
    /// `LogonType`: 2 at the screen, 10 by Remote Desktop, 11 at the screen by a cached logon.
    pub logon_type: u32,
    /// For how long nothing was typed, seconds.
    pub idle_seconds: u64,
    /// Messages that were shown.
    pub messages: Vec<String>,
}

impl LoggedOn {
    /// Returns somebody who works at the screen.
    pub fn at_screen(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            logon_type: 2,
            idle_seconds: 20,
            messages: Vec::new(),
        }
    }
}

/// Traces of work that waits for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trace of its own")]
pub struct PendingReboot {
    /// `Component Based Servicing\RebootPending`.
    pub servicing: bool,
    /// `WindowsUpdate\Auto Update\RebootRequired`.
    pub windows_update: bool,
    /// Entries of `PendingFileRenameOperations`.
    pub file_renames: u32,
    /// `ServerManager\CurrentRebootAttempts`.
    pub server_manager: bool,
    /// The name that the PC gets, if that is another one.
    pub computer_name: Option<String>,
    /// `Netlogon\JoinDomain` or `AvoidSpnSet`: a join that somebody else began.
    pub join: bool,
}

/// A battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Battery {
    /// How full, percent.
    pub percent: u32,
    /// Whether mains is connected (`BatteryStatus` 2; else 1).
    pub on_mains: bool,
}

/// A profile of the firewall (`NET_FW_PROFILE_TYPE2`), with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Profile {
    Domain = 1,
    Private = 2,
    Public = 4,
}

/// A rule that lets connections in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallRule {
    /// The profiles in which it counts.
    pub profiles: Vec<Profile>,
    /// Which service it lets in; `None`: all.
    pub transport: Option<TransportKind>,
    /// Whether for the PC's own subnet only, as the public rule of WinRM.
    pub local_subnet_only: bool,
    /// Whether it counts at all.
    pub enabled: bool,
}

impl FirewallRule {
    /// Returns one that lets everybody in, in these profiles.
    pub fn all(profiles: &[Profile]) -> Self {
        Self {
            profiles: profiles.to_vec(),
            transport: None,
            local_subnet_only: false,
            enabled: true,
        }
    }
}

/// The firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// The profile in force.
    pub profile: Profile,
    /// The profile of its network while no controller knows the PC.
    pub outside_domain: Profile,
    /// Whether the controller is in the PC's own subnet.
    pub controller_is_near: bool,
    /// What is let in; everything else is dropped without an answer.
    pub rules: Vec<FirewallRule>,
}

impl Default for Firewall {
    /// A firewall that lets us in whatever the profile.
    fn default() -> Self {
        Self {
            profile: Profile::Domain,
            outside_domain: Profile::Public,
            controller_is_near: false,
            rules: vec![FirewallRule::all(&[
                Profile::Domain,
                Profile::Private,
                Profile::Public,
            ])],
        }
    }
}

impl Firewall {
    /// Tells whether connections of our own get through in this profile.
    pub fn admits_in(&self, profile: Profile, transport: TransportKind) -> bool {
        self.rules.iter().any(|rule| {
            rule.enabled
                && rule.profiles.contains(&profile)
                && rule.transport.is_none_or(|of| of == transport)
                && (!rule.local_subnet_only || self.controller_is_near)
        })
    }

    /// Tells whether connections of our own get through now.
    pub fn admits(&self, transport: TransportKind) -> bool {
        self.admits_in(self.profile, transport)
    }
}

/// A write filter or other software that throws changes away, as diagnose scripts see it. What
/// it does is [`Machine::freeze`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFilter {
    /// `uwf`, `deep-freeze`, ….
    pub product: String,
    /// Whether it is in force now.
    pub active: bool,
}

impl Machine {
    /// Tells whether its next boot waits for somebody at the keyboard, for good as far as a run
    /// is concerned.
    pub fn boot_needs_hands(&self) -> bool {
        self.bitlocker.stops_boot()
    }

    /// Finds the firewall's profile anew: the domain's only for a member that a controller knows.
    pub fn settle_profile(&mut self, domain: &Domain) {
        self.firewall.profile = if secure_channel::is_known(self, domain) {
            Profile::Domain
        } else {
            self.firewall.outside_domain
        };
    }

    /// This part's share of a boot.
    pub(super) fn boot_safety(&mut self) {
        self.users.clear();
        self.pending_reboot = PendingReboot::default();
        self.bitlocker.suspended_for = match self.bitlocker.suspended_for {
            Some(1) => None,
            Some(0) => Some(0),
            boots => boots.map(|boots| boots - 1),
        };
    }

    /// Shows a message to everybody who is logged on, as `msg *` does.
    pub fn show(&mut self, message: &str) {
        for user in &mut self.users {
            user.messages.push(message.to_owned());
        }
    }

    /// Tells since when a process may not be told apart from one of the boot before.
    pub fn uptime_seconds(&self, now: Timestamp) -> f64 {
        let milliseconds = now.duration_since(self.booted).as_millis().max(0);
        // Some days of milliseconds; far below what a float holds.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let seconds = milliseconds as f64 / 1000.0;
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn suspended_protection_lasts_for_its_boots() {
        let mut pc = Machine::new("PC-001");
        pc.bitlocker = BitLocker {
            protected: true,
            pin: true,
            suspended_for: None,
        };
        assert!(pc.boot_needs_hands());
        pc.bitlocker.suspend(2);
        for needs_hands in [false, true] {
            assert_eq!(pc.bitlocker.status(), 0);
            assert!(!pc.boot_needs_hands());
            pc.restart(NOW);
            assert_eq!(pc.boot_needs_hands(), needs_hands);
        }
        pc.bitlocker.suspend(0);
        for _ in 0..3 {
            pc.restart(NOW);
            assert_eq!(pc.bitlocker.status(), 0, "until it is resumed");
        }
        pc.bitlocker.resume();
        assert_eq!(pc.bitlocker.status(), 1);
    }

    #[test]
    fn a_boot_ends_sessions_and_what_waited_for_it() {
        let mut pc = Machine::new("PC-001");
        pc.users.push(LoggedOn::at_screen(r"CORP\tanaka"));
        pc.show("再起動します");
        assert_eq!(pc.users[0].messages, ["再起動します"]);
        pc.pending_reboot.file_renames = 3;
        pc.restart(NOW);
        assert_eq!(pc.users, []);
        assert_eq!(pc.pending_reboot, PendingReboot::default());
    }

    #[test]
    fn rules_count_in_their_profiles_and_for_their_service() {
        let near = FirewallRule {
            transport: Some(TransportKind::WinrmHttp),
            local_subnet_only: true,
            ..FirewallRule::all(&[Profile::Public])
        };
        let mut firewall = Firewall {
            rules: vec![FirewallRule::all(&[Profile::Domain]), near],
            ..Firewall::default()
        };
        assert!(firewall.admits(TransportKind::Ssh));
        firewall.profile = Profile::Public;
        assert!(!firewall.admits(TransportKind::WinrmHttp));
        firewall.controller_is_near = true;
        assert!(firewall.admits(TransportKind::WinrmHttp));
        assert!(!firewall.admits(TransportKind::Ssh));
    }
}
