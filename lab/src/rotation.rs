//! How Netlogon on a simulated PC is told to change the machine password.

/// The registry values, and who sets them. `None`: not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// `MaximumPasswordAge`, days.
    pub maximum_age_days: Option<u32>,
    /// `DisablePasswordChange`.
    pub changes_disabled: Option<u32>,
    /// `RefusePasswordChange`.
    pub changes_refused: Option<u32>,
    /// Whether Group Policy sets the first.
    pub age_by_policy: bool,
    /// Whether Group Policy sets the second.
    pub disabled_by_policy: bool,
}
