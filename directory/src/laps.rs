//! The local administrator's password that LAPS keeps in the directory.

mod candidates;

use std::sync::Arc;

use fleetmend_model::Secret;
use jiff::Timestamp;
use ldap3::Scope;
use serde::Deserialize;

use crate::computer::{Names, find_or_say};
use crate::controller::{Controller, Session};
use crate::entry::Entry;
use crate::operation::Question;
use crate::time::filetime;
use crate::{ActiveDirectory, DirectoryError, Limit};

pub use candidates::{Candidates, LapsMissing};

const PASSWORD: &str = "msLAPS-Password";
const ENCRYPTED: &str = "msLAPS-EncryptedPassword";
const EXPIRY: &str = "msLAPS-PasswordExpirationTime";
const LEGACY_PASSWORD: &str = "ms-Mcs-AdmPwd";
const LEGACY_EXPIRY: &str = "ms-Mcs-AdmPwdExpirationTime";

/// What LAPS keeps for a computer, of both generations.
#[derive(Clone, Debug)]
pub struct Laps {
    /// Where it was read.
    pub dc: String,
    /// The computer's distinguished name.
    pub dn: String,
    /// Windows LAPS: `msLAPS-Password`, `msLAPS-EncryptedPassword`.
    pub windows: LapsReading,
    /// Legacy Microsoft LAPS: `ms-Mcs-AdmPwd`.
    pub legacy: LapsReading,
}

/// What one generation of LAPS keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LapsReading {
    /// The forest's schema does not have it.
    NotInSchema,
    /// Nothing is kept, or nothing that our account may know of.
    Empty,
    /// Something is kept, for an expiry stands beside it, but our account may not read it.
    Unreadable {
        /// When it expires.
        expires: Option<Timestamp>,
    },
    /// An encrypted password is kept. It can be read by a Windows host only, as the principal
    /// that may decrypt it (`Get-LapsADPassword`).
    Encrypted {
        /// When it expires.
        expires: Option<Timestamp>,
    },
    /// The password.
    Password(LapsPassword),
    /// What is kept is not what LAPS writes.
    Malformed,
}

/// A local administrator's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LapsPassword {
    /// The local account; legacy LAPS does not say.
    pub account: Option<String>,
    /// Its password.
    pub password: Secret,
    /// When it was set; legacy LAPS does not say.
    pub set: Option<Timestamp>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

impl Laps {
    /// Returns the password that holds: Windows LAPS takes precedence over the legacy one.
    pub fn password(&self) -> Option<&LapsPassword> {
        [&self.windows, &self.legacy]
            .into_iter()
            .find_map(|reading| match reading {
                LapsReading::Password(password) => Some(password),
                _ => None,
            })
    }
}

impl ActiveDirectory {
    /// Reads what LAPS keeps for a computer, at the named controller or at the first that answers.
    ///
    /// # Errors
    /// The computer is not found, or the directory does not answer.
    pub async fn laps(
        &self,
        computer: &str,
        dc: Option<&str>,
        limit: &Limit,
    ) -> Result<Laps, DirectoryError> {
        let controller = match dc {
            Some(dc) => self.named(dc, limit).await?,
            None => self.any(false, limit).await?,
        };
        let session = controller.session(limit).await?;
        let names = Names::of(computer, &self.access.settings.domain);
        let wanted = [PASSWORD, ENCRYPTED, EXPIRY, LEGACY_PASSWORD, LEGACY_EXPIRY];
        let mut entry = find_or_say(&controller, &session, &names, &wanted, limit).await?;
        let mut windows = windows(&entry);
        let mut legacy = legacy(&entry);
        entry.wipe(PASSWORD);
        entry.wipe(LEGACY_PASSWORD);
        if [&windows, &legacy].contains(&&LapsReading::Empty) {
            // The schema does not change within a run.
            let known = self
                .laps_schema
                .get_or_try_init(|| known_attributes(&controller, &session, limit))
                .await?;
            for (reading, attribute) in [(&mut windows, PASSWORD), (&mut legacy, LEGACY_PASSWORD)] {
                let there = known
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(attribute));
                if *reading == LapsReading::Empty && !there {
                    *reading = LapsReading::NotInSchema;
                }
            }
        }
        Ok(Laps {
            dc: session.dc.clone(),
            dn: entry.dn,
            windows,
            legacy,
        })
    }
}

/// Returns which of the two generations' attributes the schema has.
async fn known_attributes(
    controller: &Arc<Controller>,
    session: &Session,
    limit: &Limit,
) -> Result<Vec<String>, DirectoryError> {
    let Some(schema) = &session.root.schema_naming_context else {
        return Ok(vec![PASSWORD.to_owned(), LEGACY_PASSWORD.to_owned()]);
    };
    let filter = format!("(|(lDAPDisplayName={PASSWORD})(lDAPDisplayName={LEGACY_PASSWORD}))");
    let question = Question {
        doing: "look LAPS up in the schema",
        base: schema,
        scope: Scope::OneLevel,
        filter: &filter,
        attributes: &["lDAPDisplayName"],
        controls: Vec::new(),
        size_limit: 0,
    };
    let answer = controller.search(&question, limit).await?;
    let name = |entry: &Entry| entry.text("lDAPDisplayName").map(str::to_owned);
    Ok(answer.entries.iter().filter_map(name).collect())
}

