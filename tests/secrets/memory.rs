//! What is left of a PC's secrets in the memory of the controller once its task has ended, while
//! the run goes on. See docs/decisions/secrets-in-memory.md.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use aho_corasick::AhoCorasick;

use crate::canary::{Canary, Search};
use crate::ground::{Ground, MUTE, SOURCES, Shape, until, with_environment};

/// What the rest of the run still needs, and how often it may be there.
const NEEDED: [(&str, usize); 3] = [
    // For each PC whose password it encrypted.
    ("ansible-vault passphrase", 2),
    // For the next connection to a controller; one copy is the settings'.
    ("directory", 3),
    // For the next PC, if a rung asks for it.
    ("domain", 2),
];
/// How many changes of passwords may stand in the buffer of the connection to a controller: ldap3
/// writes over its 8 KiB again only once they are full.
const SENT: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_pc_are_gone_when_its_task_has_ended() {
    let ground = Ground::lay(Shape {
        mute: true,
        ..Shape::default()
    })
    .await;
    let mut child = with_environment(&ground, ground.site.command(ground.arguments()));
    let told = until(&mut child, r#""what":"finished""#, SOURCES.len()).await;
    let id = child.id().unwrap();
    // A task tells its end before it is quite over.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let Some(mut memory) = memory(id).filter(|regions| !regions.is_empty()) else {
        println!("SKIPPED: the memory of the controller because this user may not read it");
        return;
    };
    assert!(child.try_wait().unwrap().is_none(), "it ended: {told}");
    child.kill().await.unwrap();

    let made = ground.made();
    assert!(made.len() >= 5, "{} were made: {told}", made.len());
    let mut all = ground.canaries();
    all.extend(made);
    all.extend(ground.canaries().iter().map(Canary::hash));
    all.push(Canary::new("in use", MUTE));
    let sent: usize = memory.iter_mut().map(|bytes| blank_sent(bytes)).sum();
    println!("changes of passwords in buffers of LDAP connections: {sent}");
    assert!(sent <= SENT, "{sent}");
    let left = left(&memory, &all);
    let shown = left.iter().filter(|(_, count)| **count > 0);
    println!("copies left: {:#?}", shown.collect::<Vec<_>>());
    assert!(left["in use"] > 0, "what is there is not found");
    for (what, count) in left {
        let needed = NEEDED.iter().find(|(needed, _)| *needed == what);
        let allowed = needed.map_or(0, |(_, count)| *count);
        assert!(
            what == "in use" || count <= allowed,
            "{what}: {count} copies"
        );
    }
}

/// Blanks the passwords in LDAP messages, and returns how many there were.
fn blank_sent(bytes: &mut [u8]) -> usize {
    // The attribute, the tag of a set, and long lengths: what ldap3 wrote, and no other text.
    const BEFORE: &[u8] = b"unicodePwd1\x81\xf7\x04\x81\xf4";
    let search = AhoCorasick::new([BEFORE]).unwrap();
    let found = search.find_iter(&*bytes).map(|found| found.end());
    let found: Vec<usize> = found.filter(|at| at + 0xf4 <= bytes.len()).collect();
    for at in &found {
        bytes[*at..][..0xf4].fill(0);
    }
    found.len()
}

/// Returns how often each canary is there.
fn left<'a>(memory: &[Vec<u8>], canaries: &'a [Canary]) -> BTreeMap<&'a str, usize> {
    let search = Search::new(canaries.to_vec());
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for bytes in memory {
        for (canary, count) in canaries.iter().zip(search.counts(bytes)) {
            *left.entry(&canary.what).or_default() += count;
        }
    }
    left
}

/// Returns the memory that a process may write to, by region; none if it may not be read.
fn memory(id: u32) -> Option<Vec<Vec<u8>>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let memory = File::open(format!("/proc/{id}/mem")).ok()?;
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (from, to) = (number(from), number(to));
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            regions.push(bytes);
        }
    }
    Some(regions)
}
