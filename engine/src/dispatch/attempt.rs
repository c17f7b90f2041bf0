//! Attempts to log on: with which credential, and whether there may be one.

use std::sync::Arc;

use fleetmend_model::{
    Credential, CredentialRef, CredentialUse, Event, Host, HostEvent, HostName, Judged, Place,
    Refusals, Secret,
};
use fleetmend_transport::{ConnectError, DeniedWhy, LogonMark, Session};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::account::domain_account;
use super::gate::{Closed, Key, Pass, Refusal, Role};
use super::held::Held;
use super::host_task::Shared;
use super::local_attempts::{Barred, own_name};
use super::logon::{Unmade, denies, logon_told, told};
use crate::account_budget::AccountName;
use crate::connect_failure::{self, CREDENTIAL_REFUSED, DOMAIN_LOGON, INTERRUPTED, LOCAL_LOGON};

/// The name under which a password in the inventory is told of.
const OF_INVENTORY: &str = "inventory";
/// Beyond any budget of a credential.
const MOST: u32 = 16;

/// Whose account is used for logging on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The host's own, as the inventory says.
    Host,
    /// That of a credential by its name.
    Named(CredentialRef),
}

/// For which PC, and what for, a use is told of.
pub(super) struct Noted<'a> {
    pub(super) host: &'a HostName,
    pub(super) what_for: CredentialUse,
    /// What the PC holds already: it would wait for itself.
    pub(super) held: &'a [Held],
}

impl Shared {
    /// Logs on at a host; with another credential only after one of the PC's own was refused,
    /// and only as its budget allows.
    pub(super) async fn log_on(
        &self,
        host: &Arc<Host>,
        whose: &Whose,
        noted: &Noted<'_>,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, Unmade> {
        let name = self.name_of(host, whose);
        let mut refused = self.locals.count(&host.name, &name);
        let mut last = None;
        loop {
            let credential = match refused {
                0 => Some(self.credential(host, whose, token).await?),
                _ => self.another(host, whose, refused, token).await?,
            };
            let another = refused > 0;
            let user = |credential: &Credential| domain_account(&credential.user, host);
            // Only what this PC judges may be tried a second time.
            let credential = credential.filter(|found| !another || user(found).is_none());
            let Some(credential) = credential else {
                return Err(last.unwrap_or_else(|| barred(Barred::Refused)));
            };
            let (name, credential) = (&name, &credential);
            let opened = match user(credential) {
                Some(account) => {
                    self.open_guarded(host, account, (name, credential), noted, token)
                        .await
                }
                None => {
                    let attempt = (name, credential, another);
                    let tried = self.open_own(host, attempt, noted, token).await;
                    match tried {
                        Err((LOCAL_LOGON, story)) if refused < MOST => {
                            let now = self.locals.count(&host.name, name);
                            if now > refused {
                                refused = now;
                                last = Some((LOCAL_LOGON, story));
                                continue;
                            }
                            Err((LOCAL_LOGON, story))
                        }
                        other => other,
                    }
                }
            };
            return opened;
        }
    }

    /// Logs on with a domain's account, once, if it may be used.
    async fn open_guarded(
        &self,
        host: &Arc<Host>,
        account: AccountName,
        (name, credential): (&CredentialRef, &Credential),
        noted: &Noted<'_>,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, Unmade> {
        let key = Key::Account(account.clone());
        let print = self.gate.print(&credential.password);
        // It has accepted it before, or it is in the hands of the rung that now waits for this.
        let guards = noted.held.iter().filter_map(|held| held.guard.as_ref());
        let mut held = guards.filter(|(of, _)| *of == key).map(|(_, pass)| pass);
        let pass = match held.next() {
            _ if self.gate.why_shut(&key).is_some() => {
                return Err(self.not_used(&key, &Closed::Refused));
            }
            Some(pass) => Some(pass.clone()),
            None if self.locals.has_accepted(&host.name, &account, print) => None,
            None => {
                let entered = tokio::select! {
                    biased;
                    () = token.cancelled() => return Err(told(&ConnectError::Cancelled)),
                    pass = self.gate.enter(&key, Role::Logon(&credential.password)) => pass,
                };
                let pass = entered.map_err(|closed| self.not_used(&key, &closed))?;
                Some(Arc::new(pass))
            }
        };
        self.note_use(name, credential, noted).await?;
        let mark = pass
            .as_ref()
            .map_or_else(LogonMark::new, |pass| pass.logs_on(&host.name));
        let logon = self.connect(host, credential, &mark, token).await;
        let verdict = verdict(&logon, &mark);
        if let (Err(ConnectError::Cancelled), Some(pass)) = (&logon, &pass) {
            pass.cut();
        }
        self.judge_logon((&key, pass.as_deref()), host, &credential.user, verdict);
        if verdict == Verdict::Accepted {
            self.locals.domain_accepted(&host.name, &account, print);
        }
        drop(pass);
        // What was spent is kept before anything else is.
        if matches!(verdict, Verdict::Refused | Verdict::Unanswered) {
            self.gate.settled().await;
        }
        logon.map_err(|error| match logon_told(&error, &mark) {
            ("logon", story) => (DOMAIN_LOGON, story),
            other => other,
        })
    }

