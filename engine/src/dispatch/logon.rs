//! Reaching one PC: probe, a worker's slot, leave of the gate, logon.

use fleetmend_model::{Credential, Place};
use fleetmend_transport::{ConnectError, DeniedWhy, Limits, Session, UnreachableWhy};
use tokio::time::timeout;

use super::account::domain_logon;
use super::gate::{Key, Pass, Refusal};
use super::host_task::{GRACE, Pc, Slot};
use crate::connect_failure;

impl Pc {
    pub(super) async fn reach(&mut self) -> Result<Box<dyn Session>, (&'static str, String)> {
        let told = |error: ConnectError| {
            (
                connect_failure::code(&error),
                connect_failure::story(&error),
            )
        };
        if matches!(self.slot, Slot::Probe(_)) {
            self.probe().await.map_err(told)?;
            let slot = tokio::select! {
                biased;
                () = self.shared.soft.cancelled() => Err(ConnectError::Cancelled),
                slot = self.shared.workers.clone().acquire_owned() => {
                    slot.map_err(|_| ConnectError::Cancelled)
                }
            };
            self.slot = Slot::Worker(slot.map_err(told)?);
        }
        let credential = self.local_credential().await?;
        let Some(key) = domain_logon(&credential.user, &self.host) else {
            return self.log_on(&credential).await.map_err(told);
        };
        let pass = tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => return Err(told(ConnectError::Cancelled)),
            pass = self.shared.gate.enter(&key) => pass.map_err(|_| {
                let refusal = self.shared.gate.refusal_of(&key);
                (
                    connect_failure::CREDENTIAL_REFUSED,
                    refusal.map_or_else(String::new, |refusal| refusal.story_elsewhere()),
                )
            })?,
        };
        let logon = self.log_on(&credential).await;
        self.judge_logon(&key, &credential.user, &pass, &logon);
        logon.map_err(|error| match told(error) {
            ("logon", story) => (connect_failure::DOMAIN_LOGON, story),
            other => other,
        })
    }

    /// Tells the gate what a logon says of the domain account.
    fn judge_logon(
        &self,
        key: &Key,
        user: &str,
        pass: &Pass,
        logon: &Result<Box<dyn Session>, ConnectError>,
    ) {
        match logon {
            // Who may not use remoting has logged on all the same.
            Ok(_)
            | Err(ConnectError::AccessDenied {
                why: DeniedWhy::Authorization,
                ..
            }) => pass.prove(),
            Err(ConnectError::AccessDenied {
                why: DeniedWhy::Logon,
                ..
            }) => self.shared.gate.refuse(
                key,
                &Refusal {
                    account: user.to_owned(),
                    host: self.host.name.clone(),
                    place: Place::Pc,
                    code: None,
                },
            ),
            Err(_) => pass.used(),
        }
    }

    async fn log_on(&mut self, credential: &Credential) -> Result<Box<dyn Session>, ConnectError> {
        if self.shared.soft.is_cancelled() {
            return Err(ConnectError::Cancelled);
        }
        let time = self.shared.plan.limits.logon;
        let limits = Limits::within(time, &self.shared.soft);
        let connect = self
            .shared
            .connector
            .connect(&self.host, credential, &limits);
        match timeout(time + GRACE, connect).await {
            Ok(session) => session,
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn probe(&mut self) -> Result<(), ConnectError> {
        let time = self.shared.plan.limits.connect;
        let limits = Limits::within(time, &self.shared.soft);
        let probe = self.shared.prober.probe(&self.host, &limits);
        tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => Err(ConnectError::Cancelled),
            probed = timeout(time + GRACE, probe) => probed.unwrap_or_else(|_| Err(self.timed_out())),
        }
    }

    fn timed_out(&self) -> ConnectError {
        ConnectError::Unreachable {
            address: self.host.address.clone(),
            why: UnreachableWhy::TimedOut,
            source: None,
        }
    }

    /// Returns the account for logging on: the inventory's own password, else the credential
    /// that it names, with the inventory's user over the credential's.
    async fn local_credential(&mut self) -> Result<Credential, (&'static str, String)> {
        let host = &self.host;
        if let (Some(user), Some(password)) = (&host.user, &host.password) {
            return Ok(Credential {
                user: user.clone(),
                password: password.clone(),
            });
        }
        let name = host
            .credential
            .as_ref()
            .unwrap_or(&self.shared.plan.default_credential);
        let found = tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => return Err(("interrupted", "cancelled".to_owned())),
            found = timeout(
                self.shared.plan.limits.logon,
                self.shared.credentials.credential(name, host),
            ) => found,
        };
        let missing = |reason: String| ("no-credential", reason);
        let mut credential = found
            .map_err(|_| missing(format!("the credential {name} did not come in time")))?
            .map_err(|error| missing(error.to_string()))?;
        if let Some(user) = &host.user {
            credential.user.clone_from(user);
        }
        if let Some(password) = &host.password {
            credential.password = password.clone();
        }
        Ok(credential)
    }
}
