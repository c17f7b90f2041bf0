//! What the shipped scripts do on a simulated PC: one handler a script, by its name.

mod disk_restore_guard;
mod engine;
mod freeze_signs;
mod local_admin_access;
mod logon_black_screen;
mod machine_password_age;
mod network_power_saving;
mod restart_trial;
mod step;
mod time_sync;
mod trust_repair;
mod update_health;
mod update_rollback;

pub(crate) use step::{StepContext, StepError, StepOutcome, base_duration, run};