    fn not_used(&self, key: &Key, closed: &Closed) -> Unmade {
        let story = match (self.gate.why_shut(key), closed) {
            (Some(shut), _) => shut.story_elsewhere(),
            (None, _) => "rungs that were handed the account could not tell whether it works; it \
                          was not used here"
                .to_owned(),
        };
        (CREDENTIAL_REFUSED, story)
    }

    /// Tells the gate what a logon says of the domain account.
    fn judge_logon(
        &self,
        (key, pass): (&Key, Option<&Pass>),
        host: &Host,
        user: &str,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Accepted => {
                if let Some(pass) = pass {
                    pass.prove();
                }
            }
            Verdict::Refused => {
                let refusal = Refusal {
                    account: user.to_owned(),
                    host: host.name.clone(),
                    place: Place::Pc,
                    code: None,
                };
                if let Some(pass) = pass {
                    pass.refused();
                }
                self.gate.refuse(key, &refusal);
            }
            // The pass has the mark: it is in doubt as soon as the pass is dropped.
            Verdict::Unanswered => {}
            // It has not come to the domain.
            Verdict::NotShown => {}
        }
    }

    /// Logs on with an account of the PC itself, once, if the PC may be shown it.
    async fn open_own(
        &self,
        host: &Arc<Host>,
        (name, credential, another): (&CredentialRef, &Credential, bool),
        noted: &Noted<'_>,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, Unmade> {
        let print = self.gate.print(&credential.password);
        let own = (credential.user.as_str(), print);
        let may = self.locals.may(&host.name, own, another);
        may.map_err(barred)?;
        self.note_use(name, credential, noted).await?;
        let attempt = self.locals.begin(&host.name, own);
        let mark = attempt.mark();
        let logon = self.connect(host, credential, &mark, token).await;
        match verdict(&logon, &mark) {
            Verdict::Accepted => self.locals.accepted(&host.name, own),
            Verdict::Refused => {
                attempt.refused();
                self.locals.refused(&host.name, name, own);
            }
            Verdict::Unanswered | Verdict::NotShown => {}
        }
        drop(attempt);
        logon.map_err(|error| match logon_told(&error, &mark) {
            // Over WinRM the transport names them itself.
            (LOCAL_LOGON, story) if !story.contains("LocalAccountTokenFilterPolicy") => {
                let reasons = connect_failure::own_account_reasons(host.platform);
                (LOCAL_LOGON, format!("{story}; {reasons}"))
            }
            other => other,
        })
    }

    /// Stores that a credential is about to be used for a PC.
    pub(super) async fn note_use(
        &self,
        name: &CredentialRef,
        credential: &Credential,
        noted: &Noted<'_>,
    ) -> Result<(), Unmade> {
        let event = Event::Host {
            host: noted.host.clone(),
            what: HostEvent::CredentialUsed {
                credential: name.clone(),
                account: credential.user.clone(),
                what_for: noted.what_for.clone(),
            },
        };
        let stored = self.recorder.record(event).await;
        stored
            .map(|_| ())
            .map_err(|_| (INTERRUPTED, "the journal failed".to_owned()))
    }

    fn name_of(&self, host: &Host, whose: &Whose) -> CredentialRef {
        match whose {
            Whose::Named(name) => name.clone(),
            Whose::Host if host.user.is_some() && host.password.is_some() => {
                CredentialRef(OF_INVENTORY.to_owned())
            }
            Whose::Host => {
                let name = host.credential.as_ref();
                name.unwrap_or(&self.plan.default_credential).clone()
            }
        }
    }

    /// Returns the credential for logging on at a host: the inventory's own password, else the
    /// credential that it names, with the inventory's user over the credential's.
    async fn credential(
        &self,
        host: &Host,
        whose: &Whose,
        token: &CancellationToken,
    ) -> Result<Credential, Unmade> {
        if let (Whose::Host, Some(user), Some(password)) = (whose, &host.user, &host.password) {
            return Ok(Credential::new(user.clone(), password.clone()));
        }
        let name = self.name_of(host, whose);
        let found = self.credentials.credential(&name, host);
        let found = self.within(&name, found, token).await?;
        Ok(Self::with_inventory(host, whose, found))
    }

    /// Returns what may be tried after so many different ones were refused.
    async fn another(
        &self,
        host: &Host,
        whose: &Whose,
        refused: u32,
        token: &CancellationToken,
    ) -> Result<Option<Credential>, Unmade> {
        if *whose == Whose::Host && host.password.is_some() {
            return Ok(None);
        }
        let name = self.name_of(host, whose);
        let own_user = host.user.as_deref().filter(|_| *whose == Whose::Host);
        let judge =
            |user: &str, password: &Secret| self.judged(host, own_user.unwrap_or(user), password);
        let refusals = Refusals {
            count: refused,
            forgotten: self.locals.forgotten(&host.name, &name),
            judge: &judge,
        };
        let found = self.credentials.another(&name, host, &refusals);
        let found = self.within(&name, found, token).await?;
        Ok(found.map(|found| Self::with_inventory(host, whose, found)))
    }

    fn judged(&self, host: &Host, user: &str, password: &Secret) -> Judged {
        let print = self.gate.print(password);
        match domain_account(user, host) {
            Some(account) => Judged {
                account: account.to_string(),
                print,
                refused: false,
            },
            None => Judged {
                account: own_name(user),
                print,
                refused: self.locals.has_refused(&host.name, (user, print)),
            },
        }
    }

    fn with_inventory(host: &Host, whose: &Whose, mut credential: Credential) -> Credential {
        if *whose == Whose::Host {
            if let Some(user) = &host.user {
                credential.user.clone_from(user);
            }
            if let Some(password) = &host.password {
                credential.password = password.clone();
            }
        }
        credential
    }

    /// Waits for a credential, which is not yet part of the logon.
    async fn within<T, E: std::fmt::Display>(
        &self,
        name: &CredentialRef,
        found: impl Future<Output = Result<T, E>>,
        token: &CancellationToken,
    ) -> Result<T, Unmade> {
        let found = tokio::select! {
            biased;
            () = token.cancelled() => return Err((INTERRUPTED, "cancelled".to_owned())),
            found = timeout(self.plan.limits.credential, found) => found,
        };
        let missing = |reason: String| ("no-credential", reason);
        found
            .map_err(|_| missing(format!("the credential {name} did not come in time")))?
            .map_err(|error| missing(error.to_string()))
    }
}

/// What a logon says of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused,
    /// It was sent, and nothing came back.
    Unanswered,
    /// It was not sent.
    NotShown,
}

fn verdict(logon: &Result<Box<dyn Session>, ConnectError>, mark: &LogonMark) -> Verdict {
    if logon.as_ref().is_err_and(denies) {
        Verdict::Refused
    } else if accepts(logon) || mark.is_accepted() {
        Verdict::Accepted
    } else if mark.is_unanswered() {
        Verdict::Unanswered
    } else {
        Verdict::NotShown
    }
}

/// Tells whether the password was good: who may not use remoting has logged on all the same.
fn accepts(logon: &Result<Box<dyn Session>, ConnectError>) -> bool {
    matches!(
        logon,
        Ok(_)
            | Err(ConnectError::AccessDenied {
                why: DeniedWhy::Authorization,
                ..
            })
    )
}

fn barred(why: Barred) -> Unmade {
    let story = match why {
        Barred::Refused => {
            "the PC has refused its account in this run, and is shown no other password; it was \
             not tried again"
        }
        Barred::Cut => {
            "twice in this run nothing came back of a logon with this account, and either may have \
             been refused; it was not tried again"
        }
    };
    (LOCAL_LOGON, story.to_owned())
}
