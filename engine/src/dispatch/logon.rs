//! Reaching a PC: probing, waiting for a worker's slot, logging on.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{Credential, CredentialRef, Host, Place};
use fleetmend_transport::{ConnectError, DeniedWhy, Limits, Session, UnreachableWhy};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::account::domain_logon;
use super::gate::{Key, Pass, Refusal};
use super::host_task::{GRACE, Pc, Shared, Slot};
use crate::{connect_failure, machine};

/// Why no session came about: the short code, and the whole story.
pub(super) type Unmade = (&'static str, String);

/// Returns code and story of a failure.
pub(super) fn told(error: &ConnectError) -> Unmade {
    (connect_failure::code(error), connect_failure::story(error))
}

impl Pc {
    pub(super) async fn reach(&mut self) -> Result<Box<dyn Session>, Unmade> {
        let soft = self.shared.soft.clone();
        if matches!(self.slot, Slot::Probe(_)) {
            let probed = self.first_probe(&soft).await;
            probed.map_err(|error| told(&error))?;
        }
        let turn = self.take_site(&soft).await;
        turn.map_err(|error| told(&error))?;
        self.take_worker(&soft)
            .await
            .map_err(|error| told(&error))?;
        self.log_on(&soft).await
    }

    /// Waits for a worker's slot, if the PC has none.
    pub(super) async fn take_worker(
        &mut self,
        token: &CancellationToken,
    ) -> Result<(), ConnectError> {
        if matches!(self.slot, Slot::Worker(_)) {
            return Ok(());
        }
        let slot = tokio::select! {
            biased;
            () = token.cancelled() => Err(ConnectError::Cancelled),
            slot = self.shared.workers.clone().acquire_owned() => {
                slot.map_err(|_| ConnectError::Cancelled)
            }
        };
        self.slot = Slot::Worker(slot?);
        Ok(())
    }

    pub(super) async fn probe(
        &mut self,
        time: Duration,
        token: &CancellationToken,
    ) -> Result<(), ConnectError> {
        self.shared.probe(&self.host, time, token).await
    }

    /// Logs on with the account that is in use, once.
    pub(super) async fn log_on(
        &mut self,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, Unmade> {
        let credential = self.account(token).await?;
        self.shared.open(&self.host, &credential, token).await
    }

    /// Returns the account for logging on: the one that a rung has chosen to keep, else the
    /// inventory's.
    pub(super) async fn account(
        &mut self,
        token: &CancellationToken,
    ) -> Result<Credential, Unmade> {
        let program = self.shared.plan.program(&self.host);
        let kept = program.and_then(|program| machine::kept_account(program, &self.state));
        match kept {
            Some(parameter) => {
                let parameter = parameter.to_owned();
                self.account_of_parameter(&parameter, token).await
            }
            None => self.shared.account_of(&self.host, token).await,
        }
    }

    /// Returns the account that a parameter of type credential names.
    pub(super) async fn account_of_parameter(
        &mut self,
        parameter: &str,
        token: &CancellationToken,
    ) -> Result<Credential, Unmade> {
        let Some(name) = self.credential_name(parameter) else {
            let reason = format!("the parameter {parameter} names no credential");
            return Err(("no-credential", reason));
        };
        self.shared.find(&name, &self.host, token).await
    }
}

impl Shared {
    /// Asks whether anything answers.
    pub(super) async fn probe(
        &self,
        host: &Host,
        time: Duration,
        token: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let limits = Limits::within(time, token);
        let probe = self.prober.probe(host, &limits);
        tokio::select! {
            biased;
            () = token.cancelled() => Err(ConnectError::Cancelled),
            probed = timeout(time + GRACE, probe) => {
                probed.unwrap_or_else(|_| Err(timed_out(host)))
            }
        }
    }

    /// Logs on at a host with this account, once; a domain's account only if it may be used.
    pub(super) async fn open(
        &self,
        host: &Arc<Host>,
        credential: &Credential,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, Unmade> {
        let Some(key) = domain_logon(&credential.user, host) else {
            let session = self.log_on(host, credential, token).await;
            return session.map_err(|error| told(&error));
        };
        let pass = tokio::select! {
            biased;
            () = token.cancelled() => return Err(told(&ConnectError::Cancelled)),
            pass = self.gate.enter(&key) => pass.map_err(|_| {
                let refusal = self.gate.refusal_of(&key);
                (
                    connect_failure::CREDENTIAL_REFUSED,
                    refusal.map_or_else(String::new, |refusal| refusal.story_elsewhere()),
                )
            })?,
        };
        let logon = self.log_on(host, credential, token).await;
        self.judge_logon((&key, &pass), host, &credential.user, &logon);
        logon.map_err(|error| match told(&error) {
            ("logon", story) => (connect_failure::DOMAIN_LOGON, story),
            other => other,
        })
    }

    /// Tells the gate what a logon says of the domain account.
    fn judge_logon(
        &self,
        (key, pass): (&Key, &Pass),
        host: &Host,
        user: &str,
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
            }) => self.gate.refuse(
                key,
                &Refusal {
                    account: user.to_owned(),
                    host: host.name.clone(),
                    place: Place::Pc,
                    code: None,
                },
            ),
            Err(_) => pass.used(),
        }
    }

    async fn log_on(
        &self,
        host: &Host,
        credential: &Credential,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if token.is_cancelled() {
            return Err(ConnectError::Cancelled);
        }
        let time = self.plan.limits.logon;
        let limits = Limits::within(time, token);
        let connect = self.connector.connect(host, credential, &limits);
        match timeout(time + GRACE, connect).await {
            Ok(session) => session,
            Err(_) => Err(timed_out(host)),
        }
    }

    /// Returns the account for logging on at a host: the inventory's own password, else the
    /// credential that it names, with the inventory's user over the credential's.
    pub(super) async fn account_of(
        &self,
        host: &Host,
        token: &CancellationToken,
    ) -> Result<Credential, Unmade> {
        if let (Some(user), Some(password)) = (&host.user, &host.password) {
            return Ok(Credential {
                user: user.clone(),
                password: password.clone(),
                ssh: None,
            });
        }
        let name = host.credential.as_ref();
        let name = name.unwrap_or(&self.plan.default_credential);
        let mut credential = self.find(name, host, token).await?;
        if let Some(user) = &host.user {
            credential.user.clone_from(user);
        }
        if let Some(password) = &host.password {
            credential.password = password.clone();
        }
        Ok(credential)
    }

    /// Returns a credential by its name, as it is for this host.
    async fn find(
        &self,
        name: &CredentialRef,
        host: &Host,
        token: &CancellationToken,
    ) -> Result<Credential, Unmade> {
        let found = tokio::select! {
            biased;
            () = token.cancelled() => {
                return Err((connect_failure::INTERRUPTED, "cancelled".to_owned()));
            }
            found = timeout(
                self.plan.limits.logon,
                self.credentials.credential(name, host),
            ) => found,
        };
        let missing = |reason: String| ("no-credential", reason);
        found
            .map_err(|_| missing(format!("the credential {name} did not come in time")))?
            .map_err(|error| missing(error.to_string()))
    }
}

fn timed_out(host: &Host) -> ConnectError {
    ConnectError::Unreachable {
        address: host.address.clone(),
        why: UnreachableWhy::TimedOut,
        source: None,
    }
}
