//! What is left of a controller that was killed, or broke down.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use fleetmend_lab::machine::RepairFault;
use fleetmend_tests::binary;
use tokio::process::Command;

use crate::canary::{Canary, Search};
use crate::ground::{Ground, PATIENCE, Shape, until, with_environment};
use crate::watch::files_below;

/// SIGKILL leaves what is in the journal's log and temporary files as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_leaves_no_canary() {
    let ground = Ground::lay(Shape {
        mute: true,
        ..Shape::default()
    })
    .await;
    let mut child = with_environment(&ground, ground.site.command(ground.arguments()));
    let shown = until(&mut child, r#""what":"finished""#, 5).await;
    child.kill().await.unwrap();
    assert!(shown.len() > 1_000);
    let mut files = Vec::new();
    files_below(&ground.site.data(), &mut files);
    files_below(&ground.temporary(), &mut files);
    let log = files.iter().map(|file| file.to_string_lossy());
    assert!(
        log.into_iter().any(|file| file.ends_with("-wal")),
        "{files:?}"
    );
    let search = Search::new(ground.canaries().into_iter().chain(ground.made()));
    let decoy = Search::new([Canary::new("decoy", &ground.site.lab.pcs()[2].name)]);
    let mut decoys = 0;
    for file in &files {
        let bytes = fs::read(file).unwrap();
        search.assert_clean(&file.display().to_string(), &bytes);
        decoys += usize::from(!decoy.found(&bytes).is_empty());
    }
    assert!(decoys > 0, "{files:?}");
}

/// A crash writes no core file, whatever the limits of the shell are.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_writes_no_core_file() {
    let folder = tempfile::tempdir().unwrap();
    let control = std::process::Command::new("sh")
        .args(["-c", "ulimit -c unlimited; kill -ABRT $$"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    if !control.core_dumped() {
        println!("SKIPPED: that a crash is dumped elsewhere because no program's is here");
    }
    let ground = Ground::lay(Shape {
        mute: true,
        ..Shape::default()
    })
    .await;
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(ground.arguments())
        .current_dir(ground.site.path(""))
        .env_clear()
        .env("HOME", ground.site.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = with_environment(&ground, command);
    until(&mut child, r#""what":"finished""#, 1).await;
    let id = child.id().unwrap();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let soft = core.unwrap().split_whitespace().nth(4);
    assert_eq!(soft, Some("0"), "{limits}");
    let killed = std::process::Command::new("sh")
        .args(["-c", &format!("kill -ABRT {id}")])
        .status();
    assert!(killed.unwrap().success());
    let ended: ExitStatus = child.wait().await.unwrap();
    assert_eq!(ended.signal(), Some(6));
    assert!(!ended.core_dumped(), "a core was dumped");
}

/// Others of the same user, a debugger among them, get at nothing: what they may read belongs to
/// root then.
#[tokio::test(flavor = "multi_thread")]
async fn others_of_the_same_user_cannot_read_it() {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;

    let folder = tempfile::tempdir().unwrap();
    let begin = |program: &std::path::Path, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", folder.path());
        // Root's own are root's in any case.
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        command.stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    // Waits for its input to end.
    let mut other = begin(std::path::Path::new("/bin/cat"), &[]);
    let owner = |id: u32| fs::metadata(format!("/proc/{id}/environ")).unwrap().uid();
    // A process that has changed its user is root's until its new program is in place.
    let began = std::time::Instant::now();
    while owner(other.id()) == 0 && began.elapsed() < PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_ne!(owner(other.id()), 0);
    let target = folder.path().join("lab");
    let lab = target.display().to_string();
    // Where the checkout is, nobody else may be able to go.
    let program = folder.path().join("fleetmend");
    fs::copy(binary(), &program).unwrap();
    let _ = std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534));
    let mut ours = begin(&program, &["lab", "up", "1", "--to", &lab]);
    let began = std::time::Instant::now();
    while !target.exists() && began.elapsed() < PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let found = owner(ours.id());
    for child in [&mut other, &mut ours] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(target.exists(), "the lab did not begin");
    assert_eq!(found, 0);
}

/// Breaks down by lack of memory, of files, and of room in a file.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_down_says_no_canary() {
    let ground = Ground::lay(Shape::default()).await;
    for pc in ground.site.lab.pcs() {
        // No verify that waits.
        pc.sim.machine().repair_fault = RepairFault::None;
    }
    let mut arguments = vec![binary().into_os_string()];
    arguments.extend(ground.arguments());
    let (mut broken, mut said_why) = (0, 0);
    let limits = (0..12).map(|step| format!("-v {}", 90_000 + step * 15_000));
    let limits = limits.chain(["-f 200", "-n 24"].map(str::to_owned));
    for limit in limits {
        let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("timeout");
        command.args(["20", "sh", "-c", &script]).args(&arguments);
        command
            .env_clear()
            .env("HOME", ground.site.path(""))
            .env("PATH", "/usr/bin:/bin");
        command.envs(ground.environment());
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
        let ended = ended.await.unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        let text = String::from_utf8_lossy(&said);
        let fell = ended.status.signal().is_some() || ended.status.code() >= Some(128);
        broken += usize::from(fell);
        let words = ["panicked at", "memory allocation of"];
        said_why += usize::from(words.iter().any(|word| text.contains(word)));
        let search = Search::new(ground.canaries().into_iter().chain(ground.made()));
        search.assert_clean(&limit, &said);
        let mut files = Vec::new();
        files_below(&ground.site.data(), &mut files);
        files_below(&ground.temporary(), &mut files);
        for file in &files {
            search.assert_clean(
                &format!("{} {limit}", file.display()),
                &fs::read(file).unwrap(),
            );
        }
    }
    assert!(broken >= 2 && said_why >= 1, "{broken}, {said_why}");
}
