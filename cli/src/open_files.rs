//! How many files the process may have open: each PC in flight takes one or two, and most shells
//! allow 1,024.

/// Takes as many as the system lets this process have. Without that a wide run would find PCs
/// unreachable that are not (`EMFILE`).
#[cfg(unix)]
pub(crate) fn take_all() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // macOS takes no number above its own bound, and says that there is none.
    let wanted = Some(maximum.unwrap_or(WIDE).min(WIDE));
    if current.is_some_and(|current| Some(current) < wanted) {
        let limit = Rlimit {
            current: wanted,
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays");
        }
    }
}

/// More than the widest run has open: 10,000 workers, the probes ahead of them, the journal.
#[cfg(unix)]
const WIDE: u64 = 65_536;

/// Windows has no such limit.
#[cfg(not(unix))]
pub(crate) fn take_all() {}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        super::take_all();
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.unwrap_or(super::WIDE).min(super::WIDE);
        assert!(
            limit.current.is_none_or(|current| current >= most),
            "{limit:?}"
        );
    }
}
