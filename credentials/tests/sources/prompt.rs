use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleetmend_credentials::sources::{PromptError, PromptSource, ask_password};
use fleetmend_credentials::{Source as _, Subject};
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use tokio_util::sync::CancellationToken;

use crate::{fetch, limit};

fn counting(
    answer: impl Fn(&str) -> Result<&'static str, PromptError> + Send + Sync + 'static,
) -> (PromptSource, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let source = PromptSource::by("the password of 管理者", "name a file", move |what| {
        count.fetch_add(1, Ordering::Relaxed);
        // Somebody types; the others wait.
        std::thread::sleep(Duration::from_millis(50));
        answer(what).map(|typed| Secret::new(typed.to_owned()))
    });
    (source, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_asked_once() {
    let (source, asked) = counting(|what| {
        assert_eq!(what, "the password of 管理者");
        Ok("Kanaria-1")
    });
    let all = futures::future::join_all((0..20).map(|_| fetch(&source))).await;
    assert!(all.iter().all(|typed| typed.as_deref() == Ok("Kanaria-1")));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let shown = format!(
        "{source:?} {:?}",
        source.fetch(Subject::Run, &limit()).await
    );
    assert!(!shown.contains("Kanaria"), "{shown}");
}

#[tokio::test]
async fn who_typed_nothing_is_asked_again_and_without_a_terminal_it_is_said() {
    let (source, asked) = counting(|what| {
        Err(PromptError::Empty {
            what: what.to_owned(),
        })
    });
    for times in [1, 2] {
        let error = fetch(&source).await.unwrap_err();
        assert_eq!(error.why, "the password of 管理者 is empty");
        assert_eq!(asked.load(Ordering::Relaxed), times);
    }
    let (source, _) = counting(|what| {
        Err(PromptError::NoTerminal {
            what: what.to_owned(),
        })
    });
    let error = fetch(&source).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to get a secret from the terminal: the password of 管理者 is missing and there \
         is no terminal to ask"
    );
    assert_eq!(error.next, "name a file");
    assert!(!error.absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_typist_has_time_and_a_cancel_ends_the_wait() {
    let (source, _) = counting(|_| Ok("typed"));
    let none = Limit::within(Duration::ZERO, &CancellationToken::new());
    assert!(source.fetch(Subject::Run, &none).await.is_ok());
    let (source, _) = counting(|_| Ok("typed"));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let limit = Limit::within(Duration::from_secs(5), &cancel);
    let error = source.fetch(Subject::Run, &limit).await.unwrap_err();
    assert_eq!(error.why, "cancelled");
}

/// Runs in a process of its own, which alone has a terminal.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run on a terminal by the tests below"]
fn on_this_terminal() {
    match ask_password("the password of 管理者") {
        Ok(typed) => println!("got {} characters", typed.reveal().chars().count()),
        Err(error) => println!("error: {error}"),
    }
}

/// Answers the question on a terminal; returns what the terminal showed, and how it was left.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "says that it was skipped")]
fn on_a_terminal(keys: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    let this = std::env::current_exe().unwrap();
    let command = format!(
        "{} --ignored --exact prompt::on_this_terminal --nocapture; stty -a",
        this.display()
    );
    let started = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut script = match started {
        Ok(script) => script,
        Err(why) => {
            println!("SKIPPED: a terminal because script: {why}");
            return None;
        }
    };
    let (mut typist, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut some = [0; 512];
    // Whoever answers at once is not seen either.
    while !String::from_utf8_lossy(&shown).contains("管理者: ") {
        let read = screen.read(&mut some).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend(some.iter().take(read));
    }
    typist.write_all(keys.as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    assert!(script.wait().unwrap().success());
    Some(String::from_utf8_lossy(&shown).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_typed_is_seen() {
    // One key was wrong and taken back.
    for keys in ["Kanaria-ひみつ\n", "Kanaria-ひみず\u{7f}つ\r"] {
        let Some(shown) = on_a_terminal(keys) else {
            return;
        };
        assert!(shown.contains("got 11 characters"), "{shown}");
        for typed in ["Kanaria", "ひみ", "つ"] {
            assert!(!shown.contains(typed), "{shown}");
        }
        assert!(
            shown.split_whitespace().any(|word| word == "echo"),
            "{shown}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    let Some(shown) = on_a_terminal("Kanaria\u{3}") else {
        return;
    };
    let told = "error: the password of 管理者 was not given: Ctrl-C";
    assert!(shown.contains(told), "{shown}");
    assert!(!shown.contains("Kanaria"), "{shown}");
    for mode in ["echo", "icanon", "isig"] {
        assert!(
            shown.split_whitespace().any(|word| word == mode),
            "{mode}: {shown}"
        );
    }
}

/// A test has no terminal to ask on, but where somebody runs it by hand.
#[test]
fn without_a_terminal_it_is_said() {
    use std::io::IsTerminal as _;

    if std::io::stdin().is_terminal() {
        println!("SKIPPED: no terminal because there is one");
        return;
    }
    let error = ask_password("the password of 管理者").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the password of 管理者 is missing and there is no terminal to ask"
    );
    assert_eq!(error.hint("name a file"), Some("name a file"));
}
