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

const CANARIES: [&str; 2] = ["kanaria-local-8Q2x7Lw", "kanaria-domain-5Zr9Tk3"];

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
