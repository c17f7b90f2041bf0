//! The C# that joins PCs and makes blobs makes the calls that it should: run by Mono against a
//! stand-in for the libraries of Windows.
//!
//! That the real ones take them only Windows can prove (docs/unproven.md).
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LIBRARIES: [&str; 3] = ["advapi32.dll", "kernel32.dll", "netapi32.dll"];

fn lacks(programs: &[&str]) -> bool {
    let has = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let missing = programs.iter().find(|program| !has(program));
    if let Some(program) = missing {
        println!("SKIPPED: membership, because {program} is not installed (Debian: mono-mcs, gcc)");
    }
    missing.is_some()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Returns the C# that an include hands to Add-Type, as a file.
fn csharp(folder: &Path, name: &str) -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library/trust-repair/include");
    let text = fs::read_to_string(library.join(format!("{name}.ps1"))).unwrap();
    let (_, rest) = text.split_once("Add-Type -TypeDefinition @'\n").unwrap();
    let (source, _) = rest.split_once("\n'@").unwrap();
    let file = folder.join(format!("{name}.cs"));
    fs::write(&file, source).unwrap();
    file
}

fn driver(folder: &Path) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/membership");
    let library = folder.join("libfake_windows.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library);
    done(cc.arg(own.join("fake_windows.c")));
    let driver = folder.join("driver.exe");
    let mut mcs = Command::new("mcs");
    mcs.args(["-langversion:3", "-warnaserror", "-target:exe"]);
    mcs.arg(format!("-out:{}", driver.display()));
    mcs.args(["membership", "provision"].map(|name| csharp(folder, name)));
    done(mcs.arg(own.join("driver.cs")));
    let maps = LIBRARIES.map(|name| {
        let target = library.display();
        format!("<dllmap dll=\"{name}\" target=\"{target}\"/>")
    });
    let map = format!("<configuration>{}</configuration>", maps.concat());
    fs::write(folder.join("driver.exe.config"), map).unwrap();
    driver
}

fn run(driver: &Path, how: Option<(&str, &str)>) -> (String, String) {
    let mut mono = Command::new("mono");
    mono.arg(driver).envs(how);
    let output = done(&mut mono);
    // The stand-in writes characters as bytes.
    let text = output.stdout.iter().map(|byte| char::from(*byte)).collect();
    (text, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn pcs_are_joined_by_the_calls_that_the_page_names() {
    if lacks(&["mono", "mcs", "cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let (calls, told) = run(&driver, None);
    let where_to = r"server=null domain=example.jp\dc01.example.jp";
    let by = r"account=EXAMPLE\join password=päss";
    let expected = [
        format!("join {where_to} unit=null {by} options=23"),
        format!("join {where_to} unit=OU=PCs {by} options=3"),
        "unjoin server=null account=null password=null options=0".to_owned(),
        "join server=null domain=WORKGROUP unit=null account=null password=null options=0"
            .to_owned(),
        r"request bytes=00ff7f80 options=40000000 windows=C:\Windows".to_owned(),
        r"request bytes=00ff7f8001 options=40000000 windows=C:\Windows".to_owned(),
        r"request bytes=00ff7f800102 options=40000000 windows=C:\Windows".to_owned(),
        r"request bytes=00ff7f800102 options=40000000 windows=C:\Windows".to_owned(),
        // No call is made for what is no blob. 9 are new credentials, 3 is Windows NT 5.0.
        "logon name=join domain=EXAMPLE password=x kind=9 provider=3".to_owned(),
        "impersonate token=1".to_owned(),
        "provision domain=example.jp machine=PC-001 unit=null dc=dc01.example.jp options=2 blob=0 bytes=0"
            .to_owned(),
        "revert".to_owned(),
        "free blank=1".to_owned(),
        "close token=1".to_owned(),
        "logon name=join@example.jp domain=null password=x kind=9 provider=3".to_owned(),
        "impersonate token=1".to_owned(),
        "provision domain=example.jp machine=PC-001 unit=null dc=dc01.example.jp options=2 blob=0 bytes=0"
            .to_owned(),
        "revert".to_owned(),
        "free blank=1".to_owned(),
        "close token=1".to_owned(),
    ];
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
    assert!(told.contains("request=2713\nno-blob=13\n"), "{told}");
    assert!(told.ends_with("logon=0 code=0 made=BLOB=\n"), "{told}");
}

/// Steps answer codes; and whoever was impersonated is not any more.
#[test]
fn a_call_that_fails_is_told_by_its_number() {
    if lacks(&["mono", "mcs", "cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let (_, told) = run(&driver, Some(("FAKE_JOIN", "2732")));
    assert!(told.starts_with("in-place=2732\njoin=2732\n"), "{told}");
    let (calls, told) = run(&driver, Some(("FAKE_PROVISION", "8557")));
    assert!(told.ends_with("logon=0 code=8557 made=\n"), "{told}");
    assert!(calls.ends_with("revert\nclose token=1\n"), "{calls}");
}
