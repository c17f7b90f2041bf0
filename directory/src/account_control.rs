//! The bits of `userAccountControl` ([MS-ADTS] 2.2.16).

/// The account is disabled.
pub(crate) const DISABLED: u32 = 0x2;
/// The account is locked out; only in `msDS-User-Account-Control-Computed`.
pub(crate) const LOCKOUT: u32 = 0x10;
/// An account that stands for a trust with another domain.
const INTERDOMAIN_TRUST: u32 = 0x800;
/// A workstation's or a member server's account.
const WORKSTATION_TRUST: u32 = 0x1000;
/// A domain controller's account.
const SERVER_TRUST: u32 = 0x2000;
/// A read-only domain controller's account.
const PARTIAL_SECRETS: u32 = 0x0400_0000;

/// Returns why the account is not a member's whose password or state we may change, if it is not.
pub(crate) fn not_a_member(control: u32) -> Option<&'static str> {
    if control & (SERVER_TRUST | PARTIAL_SECRETS) != 0 {
        Some("it is a domain controller's own account")
    } else if control & INTERDOMAIN_TRUST != 0 {
        Some("it stands for a trust between domains")
    } else if control & WORKSTATION_TRUST == 0 {
        Some("it is not the account of a workstation or a member server")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_only() {
        for member in [0x1000, 0x1002, 0x1020, 0x11000] {
            assert_eq!(not_a_member(member), None, "{member:#x}");
        }
        for other in [0x200, 0x820, 0x82000, 0x0500_1000, 0x2000 | 0x1000, 0] {
            assert!(not_a_member(other).is_some(), "{other:#x}");
        }
    }
}
