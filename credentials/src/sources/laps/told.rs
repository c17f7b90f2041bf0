//! What the operator is told when LAPS gives no password, and what to do about it.

use fleetmend_directory::{DirectoryError, Laps, LapsMissing};
use fleetmend_model::HostName;
use jiff::Timestamp;

use crate::SourceError;

/// What to do where the inventory does not say which computer it is.
const NAME_IT: &str = "give the name of its account in the inventory: `computer_name: NAME`";

/// Errors about one PC.
pub(super) struct Told {
    from: String,
}

impl Told {
    pub(super) fn of(host: &HostName) -> Self {
        Self {
            from: format!("LAPS for {host}"),
        }
    }

    /// LAPS keeps no password that could be read.
    pub(super) fn missing(&self, why: LapsMissing, laps: &Laps) -> SourceError {
        let dn = &laps.dn;
        match why {
            LapsMissing::NotInSchema => self.absent(
                "the forest has no LAPS: its schema lacks the attributes of both generations",
                "give the password from elsewhere: a vault, a file, a prompt",
            ),
            LapsMissing::Empty => self.absent(
                &format!(
                    "nothing is kept for {dn}, or nothing that the directory account may know of"
                ),
                "does a LAPS policy reach this PC, and may the account read it? \
                 fleetmend directory laps; docs/guide/laps.md",
            ),
            LapsMissing::Unreadable { expires } => self.stops(
                &format!(
                    "a password is kept for {dn}{} that the directory account may not read",
                    until(expires)
                ),
                "grant it the right on the OU: Set-LapsADReadPasswordPermission; \
                 docs/guide/domain-rights.md",
            ),
            LapsMissing::Encrypted { expires } => self.absent(
                &format!(
                    "the password of {dn}{} is encrypted (DPAPI-NG), and only Windows can open it",
                    until(expires)
                ),
                "run fleetmend on Windows as one who may decrypt it, with a `command` that calls \
                 Get-LapsADPassword: docs/guide/laps.md",
            ),
            LapsMissing::Malformed => self.stops(
                &format!("what is kept for {dn} is not what LAPS writes"),
                "have LAPS set a new password: Reset-LapsPassword on the PC",
            ),
        }
    }

    /// The account that LAPS names cannot be the PC's own.
    pub(super) fn no_local_account(&self, laps: &Laps) -> SourceError {
        self.stops(
            &format!(
                "the account that is kept for {} is not one of the PC's own",
                laps.dn
            ),
            "LAPS never writes such a name: look who did; a computer may write its own attributes",
        )
    }

    /// LDAP gives no further password.
    pub(super) fn no_history(&self) -> SourceError {
        self.absent(
            "no password from before can be read: LDAP shows the history only encrypted",
            "Get-LapsADPassword -IncludeHistory on Windows shows it: docs/guide/laps.md",
        )
    }

    /// The directory has no such computer.
    pub(super) fn not_found(&self, names: &[String], why: &DirectoryError) -> SourceError {
        let why = match names {
            [_, _, ..] => format!("{why} (looked for: {})", names.join(", ")),
            _ => why.to_string(),
        };
        self.absent(&why, NAME_IT)
    }

    /// The inventory has no name for it.
    pub(super) fn nameless(&self) -> SourceError {
        self.stops(
            "the inventory has only an IP address, which names no computer in the directory",
            NAME_IT,
        )
    }

    /// The directory did not answer.
    pub(super) fn not_answered(&self, why: &DirectoryError) -> SourceError {
        let next = match why {
            DirectoryError::ComputerAmbiguous { .. } => NAME_IT,
            DirectoryError::NotAllowedToSee { .. } | DirectoryError::Ldap { code: 50, .. } => {
                "which rights the directory account needs: docs/guide/domain-rights.md"
            }
            DirectoryError::CredentialRefused { .. } | DirectoryError::LogonUnanswered { .. } => {
                "check the directory account and its password before the next run"
            }
            _ => "",
        };
        self.stops(&why.to_string(), next)
    }

    fn absent(&self, why: &str, next: &str) -> SourceError {
        SourceError::absent(&self.from, why, next)
    }

    fn stops(&self, why: &str, next: &str) -> SourceError {
        SourceError::new(&self.from, why, next)
    }
}

fn until(expires: Option<Timestamp>) -> String {
    expires.map_or_else(String::new, |time| {
        format!(" (expires {})", time.strftime("%Y-%m-%d %H:%M UTC"))
    })
}
