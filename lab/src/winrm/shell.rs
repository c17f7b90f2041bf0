//! The shells of one PC and their processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::running::Running;

/// A shell that a client opened.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) owner: String,
    pub(crate) idle: Duration,
    pub(crate) code_page: Option<u32>,
    /// Fires when the shell is gone, so that waiting Receives end.
    pub(crate) gone: CancellationToken,
    used: Mutex<Instant>,
    commands: Mutex<HashMap<String, Arc<Running>>>,
}

impl Shell {
    pub(crate) fn new(owner: String, idle: Duration, code_page: Option<u32>) -> Self {
        Self {
            owner,
            idle,
            code_page,
            gone: CancellationToken::new(),
            used: Mutex::new(Instant::now()),
            commands: Mutex::default(),
        }
    }

    /// Notes that an operation began or ended.
    pub(crate) fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    fn is_stale(&self) -> bool {
        lock(&self.used).elapsed() > self.idle
    }

    /// Returns a process of this shell.
    pub(crate) fn command(&self, id: &str) -> Result<Arc<Running>, Fault> {
        lock(&self.commands)
            .get(&id.to_ascii_uppercase())
            .cloned()
            .ok_or(Fault::UnknownCommand)
    }

    /// Tells how many processes have not ended.
    pub(crate) fn running(&self) -> usize {
        lock(&self.commands)
            .values()
            .filter(|command| !command.has_ended())
            .count()
    }

    /// Adds a process, unless the id is taken.
    pub(crate) fn add(&self, id: &str, running: Running) -> Result<(), Fault> {
        match lock(&self.commands).entry(id.to_owned()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Fault::InvalidParameter),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Arc::new(running));
                Ok(())
            }
        }
    }

    /// Forgets a process.
    pub(crate) fn forget(&self, id: &str) {
        lock(&self.commands).remove(&id.to_ascii_uppercase());
    }

    /// Ends everything in it.
    fn close(&self) {
        // First, so that a waiting Receive learns of it before it sees its process end.
        self.gone.cancel();
        for (_, command) in lock(&self.commands).drain() {
            command.end(false);
        }
    }
}

/// All shells of one PC.
#[derive(Debug, Default)]
pub(crate) struct Shells(Mutex<HashMap<String, Arc<Shell>>>);

impl Shells {
    /// Adds a shell, unless its owner has `limit` already or the id is taken.
    pub(crate) fn add(&self, id: &str, shell: Shell, limit: usize) -> Result<(), Fault> {
        let mut shells = lock(&self.0);
        let own = shells
            .values()
            .filter(|other| same_user(&other.owner, &shell.owner))
            .count();
        if own >= limit {
            return Err(Fault::ShellQuota(limit));
        }
        if shells.contains_key(id) {
            return Err(Fault::InvalidParameter);
        }
        shells.insert(id.to_owned(), Arc::new(shell));
        Ok(())
    }

    /// Returns a shell of this user.
    pub(crate) fn find(&self, id: Option<&str>, user: &str) -> Result<Arc<Shell>, Fault> {
        let id = id.unwrap_or_default();
        let shell = lock(&self.0).get(id).cloned();
        let shell = shell.ok_or_else(|| Fault::UnknownShell(id.to_owned()))?;
        if !same_user(&shell.owner, user) {
            return Err(Fault::AccessDenied);
        }
        shell.touch();
        Ok(shell)
    }

    /// Closes a shell.
    pub(crate) fn remove(&self, id: &str) -> bool {
        let shell = lock(&self.0).remove(id);
        if let Some(shell) = &shell {
            shell.close();
        }
        shell.is_some()
    }

    /// Closes every shell, and returns how many there were.
    pub(crate) fn clear(&self) -> usize {
        let shells: Vec<_> = lock(&self.0).drain().collect();
        for (_, shell) in &shells {
            shell.close();
        }
        shells.len()
    }

    /// Closes the shells that nobody used for too long, and returns how many.
    pub(crate) fn sweep(&self) -> usize {
        let mut closed = 0;
        lock(&self.0).retain(|_, shell| {
            let keep = !shell.is_stale();
            if !keep {
                shell.close();
                closed += 1;
            }
            keep
        });
        closed
    }
}

fn same_user(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Locks; nothing here panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
