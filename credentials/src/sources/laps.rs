//! The local administrator's password of one PC, as LAPS keeps it in the directory.

mod computer;
mod told;

use std::sync::Arc;

use async_trait::async_trait;
use fleetmend_directory::{ActiveDirectory, DirectoryError, Laps, LapsPassword, Limit};
use fleetmend_model::Host;

use crate::{Found, Scope, Source, SourceError, Subject};
use computer::computers;
use told::Told;

/// The account where neither LAPS nor the operator says: legacy LAPS keeps no name, and manages the
/// built-in administrator unless it is told otherwise.
const BUILT_IN: &str = "Administrator";
/// No name of a local account has these ([Windows: Bad Logon Names]).
const NEVER_IN_NAMES: &str = "\"/\\[]:;|=,+*?<>@";

/// One candidate of LAPS. A PC is read when its turn comes, and again for an older password after
/// the present one was refused: nothing is kept.
#[derive(Clone, Debug)]
pub struct LapsSource {
    directory: Arc<ActiveDirectory>,
    older: u32,
    computer: Option<String>,
}

impl LapsSource {
    /// Returns the source of one candidate in a directory: 0 is the present password, 1 one from
    /// before; others are not readable over LDAP. It is that of the computer of this name, if one
    /// is given; else the inventory's names say which it is.
    pub fn new(directory: Arc<ActiveDirectory>, older: u32, computer: Option<String>) -> Self {
        Self {
            directory,
            older,
            computer,
        }
    }

    async fn read(&self, host: &Host, limit: &Limit) -> Result<Laps, SourceError> {
        let names = match &self.computer {
            Some(name) => vec![name.clone()],
            None => computers(host)?,
        };
        let mut missed = None;
        for name in &names {
            match self.directory.laps(name, None, limit).await {
                Ok(laps) => return Ok(laps),
                Err(why @ DirectoryError::ComputerNotFound { .. }) => {
                    missed.get_or_insert(why);
                }
                Err(why) => return Err(Told::of(&host.name).not_answered(&why)),
            }
        }
        Err(match missed {
            Some(why) => Told::of(&host.name).not_found(&names, &why),
            None => Told::of(&host.name).nameless(),
        })
    }
}

#[async_trait]
impl Source for LapsSource {
    fn describe(&self) -> String {
        match self.older {
            0 => "LAPS".to_owned(),
            _ => "LAPS, a password from before".to_owned(),
        }
    }

    fn scope(&self) -> Scope {
        Scope::Host
    }

    async fn fetch(&self, subject: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let Subject::Host(host) = subject else {
            let (why, next) = (
                "it keeps passwords of PCs, and none was asked for",
                "give the account's own password here: a vault, a file, a prompt",
            );
            return Err(SourceError::new("LAPS", why, next));
        };
        let told = Told::of(&host.name);
        if self.older > 1 {
            return Err(told.no_history());
        }
        let laps = self.read(host, limit).await?;
        let candidates = laps.candidates();
        let wanted = match self.older {
            0 => candidates.present.map_err(|why| told.missing(why, &laps)),
            _ => candidates.before.ok_or_else(|| told.no_history()),
        };
        let wanted = wanted?;
        let account = wanted.account.as_deref().unwrap_or(BUILT_IN);
        if !is_local(account) {
            return Err(told.no_local_account(&laps));
        }
        Ok(found(account, wanted))
    }
}

/// Whether an account can be one of the PC's own. A computer writes its own LAPS attributes: one
/// that is not ours any more must not choose a domain account to be tried.
fn is_local(account: &str) -> bool {
    let is_odd = |c: char| c.is_control() || NEVER_IN_NAMES.contains(c);
    !account.trim_matches(['.', ' ']).is_empty() && !account.contains(is_odd)
}

fn found(account: &str, password: &LapsPassword) -> Found {
    Found {
        // A bare name might be taken for the domain's account of that name, and a wrong password
        // then counts there.
        user: Some(format!(r".\{account}")),
        password: password.password.clone(),
        ssh: None,
    }
}