pub(crate) fn windows(entry: &Entry) -> LapsReading {
    let expires = entry.filetime(EXPIRY);
    if let Some(json) = entry.bytes(PASSWORD) {
        return match parse(json) {
            Some(password) => LapsReading::Password(LapsPassword {
                expires,
                ..password
            }),
            None => LapsReading::Malformed,
        };
    }
    if entry.has(ENCRYPTED) {
        return LapsReading::Encrypted { expires };
    }
    unread(entry, EXPIRY)
}

pub(crate) fn legacy(entry: &Entry) -> LapsReading {
    let Some(password) = entry.text(LEGACY_PASSWORD) else {
        return unread(entry, LEGACY_EXPIRY);
    };
    LapsReading::Password(LapsPassword {
        account: None,
        password: Secret::new(password.to_owned()),
        set: None,
        expires: entry.filetime(LEGACY_EXPIRY),
    })
}

/// The expiry is not confidential: where it stands alone, the password is hidden from us.
fn unread(entry: &Entry, expiry: &str) -> LapsReading {
    if entry.number(expiry).is_some_and(|time| time > 0) {
        return LapsReading::Unreadable {
            expires: entry.filetime(expiry),
        };
    }
    LapsReading::Empty
}

/// Reads `{"n":"Administrator","t":"1d8161b41c41cde","p":"…"}`: account, FILETIME in hex,
/// password (Microsoft, "Windows LAPS schema extensions reference").
#[doc(hidden)]
pub fn parse(json: &[u8]) -> Option<LapsPassword> {
    #[derive(Deserialize)]
    struct Kept {
        n: String,
        t: String,
        p: String,
    }
    let json = json.strip_suffix(b"\0").unwrap_or(json);
    // serde would take a list for the fields in their order, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let kept: Kept = serde_json::from_slice(json).ok()?;
    Some(LapsPassword {
        account: Some(kept.n),
        password: Secret::new(kept.p),
        set: i64::from_str_radix(&kept.t, 16).ok().and_then(filetime),
        expires: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = r#"{"n":"管理者","t":"1d8161b41c41cde","p":"A6a3#7%eb!57be4a4B"}"#;

    #[test]
    fn reads_both_generations() {
        let entry = Entry::of(
            "CN=PC1",
            &[
                (PASSWORD, JSON.as_bytes()),
                (EXPIRY, b"134087562051234560"),
                (LEGACY_PASSWORD, b"old"),
            ],
        );
        let LapsReading::Password(password) = windows(&entry) else {
            panic!("no password");
        };
        assert_eq!(password.account.as_deref(), Some("管理者"));
        assert_eq!(password.password.reveal(), "A6a3#7%eb!57be4a4B");
        assert_eq!(
            password.set.unwrap().to_string(),
            "2022-01-30T20:52:13.0729182Z"
        );
        assert!(password.expires.is_some());
        assert!(!format!("{password:?}").contains("A6a3"));
        let laps = Laps {
            dc: String::new(),
            dn: String::new(),
            windows: windows(&entry),
            legacy: legacy(&entry),
        };
        assert_eq!(laps.password(), Some(&password));
    }

    #[test]
    fn says_what_cannot_be_read() {
        let of = |values: &[(&str, &[u8])]| windows(&Entry::of("CN=PC1", values));
        let expires = filetime(134_087_562_051_234_560);
        assert_eq!(of(&[]), LapsReading::Empty);
        assert_eq!(of(&[(EXPIRY, b"0")]), LapsReading::Empty);
        let expiry = (EXPIRY, &b"134087562051234560"[..]);
        assert_eq!(of(&[expiry]), LapsReading::Unreadable { expires });
        assert_eq!(
            of(&[expiry, (ENCRYPTED, b"\x01\xff")]),
            LapsReading::Encrypted { expires }
        );
        assert_eq!(of(&[(PASSWORD, b"{}")]), LapsReading::Malformed);
        assert_eq!(of(&[(PASSWORD, b"\xff")]), LapsReading::Malformed);
        let list = (PASSWORD, &br#"["a","1d8161b41c41cde","x"]"#[..]);
        assert_eq!(of(&[list]), LapsReading::Malformed);
    }

    proptest! {
        #[test]
        fn never_panics(json: Vec<u8>, name in ".*", time in ".*", password in ".*") {
            let _ = parse(&json);
            let good = serde_json::json!({"n": name, "t": time, "p": password}).to_string();
            let read = parse(good.as_bytes()).unwrap();
            prop_assert_eq!(read.password.reveal(), password);
        }
    }
}
