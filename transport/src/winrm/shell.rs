//! Making a shell: the first operation of every session, and the one that meets quotas.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::answer;
use super::cleanup;
use super::envelope::Operation;
use super::http::{HttpError, bounded};
use super::link::{ExchangeError, Exchanged, Link};
use super::logon;
use super::target::{Proof, Target};
use crate::{ConnectError, DeniedWhy, Limits, UnreachableWhy};

/// OperationTimeout of everything that is not a poll: MaxTimeoutms of the service.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer is still waited for when the caller has gone: a shell that was made
/// unknown to us would leak.
const ABANDONED_TIME: Duration = Duration::from_secs(10);
/// Quota faults are waited out for this long at most.
const BUSY_TIME: Duration = Duration::from_secs(90);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What one attempt brought.
enum Attempt {
    Made(String, Option<Link>),
    Busy(String, Option<Link>),
    NotSent,
}

/// Makes a shell, waiting while the PC has no room for one.
///
/// # Errors
/// See [`ConnectError`].
pub(crate) async fn create(
    target: &Arc<Target>,
    link: Link,
    limits: &Limits,
) -> Result<(String, Option<Link>), ConnectError> {
    let begun = Instant::now();
    let mut link = Some(link);
    let mut pause = FIRST_PAUSE;
    let mut unsent = 0;
    loop {
        let current = match link.take() {
            Some(link) => link,
            None => logon::connect(target, None, limits).await?,
        };
        match attempt(target, current, limits).await? {
            Attempt::Made(shell, link) => return Ok((shell, link)),
            Attempt::NotSent if unsent < 2 => unsent += 1,
            Attempt::NotSent => return Err(target.failed(HttpError::NotSent)),
            Attempt::Busy(detail, kept) => {
                let next = Instant::now() + pause;
                if next >= limits.deadline || next >= begun + BUSY_TIME {
                    return Err(ConnectError::Busy {
                        address: target.address.clone(),
                        waited: begun.elapsed(),
                        detail,
                    });
                }
                tracing::debug!(address = %target.address, detail, ?pause, "no room for a shell");
                bounded(sleep(pause), BUSY_TIME, limits)
                    .await
                    .map_err(|error| target.failed(error))?;
                pause = (pause * 2).min(LONGEST_PAUSE);
                link = kept;
            }
        }
    }
}

async fn attempt(
    target: &Arc<Target>,
    link: Link,
    limits: &Limits,
) -> Result<Attempt, ConnectError> {
    // Basic shows the password with each request, and with this one for the first time.
    if matches!(target.proof, Proof::Basic(_)) {
        limits.mark.leaves();
    }
    let exchanged = match exchange(target, link, limits).await {
        Ok(exchanged) => exchanged,
        Err(ExchangeError::Http(HttpError::NotSent)) => {
            limits.mark.did_not_leave();
            return Ok(Attempt::NotSent);
        }
        // A password of which the PC has said nothing is not shown again.
        Err(ExchangeError::Status(503)) if target.accepted() => {
            return Ok(Attempt::Busy(
                "HTTP 503, the service is not available".to_owned(),
                None,
            ));
        }
        Err(error) => return Err(failed(target, error)),
    };
    limits.mark.accepted();
    target.judged(true);
    match exchanged.reply {
        Ok(body) => {
            let shell =
                answer::shell_id(&body).map_err(|error| target.protocol(error.to_string()))?;
            Ok(Attempt::Made(shell, exchanged.link))
        }
        Err(fault) if fault.is_busy() => Ok(Attempt::Busy(fault.to_string(), exchanged.link)),
        Err(fault) if fault.is_access_denied() => Err(unauthorized(target, &fault.to_string())),
        Err(fault) => Err(target.protocol(format!("the shell was refused: {fault}"))),
    }
}

/// Runs the exchange in a task of its own: when the caller goes away in the middle of it, the
/// shell that may come about is still deleted.
async fn exchange(
    target: &Arc<Target>,
    link: Link,
    limits: &Limits,
) -> Result<Exchanged, ExchangeError> {
    let (mut sender, receiver) = oneshot::channel();
    let task_target = Arc::clone(target);
    tokio::spawn(async move {
        let patient = Limits::within(OPERATION_TIMEOUT * 2, &CancellationToken::new());
        let exchange = link.exchange(
            &task_target,
            &Operation::Create,
            OPERATION_TIMEOUT,
            &patient,
        );
        let abandoned = async {
            sender.closed().await;
            sleep(ABANDONED_TIME).await;
        };
        let result = tokio::select! {
            result = exchange => result,
            () = abandoned => return,
        };
        if let Err(Ok(unwanted)) = sender.send(result)
            && let Ok(body) = unwanted.reply
            && let Ok(shell) = answer::shell_id(&body)
        {
            cleanup::delete_shell(task_target, unwanted.link, shell);
        }
    });
    match bounded(receiver, OPERATION_TIMEOUT * 2, limits).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(HttpError::Lost("the task ended".to_owned()).into()),
        Err(error) => Err(error.into()),
    }
}

fn failed(target: &Target, error: ExchangeError) -> ConnectError {
    match error {
        ExchangeError::NoLink(error) => *error,
        ExchangeError::Status(401) if matches!(target.proof, Proof::Basic(_)) => {
            target.judged(false);
            logon::denied(target)
        }
        ExchangeError::Status(401 | 403) if target.accepted() => {
            unauthorized(target, &error.to_string())
        }
        ExchangeError::Http(HttpError::Cancelled) => ConnectError::Cancelled,
        // The password was accepted: trying it elsewhere cannot lock it.
        ExchangeError::Http(error @ (HttpError::Silent(_) | HttpError::Deadline))
            if target.accepted() =>
        {
            target.failed(error)
        }
        ExchangeError::Http(HttpError::Lost(detail)) if target.accepted() => {
            ConnectError::Unreachable {
                address: target.address.clone(),
                why: UnreachableWhy::Closed,
                source: Some(detail.into()),
            }
        }
        error => target.protocol(format!("{error} in answer to the first request")),
    }
}

fn unauthorized(target: &Target, what: &str) -> ConnectError {
    ConnectError::AccessDenied {
        address: target.address.clone(),
        user: target.user.clone(),
        why: DeniedWhy::Authorization,
        detail: format!(
            "the password is right, but the account may not use WinRM ({what}). A local \
             administrator other than the built-in one needs LocalAccountTokenFilterPolicy=1; \
             others must be in Administrators or Remote Management Users"
        ),
    }
}
