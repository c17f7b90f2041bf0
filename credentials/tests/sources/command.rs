use std::path::Path;
use std::time::{Duration, Instant};

use fleetmend_credentials::sources::{CommandSource, Commands};
use fleetmend_credentials::{Scope, Source as _, Subject};
use fleetmend_directory::Limit;
use tokio_util::sync::CancellationToken;

use crate::{fetch, limit, told};

const LONG: Duration = Duration::from_secs(15);

fn source(words: &[&str], timeout: Duration) -> CommandSource {
    let words = words.iter().map(ToString::to_string).collect();
    Commands::default().source(words, timeout, "/")
}

fn shell(script: &str) -> CommandSource {
    source(&["sh", "-c", script], LONG)
}

/// Tells whether a process is there; one that is dead but was not waited for is, too.
fn is_there(id: &str) -> bool {
    let asked = std::process::Command::new("sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", id])
        .status();
    asked.unwrap().success()
}

/// Waits until a file has lines, and returns them.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    let until = Instant::now() + LONG;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count || Instant::now() > until {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all_gone(ids: &[String]) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while ids.iter().any(|id| is_there(id)) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    !ids.iter().any(|id| is_there(id))
}

#[tokio::test]
async fn takes_one_line_and_reads_no_shell() {
    let japanese = source(&["printf", "%s", "ひみつ $HOME *'\"\\ 壱"], LONG);
    assert_eq!(fetch(&japanese).await.unwrap(), "ひみつ $HOME *'\"\\ 壱");
    for (script, printed) in [
        ("echo one", "one"),
        ("printf 'one\\r\\n'", "one"),
        ("printf ' one '", " one "),
        // It has no standard input to wait for, and our environment.
        ("cat; echo ${PATH:+set}", "set"),
        ("exec 2>&-; echo quiet", "quiet"),
        // As PowerShell 5.1 may begin what it prints.
        ("printf '\\357\\273\\277marked\\n'", "marked"),
    ] {
        assert_eq!(fetch(&shell(script)).await.unwrap(), printed, "{script}");
    }
    assert_eq!(japanese.scope(), Scope::Run);
}

#[tokio::test]
async fn a_relative_program_is_that_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("合言葉.sh");
    std::fs::write(&path, "#!/bin/sh\npwd\n").unwrap();
    crate::set_mode(&path, 0o700);
    let words = vec!["./合言葉.sh".to_owned()];
    let source = Commands::default().source(words, LONG, folder.path());
    let printed = fetch(&source).await.unwrap();
    assert_eq!(
        Path::new(&printed).canonicalize().unwrap(),
        folder.path().canonicalize().unwrap()
    );
}

#[tokio::test]
async fn says_what_went_wrong_and_never_what_was_printed() {
    let ten_megabytes = "yes Kanaria | head -c 10000000";
    for (script, why) in [
        ("true", "what it prints is empty"),
        (
            "printf 'Kanaria\\n\\n'",
            "what it prints has more than one line",
        ),
        ("printf 'Kanaria\\377'", "what it prints is not UTF-8 text"),
        (ten_megabytes, "what it prints is too long for a password"),
        ("yes Kanaria", "what it prints is too long for a password"),
        ("exit 3", "it failed with exit code 3"),
        ("echo Kanaria; exit 3", "it failed with exit code 3"),
        // A trace of a script, or a refused token.
        (
            "set -x; pw=Kanaria; test $pw = x",
            "it failed with exit code 1",
        ),
        (
            "echo cannot log in: Kanaria is wrong >&2; exit 255",
            "it failed with exit code 255",
        ),
    ] {
        let error = fetch(&shell(script)).await.unwrap_err();
        assert_eq!(error.why, why, "{script}");
        assert!(!told(&error).contains("Kanaria"), "{}", told(&error));
        assert!(!error.absent);
        assert_eq!(error.next.contains("by hand"), why.contains("exit code"));
    }
    // Ten megabytes of standard error do not harm a good password.
    let loud = shell("yes no | head -c 10000000 >&2; echo good");
    assert_eq!(fetch(&loud).await.unwrap(), "good");
    let killed = fetch(&shell("kill -9 $$")).await.unwrap_err();
    assert_eq!(killed.why, "it failed (signal: 9 (SIGKILL))");
    let unknown = fetch(&source(&["no-such-program-鍵"], LONG)).await;
    let unknown = unknown.unwrap_err();
    assert!(unknown.why.starts_with("it does not start: "), "{unknown}");
    assert!(unknown.next.contains("PATH"));
    let nothing = fetch(&source(&[], LONG)).await.unwrap_err();
    assert_eq!(nothing.why, "it has no words");
}

#[tokio::test]
async fn its_arguments_are_not_shown() {
    let source = source(&["op", "read", "--token=Kanaria"], LONG);
    let shown = format!("{source:?} {}", source.describe());
    assert!(
        !shown.contains("Kanaria") && shown.contains("op"),
        "{shown}"
    );
}

