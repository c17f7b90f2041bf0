//! Watches what every process of a domain's members shows: its arguments and its environment.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Reads `/proc` in a tight loop from outside, where nothing on a member can hide.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: JoinHandle<BTreeSet<Vec<u8>>>,
}

/// Every argument and every variable that was seen, each once.
#[derive(Debug)]
pub struct Seen(BTreeSet<Vec<u8>>);

impl Watcher {
    /// Begins to watch every process in a namespace of its own, but those of this one.
    pub fn start() -> Self {
        let (stop, rounds) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (ended, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            let mut ours = HashMap::new();
            while !ended.load(Ordering::Relaxed) {
                look(&mut seen, &mut ours);
                counted.fetch_add(1, Ordering::Relaxed);
            }
            seen
        });
        Self {
            stop,
            rounds,
            thread,
        }
    }

    /// Returns how often it has looked at everything.
    pub fn rounds(&self) -> usize {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Stops, and returns what it saw.
    ///
    /// # Panics
    ///
    /// If it had come to grief.
    #[expect(clippy::expect_used, reason = "test support")]
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        Seen(self.thread.join().expect("the watcher panicked"))
    }
}

/// One look at all processes in other PID namespaces than ours.
fn look(seen: &mut BTreeSet<Vec<u8>>, foreign: &mut HashMap<String, bool>) {
    let Ok(own) = std::fs::read_link("/proc/self/ns/pid") else {
        return;
    };
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        let Ok(id) = process.file_name().into_string() else {
            continue;
        };
        if !id.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        // A process never leaves its PID namespace, and no number comes again that soon.
        let watched = match foreign.get(&id) {
            Some(watched) => *watched,
            None => match std::fs::read_link(process.path().join("ns/pid")) {
                Ok(namespace) => *foreign.entry(id).or_insert(namespace != own),
                Err(_) => continue,
            },
        };
        if watched {
            keep(&process.path().join("cmdline"), seen);
            keep(&process.path().join("environ"), seen);
        }
    }
}

fn keep(path: &Path, seen: &mut BTreeSet<Vec<u8>>) {
    // It may have ended meanwhile.
    let Ok(bytes) = std::fs::read(path) else {
        return;
    };
    for part in bytes.split(|byte| *byte == 0) {
        if !part.is_empty() && !seen.contains(part) {
            seen.insert(part.to_vec());
        }
    }
}

impl Seen {
    /// Returns whatever contains this.
    pub fn with(&self, needle: &str) -> Vec<String> {
        let needle = needle.as_bytes();
        self.matching(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    }

    /// Returns whatever has a run of that many ASCII letters and digits, as a made password has.
    pub fn with_run_of(&self, length: usize) -> Vec<String> {
        self.matching(|bytes| {
            bytes
                .split(|byte| !byte.is_ascii_alphanumeric())
                .any(|run| run.len() >= length)
        })
    }

    fn matching(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<String> {
        self.0
            .iter()
            .filter(|bytes| wanted(bytes))
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }
}
