//! A lab in one process, commands over it in others.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Out, command, run};

/// A lab of a few PCs whose work takes no time.
struct Lab {
    process: Child,
    folder: tempfile::TempDir,
}

impl Lab {
    fn up(pcs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = command()
            .args(["lab", "up", pcs, "--pace", "0", "--to"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.trim_end() != folder.path().join("inventory.yaml").display().to_string() {
            let _ = process.kill();
            let mut stderr = String::new();
            process
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut stderr)
                .unwrap();
            panic!("the lab did not come up: {line}{stderr}");
        }
        Self { process, folder }
    }

    /// Returns the command that the lab says to try, as a shell would read it.
    fn suggestion(&mut self) -> Vec<String> {
        let mut said = BufReader::new(self.process.stderr.take().unwrap()).lines();
        let mut said = said.by_ref().map(Result::unwrap);
        said.find(|line| line.contains("Try, in another terminal:"));
        let command = said.by_ref().skip(1).take_while(|line| !line.is_empty());
        let command: Vec<String> = command.collect();
        let words = command.iter().flat_map(|line| line.split_whitespace());
        words
            .filter(|word| *word != "\\")
            .map(|word| word.trim_matches('\'').to_owned())
            .collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, command_name: &str, args: &[&str], last: &[&str]) -> Out {
        run(command()
            .args(command_name.split(' '))
            .arg("-i")
            .arg(self.path("inventory.yaml"))
            .arg("--data-dir")
            .arg(self.path("data"))
            .args([
                "--password-file".as_ref(),
                self.path("local-admin.password").as_os_str(),
            ])
            .args(args)
            .args(last))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn secret(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

#[test]
fn a_command_by_hand_shows_output_and_exit_code() {
    let lab = Lab::up("3");
    let out = lab.run(
        "exec",
        &["--limit", "pc-001*"],
        &["--", "nltest", "/sc_query:corp.example.jp"],
    );
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(
        out.stdout.starts_with("pc-001.corp.example.jp: exit 0\n"),
        "{}",
        out.text()
    );
    assert!(
        out.stdout.contains("Status = 0 0x0 NERR_Success"),
        "{}",
        out.text()
    );
    assert!(out.stderr.contains("log on as "), "{}", out.stderr);

    let out = lab.run(
        "exec",
        &["--output", "json"],
        &["--", "nltest", "/sc_query:corp.example.jp"],
    );
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["summary"]["mode"], "exec");
    assert_eq!(
        document["summary"]["subject"],
        "nltest /sc_query:corp.example.jp"
    );
    assert_eq!(document["hosts"].as_array().unwrap().len(), 3);
    for host in document["hosts"].as_array().unwrap() {
        assert_eq!(host["exec"]["exit_code"], 0, "{host}");
    }
}

#[test]
fn a_check_changes_nothing_and_a_run_mends() {
    let lab = Lab::up("2");
    let check = || lab.run("check trust-repair", &["--yes", "--output", "json"], &[]);
    let ends = |out: &Out| -> Vec<String> {
        let document: Value = serde_json::from_str(&out.stdout).unwrap();
        let hosts = document["hosts"].as_array().unwrap().iter();
        hosts
            .map(|host| host["outcome"]["class"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = check();
    assert_eq!(first.code, 1, "{}", first.text());
    assert!(first.stderr.contains("nothing on any PC is changed"));
    assert_eq!(ends(&first), ["healthy", "would-repair"]);
    assert_eq!(ends(&check()), ends(&first));

    // Without the domain account the rung that would help is not available, and it is said.
    let out = lab.run("run trust-repair", &["--yes", "--output", "json"], &[]);
    assert!(
        out.stderr.contains("(needs --domain-user USER)"),
        "{}",
        out.stderr
    );
    assert_eq!(ends(&out), ["healthy", "blocked"], "{}", out.text());
    assert_eq!(out.code, 1);

    let domain = lab.path("domain.password");
    let with_account = [
        "--yes",
        "--output",
        "json",
        "--allow-credential-on-pcs",
        "--domain-user",
        r"CORP\trust-repair",
        "--domain-password-file",
        domain.to_str().unwrap(),
    ];
    let out = lab.run("run trust-repair", &with_account, &[]);
    assert_eq!(ends(&out), ["healthy", "repaired"], "{}", out.text());
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(
        out.stderr
            .contains(r"the password of CORP\trust-repair reaches PCs")
    );

    // The passwords are nowhere: not in what was said, not in the journal.
    let mut journal = Vec::new();
    for file in std::fs::read_dir(lab.path("data")).unwrap() {
        journal.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    for password in [secret(&domain), secret(&lab.path("local-admin.password"))] {
        assert!(password.len() > 8);
        assert!(!out.text().contains(&password));
        assert!(
            !journal
                .windows(password.len())
                .any(|bytes| bytes == password.as_bytes())
        );
    }

    let runs = run(command().args(["runs", "--data-dir"]).arg(lab.path("data")));
    assert_eq!(runs.stdout.lines().count(), 4, "{}", runs.text());
    let again = run(command()
        .args(["show", "--output", "json", "--data-dir"])
        .arg(lab.path("data")));
    assert_eq!(again.stdout, out.stdout);
}

#[cfg(unix)]
#[test]
fn what_the_lab_suggests_repairs_without_a_domain_password_on_a_pc() {
    let mut lab = Lab::up("2");
    let suggested = lab.suggestion();
    assert_eq!(suggested[..3], ["fleetmend", "run", "trust-repair"]);
    let out = run(command()
        .args(&suggested[1..])
        .args(["--yes", "--output", "json", "--data-dir"])
        .arg(lab.path("data")));
    assert_eq!(out.code, 0, "{suggested:?}\n{}", out.text());
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    let rungs: Vec<&str> = document["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|host| host["outcome"]["rung"].as_str())
        .collect();
    assert_eq!(rungs, ["machine-password-reset"], "{}", out.text());
    assert!(out.stderr.contains("no domain password reaches any PC"));

    // The same directory lists the computers, and tells the one account what LAPS keeps.
    let directory = |user: &str, password: &str| {
        let at = suggested
            .iter()
            .position(|word| word == "--directory")
            .unwrap();
        let mut words = suggested[at..].to_vec();
        let mut set = |name: &str, value: String| {
            let at = words.iter().position(|word| word == name).unwrap();
            words[at + 1] = value;
        };
        set("--directory-user", user.to_owned());
        set(
            "--directory-password-file",
            lab.path(password).display().to_string(),
        );
        words
    };
    let imported = run(command()
        .args(["inventory", "import"])
        .args(directory(r"CORP\svc-laps", "laps.password")));
    assert_eq!(imported.code, 0, "{}", imported.text());
    for wanted in ["pc-001.corp.example.jp", "Windows 11 Pro", "経理部"] {
        assert!(
            imported.stdout.contains(wanted),
            "no {wanted}: {}",
            imported.stdout
        );
    }
    let laps = |user: &str, password: &str| {
        let words = directory(user, password);
        run(command()
            .args(["directory", "laps", "PC-001", "--reveal"])
            .arg("--data-dir")
            .arg(lab.path("data"))
            .args(words))
    };
    let local = secret(&lab.path("local-admin.password"));
    let told = laps(r"CORP\svc-laps", "laps.password");
    assert!(told.stdout.contains(&local), "{}", told.text());
    let told = laps(r"CORP\svc-directory", "directory.password");
    assert!(
        !told.text().contains(&local) && told.code != 0,
        "{}",
        told.text()
    );
}

#[test]
fn a_failed_notification_is_shown_and_changes_nothing() {
    let lab = Lab::up("1");
    let out = lab.run(
        "check trust-repair",
        &[
            "--yes",
            "--notify-webhook",
            "http://127.0.0.1:1/hooks/canary-token",
        ],
        &[],
    );
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(
        out.stderr.contains("warning: failed to notify 127.0.0.1"),
        "{}",
        out.stderr
    );
    assert!(!out.stderr.contains("canary-token"), "{}", out.stderr);
}

#[test]
fn debug_logs_name_no_password() {
    let lab = Lab::up("1");
    let out = lab.run("check trust-repair", &["--yes", "-vv"], &[]);
    assert!(out.stderr.contains("DEBUG fleetmend_"), "{}", out.stderr);
    assert!(
        !out.stderr
            .contains(&secret(&lab.path("local-admin.password")))
    );
    assert!(!out.stderr.contains("sspi"), "{}", out.stderr);
}

#[test]
fn a_notification_is_posted_once_and_no_redirect_is_followed() {
    let lab = Lab::up("2");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_request(&mut stream);
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{address}/elsewhere\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);
        // Whoever followed the redirect would come now.
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        (request, listener.accept().is_ok())
    });
    let url = format!("http://{address}/hooks/token");
    let out = lab.run(
        "check trust-repair",
        &["--yes", "--notify-webhook", &url],
        &[],
    );
    let (request, came_again) = server.join().unwrap();
    assert!(
        request.starts_with("POST /hooks/token HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(!came_again);
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["format"], "fleetmend-summary/1");
    assert_eq!(
        body["text"],
        "fleetmend trust-repair ended: 1 of 2 PCs well"
    );
    assert_eq!(body["not_well"][0]["outcome"]["class"], "would-repair");
    assert!(out.stderr.contains("it answered 302"), "{}", out.stderr);
    assert_eq!(out.code, 1);
}

/// Reads a request with its body, whose length its header tells.
fn read_request(stream: &mut std::net::TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if count == 0 || body.len() >= length {
            return text;
        }
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_in_good_order() {
    let lab = Lab::up("24");
    let domain = lab.path("domain.password");
    let mut run = command()
        .args(["run", "trust-repair", "--yes", "--output", "json", "-i"])
        .arg(lab.path("inventory.yaml"))
        .arg("--data-dir")
        .arg(lab.path("data"))
        .arg("--password-file")
        .arg(lab.path("local-admin.password"))
        .args([
            "--allow-credential-on-pcs",
            "--domain-user",
            r"CORP\trust-repair",
        ])
        .arg("--domain-password-file")
        .arg(domain)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    // Twice: once PCs end, steps and waits of others are in full swing.
    for mark in ["[ 3/24]", "stopping"] {
        let mut line = String::new();
        while !line.contains(mark) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no {mark}");
        }
        let kill = std::process::Command::new("kill")
            .args(["-INT", &run.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let output = run.wait_with_output().unwrap();
    let rest = rest.join().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["summary"]["interrupted"], true);
    assert_eq!(document["summary"]["unfinished"], 0);
    let hosts = document["hosts"].as_array().unwrap();
    assert!(
        hosts.iter().all(|host| host["outcome"].is_object()),
        "{rest}"
    );
}
