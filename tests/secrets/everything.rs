//! One repair of PCs whose passwords come from everywhere, and everything that it leaves behind
//! or shows on its way.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fleetmend_tests::{binary, with};

use crate::canary::{Canary, Search};
use crate::ground::{DECOY, Ground, PASSPHRASE, SOURCES, Shape, words};
use crate::watch::{Watched, files_below};
use crate::wire;

/// Every place that was looked at, with what it held.
#[derive(Default)]
struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    fn add(&mut self, place: &str, bytes: Vec<u8>) {
        self.0.push((place.to_owned(), bytes));
    }

    fn add_files(&mut self, folder: &Path) {
        let mut files = Vec::new();
        files_below(folder, &mut files);
        for file in files {
            // As long as it runs, some are there for a moment only.
            if let Ok(bytes) = fs::read(&file) {
                self.add(&file.display().to_string(), bytes);
            }
        }
    }

    fn holding(&self, search: &Search) -> Vec<&str> {
        let all = self.0.iter();
        let all = all.filter(|(_, bytes)| !search.found(bytes).is_empty());
        all.map(|(place, _)| place.as_str()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_of_every_source_are_found_nowhere() {
    let keyring = keyring_works();
    if !keyring {
        println!("SKIPPED: a password of the kernel's keyring because keyctl cannot use it here");
    }
    let ground = Ground::lay(Shape {
        typed: true,
        keyring,
        ..Shape::default()
    })
    .await;
    let mut places = Places::default();
    let url = wire::hook(&ground.wire).await;
    let arguments = with(ground.arguments(), ["--notify-webhook", &url]);
    let (shown, watched) = on_a_terminal(&ground, arguments).await;
    let told = String::from_utf8_lossy(&shown).into_owned();
    let finished = told.matches(r#""what":"finished""#).count();
    assert_eq!(finished, SOURCES.len(), "{told}");
    // Each of them was logged on to with its own password: a refused one was LAPS' newer.
    let counts = ground.site.lab.counts();
    assert_eq!(counts.logons_refused, 1, "{told}");
    let repaired = told.matches(r#""class":"repaired""#).count();
    assert!(repaired >= SOURCES.len() - 1, "{repaired} {told}");
    assert!(watched.looks > 10, "looked {} times only", watched.looks);
    assert!(watched.of_others > 10, "no program was seen");
    assert!(told.contains("DEBUG"), "-vv said little: {told}");

    places.add("the run's output", shown);
    places.add("the wire", ground.wire.seen());
    for (place, bytes) in watched.each() {
        places.add(place, bytes.to_vec());
    }
    commands(&ground, &mut places).await;
    places.add_files(&ground.site.data());
    places.add_files(&ground.temporary());
    places.add_files(&ground.site.path("handoff"));
    for pc in ground.site.lab.pcs() {
        let machine = pc.sim.machine();
        places.add(
            &format!("the registry and log of {}", pc.name),
            format!("{:?} {:?}", machine.registry, machine.events).into_bytes(),
        );
        for (name, bytes) in &machine.files {
            places.add(&format!("{name} of {}", pc.name), bytes.clone());
        }
        drop(machine);
        let lines = command_lines(&pc.sim.received());
        assert!(!lines.is_empty(), "{} ran nothing", pc.name);
        places.add(&format!("the command lines of {}", pc.name), lines);
    }

    let made = ground.made();
    assert!(made.len() >= 5, "{} were made", made.len());
    let search = Search::new(ground.canaries().into_iter().chain(made));
    for (place, bytes) in &places.0 {
        search.assert_clean(place, bytes);
    }
    // What was given to PCs is what is looked for, and is found where it has to be.
    let given = ground.site.lab.pcs().iter().map(|pc| pc.sim.received());
    let given = given.collect::<Vec<_>>().concat();
    let given = search.found(&given);
    assert!(given.iter().any(|(what, _)| *what == "domain"), "{given:?}");
    assert!(given.iter().any(|(what, _)| what.starts_with("made for")));
    assert_decoys(&places);
}

/// What may be seen is seen: in each kind of place.
fn assert_decoys(places: &Places) {
    let decoy = Search::new([Canary::new("decoy", DECOY)]);
    let found = places.holding(&decoy);
    for place in [
        "the run's output",
        "audit list",
        "journal.sqlite",
        "environ",
    ] {
        let there = found.iter().any(|found| found.ends_with(place));
        assert!(there, "{place}: {found:?}");
    }
    // The account stands in UTF-16 in base64 in what passed over HTTP.
    let account = Search::new([Canary::new("account", crate::ground::ADMIN)]);
    assert!(account.holding_in(places, "the wire"));
    let temporary = Search::new([Canary::new("argument", "--allow-credential-on-pcs")]);
    let found = places.holding(&temporary);
    assert!(
        found.iter().any(|place| place.ends_with("cmdline")),
        "{found:?}"
    );
    let answered = Search::new([Canary::new("posted", "not_well")]);
    assert!(answered.holding_in(places, "the wire"), "no webhook");
    let bootstrap = Search::new([Canary::new("bootstrap", "-EncodedCommand")]);
    let found = bootstrap_places(&bootstrap, places);
    assert!(found >= SOURCES.len() - 1, "{found}");
}

fn bootstrap_places(search: &Search, places: &Places) -> usize {
    let found = places.holding(search).into_iter();
    found
        .filter(|place| place.starts_with("the command lines of"))
        .count()
}

impl Search {
    fn holding_in(&self, places: &Places, wanted: &str) -> bool {
        places.holding(self).contains(&wanted)
    }
}

/// Runs every command that tells of a run, or of what it would be begun with.
async fn commands(ground: &Ground, places: &mut Places) {
    let site = &ground.site;
    let data = || words(&["--data-dir", &site.data().display().to_string()]);
    let with_data = |call: &[&str]| [words(call), data()].concat();
    let inventory = site.path("lab.yaml").display().to_string();
    let handoff = site.path("handoff").display().to_string();
    let file = site.path("credentials.yaml").display().to_string();
    let pc = &site.lab.pcs()[1].name;
    let mut laps = words(&["directory", "laps", pc.split('.').next().unwrap(), "-vv"]);
    let over = ground.over_all();
    let at = over.iter().position(|word| word == "--directory").unwrap();
    let until = over.iter().position(|word| word == "--connect-timeout");
    laps.extend_from_slice(&over[at..until.unwrap()]);
    let all: [(&str, Vec<OsString>); 12] = [
        ("show", with_data(&["show", "-vv"])),
        ("show json", with_data(&["show", "-o", "json"])),
        ("show jsonl", with_data(&["show", "-o", "jsonl"])),
        ("runs", with_data(&["runs"])),
        ("runs json", with_data(&["runs", "--json"])),
        ("audit list", with_data(&["audit", "list", "-o", "json"])),
        ("audit verify", with_data(&["audit", "verify"])),
        ("audit head", with_data(&["audit", "head"])),
        ("handoff", with_data(&["handoff", "--output", &handoff])),
        (
            "inventory list",
            words(&["inventory", "list", "-i", &inventory, "-vv"]),
        ),
        (
            "inventory list, opened",
            words(&[
                "inventory",
                "list",
                "-vv",
                "-i",
                &inventory,
                "--credentials",
                &file,
            ]),
        ),
        ("directory laps", laps),
    ];
    for (name, call) in all {
        let mut command = site.command(call);
        command.envs(ground.environment());
        let ended = fleetmend_tests::finish(command.spawn().unwrap()).await;
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err());
        places.add(name, ended.stdout);
        places.add(&format!("standard error of {name}"), ended.stderr);
    }
}

/// Returns the lines that began processes on a PC; standard input, which brings secrets, is in
/// base64 and in lines of four words (docs/step-channel.md).
fn command_lines(received: &[u8]) -> Vec<u8> {
    let lines = received.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| line.split(|byte| *byte == b' ').count() != 4);
    lines.collect::<Vec<_>>().join(&b'\n')
}

fn keyring_works() -> bool {
    let script = "echo x | keyctl padd user fleetmend-test @s";
    let tried = std::process::Command::new("keyctl")
        .args(["session", "-", "sh", "-c", script])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Runs the binary on a terminal, where the vault's passphrase is typed, under a keyring of its
/// own. Returns what was shown, and what was seen of it and its programs.
async fn on_a_terminal(ground: &Ground, arguments: Vec<OsString>) -> (Vec<u8>, Watched) {
    let quoted = |word: &OsString| format!("'{}'", word.to_str().unwrap());
    let call: Vec<String> = std::iter::once(binary().into_os_string())
        .chain(arguments)
        .map(|word| quoted(&word))
        .collect();
    let script = ground.site.path("begin.sh");
    let call = call.join(" ");
    let text = match ground.shape.keyring {
        true => {
            let secret = ground.site.path("secret/bund.pw");
            let put = format!(
                "keyctl padd user keyring:bund@fleetmend-test @s <'{}' >/dev/null",
                secret.display()
            );
            let inner = ground.site.path("inner.sh");
            fs::write(&inner, format!("{put}\nexec {call}\n")).unwrap();
            format!("exec keyctl session - sh '{}'\n", inner.display())
        }
        false => format!("exec {call}\n"),
    };
    fs::write(&script, text).unwrap();
    let mut child = std::process::Command::new("script")
        .args(["-qefc", &format!("sh '{}'", script.display()), "/dev/null"])
        .env_clear()
        .env("HOME", ground.site.path(""))
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .envs(ground.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        let mut part = [0; 16_384];
        let mut answered = false;
        while let Ok(count @ 1..) = output.read(&mut part) {
            shown.extend_from_slice(&part[..count]);
            let asked = String::from_utf8_lossy(&shown).contains("the passphrase of the vault");
            if asked && !answered {
                answered = true;
                // The echo goes off only after the question stands there.
                std::thread::sleep(Duration::from_millis(700));
                input.write_all(PASSPHRASE.as_bytes()).unwrap();
                input.write_all(b"\n").unwrap();
            }
        }
        shown
    });
    let mut watched = Watched::default();
    let temporary = ground.temporary();
    while !reading.is_finished() {
        watched.look(id, &temporary);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.wait().unwrap();
    (reading.await.unwrap(), watched)
}