/// A program whose child has its own child, all of which write their numbers and then hang.
fn hangs(ids: &Path) -> String {
    let ids = ids.display();
    format!(
        "sh -c 'sleep 3600 & echo $! >>{ids}; echo $$ >>{ids}; wait' & \
         echo $$ >{ids}.first; echo $$ >>{ids}; wait"
    )
}

#[tokio::test]
async fn who_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let second = Duration::from_secs(1);
    let began = Instant::now();
    let hanging = source(&["sh", "-c", &hangs(&ids)], second);
    let error = fetch(&hanging).await.unwrap_err();
    assert_eq!(error.why, "it did not end within 1s");
    assert!(error.next.contains("no terminal"), "{}", error.next);
    assert!(began.elapsed() < Duration::from_secs(8));
    let ids = lines(&ids, 3).await;
    assert_eq!(ids.len(), 3);
    assert!(all_gone(&ids).await, "{ids:?}");
    // Also where it does not listen.
    let deaf = source(
        &["sh", "-c", "trap '' TERM HUP INT; while :; do :; done"],
        second,
    );
    assert_eq!(
        fetch(&deaf).await.unwrap_err().why,
        "it did not end within 1s"
    );
}

#[tokio::test]
async fn a_cancel_or_a_lost_interest_leaves_no_process_and_no_zombie() {
    let folder = tempfile::tempdir().unwrap();
    for is_cancelled in [true, false] {
        let ids = folder.path().join(format!("ids-{is_cancelled}"));
        let source = source(&["sh", "-c", &hangs(&ids)], LONG);
        let cancel = CancellationToken::new();
        let limit = Limit::within(LONG, &cancel);
        let began = Instant::now();
        let fetched = async {
            let fetched = source.fetch(Subject::Run, &limit).await;
            fetched.map(|_| ()).map_err(|error| error.why)
        };
        let seen = async {
            let ids = lines(&ids, 3).await;
            assert!(ids.len() == 3 && ids.iter().all(|id| is_there(id)));
            ids
        };
        let ids = if is_cancelled {
            let seen = async {
                let ids = seen.await;
                cancel.cancel();
                ids
            };
            let (fetched, ids) = tokio::join!(fetched, seen);
            assert_eq!(fetched, Err("cancelled".to_owned()));
            // The program itself is reaped before the answer, not some time later.
            let first = folder.path().join("ids-true.first");
            assert!(!is_there(&lines(&first, 1).await.remove(0)));
            ids
        } else {
            tokio::select! {
                fetched = fetched => panic!("{fetched:?}"),
                ids = seen => ids,
            }
        };
        assert!(all_gone(&ids).await, "{ids:?}");
        assert!(began.elapsed() < LONG);
    }
}

#[tokio::test]
async fn what_is_left_in_the_background_is_neither_waited_for_nor_ended() {
    let folder = tempfile::tempdir().unwrap();
    let id = folder.path().join("id");
    let began = Instant::now();
    // As `op` and `gpg` leave an agent, which holds the pipes.
    let script = format!("sleep 30 & echo $! >{}; echo good", id.display());
    assert_eq!(fetch(&shell(&script)).await.unwrap(), "good");
    assert!(began.elapsed() < Duration::from_secs(10));
    let id = lines(&id, 1).await.remove(0);
    assert!(is_there(&id));
    std::process::Command::new("kill")
        .arg(&id)
        .status()
        .unwrap();
}

#[tokio::test]
async fn no_more_than_some_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!(
        "echo + >>{0}; sleep 0.1; echo - >>{0}; echo x",
        log.display()
    );
    let commands = Commands::at_once(5);
    let words: Vec<String> = ["sh", "-c", &script].map(str::to_owned).into();
    // Each PC has a source of its own.
    let sources: Vec<_> = (0..50)
        .map(|_| commands.source(words.clone(), LONG, "/"))
        .collect();
    let all = futures::future::join_all(sources.iter().map(|source| fetch(source))).await;
    assert!(all.iter().all(|one| one.as_deref() == Ok("x")), "{all:?}");
    let (mut now, mut most, mut total) = (0_i32, 0, 0);
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        now += if line == "+" { 1 } else { -1 };
        total += i32::from(line == "+");
        most = most.max(now);
    }
    assert_eq!((now, total), (0, 50));
    assert!((2..=5).contains(&most), "{most} at once");
}

#[tokio::test]
async fn who_never_has_a_turn_is_told() {
    let commands = Commands::at_once(1);
    let words = |script: &str| ["sh", "-c", script].map(str::to_owned).into();
    let first = commands.source(words("sleep 2; echo x"), LONG, "/");
    let second = commands.source(words("echo y"), LONG, "/");
    let short = Limit::within(Duration::from_millis(500), &CancellationToken::new());
    let long = limit();
    let (first, second) = tokio::join!(first.fetch(Subject::Run, &long), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        second.fetch(Subject::Run, &short).await
    });
    assert!(first.is_ok());
    assert_eq!(
        second.unwrap_err().why,
        "its turn did not come in time: 1 programs run at once"
    );
    // The turn is free again.
    let third = commands.source(words("echo z"), LONG, "/");
    assert_eq!(fetch(&third).await.unwrap(), "z");
}
