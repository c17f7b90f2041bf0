//! OpenLDAP's tools, where they are installed.

use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::common::{Bench, HEAD, PASSWORD, bench};

async fn ldapsearch(bench: &Bench, plain: bool, arguments: &[&str]) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let (ca, secret) = (folder.path().join("ca.pem"), folder.path().join("secret"));
    std::fs::write(&ca, &bench.ca).unwrap();
    std::fs::write(&secret, PASSWORD).unwrap();
    let url = if plain {
        format!("ldap://{}", bench.server.ldap())
    } else {
        format!("ldaps://{}", bench.server.ldaps())
    };
    let told = Command::new("ldapsearch")
        .args([
            "-x",
            "-LLL",
            "-o",
            "ldif-wrap=no",
            "-o",
            "nettimeout=10",
            "-H",
            &url,
        ])
        .args(["-D", "svc-none@corp.example.jp", "-y"])
        .arg(&secret)
        .args(arguments)
        .env("LDAPTLS_CACERT", &ca)
        .stdin(Stdio::null())
        .output()
        .await;
    match told {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(&format!(
                "SKIPPED: ldapsearch against the lab's directory because {error}"
            ));
            None
        }
    }
}

#[tokio::test]
async fn ldapsearch_reads_computers() {
    let bench = bench().await;
    for (plain, start_tls) in [(false, None), (true, Some("-ZZ"))] {
        let mut arguments: Vec<&str> = start_tls.into_iter().collect();
        arguments.extend([
            "-b",
            HEAD,
            "-E",
            "pr=2/noprompt",
            "(objectCategory=computer)",
            "cn",
        ]);
        let Some(told) = ldapsearch(&bench, plain, &arguments).await else {
            return;
        };
        let (out, err) = (
            String::from_utf8_lossy(&told.stdout),
            String::from_utf8_lossy(&told.stderr),
        );
        assert!(told.status.success(), "{out}\n{err}");
        let names: Vec<_> = out
            .lines()
            .filter_map(|line| line.strip_prefix("cn: "))
            .collect();
        assert_eq!(
            names,
            ["PC-001", "PC-002", "PC-003", "PC-004", "PC-005"],
            "{out}"
        );
    }
}

#[tokio::test]
async fn ldapsearch_is_told_what_is_wrong() {
    let bench = bench().await;
    let Some(told) = ldapsearch(&bench, true, &["-b", HEAD]).await else {
        return;
    };
    // Its exit status is the result code: strongerAuthRequired.
    assert_eq!(told.status.code(), Some(8), "{told:?}");
    let missing = format!("OU=無い,{HEAD}");
    let told = ldapsearch(&bench, false, &["-b", &missing]).await.unwrap();
    assert_eq!(told.status.code(), Some(32), "{told:?}");
    let told = ldapsearch(&bench, false, &["-b", HEAD, "-E", "!1.2.3"])
        .await
        .unwrap();
    assert!(!told.status.success());
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    println!("{why}");
}
