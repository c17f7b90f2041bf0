//! Which of the passwords that LAPS keeps is tried first, and why there is none.

use jiff::Timestamp;

use super::{Laps, LapsPassword, LapsReading};

/// Why no password can be had from LAPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LapsMissing {
    /// The forest's schema has neither generation.
    NotInSchema,
    /// Nothing is kept for this computer, or nothing that our account may know of.
    Empty,
    /// Something is kept that our account may not read.
    Unreadable {
        /// When it expires.
        expires: Option<Timestamp>,
    },
    /// What is kept is encrypted (DPAPI-NG), and only a Windows host can open it.
    Encrypted {
        /// When it expires.
        expires: Option<Timestamp>,
    },
    /// What is kept is not what LAPS writes.
    Malformed,
}

/// The passwords that may open a computer, as they are to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// The present one.
    pub present: Result<&'a LapsPassword, LapsMissing>,
    /// One from before, which holds where the computer was set back to an earlier state.
    ///
    /// LDAP gives no history in the clear: Windows LAPS keeps one of encrypted passwords alone. What
    /// can be read is what legacy LAPS left behind where both were used.
    pub before: Option<&'a LapsPassword>,
}

impl Laps {
    /// Returns the passwords in the order in which they are to be tried.
    ///
    /// A computer uses one generation at a time: Windows LAPS where it is there, unless the
    /// password that it keeps cannot be read and the legacy one expires later, which says that it
    /// was set later.
    pub fn candidates(&self) -> Candidates<'_> {
        let legacy = read(&self.legacy);
        let newer = match (&self.windows, legacy) {
            (LapsReading::Password(present), Some(before)) => {
                let other = before.password != present.password;
                return Candidates {
                    present: Ok(present),
                    before: other.then_some(before),
                };
            }
            (LapsReading::Password(present), None) => Ok(present),
            (LapsReading::Empty | LapsReading::NotInSchema, Some(legacy)) => Ok(legacy),
            (LapsReading::Empty | LapsReading::NotInSchema, None) => {
                let neither = missing(&self.legacy).unwrap_or(LapsMissing::Empty);
                Err(match (&self.windows, neither) {
                    (LapsReading::Empty, LapsMissing::NotInSchema) => LapsMissing::Empty,
                    (_, neither) => neither,
                })
            }
            (LapsReading::Unreadable { expires } | LapsReading::Encrypted { expires }, _)
                if legacy.is_some_and(|legacy| legacy.expires > *expires) =>
            {
                legacy.ok_or(LapsMissing::Empty)
            }
            (windows, _) => Err(missing(windows).unwrap_or(LapsMissing::Malformed)),
        };
        Candidates {
            before: legacy.filter(|_| newer.is_err()),
            present: newer,
        }
    }
}

fn read(reading: &LapsReading) -> Option<&LapsPassword> {
    match reading {
        LapsReading::Password(password) => Some(password),
        _ => None,
    }
}

fn missing(reading: &LapsReading) -> Option<LapsMissing> {
    Some(match *reading {
        LapsReading::Password(_) => return None,
        LapsReading::NotInSchema => LapsMissing::NotInSchema,
        LapsReading::Empty => LapsMissing::Empty,
        LapsReading::Unreadable { expires } => LapsMissing::Unreadable { expires },
        LapsReading::Encrypted { expires } => LapsMissing::Encrypted { expires },
        LapsReading::Malformed => LapsMissing::Malformed,
    })
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Secret;

    use super::*;

    fn at(day: i64) -> Option<Timestamp> {
        Timestamp::from_second(day * 86_400).ok()
    }

    fn password(text: &str, day: i64) -> LapsReading {
        LapsReading::Password(LapsPassword {
            account: None,
            password: Secret::new(text.to_owned()),
            set: None,
            expires: at(day),
        })
    }

    fn order(windows: LapsReading, legacy: LapsReading) -> String {
        let laps = Laps {
            dc: String::new(),
            dn: String::new(),
            windows,
            legacy,
        };
        let text = |password: &LapsPassword| password.password.reveal().to_owned();
        let Candidates { present, before } = laps.candidates();
        let present = present.map_or_else(|why| format!("{why:?}"), text);
        let before = before.map_or_else(|| "-".to_owned(), text);
        let present = present.split(' ').next().unwrap_or_default().to_owned();
        format!("{present} {before}")
    }

    #[test]
    fn the_generation_in_use_comes_first() {
        use LapsReading::{Empty, Malformed, NotInSchema};
        let encrypted = || LapsReading::Encrypted { expires: at(30) };
        let hidden = || LapsReading::Unreadable { expires: at(30) };
        for (windows, legacy, expected) in [
            (password("w", 30), NotInSchema, "w -"),
            // Even if the leftover expires later: Windows LAPS does not set both.
            (password("w", 30), password("l", 40), "w l"),
            (password("same", 30), password("same", 40), "same -"),
            (Empty, password("l", 1), "l -"),
            (NotInSchema, password("l", 1), "l -"),
            (encrypted(), password("l", 20), "Encrypted l"),
            (encrypted(), password("l", 40), "l -"),
            (hidden(), password("l", 20), "Unreadable l"),
            (hidden(), hidden(), "Unreadable -"),
            (encrypted(), Empty, "Encrypted -"),
            (NotInSchema, NotInSchema, "NotInSchema -"),
            (Empty, NotInSchema, "Empty -"),
            (NotInSchema, Empty, "Empty -"),
            (Empty, hidden(), "Unreadable -"),
            (Malformed, Empty, "Malformed -"),
            (Malformed, password("l", 1), "Malformed l"),
        ] {
            let told = format!("{windows:?} {legacy:?}");
            assert_eq!(order(windows, legacy), expected, "{told}");
        }
    }
}
