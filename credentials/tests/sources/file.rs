use std::time::Duration;

use fleetmend_credentials::sources::FileSource;
use fleetmend_credentials::{Scope, Source as _, Subject};
use fleetmend_directory::Limit;
use tokio_util::sync::CancellationToken;

use crate::{fetch, private_file, set_mode, told};

#[tokio::test]
async fn a_file_is_read_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = private_file(folder.path(), "大阪.txt", "ひみつ 1\n".as_bytes());
    let source = FileSource::new(&path);
    assert_eq!(source.scope(), Scope::Run);
    assert_eq!(fetch(&source).await.unwrap(), "ひみつ 1");
    private_file(folder.path(), "大阪.txt", b"2\r\n");
    assert_eq!(fetch(&source).await.unwrap(), "2");
    assert!(!format!("{source:?}").contains("ひみつ"));
}

#[tokio::test]
async fn only_a_file_that_is_not_there_lets_the_next_source_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let missing = fetch(&FileSource::new(folder.path().join("none"))).await;
    let missing = missing.unwrap_err();
    assert!(missing.absent, "{missing}");
    let folder_itself = fetch(&FileSource::new(folder.path())).await.unwrap_err();
    assert!(!folder_itself.absent);
    let empty = private_file(folder.path(), "empty", b"\n");
    let empty = fetch(&FileSource::new(empty)).await.unwrap_err();
    assert!(!empty.absent && empty.why == "it is empty", "{empty}");
    assert!(empty.next.contains("refuses empty passwords"));
}

#[cfg(unix)]
#[tokio::test]
async fn what_others_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = private_file(folder.path(), "pw", b"Kanaria-1\n");
    for mode in [0o640, 0o604, 0o666] {
        set_mode(&path, mode);
        let error = fetch(&FileSource::new(&path)).await.unwrap_err();
        let why = format!("it holds a password and can be read by others (mode {mode:04o})");
        assert_eq!(error.why, why);
        assert_eq!(error.next, format!("chmod 600 {}", path.display()));
        assert!(!error.absent && !told(&error).contains("Kanaria"));
    }
    // A link is as private as what it leads to.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(fetch(&FileSource::new(&link)).await.is_err());
    set_mode(&path, 0o600);
    assert_eq!(fetch(&FileSource::new(&link)).await.unwrap(), "Kanaria-1");
    // One that leads nowhere is an error, not a PC without a password.
    std::fs::remove_file(&path).unwrap();
    let error = fetch(&FileSource::new(&link)).await.unwrap_err();
    assert!(!error.absent, "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_does_not_hold_up_anybody_and_a_huge_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
        let limit = Limit::within(Duration::from_secs(5), &CancellationToken::new());
        let source = FileSource::new(path);
        let error = source.fetch(Subject::Run, &limit).await.unwrap_err();
        assert_eq!(error.why, "it is no plain file");
        assert!(!error.absent);
    }
    // A terabyte without a byte on the disk.
    let huge = private_file(folder.path(), "huge", b"");
    let file = std::fs::File::options().write(true).open(&huge).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = fetch(&FileSource::new(&huge)).await.unwrap_err();
    assert_eq!(error.why, "it is too long for a password");
}
