//! Bad usage, a bad inventory or a bad playbook ends with exit code 2, says where, and touches
//! nothing.

use std::ffi::OsString;

use fleetmend_tests::{Ended, Site, with};

/// Runs with these arguments and returns the error, after checking that no PC was touched.
async fn refused(site: &Site, arguments: Vec<OsString>) -> Ended {
    let ended = site.run(arguments).await;
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    assert!(ended.stdout.is_empty(), "{}", ended.out());
    let connections: u64 = site
        .lab
        .pcs()
        .iter()
        .filter_map(|pc| pc.winrm.as_ref())
        .map(|winrm| winrm.counters().values().connections)
        .sum();
    assert_eq!(connections, 0, "a PC was touched");
    ended
}

fn run(site: &Site, playbook: &str, more: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["run".into(), playbook.into()];
    arguments.extend(site.logon_arguments());
    with(arguments, more.iter().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_to_ask_and_no_yes() {
    let site = Site::demo(4).await;
    let ended = refused(&site, run(&site, "trust-repair", &[])).await;
    assert!(ended.err().contains("--yes"), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_playbook() {
    let site = Site::demo(4).await;
    let ended = refused(&site, run(&site, "trust-repiar", &["--yes"])).await;
    assert!(ended.err().contains("trust-repiar"), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_matches_nothing() {
    let site = Site::demo(4).await;
    let ended = refused(
        &site,
        run(&site, "trust-repair", &["--yes", "--limit", "経理室"]),
    )
    .await;
    assert!(ended.err().contains("経理室"), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_with_a_duplicate_key() {
    let site = Site::demo(4).await;
    let path = site.path("lab.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().count();
    std::fs::write(&path, format!("{text}all:\n  hosts: {{}}\n")).unwrap();
    let ended = refused(&site, run(&site, "trust-repair", &["--yes"])).await;
    let place = format!("lab.yaml:{}:1", lines + 1);
    assert!(
        ended.err().contains(&place),
        "{place} is not in: {}",
        ended.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_with_an_unknown_cause() {
    let site = Site::demo(4).await;
    let own = site.path("own");
    let exported = site
        .run([
            "playbook",
            "export",
            "trust-repair",
            "--to",
            own.to_str().unwrap(),
        ])
        .await;
    assert_eq!(exported.code, Some(0), "{}", exported.err());
    let path = own.join("trust-repair.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let broken = text.replacen("for: [password-mismatch,", "for: [pasword-mismatch,", 1);
    assert_ne!(text, broken);
    std::fs::write(&path, broken).unwrap();
    let ended = refused(&site, run(&site, path.to_str().unwrap(), &["--yes"])).await;
    let error = ended.err();
    assert!(
        error.contains("trust-repair.yaml:") && error.contains("pasword-mismatch"),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::demo(4).await;
    let path = site.path("local.pw");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = refused(&site, run(&site, "trust-repair", &["--yes"])).await;
    assert!(ended.err().contains("local.pw"), "{}", ended.err());
}
