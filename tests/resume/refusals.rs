//! A run is not gone on with where something is wrong, and nothing is done to any PC then.

use super::*;

/// A run that was killed with PCs at work.
async fn cut_run() -> Site {
    let site = site(0.5).await;
    let mut child = site.spawn(run_arguments(&site));
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if site.data().join("journal.sqlite").exists()
            && events(&site)
                .await
                .iter()
                .any(|event| what(event) == "rung-started")
        {
            break;
        }
    }
    child.kill().await.unwrap();
    site
}

/// Waits for what a killed run has left at work, and counts.
async fn quiet(site: &Site) -> Counts {
    let mut before = site.lab.counts();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = site.lab.counts();
        if now == before {
            break;
        }
        before = now;
    }
    before
}

/// Fails as a command that touched nothing.
async fn refused(site: &Site, arguments: Vec<OsString>, words: &[&str]) {
    let before = quiet(site).await;
    let ended = site.run(arguments).await;
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    for word in words {
        assert!(ended.err().contains(word), "{word}: {}", ended.err());
    }
    assert_eq!(site.lab.counts(), before, "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_controller_is_refused_and_the_screen_says_what_is_left() {
    let site = site(0.5).await;
    let mut child = site.spawn(run_arguments(&site));
    site.until_begun().await;
    let second = site.run(resume_arguments(&site)).await;
    assert_eq!(second.code, Some(2), "{}", second.err());
    let words = format!("process {} since", child.id().unwrap());
    assert!(second.err().contains(&words), "{}", second.err());
    let runs = |site: &Site| with(vec!["runs".into(), "--data-dir".into()], [site.data()]);
    assert!(site.run(runs(&site)).await.out().contains("running"));
    child.kill().await.unwrap();

    let listed = site.run(runs(&site)).await;
    assert!(listed.out().contains("  cut  "), "{}", listed.out());
    assert!(
        listed.err().contains("fleetmend resume"),
        "{}",
        listed.err()
    );
    let all: Vec<OsString> = vec!["show".into(), "--data-dir".into()];
    let shown = site.run(with(all, [site.data()])).await;
    assert!(
        shown.err().contains("go on with it: fleetmend resume"),
        "{}",
        shown.err()
    );

    let ended = site.run(resume_arguments(&site)).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    assert!(
        ended.err().contains(" of 16 PCs have no result yet"),
        "{}",
        ended.err()
    );
    refused(&site, resume_arguments(&site), &["no run in", "was cut"]).await;
    let run = ended.json()["summary"]["run"].as_str().unwrap().to_owned();
    let named = with(resume_arguments(&site), [run]);
    refused(&site, named, &["the run has ended", "nothing was touched"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_told_and_nothing_is_done() {
    let site = cut_run().await;
    let path = site.data().join("journal.sqlite");
    // Whoever opens it to write folds the log in.
    let wal = fs::metadata(site.data().join("journal.sqlite-wal"));
    println!("log of {:?} bytes", wal.map(|file| file.len()));
    let all: Vec<PathBuf> = ["journal.sqlite", "journal.sqlite-wal"]
        .map(|name| site.data().join(name))
        .into();
    let whole: Vec<Option<Vec<u8>>> = all.iter().map(|path| fs::read(path).ok()).collect();
    let restore = || {
        for (path, bytes) in all.iter().zip(&whole) {
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let _ = fs::remove_file(site.data().join("journal.sqlite-shm"));
    };
    // Folded into one file by a resume that goes no further than to ask for the password.
    let locked = site.path("directory.pw");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&site, resume_arguments(&site), &["directory.pw"]).await;
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o600)).unwrap();
    let bytes = fs::read(&path).unwrap();
    // Wherever the text stands: pages keep what was moved out of them, and that does not count.
    let all_of = |word: &str, plus: usize| {
        let windows = bytes.windows(word.len()).enumerate();
        let hits = windows.filter(|(_, window)| *window == word.as_bytes());
        let hits: Vec<usize> = hits.map(|(at, _)| at + plus).collect();
        assert!(!hits.is_empty(), "no {word}");
        hits
    };
    for places in [
        all_of("\"what\":\"connected\"", 0),
        all_of("\"diagnose\"", 3),
        all_of("\"playbook\"", 20),
        all_of("pc-002.corp", 5),
        vec![16],
        vec![100],
    ] {
        let at = places[0];
        let mut hurt = bytes.clone();
        for place in places {
            hurt[place] ^= 0x04;
        }
        let _ = fs::remove_file(site.data().join("journal.sqlite-wal"));
        let _ = fs::remove_file(site.data().join("journal.sqlite-shm"));
        fs::write(&path, &hurt).unwrap();
        let ended = site.run(resume_arguments(&site)).await;
        assert_eq!(ended.code, Some(2), "byte {at}: {}", ended.err());
        assert!(
            ended.err().contains("journal"),
            "byte {at}: {}",
            ended.err()
        );
    }
    for length in [0, 50, 4096, bytes.len() / 2, bytes.len() - 4096] {
        fs::write(&path, &bytes[..length]).unwrap();
        refused(&site, resume_arguments(&site), &["journal"]).await;
    }
    restore();
    let ended = site.run(resume_arguments(&site)).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
}

/// The binary with files bounded to so many blocks of 512 bytes: to it, the disk is full.
fn bounded(site: &Site, blocks: u64, arguments: Vec<OsString>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(binary())
        .args(arguments)
        .env_clear()
        .env("HOME", site.path("."))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_run_and_room_lets_it_go_on() {
    let site = site(0.05).await;
    let wanted = {
        let other = self::site(0.05).await;
        other.run(run_arguments(&other)).await.outcomes()
    };
    // Enough for the beginning.
    let child = bounded(&site, 400, run_arguments(&site)).spawn().unwrap();
    let ended = finish(child).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    assert!(
        ended.err().contains("nothing more was done to any PC"),
        "{}",
        ended.err()
    );
    assert!(ended.err().contains("fleetmend resume"), "{}", ended.err());
    let before = quiet(&site).await;
    let child = bounded(&site, 8, resume_arguments(&site)).spawn().unwrap();
    let ended = finish(child).await;
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    assert_eq!(site.lab.counts(), before, "{}", ended.err());

    let ended = site.run(resume_arguments(&site)).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let cut = cut_amid_a_change(&events(&site).await);
    for (host, outcome) in ended.outcomes() {
        assert!(
            outcome == wanted[&host] || cut.contains(&host),
            "{host}: {outcome}"
        );
    }
    assert_nothing_twice(&site, "after a full disk");
}

/// Nobody's number.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_only_be_read_is_told() {
    let site = cut_run().await;
    let is_root = fs::metadata(site.data()).unwrap().uid() == 0;
    let files: Vec<PathBuf> = fs::read_dir(site.data())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let own = |path: &Path, who| {
        if is_root {
            chown(path, Some(who), Some(who)).unwrap();
        }
    };
    for file in &files {
        set(file, 0o400);
        own(file, NOBODY);
    }
    set(&site.data(), 0o500);
    own(&site.data(), NOBODY);
    // Root may write anywhere: nobody asks in its place.
    set(&site.path("."), 0o755);
    fs::copy(binary(), site.path("fleetmend")).unwrap();
    let mut command = tokio::process::Command::new(if is_root {
        PathBuf::from("setpriv")
    } else {
        site.path("fleetmend")
    });
    if is_root {
        let who = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        command
            .args(who)
            .arg("--clear-groups")
            .arg(site.path("fleetmend"));
    }
    let before = quiet(&site).await;
    let output = command
        .args(resume_arguments(&site))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("failed to open the journal"), "{said}");
    assert_eq!(site.lab.counts(), before, "{said}");

    own(&site.data(), 0);
    set(&site.data(), 0o700);
    for file in &files {
        own(file, 0);
        set(file, 0o600);
    }
    let ended = site.run(resume_arguments(&site)).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_that_changed_is_refused() {
    let site = site(0.5).await;
    let folder = site.path("own");
    let export: Vec<OsString> = vec!["playbook".into(), "export".into(), "trust-repair".into()];
    let exported = site.run(with(with(export, ["--to"]), [&folder])).await;
    assert_eq!(exported.code, Some(0), "{}", exported.err());
    let mut arguments = run_arguments(&site);
    let playbook = folder.join("trust-repair.yaml");
    arguments[1] = playbook.clone().into();
    let mut child = site.spawn(arguments);
    site.until_begun().await;
    child.kill().await.unwrap();
    let text = fs::read_to_string(&playbook).unwrap();
    fs::write(&playbook, format!("{text}\n# 変更\n")).unwrap();
    refused(
        &site,
        resume_arguments(&site),
        &["the playbook has changed", "nothing was touched"],
    )
    .await;
    fs::write(&playbook, text).unwrap();
    let ended = site.run(resume_arguments(&site)).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_keeps_the_plan_and_no_password() {
    let site = cut_run().await;
    let mut bytes = fs::read(site.data().join("journal.sqlite")).unwrap();
    bytes.extend(fs::read(site.data().join("journal.sqlite-wal")).unwrap_or_default());
    let is_in = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(is_in("connect_timeout_ms"), "the plan is kept");
    let lab = &site.lab;
    for secret in [
        lab.local_credential(),
        lab.domain_credential(),
        lab.directory_credential(),
    ] {
        assert!(!is_in(secret.password.reveal()), "{}", secret.user);
    }
    // The files that the run read its passwords from are gone: they must be named again.
    fs::rename(site.path("local.pw"), site.path("elsewhere.pw")).unwrap();
    refused(&site, resume_arguments(&site), &["--password-file FILE"]).await;
    let file = site.path("elsewhere.pw");
    let named = with(with(resume_arguments(&site), ["--password-file"]), [file]);
    assert_eq!(site.run(named).await.code, Some(1));
}
