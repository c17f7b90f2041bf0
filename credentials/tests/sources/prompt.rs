use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleetmend_credentials::sources::{PromptError, PromptSource};
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
