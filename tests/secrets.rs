//! Canary passwords are found nowhere: not in the journal, standard output, standard error at
//! `-vv`, command lines, environments, nor in the clear on the wire.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::{Secret, TransportKind};
use fleetmend_tests::{Site, finish, scripts, with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Of the PCs, of the domain, of a vault entry that nobody asks for, of a password in plain text.
const CANARIES: [&str; 4] = [
    "kanaria-local-8Q2x7Lw",
    "kanaria-domain-5Zr9Tk3",
    "kanaria-tresor-4Jh6Pm1",
    "kanaria-klartext-2Wd8Vn5",
];
/// Is meant to be seen: were it found nowhere, neither would the others be.
const DECOY: &str = "sperling-9Bq3Ys7";

/// Every form in which a password could lie about: as it is, as UTF-16LE, and either in base64 at
/// each of the three alignments.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![secret.as_bytes().to_vec(), utf16.clone()];
    for plain in [secret.as_bytes(), &utf16] {
        for shift in 0..3 {
            let mut padded = vec![0; shift];
            padded.extend_from_slice(plain);
            let encoded = base64(&padded);
            // The first and last group hold foreign bits.
            forms.push(encoded[4..encoded.len() - 4].to_vec());
        }
    }
    forms
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        text.extend([18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize]));
    }
    text
}

fn assert_clean(place: &str, bytes: &[u8]) {
    for canary in CANARIES {
        for form in forms(canary) {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{canary} is in {place}");
        }
    }
}

