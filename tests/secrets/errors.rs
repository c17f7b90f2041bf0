//! What goes wrong is told without the secret that it went wrong with.

use std::fs;

use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, scripts, with};

use crate::canary::{Canary, Search};
use crate::ground::{private, words};

const CANARY: &str = "kanaria-klartext-2Wd8Vn5";

async fn check(site: &Site, more: &[&str]) -> Ended {
    let mut run = words(&["check", "trust-repair", "-i"]);
    run.push(site.path("lab.yaml").into());
    run.extend(["--data-dir".into(), site.data().into()]);
    let run = with(run, ["--yes", "-vv"]);
    site.run(with(run, more.iter().copied())).await
}

async fn site() -> Site {
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(vec![PcPlan::new(Scenario::Healthy)]);
    Site::start(options).await
}

fn assert_hidden(ended: &Ended) {
    let search = Search::new([Canary::new("it", CANARY)]);
    search.assert_clean(
        "an error",
        &[ended.stdout.clone(), ended.stderr.clone()].concat(),
    );
}

/// A password in plain text is not repeated by the error that refuses it; what a program prints
/// before it fails is not, either.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_file_and_of_programs_repeat_no_canary() {
    let site = site().await;
    let command = format!("{{command: [sh, -c, 'echo $0; echo $0 >&2; exit 3', {CANARY}]}}");
    for (password, code) in [
        (CANARY.to_owned(), 2),
        (format!("{{file: {CANARY}, command: {CANARY}}}"), 2),
        (command, 1),
    ] {
        let text =
            format!("version: 1\ncredentials:\n  local-admin: {{user: x, password: {password}}}\n");
        fs::write(site.path("credentials.yaml"), text).unwrap();
        let file = site.path("credentials.yaml").display().to_string();
        let ended = check(&site, &["--credentials", &file]).await;
        assert_eq!(ended.code, Some(code), "{}", ended.err());
        assert_hidden(&ended);
    }
}

/// A wrong passphrase, and a password that a PC refuses, are not repeated, either.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_wrong_secrets_repeat_no_canary() {
    let site = site().await;
    private(&site.path("wrong.pw"), CANARY);
    private(&site.path("right.pw"), "kanaria-richtig-6Hq1");
    let path = |name: &str| site.path(name).display().to_string();
    let wrong = path("wrong.pw");
    let vault = path("tresor");
    let lock = |file: &str| ["--passphrase-file".to_owned(), path(file)];
    let init = words(&["vault", "init", &vault]);
    let made = site.run(with(init, lock("right.pw"))).await;
    assert_eq!(made.code, Some(0), "{}", made.err());
    for arguments in [
        &["vault", "list", "-vv", "--vault", &vault][..],
        &["vault", "get", "it", "-vv", "--vault", &vault],
    ] {
        let ended = site.run(with(words(arguments), lock("wrong.pw"))).await;
        assert_ne!(ended.code, Some(0), "{}", ended.err());
        assert_hidden(&ended);
    }
    let ended = check(&site, &["--password-file", &wrong]).await;
    assert_ne!(ended.code, Some(0), "{}", ended.err());
    assert!(ended.err().contains("logon") || ended.out().contains("logon"));
    assert_hidden(&ended);
}
