//! The exit codes of the process.

/// Every PC ended healthy or repaired; in check mode every PC is healthy.
pub(crate) const OK: u8 = 0;
/// At least one PC did not end well, or fleetmend itself broke in mid-run.
pub(crate) const NOT_WELL: u8 = 1;
/// The command line, the inventory, a playbook or a credential is wrong. Nothing was touched.
pub(crate) const USAGE: u8 = 2;
/// A safety budget stopped the run; or, before it began, an account was refused or is spared.
pub(crate) const BUDGET: u8 = 3;
/// The operator interrupted the run.
pub(crate) const INTERRUPTED: u8 = 130;

/// The table of exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    every PC ended healthy or repaired (check: every PC is healthy)
  1    at least one PC did not
  2    usage, inventory, playbook or credential error; nothing was touched
  3    stopped by a safety budget
  130  interrupted";

#[cfg(test)]
mod tests {
    #[test]
    fn help_names_every_code() {
        for code in [
            super::OK,
            super::NOT_WELL,
            super::USAGE,
            super::BUDGET,
            super::INTERRUPTED,
        ] {
            assert!(super::HELP.contains(&format!("\n  {code} ")), "{code}");
        }
    }
}
