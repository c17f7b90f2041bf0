//! Shells are deleted whatever happens: leaked ones use up MaxShellsPerUser (30) and lock the
//! administrator out of the PC.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::envelope::Operation;
use super::link::Link;
use super::logon;
use super::target::Target;
use crate::Limits;

/// The whole of a deletion, a fresh logon included.
const CLEANUP_TIME: Duration = Duration::from_secs(15);
/// Of which the connection at hand gets this.
const FIRST_TRY: Duration = Duration::from_secs(6);
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Waits until no shell is left to delete, at most for `within`; returns how many are left.
/// A process that is about to end calls it, since its end would end the deletions too.
pub async fn finish_cleanups(within: Duration) -> usize {
    let until = Instant::now() + within;
    while PENDING.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    PENDING.load(Ordering::SeqCst)
}

struct Pending;

impl Pending {
    fn new() -> Self {
        PENDING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Deletes a shell in a task of its own, over `link` where it is usable, else after a fresh
/// logon if the PC has accepted the password before. Gives up after [`CLEANUP_TIME`].
pub(crate) fn delete_shell(
    target: Arc<Target>,
    link: Option<Link>,
    shell: String,
) -> Option<JoinHandle<()>> {
    // Without a runtime, at the end of the process, there is nobody to do it.
    let runtime = Handle::try_current().ok()?;
    let pending = Pending::new();
    Some(runtime.spawn(async move {
        let _pending = pending;
        if !delete(&target, link, &shell).await {
            tracing::warn!(
                address = %target.address,
                shell,
                "a shell could not be deleted; the PC drops it when it has been idle for 15 minutes"
            );
        }
    }))
}

async fn delete(target: &Target, link: Option<Link>, shell: &str) -> bool {
    let never = CancellationToken::new();
    let whole = Limits::within(CLEANUP_TIME, &never);
    let operation = Operation::Delete { shell };
    if let Some(link) = link {
        let first = Limits::within(FIRST_TRY, &never);
        let done = link
            .exchange(target, &operation, DELETE_TIMEOUT, &first)
            .await;
        if let Ok(exchanged) = done {
            return exchanged
                .reply
                .map_or_else(|fault| fault.is_gone(), |_| true);
        }
    }
    if !target.accepted() {
        return false;
    }
    match logon::connect(target, None, &whole).await {
        Ok(link) => link
            .exchange(target, &operation, DELETE_TIMEOUT, &whole)
            .await
            .is_ok_and(|exchanged| {
                exchanged
                    .reply
                    .map_or_else(|fault| fault.is_gone(), |_| true)
            }),
        Err(_) => false,
    }
}
