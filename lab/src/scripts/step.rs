//! Runs the handler of a script.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    disk_restore_guard, engine, local_admin_access, logon_black_screen, machine_password_age,
    network_power_saving, restart_trial, time_sync, trust_repair, update_health, update_rollback,
};
use crate::domain::Domain;
use crate::machine::Machine;

/// What a handler works on.
pub(crate) struct StepContext<'c> {
    /// The PC.
    pub(crate) pc: &'c mut Machine,
    /// Its domain.
    pub(crate) domain: &'c mut Domain,
    /// The account that runs the step, as it logged on.
    pub(crate) user: &'c str,
    /// Which of the PC's processes runs the step.
    pub(crate) process: u64,
    /// Whether the account that runs the step is a full administrator.
    pub(crate) elevated: bool,
    /// The script's text, as it was sent.
    pub(crate) script: &'c str,
    /// The step's parameters.
    pub(crate) params: &'c Map<String, Value>,
    /// The domain's time.
    pub(crate) now: Timestamp,
}

impl StepContext<'_> {
    /// Returns a text parameter; null and missing are `None`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// Returns a whole-number parameter.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.params.get(name).and_then(Value::as_u64)
    }
}

/// An error that the script threw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepError {
    /// `FullyQualifiedErrorId`.
    pub(crate) id: String,
    /// HRESULT or Win32 code.
    pub(crate) code: Option<i64>,
    /// Its text, in the PC's language.
    pub(crate) message: String,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StepOutcome {
    /// It answered or threw.
    Done(Result<Value, StepError>),
    /// It never comes back.
    Hangs,
    /// Its process dies before it answers.
    Dies,
}

/// How long a step takes on a PC of ordinary speed, before the lab's time scale.
pub(crate) fn base_duration(script: &str) -> Duration {
    Duration::from_millis(match script {
        "disk-restore-guard/diagnose.ps1" | "disk-restore-guard/verify.ps1" => 2_400,
        "disk-restore-guard/restart-safety.ps1" => 1_500,
        "disk-restore-guard/store-machine-password.ps1" => 5_000,
        // Each has the C# compiler run.
        "local-admin-access/diagnose.ps1" => 1_800,
        "local-admin-access/make-usable.ps1" | "local-admin-access/set-account.ps1" => 1_500,
        "logon-black-screen/diagnose.ps1" => 2_600,
        "logon-black-screen/register-packages.ps1" => 4_000,
        "network-power-saving/diagnose.ps1" => 1_900,
        "network-power-saving/keep-on.ps1" => 2_100,
        "network-power-saving/no-sleep.ps1" => 400,
        // Long enough for a second controller to come along.
        "restart-trial/mark.ps1" => 8_000,
        // The C# compiler.
        "machine-password-age/diagnose.ps1" => 1_500,
        "time-sync/diagnose.ps1" => 1_800,
        "time-sync/domain-hierarchy.ps1"
        | "time-sync/ignore-host-time.ps1"
        | "time-sync/resync.ps1"
        | "time-sync/temporary-peer.ps1" => 2_500,
        "time-sync/set-clock.ps1" => 1_200,
        // Two runs, a while apart.
        "time-sync/verify.ps1" => 3_000,
        "trust-repair/after-restart.ps1" => 1_500,
        "trust-repair/diagnose.ps1" => 2_400,
        // The C# compiler, and every rule of the firewall.
        "trust-repair/rejoin-safety.ps1" => 6_000,
        "trust-repair/ensure-admin.ps1" | "trust-repair/leave-domain.ps1" => 2_000,
        "trust-repair/join-domain.ps1" => 4_000,
        "trust-repair/provision-offline-join.ps1" => 2_500,
        "trust-repair/offline-join.ps1" => 1_500,
        "trust-repair/netlogon-rediscover.ps1" => 3_500,
        "trust-repair/rotate-machine-password.ps1" => 1_800,
        "trust-repair/sc-reset.ps1" => 1_500,
        "trust-repair/secure-channel-repair.ps1" => 3_000,
        // The C# compiler, and a restart of Netlogon.
        "trust-repair/store-machine-password.ps1" => 5_000,
        // Two runs, a moment apart.
        "trust-repair/verify.ps1" => 2_400,
        // DISM takes its time.
        "update-health/diagnose.ps1" | "update-rollback/diagnose.ps1" => 6_000,
        "update-health/verify.ps1" => 9_000,
        "update-health/reset-components.ps1" => 5_000,
        "update-health/restore-health.ps1"
        | "update-health/system-files.ps1"
        | "update-rollback/remove.ps1" => 20_000,
        "update-rollback/safety.ps1" => 1_500,
        _ => 300,
    })
}

