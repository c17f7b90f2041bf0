//! Whether, when and how many PCs may be restarted.

use fleetmend_engine::{HourWindow, RebootPolicy};

use super::Setting;

/// Minutes that somebody who is logged on is given, if the operator does not say.
const GRACE_MINUTES: &str = "5";

/// Whether, when and how many PCs may be restarted.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Restarts")]
pub(crate) struct RebootArgs {
    /// Restart a PC up to N times in this run, on rungs that cannot do without; 0: never
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        env = "FLEETMEND_MAX_REBOOTS"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10))]
    pub(crate) max_reboots: u32,
    /// Restart no PC, whatever else is said
    #[arg(long)]
    pub(crate) no_reboot: bool,
    /// Begin no restart outside these hours of this computer's clock
    #[arg(long, value_name = "HH:MM-HH:MM", env = "FLEETMEND_REBOOT_WINDOW")]
    pub(crate) reboot_window: Option<HourWindow>,
    /// Have at most N PCs of one site, or of one domain controller, restarting at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) max_rebooting: usize,
    /// Restart PCs on which somebody is logged on, who is told and given MINUTES [default: 5]
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = GRACE_MINUTES)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=60))]
    pub(crate) even_if_logged_on: Option<u32>,
}

/// As on a command line without options.
impl Default for RebootArgs {
    fn default() -> Self {
        Self {
            max_reboots: 0,
            no_reboot: false,
            reboot_window: None,
            max_rebooting: RebootPolicy::default().at_once,
            even_if_logged_on: None,
        }
    }
}

impl RebootArgs {
    /// Returns what the engine is told.
    pub(crate) fn policy(&self) -> RebootPolicy {
        RebootPolicy {
            max: if self.no_reboot { 0 } else { self.max_reboots },
            window: self.reboot_window,
            at_once: self.max_rebooting,
        }
    }

    /// Returns what it means for the parameters of a playbook.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let setting = |name: &str, value: String| Setting {
            name: name.to_owned(),
            value,
        };
        let Some(minutes) = self.even_if_logged_on else {
            return Vec::new();
        };
        vec![
            setting("even_if_logged_on", "true".to_owned()),
            setting("grace_minutes", minutes.to_string()),
        ]
    }
}
