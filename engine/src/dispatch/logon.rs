//! Reaching a PC: probing, waiting for a worker's slot, logging on.

use std::time::Duration;

use fleetmend_model::{Credential, CredentialUse, Host};
use fleetmend_transport::{ConnectError, DeniedWhy, Limits, LogonMark, Session, UnreachableWhy};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::attempt::{Noted, Whose};
use super::host_task::{GRACE, Pc, Shared, Slot};
use crate::connect_failure::{INTERRUPTED, UNANSWERED};
use crate::{connect_failure, machine};

/// Why no session came about: the short code, and the whole story.
pub(super) type Unmade = (&'static str, String);

/// Returns code and story of a failure.
pub(super) fn told(error: &ConnectError) -> Unmade {
    (connect_failure::code(error), connect_failure::story(error))
}

/// Returns code and story of a logon that failed, where nothing may have come back after the
/// password was sent.
pub(super) fn logon_told(error: &ConnectError, mark: &LogonMark) -> Unmade {
    match told(error) {
        (INTERRUPTED, story) if mark.is_unanswered() => {
            (INTERRUPTED, format!("{story} after the password was sent"))
        }
        (_, story) if mark.is_unanswered() && !denies(error) => (UNANSWERED, story),
        other => other,
    }
}

/// Tells whether the password was refused.
pub(super) fn denies(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::AccessDenied {
            why: DeniedWhy::Logon,
            ..
        }
    )
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
        let whose = self.account()?;
        let shared = self.shared.clone();
        let noted = self.noted(CredentialUse::Logon);
        shared.log_on(&self.host, &whose, &noted, token).await
    }

    /// Returns how a use of a credential for this PC is told of.
    pub(super) fn noted(&self, what_for: CredentialUse) -> Noted<'_> {
        Noted {
            host: &self.host.name,
            what_for,
            held: &self.held,
        }
    }

    /// Returns whose account is in use for logging on: the one that a rung has chosen to keep,
    /// else the inventory's.
    pub(super) fn account(&self) -> Result<Whose, Unmade> {
        let program = self.shared.plan.program(&self.host);
        match program.and_then(|program| machine::kept_account(program, &self.state)) {
            Some(parameter) => self.account_of_parameter(parameter),
            None => Ok(Whose::Host),
        }
    }

    /// Returns the account that a parameter of type credential names.
    pub(super) fn account_of_parameter(&self, parameter: &str) -> Result<Whose, Unmade> {
        let name = self.credential_name(parameter).ok_or_else(|| {
            let reason = format!("the parameter {parameter} names no credential");
            ("no-credential", reason)
        })?;
        Ok(Whose::Named(name))
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

    /// Logs on; `mark` tells what became of the password, however this ends.
    pub(super) async fn connect(
        &self,
        host: &Host,
        credential: &Credential,
        mark: &LogonMark,
        token: &CancellationToken,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if token.is_cancelled() {
            return Err(ConnectError::Cancelled);
        }
        let time = self.plan.limits.logon;
        let limits = Limits::within(time, token).marking(mark);
        let connect = self.connector.connect(host, credential, &limits);
        match timeout(time + GRACE, connect).await {
            Ok(session) => session,
            Err(_) => Err(timed_out(host)),
        }
    }
}

fn timed_out(host: &Host) -> ConnectError {
    ConnectError::Unreachable {
        address: host.address.clone(),
        why: UnreachableWhy::TimedOut,
        source: None,
    }
}
