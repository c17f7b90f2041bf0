//! One domain, seen with one account.

use std::sync::Arc;

use fleetmend_model::Credential;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, OnceCell};

use crate::act::Given;
use crate::controller::{Access, Controller};
use crate::gate::Gate;
use crate::limit::{Ended, Limit};
use crate::probe::Probed;
use crate::{DirectoryError, Settings, locate};

/// One domain, seen with one account: share one among all hosts of a run.
///
/// The account is bound at one controller first, and at others only after that one accepted it;
/// after the first refusal every call fails at once and no bind is sent any more. An account whose
/// password was written for one host is not written for another.
#[derive(Debug)]
pub struct ActiveDirectory {
    pub(crate) access: Arc<Access>,
    controllers: OnceCell<Vec<Arc<Controller>>>,
    pub(crate) recycle_bin: OnceCell<bool>,
    /// Which attributes of LAPS the schema has.
    pub(crate) laps_schema: OnceCell<Vec<String>>,
    pub(crate) probed: Mutex<Vec<Probed>>,
    /// Which host each account's new password was given to.
    pub(crate) given: Given,
    /// Offline joins log on with the account outside LDAP: one at a time.
    pub(crate) provisioning: Mutex<()>,
}

/// A controller accepted the account; what it says of itself.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its DNS name.
    pub dc: String,
    /// The head of the domain: `DC=corp,DC=example,DC=jp`.
    pub default_naming_context: String,
    /// The head of the configuration.
    pub configuration_naming_context: Option<String>,
    /// The head of the schema.
    pub schema_naming_context: Option<String>,
    /// Its clock when it was connected to.
    pub current_time: Option<Timestamp>,
    /// How far its clock is ahead of ours; whole seconds, less the way there.
    pub clock_ahead: Option<SignedDuration>,
    /// Whether it has finished its first synchronisation.
    pub synchronized: Option<bool>,
    /// Whether it is a read-only domain controller.
    pub read_only: bool,
    /// Every controller that is known, as it is reached.
    pub controllers: Vec<String>,
}

impl ActiveDirectory {
    /// Returns the domain as seen with this account. Nothing is connected or sent yet.
    pub fn new(settings: Settings, account: Credential) -> Self {
        let settings = Settings {
            domain: settings.domain.trim_end_matches('.').to_lowercase(),
            ..settings
        };
        Self {
            access: Arc::new(Access {
                settings,
                account,
                gate: Gate::default(),
                tls: OnceCell::new(),
            }),
            controllers: OnceCell::new(),
            recycle_bin: OnceCell::new(),
            laps_schema: OnceCell::new(),
            probed: Mutex::default(),
            given: Given::default(),
            provisioning: Mutex::default(),
        }
    }

    /// Binds the account at the first controller that can be reached and asks it who it is.
    ///
    /// # Errors
    /// [`DirectoryError::CredentialRefused`] and [`DirectoryError::LogonUnanswered`] are final;
    /// otherwise what the last controller answered.
    pub async fn prove(&self, limit: &Limit) -> Result<Proof, DirectoryError> {
        let controller = self.any(false, limit).await?;
        let session = controller.session(limit).await?;
        let root = session.root.clone();
        Ok(Proof {
            dc: session.dc.clone(),
            default_naming_context: session.domain.clone(),
            configuration_naming_context: root.configuration_naming_context,
            schema_naming_context: root.schema_naming_context,
            current_time: root.current_time,
            clock_ahead: root
                .current_time
                .map(|theirs| theirs.duration_since(session.asked_at)),
            synchronized: root.synchronized,
            read_only: root.read_only,
            controllers: self
                .controllers(limit)
                .await?
                .iter()
                .map(|controller| controller.label())
                .collect(),
        })
    }

    /// Returns every known controller, best first.
    pub(crate) async fn controllers(
        &self,
        limit: &Limit,
    ) -> Result<&[Arc<Controller>], DirectoryError> {
        let found = self.controllers.get_or_try_init(|| self.locate(limit));
        found.await.map(Vec::as_slice)
    }

