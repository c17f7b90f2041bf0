use std::path::Path;

use fleetmend_engine::Spared;
use fleetmend_model::HostName;

use super::*;

fn bob() -> AccountName {
    AccountName::of("CORP\\bob")
}

fn refusal(code: Option<i64>) -> SpentTry {
    SpentTry {
        at: Timestamp::now(),
        host: Some(HostName("端末-1".into())),
        code,
        perhaps: false,
    }
}

fn spared(leave: Leave) -> Spared {
    match leave {
        Leave::Spent(spared) => spared,
        other => panic!("{other:?}"),
    }
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("journal.sqlite")
}

fn budget(path: &Path) -> SqliteBudget {
    SqliteBudget::new(path)
}

#[tokio::test]
async fn one_at_a_time_on_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (one, other) = (budget(&path), budget(&path));
    assert!(!path.exists(), "nothing is made before it is needed");
    assert_eq!(one.leave(&bob()).await.unwrap(), Leave::Granted);
    let upn = AccountName::of("bob@corp.example.jp");
    assert_eq!(other.leave(&upn).await.unwrap(), Leave::Busy);
    assert_eq!(
        one.leave(&bob()).await.unwrap(),
        Leave::Busy,
        "nor ourselves"
    );
    let eve = AccountName::of("CORP\\eve");
    assert_eq!(other.leave(&eve).await.unwrap(), Leave::Granted);
    // Only who tries it can say that it was not shown.
    other.untold(&bob()).await.unwrap();
    assert_eq!(other.leave(&bob()).await.unwrap(), Leave::Busy);
    one.untold(&bob()).await.unwrap();
    assert_eq!(other.leave(&bob()).await.unwrap(), Leave::Granted);
    other.accepted(&bob()).await.unwrap();
    assert_eq!(one.leave(&bob()).await.unwrap(), Leave::Granted);
}

#[tokio::test]
async fn a_refusal_is_known_to_all_and_forgotten_when_the_account_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let one = budget(&path);
    assert_eq!(one.leave(&bob()).await.unwrap(), Leave::Granted);
    one.refused(&bob(), refusal(Some(1326))).await.unwrap();
    drop(one);
    let other = budget(&path);
    let why = spared(other.leave(&bob()).await.unwrap());
    assert_eq!(why.tries[0].code, Some(1326));
    assert!(why.to_string().contains("端末-1"), "{why}");
    other.accepted(&bob()).await.unwrap();
    assert_eq!(other.leave(&bob()).await.unwrap(), Leave::Granted);
}

#[tokio::test]
async fn a_try_ends_with_its_process_and_counts_as_one_that_nobody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    // The lease of one that is dropped is free, as that of one that is killed.
    for _ in 0..2 {
        let killed = budget(&path);
        assert_eq!(killed.leave(&bob()).await.unwrap(), Leave::Granted);
    }
    let next = budget(&path);
    assert_eq!(next.leave(&bob()).await.unwrap(), Leave::Granted);
    drop(next);
    let last = budget(&path);
    let why = spared(last.leave(&bob()).await.unwrap());
    assert_eq!(why.tries.len(), 3);
    assert!(why.tries.iter().all(|one| one.perhaps));
}

#[tokio::test]
async fn what_the_domain_says_widens_or_narrows_it() {
    let folder = tempfile::tempdir().unwrap();
    let one = budget(&file(&folder));
    let policy = |threshold, bad| AccountPolicy {
        threshold: Some(threshold),
        window: Some(Duration::from_secs(600)),
        bad: Some(bad),
        read: Timestamp::now(),
    };
    one.learned(&bob(), policy(5, 3)).await.unwrap();
    let why = spared(one.leave(&bob()).await.unwrap());
    assert_eq!(why.lockout, Some((3, 5)));
    one.learned(&bob(), policy(5, 1)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(one.leave(&bob()).await.unwrap(), Leave::Granted);
        one.refused(&bob(), refusal(None)).await.unwrap();
    }
    let why = spared(one.leave(&bob()).await.unwrap());
    assert_eq!(why.lockout, Some((3, 5)));
}

#[tokio::test]
async fn the_operator_can_have_it_tried_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let one = budget(&path);
    one.refused(&bob(), refusal(None)).await.unwrap();
    spared(one.leave(&bob()).await.unwrap());
    let again = budget(&path)
        .with_consent(vec![bob()], "運用".to_owned())
        .await
        .unwrap();
    assert!(again.is_consented(&bob()));
    assert!(again.has_waived(&bob()));
    assert!(!one.is_consented(&bob()));
    assert_eq!(again.leave(&bob()).await.unwrap(), Leave::Granted);
    again.refused(&bob(), refusal(None)).await.unwrap();
    spared(again.leave(&bob()).await.unwrap());
    // It stays told who said so.
    let connection = Connection::open(&path).unwrap();
    let by: String = connection
        .query_row(
            "SELECT waived_by FROM spent_tries WHERE waived_at IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(by, "運用");
}

#[tokio::test]
async fn whether_there_was_anything_to_waive_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let consenting = async || {
        let names = vec![AccountName::of("bob"), bob()];
        let budget = budget(&path).with_consent(names, "運用".to_owned());
        budget.await.unwrap()
    };
    assert!(!consenting().await.has_waived(&bob()));
    // A try over which its process died, and that nobody has asked about since.
    assert_eq!(budget(&path).leave(&bob()).await.unwrap(), Leave::Granted);
    let again = consenting().await;
    assert!(again.has_waived(&bob()) && !again.has_waived(&AccountName::of("bob")));
    assert!(!consenting().await.has_waived(&bob()), "only once");
    for _ in 0..2 {
        assert_eq!(budget(&path).leave(&bob()).await.unwrap(), Leave::Granted);
    }
    assert_eq!(budget(&path).leave(&bob()).await.unwrap(), Leave::Granted);
}

#[tokio::test]
async fn what_the_domain_said_is_told_on() {
    let folder = tempfile::tempdir().unwrap();
    let one = budget(&file(&folder));
    assert_eq!(one.policy(&bob()).await, None);
    let policy = AccountPolicy {
        threshold: Some(5),
        window: Some(Duration::from_secs(600)),
        bad: Some(0),
        read: Timestamp::from_second(1_700_000_000).unwrap(),
    };
    one.learned(&bob(), policy.clone()).await.unwrap();
    assert_eq!(one.policy(&bob()).await, Some(policy));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_grants_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no such folder").join("journal.sqlite");
    let error = budget(&missing).leave(&bob()).await.unwrap_err();
    assert!(error.to_string().contains("bob@corp"), "{error}");
}