/// Runs the handler of this script; `None` when the lab simulates none of that name.
pub(crate) fn run(script: &str, context: &mut StepContext<'_>) -> Option<StepOutcome> {
    let comes = |(during, _): &mut (String, _)| during == script;
    if let Some((_, user)) = context.pc.comes_during.take_if(comes) {
        context.pc.users.push(user);
    }
    Some(match script {
        "disk-restore-guard/diagnose.ps1" => disk_restore_guard::diagnose::run(context),
        "disk-restore-guard/look-for-marker.ps1" => disk_restore_guard::marker::look(context),
        "disk-restore-guard/plant-marker.ps1" => disk_restore_guard::marker::plant(context),
        "disk-restore-guard/restart-safety.ps1" => disk_restore_guard::restart_safety(context),
        "disk-restore-guard/set-rotation.ps1" => disk_restore_guard::set_rotation(context),
        "disk-restore-guard/store-machine-password.ps1" => {
            trust_repair::store_machine_password::run(context)
        }
        "disk-restore-guard/suspend-bitlocker.ps1" => trust_repair::membership::suspend(context),
        "disk-restore-guard/uwf-keep-secret.ps1" => disk_restore_guard::uwf::keep(context),
        "disk-restore-guard/uwf-window.ps1" => disk_restore_guard::uwf::window(context),
        "disk-restore-guard/verify.ps1" => disk_restore_guard::verify(context),
        "engine/account.ps1" => engine::account(context),
        "engine/boot.ps1" => engine::boot(context),
        "engine/lock.ps1" => engine::lock(context),
        "engine/restart.ps1" => engine::restart(context),
        "local-admin-access/diagnose.ps1" => local_admin_access::diagnose::run(context),
        "local-admin-access/make-usable.ps1" => local_admin_access::make_usable::run(context),
        "local-admin-access/set-account.ps1" => local_admin_access::set_account::run(context),
        "logon-black-screen/clear-debuggers.ps1" => logon_black_screen::clear_debuggers(context),
        "logon-black-screen/diagnose.ps1" => logon_black_screen::diagnose(context),
        "logon-black-screen/enable-services.ps1" => logon_black_screen::enable_services(context),
        "logon-black-screen/register-packages.ps1" => {
            logon_black_screen::register_packages(context)
        }
        "logon-black-screen/set-winlogon.ps1" => logon_black_screen::set_winlogon(context),
        "network-power-saving/diagnose.ps1" => network_power_saving::diagnose(context),
        "network-power-saving/keep-on.ps1" => network_power_saving::keep_on(context),
        "network-power-saving/no-sleep.ps1" => network_power_saving::no_sleep(context),
        "machine-password-age/diagnose.ps1" => machine_password_age::diagnose(context),
        "machine-password-age/set-rotation.ps1" => machine_password_age::set_rotation(context),
        "machine-password-age/verify.ps1" => machine_password_age::verify(context),
        "restart-trial/diagnose.ps1" => restart_trial::diagnose(context),
        "restart-trial/mark.ps1" => restart_trial::mark(context),
        "time-sync/diagnose.ps1" => time_sync::diagnose::run(context),
        "time-sync/domain-hierarchy.ps1" => time_sync::settings::domain_hierarchy(context),
        "time-sync/ignore-host-time.ps1" => time_sync::settings::ignore_host_time(context),
        "time-sync/resync.ps1" => time_sync::settings::resync(context),
        "time-sync/set-clock.ps1" => time_sync::set_clock::run(context),
        "time-sync/temporary-peer.ps1" => time_sync::temporary_peer::run(context),
        "time-sync/verify.ps1" => time_sync::verify::run(context),
        "trust-repair/after-restart.ps1" => trust_repair::membership::settle(context),
        "trust-repair/diagnose.ps1" => trust_repair::diagnose::run(context),
        "trust-repair/ensure-admin.ps1" => trust_repair::membership::ensure_admin(context),
        "trust-repair/join-domain.ps1" => trust_repair::membership::join(context),
        "trust-repair/leave-domain.ps1" => trust_repair::membership::leave(context),
        "trust-repair/offline-join.ps1" => trust_repair::membership::offline(context),
        "trust-repair/provision-offline-join.ps1" => trust_repair::membership::provision(context),
        "trust-repair/rejoin-safety.ps1" => trust_repair::rejoin_safety::run(context),
        "trust-repair/suspend-bitlocker.ps1" => trust_repair::membership::suspend(context),
        "trust-repair/netlogon-rediscover.ps1" => trust_repair::netlogon_rediscover::run(context),
        "trust-repair/ksetup-machine-password.ps1" => {
            trust_repair::ksetup_machine_password::run(context)
        }
        "trust-repair/rotate-machine-password.ps1" => {
            trust_repair::rotate_machine_password::run(context)
        }
        "trust-repair/sc-reset.ps1" => trust_repair::sc_reset::run(context),
        "trust-repair/secure-channel-repair.ps1" => {
            trust_repair::secure_channel_repair::run(context)
        }
        "trust-repair/store-machine-password.ps1" => {
            trust_repair::store_machine_password::run(context)
        }
        "trust-repair/verify.ps1" => trust_repair::verify::run(context),
        "update-health/diagnose.ps1" => update_health::diagnose(context),
        "update-health/enable-services.ps1" => update_health::enable_services(context),
        "update-health/reset-components.ps1" => update_health::reset_components(context),
        "update-health/restore-health.ps1" => update_health::restore_health(context),
        "update-health/system-files.ps1" => update_health::system_files(context),
        "update-health/verify.ps1" => update_health::verify(context),
        "update-rollback/diagnose.ps1" => update_rollback::diagnose(context),
        "update-rollback/pause-updates.ps1" => update_rollback::pause(context),
        "update-rollback/remove.ps1" => update_rollback::remove(context),
        "update-rollback/safety.ps1" => update_rollback::safety(context),
        "update-rollback/suspend-bitlocker.ps1" => trust_repair::membership::suspend(context),
        _ => return None,
    })
}
