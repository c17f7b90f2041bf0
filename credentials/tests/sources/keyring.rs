use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_credentials::sources::Keyring;
use fleetmend_credentials::{Source as _, Subject};
use fleetmend_directory::Limit;
use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{CredentialStore, Error, mock};
use tokio_util::sync::CancellationToken;

use crate::{fetch, told};

fn store() -> Arc<CredentialStore> {
    mock::Store::new().unwrap()
}

#[tokio::test]
async fn an_entry_is_read_each_time() {
    let store = store();
    let keyring = Keyring::of(Arc::clone(&store));
    let source = keyring.source("fleetmend", "管理者");
    let missing = fetch(&source).await.unwrap_err();
    assert!(missing.absent && missing.why == "nothing is kept there");
    assert!(missing.next.contains("管理者") && missing.next.contains("fleetmend"));
    let entry = store.build("fleetmend", "管理者", None).unwrap();
    for password in ["ひみつ 1", "2"] {
        entry.set_password(password).unwrap();
        assert_eq!(fetch(&source).await.unwrap(), password);
    }
    let other = fetch(&keyring.source("fleetmend", "admin")).await;
    assert!(other.unwrap_err().absent);
}

#[tokio::test]
async fn what_is_unfit_or_shut_is_an_error_that_tells_no_secret() {
    let store = store();
    let source = Keyring::of(Arc::clone(&store)).source("fleetmend", "admin");
    let entry = store.build("fleetmend", "admin", None).unwrap();
    for (secret, why) in [
        (&b"Kanaria\xff"[..], "what is kept there is not text"),
        (
            b"Kanaria\nKanaria",
            "what is kept there has more than one line",
        ),
        (b"", "what is kept there is empty"),
    ] {
        entry.set_secret(secret).unwrap();
        let error = fetch(&source).await.unwrap_err();
        assert_eq!(error.why, why);
        let shown = format!("{} {source:?}", told(&error));
        assert!(!shown.contains("Kanaria") && !error.absent, "{shown}");
    }
    let credential = entry.as_any().downcast_ref::<mock::Cred>().unwrap();
    credential.set_error(Error::NoStorageAccess("locked".into()));
    let error = fetch(&source).await.unwrap_err();
    assert_eq!(error.why, "it cannot be opened: locked");
    assert!(!error.absent, "another source is not asked instead");
}

/// A keyring that waits for its user, as one that is locked does.
#[derive(Debug)]
struct Waits;

impl keyring_core::api::CredentialStoreApi for Waits {
    fn vendor(&self) -> String {
        String::new()
    }

    fn id(&self) -> String {
        String::new()
    }

    fn build(
        &self,
        _: &str,
        _: &str,
        _: Option<&std::collections::HashMap<&str, &str>>,
    ) -> keyring_core::Result<keyring_core::Entry> {
        std::thread::sleep(Duration::from_secs(3));
        Err(Error::NoEntry)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[tokio::test]
async fn one_that_waits_for_its_user_holds_up_nobody() {
    let source = Keyring::of(Arc::new(Waits)).source("fleetmend", "admin");
    let began = Instant::now();
    let short = Limit::within(Duration::from_millis(200), &CancellationToken::new());
    let error = source.fetch(Subject::Run, &short).await.unwrap_err();
    assert_eq!(error.why, "it gave no answer in time");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cancelled = Limit::within(Duration::from_secs(60), &cancel);
    let error = source.fetch(Subject::Run, &cancelled).await.unwrap_err();
    assert_eq!(error.why, "cancelled");
    assert!(began.elapsed() < Duration::from_secs(2));
}

/// The keyring of the kernel, where this process may use it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_keyring_of_the_kernel_is_read() {
    let service = format!("fleetmend-test-{}", std::process::id());
    let kernel = linux_keyutils_keyring_store::Store::new().unwrap();
    let entry = kernel.build(&service, "管理者", None).unwrap();
    if let Err(why) = entry.set_password("Kanaria-1") {
        // Half of it may be there.
        let _ = entry.delete_credential();
        again_in_a_session(&why);
        return;
    }
    let source = Keyring::default().source(&service, "管理者");
    let read = fetch(&source).await;
    let other = fetch(&Keyring::default().source(&service, "admin")).await;
    entry.delete_credential().unwrap();
    assert_eq!(read.unwrap(), "Kanaria-1");
    assert!(other.unwrap_err().absent);
}

/// Runs the test above once more under a session keyring of its own, which a process that no login
/// began does not have.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "what is not tried is said")]
fn again_in_a_session(why: &Error) {
    const AGAIN: &str = "FLEETMEND_TEST_SESSION_KEYRING";
    assert!(
        std::env::var_os(AGAIN).is_none(),
        "in a session, too: {why}"
    );
    let test = "keyring::the_keyring_of_the_kernel_is_read";
    let ended = std::process::Command::new("keyctl")
        .args(["session", "-"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(AGAIN, "1")
        .output();
    match ended {
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert!(
                ended.status.success() && said.contains("1 passed"),
                "{said}"
            );
        }
        Err(error) => {
            println!(
                "SKIPPED: the kernel's keyring because {why}, and there is no keyctl ({error})"
            );
        }
    }
}
