//! The C# of the scripts compiles, as far back as C# 3, and the part that stores a machine
//! password makes the calls that it should: run by Mono against a stand-in for advapi32.dll.
//!
//! That the real LSA takes them only Windows can prove (docs/unproven.md).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

/// What the scripts of all playbooks include.
fn includes() -> Vec<PathBuf> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let folders = fs::read_dir(&library).unwrap();
    let own = folders.map(|entry| entry.unwrap().path().join("include"));
    let folders = own.chain([library.join("include")]);
    let mut files: Vec<_> = folders
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "ps1"))
        .collect();
    files.sort();
    files
}

/// Every C# text that a file hands to Add-Type.
fn csharp(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let here = Regex::new(r"(?s)Add-Type -TypeDefinition @'\r?\n(.*?)\r?\n'@").unwrap();
    here.captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Tells which of these programs is missing, aloud.
fn lacks(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !has(program));
    if let Some(program) = missing {
        println!("SKIPPED: {test}, because {program} is not installed (Debian: mono-mcs, gcc)");
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

fn compile(sources: &[PathBuf], to: &Path, target: &str) {
    let mut mcs = Command::new("mcs");
    // Windows PowerShell 3.0 compiles with C# 4 at least.
    mcs.args(["-langversion:3", "-warnaserror"])
        .arg(format!("-target:{target}"))
        .arg(format!("-out:{}", to.display()))
        .args(sources);
    done(&mut mcs);
}

#[test]
fn all_csharp_compiles() {
    if lacks("all_csharp_compiles", &["mcs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for text in includes().iter().flat_map(|file| csharp(file)) {
        let source = folder.path().join("type.cs");
        fs::write(&source, text).unwrap();
        compile(&[source], &folder.path().join("type.dll"), "library");
        seen += 1;
    }
    assert!(seen >= 3, "the scripts have lost their C#: {seen}");
}

/// Builds the driver with the stand-in and returns where it is.
fn driver(folder: &Path) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine_secret");
    let library = folder.join("libfake_lsa.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(own.join("fake_lsa.c"));
    done(&mut cc);
    let include = includes()
        .into_iter()
        .find(|file| file.ends_with("machine-secret.ps1"))
        .unwrap();
    let source = folder.join("secret.cs");
    fs::write(&source, &csharp(&include)[0]).unwrap();
    let driver = folder.join("driver.exe");
    compile(&[source, own.join("driver.cs")], &driver, "exe");
    let map = format!(
        "<configuration><dllmap dll=\"advapi32.dll\" target=\"{}\"/></configuration>",
        library.display()
    );
    fs::write(folder.join("driver.exe.config"), map).unwrap();
    driver
}

/// What the stand-in saw, and what the driver was told.
fn run(driver: &Path, how: Option<&str>) -> (String, String) {
    let mut mono = Command::new("mono");
    mono.arg(driver);
    if let Some(how) = how {
        mono.env(how, "1");
    }
    let output = done(&mut mono);
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// The calls of Reset-ComputerMachinePassword, in their order: the secret is created where there
/// is none, else what was in force becomes the previous value. Every handle is closed, and the
/// old password is blanked before its memory goes back.
#[test]
fn a_password_is_stored_by_the_calls_of_the_cmdlet() {
    let test = "a_password_is_stored_by_the_calls_of_the_cmdlet";
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: {test}, because the stand-in is built for Linux");
        return;
    }
    if lacks(test, &["mcs", "mono", "cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let (calls, told) = run(&driver, None);
    let expected = "\
open-policy local=1 attributes=1 access=f0fff
open-secret policy=1 access=3 name=$MACHINE.ACC/24/26
create-secret policy=1 access=1 name=$MACHINE.ACC/24/26
set-secret secret=1 value=first/10/12 old=first/10/12 terminated=1
close 2
close 1
open-policy local=1 attributes=1 access=f0fff
open-secret policy=1 access=3 name=$MACHINE.ACC/24/26
query-secret secret=1 value=1 time=0 old=0 old-time=0
set-secret secret=1 value=second/12/14 old=first/10/10 terminated=1
free blank=1
close 2
close 1
open-policy local=1 attributes=1 access=5
open-secret policy=1 access=2 name=$MACHINE.ACC/24/26
query-secret secret=1 value=0 time=1 old=0 old-time=0
close 2
close 1
";
    assert_eq!(calls, expected);
    let expected = "\
stored=True error=0 calls=0,c0000034,0,,0
stored=True error=0 calls=0,0,,0,0
time=134000000000000000 error=0
full
";
    assert_eq!(told, expected);
}

#[test]
fn a_call_that_fails_is_told_by_its_numbers() {
    let test = "a_call_that_fails_is_told_by_its_numbers";
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: {test}, because the stand-in is built for Linux");
        return;
    }
    if lacks(test, &["mcs", "mono", "cc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let (calls, told) = run(&driver, Some("FAKE_LSA_DENIES"));
    assert!(!calls.contains("secret"), "{calls}");
    assert!(
        told.starts_with("stored=False error=5 calls=c0000022,,,,\n"),
        "{told}"
    );
    let (_, told) = run(&driver, Some("FAKE_LSA_REFUSES"));
    assert!(
        told.starts_with("stored=False error=50 calls=0,c0000034,0,,c00000bb\n"),
        "{told}"
    );
}
