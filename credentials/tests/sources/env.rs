use std::ffi::OsString;

use fleetmend_credentials::sources::EnvSource;

use crate::{fetch, private_file, told};

fn variable(value: Option<&std::ffi::OsStr>) -> EnvSource {
    let value: Option<OsString> = value.map(Into::into);
    EnvSource::of("BRANCH_PASSWORD_FILE", move |name| {
        (name == "BRANCH_PASSWORD_FILE").then(|| value.clone())?
    })
}

#[tokio::test]
async fn a_variable_names_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = private_file(folder.path(), "支店", b"Kanaria-1\n");
    let source = variable(Some(path.as_os_str()));
    assert_eq!(fetch(&source).await.unwrap(), "Kanaria-1");
    for unset in [variable(None), variable(Some("".as_ref()))] {
        let error = fetch(&unset).await.unwrap_err();
        assert!(error.absent && error.why == "it is not set", "{error}");
        assert!(error.next.ends_with("BRANCH_PASSWORD_FILE=FILE"));
    }
}

#[tokio::test]
async fn a_password_in_the_variable_is_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let long = "Kanaria".repeat(10_000);
    for content in ["Kanaria-1", "/Kanaria/1", "Kanaria\0", "~/Kanaria", &long] {
        let source = variable(Some(content.as_ref()));
        let error = fetch(&source).await.unwrap_err();
        let told = format!("{} {source:?}", told(&error));
        assert!(!told.contains("Kanaria"), "{told}");
        assert!(told.contains("it names no file that can be read"), "{told}");
        assert!(!error.absent, "a mistake is not silence");
    }
    // Nor where there is a file of that name which is unfit.
    let path = private_file(folder.path(), "Kanaria", b"");
    let error = fetch(&variable(Some(path.as_os_str()))).await.unwrap_err();
    assert_eq!(error.why, "the file that it names is empty");
    assert!(!told(&error).contains("Kanaria"));
    crate::set_mode(&path, 0o644);
    let error = fetch(&variable(Some(path.as_os_str()))).await.unwrap_err();
    assert!(!told(&error).contains("Kanaria"), "{error}");
    let error = fetch(&variable(Some(folder.path().as_os_str()))).await;
    assert_eq!(
        error.unwrap_err().why,
        "the file that it names is no plain file"
    );
}

#[tokio::test]
async fn the_environment_of_the_process_is_read() {
    // PATH is set wherever cargo runs, and is no file.
    let error = fetch(&EnvSource::new("PATH")).await.unwrap_err();
    assert!(!error.absent, "{error}");
    let error = fetch(&EnvSource::new("FLEETMEND_NO_SUCH_VARIABLE")).await;
    assert!(error.unwrap_err().absent);
}
