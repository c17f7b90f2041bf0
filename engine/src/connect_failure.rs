//! From a connection that did not come about to short code, outcome and advice.

use fleetmend_model::{Outcome, Platform};
use fleetmend_transport::ConnectError;

/// The guard under which PCs end after a domain account was refused elsewhere.
pub const CREDENTIAL_REFUSED: &str = "credential-refused";
/// The short code of a refused logon of an account of the PC itself.
pub const LOCAL_LOGON: &str = "logon";
/// The short code of a refused logon of a domain account.
pub const DOMAIN_LOGON: &str = "domain-logon";
/// The short code of a PC that did not come back after a restart.
pub const AFTER_REBOOT: &str = "after-reboot";
/// The guard under which a PC ends that another controller holds.
pub const OTHER_CONTROLLER: &str = "other-controller";
/// The short code of a connection that the operator stopped.
pub const INTERRUPTED: &str = "interrupted";

/// The short code of a logon of which nothing came back after the password had been sent: whether
/// it was refused, nobody knows.
pub const UNANSWERED: &str = "unanswered";

/// Returns the short code of the failure, as `ConnectFailed` carries it.
pub fn code(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Unreachable { why, .. } => why.code(),
        ConnectError::AccessDenied { why, .. } => why.code(),
        ConnectError::Identity { .. } => "identity",
        ConnectError::Busy { .. } => "busy",
        ConnectError::Protocol { .. } => "protocol",
        ConnectError::Settings { .. } => "settings",
        ConnectError::Cancelled => INTERRUPTED,
        _ => "connect",
    }
}

/// Returns the whole story: the error and what lies beneath it.
pub fn story(error: &ConnectError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns how a PC ends that could not be connected to.
pub fn outcome(code: &str) -> Outcome {
    let why = code.to_owned();
    match code {
        DOMAIN_LOGON => Outcome::AccessDenied {
            why: "logon".to_owned(),
        },
        CREDENTIAL_REFUSED | OTHER_CONTROLLER => Outcome::Blocked { guard: why },
        "logon" | "authorization" | "no-common-method" | "identity" => {
            Outcome::AccessDenied { why }
        }
        "settings" | "no-credential" => Outcome::NeedsHands { why },
        INTERRUPTED => Outcome::Skipped { why },
        _ => Outcome::Unreachable { why },
    }
}

/// Returns why a host may refuse an account of its own: it does not tell a network client which.
pub fn own_account_reasons(platform: Platform) -> &'static str {
    match platform {
        Platform::Windows => {
            "the password is wrong, there is no such account, it is locked or disabled, the \
             network is denied to local accounts (S-1-5-113, S-1-5-114), or \
             LocalAccountTokenFilterPolicy keeps out all but Administrator"
        }
        Platform::Posix => {
            "the password or key is wrong, there is no such account, it is locked or expired, or \
             sshd does not let it in this way"
        }
    }
}

/// Returns what the operator should do next.
pub fn advice(code: &str) -> &'static str {
    match code {
        "name-not-found" => "check the name in the inventory, or give the PC's address",
        "refused" => "check that WinRM (winrm quickconfig) or SSH runs on the PC",
        "timed-out" | "no-route" => {
            "check that the PC is on and on the network, and that its firewall lets us in"
        }
        "closed" | "connection-lost" => "check the PC's network, then run on it again",
        "tls" => "check the PC's certificate and TLS settings",
        LOCAL_LOGON => {
            "if all PCs refuse it, check user, password and policies; if only this one does, see \
             the newest event 4625 in its security log (SubStatus 0xC000006A wrong password, \
             0xC0000064 no such account, 0xC0000234 locked, 0xC0000072 disabled; Status \
             0xC000015B the network is denied to local accounts); no event: \
             LocalAccountTokenFilterPolicy is not 1 and the account is not Administrator; all \
             causes: docs/guide/budgets.md"
        }
        DOMAIN_LOGON => {
            "check user and password of the domain account, and whether it is locked or expired, \
             before you run again: each further failure counts towards its lockout; a PC without \
             domain trust takes local accounts only"
        }
        CREDENTIAL_REFUSED => {
            "check the account's password and whether it is locked, before you run again"
        }
        "authorization" => {
            "the account is good but may not use remoting: make it an administrator, or set \
             LocalAccountTokenFilterPolicy to 1"
        }
        "no-common-method" => "allow NTLM (Negotiate) on the PC, or use HTTPS",
        "identity" => {
            "make sure that it is the right PC; then, over HTTPS, name its certificate in the \
             inventory (tls: {fingerprint: SHA256}) or the authority that issued it (tls: \
             {ca_file: FILE}); over SSH, renew its known_hosts line or fingerprint"
        }
        "busy" => "wait until other remote shells on the PC end, or restart its WinRM service",
        "settings" => "correct the PC's settings in the inventory",
        AFTER_REBOOT => {
            "go to the PC and see what its screen says; once it answers again, run again on it"
        }
        OTHER_CONTROLLER => "wait until the other run has ended (fleetmend list), then run again",
        "no-credential" => "provide the credential that the inventory names",
        UNANSWERED => {
            "the password may have been refused, and nobody knows: check the PC's WinRM or SSH \
             service, and what stands between, before you run on it again"
        }
        "protocol" => "check what listens on this port: it does not speak as WinRM or SSH do",
        _ => "run on it again",
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::OutcomeClass;
    use fleetmend_transport::{DeniedWhy, UnreachableWhy};

    use super::*;

    #[test]
    fn every_failure_has_its_class_and_advice() {
        let address = || "10.0.0.1:5985".to_owned();
        let cases = [
            (
                ConnectError::Unreachable {
                    address: address(),
                    why: UnreachableWhy::NoRoute,
                    source: Some(Box::new(std::io::Error::other("os error 113"))),
                },
                OutcomeClass::Unreachable,
            ),
            (
                ConnectError::AccessDenied {
                    address: address(),
                    user: "admin".into(),
                    why: DeniedWhy::Logon,
                    detail: "401".into(),
                },
                OutcomeClass::AccessDenied,
            ),
            (
                ConnectError::Identity {
                    address: address(),
                    detail: "key".into(),
                },
                OutcomeClass::AccessDenied,
            ),
            (
                ConnectError::Settings {
                    address: address(),
                    detail: "x".into(),
                },
                OutcomeClass::NeedsHands,
            ),
            (
                ConnectError::Protocol {
                    address: address(),
                    detail: "x".into(),
                },
                OutcomeClass::Unreachable,
            ),
            (ConnectError::Cancelled, OutcomeClass::Skipped),
        ];
        for (error, class) in cases {
            let code = code(&error);
            assert_eq!(outcome(code).class(), class, "{code}");
            assert!(!advice(code).is_empty());
        }
    }

    #[test]
    fn an_identity_that_is_not_trusted_can_be_pinned_either_way() {
        let advice = advice("identity");
        for way in ["tls: {fingerprint:", "tls: {ca_file:", "known_hosts"] {
            assert!(advice.contains(way), "{advice}");
        }
    }

    #[test]
    fn the_story_names_what_lies_beneath() {
        let error = ConnectError::Unreachable {
            address: "pc:22".into(),
            why: UnreachableWhy::NoRoute,
            source: Some(Box::new(std::io::Error::other("os error 113"))),
        };
        assert_eq!(
            story(&error),
            "failed to reach pc:22: no route to it: os error 113"
        );
    }
}