    async fn locate(&self, limit: &Limit) -> Result<Vec<Arc<Controller>>, DirectoryError> {
        let settings = &self.access.settings;
        let new = |host, port| Arc::new(Controller::new(Arc::clone(&self.access), host, port));
        if !settings.servers.is_empty() {
            let servers = settings.servers.iter().cloned();
            return Ok(servers
                .map(|server| new(server.host, server.port))
                .collect());
        }
        let domain = settings.domain.clone();
        let hosts = match limit.bound(locate::controllers(&domain)).await {
            Ok(hosts) => hosts?,
            Err(Ended::Cancelled) => {
                let doing = "name its controllers";
                return Err(DirectoryError::Cancelled { dc: domain, doing });
            }
            Err(Ended::Deadline) => {
                let why = "DNS gave no answer in time".to_owned();
                return Err(DirectoryError::NoController { domain, why });
            }
        };
        Ok(hosts.into_iter().map(|host| new(host, None)).collect())
    }

    /// Returns the first controller that can be reached; one that can be written, if asked for.
    pub(crate) async fn any(
        &self,
        writable: bool,
        limit: &Limit,
    ) -> Result<Arc<Controller>, DirectoryError> {
        let mut last = None;
        for controller in self.controllers(limit).await? {
            let why = match controller.session(limit).await {
                Ok(session) if writable && session.root.read_only => {
                    DirectoryError::ReadOnlyController {
                        dc: session.dc.clone(),
                    }
                }
                Ok(_) => return Ok(Arc::clone(controller)),
                Err(why) if why.elsewhere() => why,
                Err(why) => return Err(why),
            };
            last.get_or_insert(why);
        }
        Err(last.unwrap_or_else(|| DirectoryError::NoController {
            domain: self.access.settings.domain.clone(),
            why: "none is named".to_owned(),
        }))
    }

    /// Returns the controller of this name. Only those that the operator or the domain named are
    /// known: the account's password must not go where a PC's facts point.
    pub(crate) async fn named(
        &self,
        name: &str,
        limit: &Limit,
    ) -> Result<Arc<Controller>, DirectoryError> {
        let wanted = name
            .trim_start_matches('\\')
            .trim_end_matches('.')
            .to_lowercase();
        let controllers = self.controllers(limit).await?;
        let known = controllers
            .iter()
            .find(|known| same_host(known.host(), &wanted));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        // One that is reached by its address tells its name. All are asked at once: the one that is
        // wanted need not wait for those that are silent.
        let mut asking = FuturesUnordered::new();
        for controller in controllers {
            asking.push(async move { (controller, controller.session(limit).await) });
        }
        let (mut names, mut silent) = (Vec::new(), None);
        while let Some((controller, session)) = asking.next().await {
            match session {
                Ok(session) if same_host(&session.dc, &wanted) => {
                    return Ok(Arc::clone(controller));
                }
                Ok(session) => names.push(session.dc.clone()),
                Err(why) if !why.elsewhere() => return Err(why),
                Err(why) => {
                    names.push(controller.label());
                    if controller.host().parse::<std::net::IpAddr>().is_ok() {
                        silent.get_or_insert(why);
                    }
                }
            }
        }
        // It may be the one that does not answer.
        if let Some(why) = silent {
            return Err(why);
        }
        Err(DirectoryError::ControllerUnknown {
            asked: name.to_owned(),
            known: names,
        })
    }

    /// Returns the named controller, or else the first that can be reached and written.
    pub(crate) async fn named_or_any(
        &self,
        name: Option<&str>,
        limit: &Limit,
    ) -> Result<Arc<Controller>, DirectoryError> {
        match name {
            Some(name) => self.named(name, limit).await,
            None => self.any(true, limit).await,
        }
    }
}

/// Tells whether a name, whole or without its domain, is this host's.
fn same_host(host: &str, wanted: &str) -> bool {
    let first = host.split('.').next().unwrap_or_default();
    let address = host.parse::<std::net::IpAddr>().is_ok();
    host == wanted || (!address && !wanted.contains('.') && first == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_controllers() {
        assert!(same_host("dc1.corp.example.jp", "dc1.corp.example.jp"));
        assert!(same_host("dc1.corp.example.jp", "dc1"));
        assert!(!same_host("dc1.corp.example.jp", "dc1.evil.example"));
        assert!(!same_host("10.77.0.10", "10"));
    }
}
