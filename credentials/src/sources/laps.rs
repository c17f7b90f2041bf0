//! The local administrator's password of one PC, as LAPS keeps it in the directory.

mod computer;
mod told;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_directory::{ActiveDirectory, DirectoryError, Laps, LapsPassword, Limit};
use fleetmend_model::{Host, HostName};
use tokio::time::Instant;

use crate::{Found, Scope, Source, SourceError, Subject};
use computer::computers;
use told::Told;

/// How long what was read for a PC serves its next candidate. A logon is over by then.
const KEPT: Duration = Duration::from_secs(60);
/// The account where neither LAPS nor the operator says: legacy LAPS keeps no name, and manages the
/// built-in administrator unless it is told otherwise.
const BUILT_IN: &str = "Administrator";

/// Reads LAPS in one directory: share one among all PCs of a run.
///
/// A PC is read when its turn comes. What was read is kept only where there is a second candidate,
/// until that is fetched, [`LapsReader::forget`] is called, or a minute has passed.
pub struct LapsReader {
    directory: Arc<ActiveDirectory>,
    kept: Mutex<HashMap<HostName, (Instant, Laps)>>,
}

impl LapsReader {
    /// Returns the reader of a directory.
    pub fn new(directory: Arc<ActiveDirectory>) -> Self {
        Self {
            directory,
            kept: Mutex::default(),
        }
    }

    /// Returns the source of one candidate: 0 is the present password, 1 one from before. Others
    /// are not readable over LDAP.
    pub fn source(self: &Arc<Self>, older: u32) -> LapsSource {
        self.named_source(older, None)
    }

    /// Returns the same for the computer of this name, if one is given; else the inventory's names
    /// say which it is.
    pub fn named_source(self: &Arc<Self>, older: u32, computer: Option<String>) -> LapsSource {
        LapsSource {
            reader: Arc::clone(self),
            older,
            computer,
        }
    }

    /// Forgets what was read for a PC whose turn is over.
    pub fn forget(&self, host: &HostName) {
        self.kept().remove(host);
    }

    async fn read(
        &self,
        host: &Host,
        named: Option<&str>,
        limit: &Limit,
    ) -> Result<Laps, SourceError> {
        let names = match named {
            Some(name) => vec![name.to_owned()],
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

    /// Takes what was read for this PC a moment ago, and drops what is old.
    fn take(&self, host: &HostName) -> Option<Laps> {
        let mut kept = self.kept();
        kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        kept.remove(host).map(|(_, laps)| laps)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<HostName, (Instant, Laps)>> {
        // Nothing is half done under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LapsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LapsReader").finish_non_exhaustive()
    }
}

/// One candidate of LAPS.
#[derive(Clone, Debug)]
pub struct LapsSource {
    reader: Arc<LapsReader>,
    older: u32,
    computer: Option<String>,
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
        let reader = &self.reader;
        let laps = match reader.take(&host.name) {
            Some(laps) => laps,
            None => reader.read(host, self.computer.as_deref(), limit).await?,
        };
        let candidates = laps.candidates();
        let wanted = match self.older {
            0 => candidates.present.map_err(|why| told.missing(why, &laps)),
            _ => candidates.before.ok_or_else(|| told.no_history()),
        };
        let found = wanted.map(found);
        if self.older == 0 && candidates.before.is_some() {
            let mut kept = reader.kept();
            kept.insert(host.name.clone(), (Instant::now(), laps));
        }
        found
    }
}

fn found(password: &LapsPassword) -> Found {
    let account = password.account.as_deref().unwrap_or(BUILT_IN);
    // A bare name might be taken for the domain's account of that name, and a wrong password then
    // counts there.
    let user = if account.contains('\\') {
        account.to_owned()
    } else {
        format!(r".\{account}")
    };
    Found {
        user: Some(user),
        password: password.password.clone(),
        ssh: None,
    }
}
