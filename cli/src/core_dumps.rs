//! No memory of this process on disk: it holds passwords while it works.

/// Keeps the system from writing a core file of this process, and others of the same user from
/// reading its memory and environment (Linux; root still may). Programs that it starts are as
/// before in that, except that they write no core file either.
#[cfg(unix)]
pub(crate) fn refuse() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let none = Rlimit {
        current: Some(0),
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "if fleetmend crashes, a core file may be written, with passwords");
    }
    // A program that collects core files through a pipe does not heed the limit.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = rustix::process::set_dumpable_behavior(NOT_DUMPABLE) {
        tracing::warn!(%error, "others of the same user can read the memory of fleetmend");
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_DUMPABLE: rustix::process::DumpableBehavior =
    rustix::process::DumpableBehavior::NotDumpable;

/// Windows writes what its error reporting was told to, for all programs alike.
#[cfg(not(unix))]
pub(crate) fn refuse() {}
