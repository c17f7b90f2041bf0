//! What a rule of Windows' firewall is worth for whoever wants back in: the C# of
//! `trust-repair/include/firewall.ps1`, run by Mono.
//!
//! Rules are written as the registry has them; that COM tells them so only Windows can prove
//! (docs/unproven.md, J5).
#![expect(clippy::print_stdout, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Listener, port, what the rule is worth, the rule.
const RULES: &[(&str, u16, &str, &str)] = &[
    // Windows' own for WinRM, and what administrators write.
    (
        "System",
        5985,
        "admits",
        "Action=Allow|Protocol=6|LPort=5985|App=System|",
    ),
    (
        "System",
        5986,
        "admits",
        "Action=Allow|Protocol=6|LPort2_10=5985-5986|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5986|App=System|",
    ),
    (
        "sshd.exe",
        22,
        "admits",
        "Action=Allow|Protocol=6|LPort=22|App=C:\\Windows\\system32\\OpenSSH\\sshd.exe|",
    ),
    (
        "sshd.exe",
        22,
        "admits",
        "Action=Allow|Protocol=6|LPort=22|Svc=sshd|",
    ),
    (
        "sshd.exe",
        22,
        "admits",
        "Action=Allow|Protocol=6|LPort=22|",
    ),
    // Store apps have such rules on every client, by default.
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|LUOwn=S-1-5-21-1-2-3-1001|AppPkgId=S-1-15-2-1|",
    ),
    (
        "sshd.exe",
        22,
        "nothing",
        "Action=Allow|LUOwn=S-1-5-21-1-2-3-1001|AppPkgId=S-1-15-2-1|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|AppPkgId=S-1-15-2-1|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|LUOwn=S-1-5-21-1-2-3-1001|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|LUAuth=O:LSD:(A;;CC;;;S-1-5-84-0-0-0-0-0)|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|RUAuth=O:LSD:(A;;CC;;;BA)|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|RMAuth=O:LSD:(A;;CC;;;DC)|",
    ),
    // Wi-Fi Direct's names no port; what makes it harmless is not told.
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|App=System|TTK2_27=WFDKmDriver|",
    ),
    ("System", 5985, "nothing", "Action=Allow|"),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=*|",
    ),
    // Other services, other programs, other protocols.
    (
        "System",
        135,
        "nothing",
        "Action=Allow|Protocol=6|LPort=RPC|App=C:\\Windows\\system32\\svchost.exe|Svc=RPCSS|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|App=C:\\Windows\\system32\\svchost.exe|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|Svc=WinRM|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|Svc=*|",
    ),
    (
        "System",
        22,
        "nothing",
        "Action=Allow|Protocol=6|LPort=22|App=C:\\Windows\\system32\\OpenSSH\\sshd.exe|",
    ),
    (
        "sshd.exe",
        22,
        "nothing",
        "Action=Allow|Protocol=6|LPort=22|App=C:\\sshd.exe.old|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=17|LPort=5985|",
    ),
    // Only some of those who come.
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|RPort=1024|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|LA4=192.0.2.1|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|IFType=Wireless|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|IF={1}|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Allow|Protocol=6|LPort=5985|Security=Authenticate|",
    ),
    // One that blocks counts however it is limited, unless it is about another program or port.
    ("System", 5985, "blocks", "Action=Block|"),
    (
        "System",
        5985,
        "blocks",
        "Action=Block|Protocol=6|LPort=5985|RUAuth=O:LSD:(A;;CC;;;BA)|",
    ),
    (
        "System",
        5985,
        "blocks",
        "Action=Block|Protocol=6|LPort=*|App=C:\\Windows\\system32\\svchost.exe|",
    ),
    (
        "sshd.exe",
        22,
        "blocks",
        "Action=Block|App=C:\\Program Files\\OpenSSH\\SSHD.EXE|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Block|Protocol=6|LPort=445|App=System|",
    ),
    (
        "System",
        5985,
        "nothing",
        "Action=Block|Protocol=6|App=C:\\Games\\game.exe|",
    ),
    ("System", 5985, "nothing", "Action=Block|Protocol=17|"),
];

fn lacks() -> bool {
    let has = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let missing = ["mono", "mcs"]
        .iter()
        .find(|program| !has(program))
        .copied();
    if let Some(program) = missing {
        println!("SKIPPED: firewall, because {program} is not installed (Debian: mono-mcs)");
    }
    missing.is_some()
}

#[test]
fn only_rules_that_let_everybody_in_at_our_port_admit_us() {
    if lacks() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let script = fs::read_to_string(here.join("library/trust-repair/include/firewall.ps1"));
    let script = script.unwrap();
    let (_, rest) = script.split_once("Add-Type -TypeDefinition @'\n").unwrap();
    let (source, _) = rest.split_once("\n'@").unwrap();
    let file = folder.path().join("firewall.cs");
    fs::write(&file, source).unwrap();
    let driver = folder.path().join("driver.exe");
    let mut mcs = Command::new("mcs");
    mcs.args(["-langversion:3", "-warnaserror", "-target:exe"]);
    mcs.arg(format!("-out:{}", driver.display()));
    let made = mcs.arg(&file).arg(here.join("tests/firewall/driver.cs"));
    let made = made.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut mono = Command::new("mono");
    let mono = mono
        .arg(&driver)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut mono = mono.spawn().unwrap();
    let rows = RULES
        .iter()
        .map(|(listener, port, _, rule)| format!("{listener} {port} {rule}\n"));
    let rows: String = rows.collect();
    mono.stdin
        .take()
        .unwrap()
        .write_all(rows.as_bytes())
        .unwrap();
    let output = mono.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), RULES.len());
    for ((listener, port, worth, rule), told) in RULES.iter().zip(told) {
        assert_eq!(told, *worth, "{listener} {port}: {rule}");
    }
}