/// Forwards a port and keeps everything that passed.
async fn tap(to: SocketAddr, seen: Arc<Mutex<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(forward(near_read, far_write, Arc::clone(&seen)));
            tokio::spawn(forward(far_read, near_write, Arc::clone(&seen)));
        }
    });
    address
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        seen.lock().unwrap().extend_from_slice(&buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for form in forms(CANARIES[0]) {
        let mut haystack = b"before ".to_vec();
        haystack.extend(form);
        haystack.extend(b" after");
        assert!(std::panic::catch_unwind(|| assert_clean("a haystack", &haystack)).is_err());
    }
    assert_clean("an empty place", b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_are_found_nowhere() {
    let plans = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ]
    .into_iter()
    .flat_map(|transport| {
        [
            Scenario::PasswordMismatch,
            Scenario::WrongLocalPassword,
            Scenario::RepairCutShort,
        ]
        .map(|scenario| PcPlan::new(scenario).over(transport).japanese())
    })
    .collect();
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(plans);
    options.local_password = Some(Secret::new(CANARIES[0].to_owned()));
    options.domain_password = Some(Secret::new(CANARIES[1].to_owned()));
    let site = Site::start(options).await;

    // Everything over plain HTTP passes a tap.
    let wire = Arc::new(Mutex::new(Vec::new()));
    let mut inventory = fs::read_to_string(site.path("lab.yaml")).unwrap();
    for pc in site
        .lab
        .pcs()
        .iter()
        .filter(|pc| pc.transport == TransportKind::WinrmHttp)
    {
        let tapped = tap(pc.address, Arc::clone(&wire)).await;
        let old = format!("{}:", pc.name);
        assert!(inventory.contains(&old), "{inventory}");
        inventory = redirect(&inventory, &pc.address, &tapped);
    }
    fs::write(site.path("lab.yaml"), inventory).unwrap();

    let child = site.spawn(with(site.run_arguments(), ["--output", "jsonl", "-vv"]));
    let id = child.id().unwrap();
    let ended = {
        let watched = tokio::spawn(finish(child));
        let mut looks = 0;
        while !watched.is_finished() {
            for name in ["cmdline", "environ"] {
                if let Ok(bytes) = fs::read(format!("/proc/{id}/{name}")) {
                    looks += usize::from(!bytes.is_empty());
                    assert_clean(&format!("/proc/{id}/{name}"), &bytes);
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(
            looks > 10 || !cfg!(target_os = "linux"),
            "looked {looks} times only"
        );
        watched.await.unwrap()
    };
    assert!(
        ended.err().len() > 1_000,
        "-vv said little: {}",
        ended.err()
    );
    assert_clean("standard output", &ended.stdout);
    assert_clean("standard error", &ended.stderr);
    let mut files = Vec::new();
    files_below(&site.data(), &mut files);
    assert!(!files.is_empty(), "no journal");
    for file in files {
        assert_clean(&file.display().to_string(), &fs::read(&file).unwrap());
    }

    let wire = wire.lock().unwrap();
    assert!(
        wire.windows(9).any(|part| part == b"Negotiate"),
        "the tap saw nothing"
    );
    assert!(wire.len() > 20_000, "{}", wire.len());
    assert_clean("the wire", &wire);
    let repaired = site
        .lab
        .pcs()
        .iter()
        .filter(|pc| pc.expected.class().is_well())
        .count();
    assert!(
        ended.out().matches(r#""class":"repaired""#).count() >= repaired,
        "{}",
        ended.out()
    );
}

/// The same where secrets come from credentials.yaml: from a vault and from a program.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn canaries_of_other_sources_are_found_nowhere() {
    let kinds = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let scenarios = [Scenario::PasswordMismatch, Scenario::WrongLocalPassword];
    let plans = kinds
        .into_iter()
        .flat_map(|kind| scenarios.map(|scenario| PcPlan::new(scenario).over(kind).japanese()));
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(plans.collect());
    options.local_password = Some(Secret::new(CANARIES[0].to_owned()));
    options.domain_password = Some(Secret::new(CANARIES[1].to_owned()));
    let site = Site::start(options).await;
    make_vault(&site).await;
    let user = &site.lab.local_credential().user;
    let domain_user = &site.lab.domain_credential().user;
    let file = site.path("domain.pw").display().to_string();
    let text = format!(
        "version: 1\nvaults:\n  default: {{file: tresor, key_file: key}}\ncredentials:\n  \
         local-admin: {{user: '{user}', password: {{vault: local-admin}}}}\n  \
         {DECOY}: {{user: '{domain_user}', password: {{command: [sh, -c, 'sleep 0.2; cat \"$0\"', '{file}']}}}}\n\
         playbook: {{domain_credential: {DECOY}}}\n"
    );
    fs::write(site.path("credentials.yaml"), text).unwrap();
    let temporary = site.path("tmp");
    fs::create_dir(&temporary).unwrap();

    let mut run = words(&["run", "trust-repair", "-i"]);
    run.push(site.path("lab.yaml").into());
    run.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
    run.extend(["--data-dir".into(), site.data().into()]);
    let more = [
        "--connect-timeout",
        "3s",
        "--allow-credential-on-pcs",
        "--yes",
        "-vv",
    ];
    let mut command = site.command(with(with(run, more), ["--output", "jsonl"]));
    let child = command.env("TMPDIR", &temporary).spawn().unwrap();
    let ended = watched(child).await;
    let out = ended.out();
    assert!(
        out.matches(r#""class":"repaired""#).count() >= 3,
        "{out} {}",
        ended.err()
    );
    assert_clean("standard output", &ended.stdout);
    assert_clean("standard error", &ended.stderr);

    let mut artefacts = vec![("the run's output", ended.stdout.clone())];
    for (name, arguments) in [
        ("show", &["show", "-o", "json"][..]),
        ("runs", &["runs"]),
        ("audit list", &["audit", "list", "-o", "json"]),
        ("audit verify", &["audit", "verify"]),
    ] {
        let all = with(words(arguments), ["--data-dir"]);
        let ended = site.run(with(all, [site.data()])).await;
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err());
        assert_clean(name, &ended.stderr);
        artefacts.push((name, ended.stdout));
    }
    let mut handoff = words(&["handoff", "--output"]);
    handoff.push(site.path("handoff").into());
    handoff.extend(["--data-dir".into(), site.data().into()]);
    let ended = site.run(handoff).await;
    assert_clean("the hand-off", &[ended.stdout, ended.stderr].concat());
    for folder in [site.data(), site.path("handoff"), temporary] {
        let mut files = Vec::new();
        if folder.exists() {
            files_below(&folder, &mut files);
        }
        for file in files {
            assert_clean(&file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
    let journal = fs::read(site.data().join("journal.sqlite")).unwrap();
    artefacts.push(("the journal", journal));
    for (place, bytes) in &artefacts {
        assert_clean(place, bytes);
    }
    let decoys = artefacts.iter().filter(|(_, bytes)| {
        let mut windows = bytes.windows(DECOY.len());
        windows.any(|window| window == DECOY.as_bytes())
    });
    let decoys: Vec<&str> = decoys.map(|(place, _)| *place).collect();
    assert_eq!(decoys, ["the run's output", "audit list", "the journal"]);
}

/// A password in plain text is not repeated by the error that refuses it; what a program prints
/// before it fails is not, either.
#[tokio::test(flavor = "multi_thread")]
async fn errors_repeat_no_canary() {
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(vec![PcPlan::new(Scenario::Healthy)]);
    let site = Site::start(options).await;
    let canary = CANARIES[3];
    for (password, code) in [
        (canary.to_owned(), 2),
        (format!("{{file: {canary}, command: {canary}}}"), 2),
        (
            format!(
                "{{command: [sh, -c, 'echo {}; echo {} >&2; exit 3']}}",
                "$0", "$0"
            ),
            1,
        ),
    ] {
        let text =
            format!("version: 1\ncredentials:\n  local-admin: {{user: x, password: {password}}}\n");
        let text = text.replace("exit 3']", &format!("exit 3', {canary}]"));
        fs::write(site.path("credentials.yaml"), text).unwrap();
        let mut run = words(&["check", "trust-repair", "-i"]);
        run.push(site.path("lab.yaml").into());
        run.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
        run.extend(["--data-dir".into(), site.data().into()]);
        let ended = site.run(with(run, ["--yes", "-vv"])).await;
        assert_eq!(ended.code, Some(code), "{}", ended.err());
        assert_clean("an error", &[ended.stdout, ended.stderr].concat());
    }
}

fn words(words: &[&str]) -> Vec<std::ffi::OsString> {
    words.iter().map(Into::into).collect()
}

/// A vault that a key opens, with the password of the PCs and one that nobody asks for.
#[cfg(target_os = "linux")]
async fn make_vault(site: &Site) {
    fs::write(site.path("spare.pw"), CANARIES[2]).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(site.path("spare.pw"), private).unwrap();
    let (vault, key) = (site.path("tresor"), site.path("key"));
    let mut init = words(&["vault", "init"]);
    init.push(vault.clone().into());
    init.extend(["--key-file".into(), key.clone().into()]);
    let made = site.run(init).await;
    assert_eq!(made.code, Some(0), "{}", made.err());
    for (entry, file) in [("local-admin", "local.pw"), ("spare", "spare.pw")] {
        let mut set = words(&["vault", "set", entry, "--password-file"]);
        set.push(site.path(file).into());
        set.extend(["--vault".into(), vault.clone().into()]);
        set.extend(["--key-file".into(), key.clone().into()]);
        let made = site.run(set).await;
        assert_eq!(made.code, Some(0), "{}", made.err());
        assert_clean("the vault's output", &[made.stdout, made.stderr].concat());
    }
    assert_clean("the vault", &fs::read(vault).unwrap());
}

/// Waits for the process, and looks meanwhile at the command lines and environments of it and of
/// all that it starts.
#[cfg(target_os = "linux")]
async fn watched(child: tokio::process::Child) -> fleetmend_tests::Ended {
    let id = child.id().unwrap();
    let watched = tokio::spawn(finish(child));
    let (mut looks, mut children) = (0, 0);
    while !watched.is_finished() {
        for process in family(id) {
            for name in ["cmdline", "environ"] {
                let place = format!("/proc/{process}/{name}");
                if let Ok(bytes) = fs::read(&place) {
                    looks += usize::from(!bytes.is_empty());
                    children += usize::from(process != id && !bytes.is_empty());
                    assert_clean(&place, &bytes);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(looks > 10, "looked {looks} times only");
    assert!(children > 0, "no program was seen that it started");
    watched.await.unwrap()
}

/// A process and all below it.
#[cfg(target_os = "linux")]
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let tasks = fs::read_dir(format!("/proc/{parent}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    all
}

/// Points the PC at `old` to `new` in an inventory of the lab.
fn redirect(inventory: &str, old: &SocketAddr, new: &SocketAddr) -> String {
    let at = inventory.find(&old.ip().to_string()).unwrap();
    let (before, after) = inventory.split_at(at);
    let after = after
        .replacen(&old.ip().to_string(), &new.ip().to_string(), 1)
        .replacen(
            &format!("port: {}", old.port()),
            &format!("port: {}", new.port()),
            1,
        );
    format!("{before}{after}")
}
