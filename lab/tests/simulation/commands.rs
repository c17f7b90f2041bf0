//! Commands that an administrator types on a simulated PC.

use std::sync::Arc;

use crate::common::{run, scripts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::SHIFT_JIS;
use fleetmend_lab::{Lab, LabCommand, LabOptions, Mix, Pc, PcPlan, Scenario};
use fleetmend_transport::{CommandLine, powershell};

struct Bench {
    lab: Lab,
}

impl Bench {
    async fn new(plan: PcPlan) -> Self {
        let options = LabOptions {
            mix: Mix::Plan(vec![plan]),
            ..LabOptions::new(0, scripts())
        };
        Self {
            lab: Lab::start(options).await.unwrap(),
        }
    }

    async fn raw(
        &self,
        line: &str,
        shell: bool,
        page: Option<u32>,
        input: &[u8],
    ) -> (Vec<u8>, Vec<u8>, i32) {
        let command = LabCommand {
            user: "fleetadmin".into(),
            line: line.into(),
            through_shell: shell,
            code_page: page,
        };
        run(Arc::new(self.lab.pcs()[0].sim.clone()), command, input).await
    }

    async fn utf8(&self, line: &str) -> (String, String, i32) {
        let (out, err, code) = self.raw(line, true, Some(65001), b"").await;
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
            code,
        )
    }
}

#[tokio::test]
async fn nltest_shows_the_numbers_of_the_seed_before_and_after() {
    let bench = Bench::new(PcPlan::new(Scenario::PasswordMismatch)).await;
    let (out, _, code) = bench.utf8("nltest /sc_query:corp.example.jp").await;
    assert_eq!(
        out,
        "Flags: 0\r\nTrusted DC Name \r\n\
         Trusted DC Connection Status Status = 5 0x5 ERROR_ACCESS_DENIED\r\n\
         The command completed successfully\r\n"
    );
    assert_eq!(code, 0, "nltest ends with 0 although the channel is broken");
    let (out, _, _) = bench.utf8("nltest.exe /sc_verify:CORP").await;
    assert!(
        out.contains("Trust Verification Status = 5 0x5 ERROR_ACCESS_DENIED"),
        "{out}"
    );

    let bench = Bench::new(PcPlan::new(Scenario::Healthy)).await;
    let (out, _, _) = bench.utf8("nltest /sc_query:corp.example.jp").await;
    assert!(
        out.contains(r"Trusted DC Name \\dc01.corp.example.jp"),
        "{out}"
    );
    assert!(out.contains("Status = 0 0x0 NERR_Success"), "{out}");
    let (out, _, code) = bench.utf8("nltest /sc_query:other.example").await;
    assert!(
        out.starts_with("I_NetLogonControl failed: Status = 1355 0x54b"),
        "{out}"
    );
    assert_eq!(code, 1);
    let (out, _, _) = bench.utf8("nltest /dsgetdc:corp.example.jp").await;
    assert!(out.contains(r"DC: \\dc01.corp.example.jp"), "{out}");
}

#[tokio::test]
async fn a_japanese_pc_speaks_cp932_unless_asked_for_utf8() {
    let bench = Bench::new(PcPlan::new(Scenario::PasswordMismatch).japanese()).await;
    let line = "nltest /sc_query:corp.example.jp";
    let (out, _, _) = bench.raw(line, true, None, b"").await;
    assert!(std::str::from_utf8(&out).is_err());
    let (text, _, bad) = SHIFT_JIS.decode(&out);
    assert!(
        !bad && text.contains("接続状態Status = 5 0x5 ERROR_ACCESS_DENIED"),
        "{text}"
    );
    let (utf8, _, _) = bench.utf8(line).await;
    assert_eq!(utf8, text);
    let (chcp, _, _) = bench
        .raw(&format!("chcp 65001 >nul & {line}"), true, None, b"")
        .await;
    assert_eq!(String::from_utf8(chcp).unwrap(), utf8);
    let (_, err, code) = bench.utf8("nlteste /x").await;
    assert!(err.starts_with("'nlteste' は、内部コマンド"), "{err}");
    assert_eq!(code, 1);
}

#[tokio::test]
async fn the_shell_knows_its_own_and_says_what_it_does_not() {
    let bench = Bench::new(PcPlan::new(Scenario::Healthy)).await;
    let out = |line| async move { bench_out(line).await };
    assert_eq!(out("hostname").await, ("PC-001\r\n".into(), 0));
    assert_eq!(out("whoami").await, ("pc-001\\fleetadmin\r\n".into(), 0));
    assert_eq!(
        out(r#"cmd.exe /c "echo a  b & exit 3""#).await,
        ("a  b\r\n".into(), 3)
    );
    assert_eq!(out("exit 7").await.1, 7);
    assert_eq!(
        out("ver").await.0,
        "\r\nMicrosoft Windows [Version 10.0.22631.5335]\r\n"
    );
    assert!(out("ipconfig /all").await.0.contains("IPv4"));
    let (_, err, code) = bench.utf8("frobnicate now").await;
    assert!(err.starts_with("'frobnicate' is not recognized"), "{err}");
    assert_eq!(code, 1);
    let (_, _, code) = bench.raw("frobnicate", false, None, b"").await;
    assert_eq!(code, 9009);
    let (input, _, _) = bench.raw("findstr \"^\"", true, None, b"one\r\ntwo").await;
    assert_eq!(input, b"one\r\ntwo");
}

async fn bench_out(line: &str) -> (String, i32) {
    let bench = Bench::new(PcPlan::new(Scenario::Healthy)).await;
    let (out, _, code) = bench.utf8(line).await;
    (out, code)
}

#[tokio::test]
async fn typed_powershell_runs_where_it_is_simple() {
    let bench = Bench::new(PcPlan::new(Scenario::PasswordMismatch).japanese()).await;
    let CommandLine::Windows { program, arguments } = powershell::exec_command() else {
        panic!("a Windows command");
    };
    let line = format!("{program} {arguments}");
    let exec = |text: &str| STANDARD.encode(text).into_bytes();
    let typed = exec("$env:COMPUTERNAME; Write-Output '経理'\nTest-ComputerSecureChannel\nexit 4");
    let (out, err, code) = bench.raw(&line, false, None, &typed).await;
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "PC-001\r\n経理\r\nFalse\r\n"
    );
    assert_eq!((err, code), (Vec::new(), 4));
    let (_, err, code) = bench
        .raw(&line, false, None, &exec("Get-Frob | Sort-Object"))
        .await;
    let err = String::from_utf8(err).unwrap();
    assert!(
        err.starts_with("#< CLIXML") && err.contains("LabUnknownScript"),
        "{err}"
    );
    assert_eq!(code, 1);
    let (out, _, _) = bench
        .raw("powershell -NoProfile -Command hostname", true, None, b"")
        .await;
    assert_eq!(out, b"PC-001\r\n");
}

#[tokio::test]
async fn programs_stand_where_windows_has_them() {
    let bench = Bench::new(PcPlan::new(Scenario::MismatchWithoutNltest)).await;
    let pc = &bench.lab.pcs()[0].sim;
    assert!(pc.has_program(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"));
    assert!(pc.has_program(r"c:\windows\system32\CMD.EXE"));
    assert!(!pc.has_program(r"C:\Tools\cmd.exe"));
    assert!(
        !pc.has_program(r"C:\Windows\System32\nltest.exe"),
        "this one lacks it"
    );
    let (_, err, _) = bench.utf8("nltest /sc_query:corp.example.jp").await;
    assert!(err.starts_with("'nltest' is not recognized"), "{err}");
}

#[tokio::test]
async fn cmd_reads_a_line_as_windows_does() {
    let bench = Bench::new(PcPlan::new(Scenario::Healthy)).await;
    for (line, printed) in [
        // How our SSH client asks which shell it has.
        ("echo %OS%$PSHOME", "Windows_NT$PSHOME\r\n"),
        ("echo ^%OS^% ^& %NOSUCH%", "%OS% & %NOSUCH%\r\n"),
        ("hostname >nul & echo x", "x\r\n"),
        (
            "cmd /c exit 3 || echo failed && echo both",
            "failed\r\nboth\r\n",
        ),
        ("frobnicate 2>nul && echo never", ""),
        (r#"cmd /s /c "echo "a b"""#, "\"a b\"\r\n"),
    ] {
        assert_eq!(bench.utf8(line).await.0, printed, "{line}");
    }
    // Without a shell nothing of it means anything.
    let (out, _, code) = bench.raw("ping a&b%OS%", false, None, b"").await;
    assert!(
        out.starts_with(b"Ping request could not find host a&b%OS%."),
        "{out:?}"
    );
    assert_eq!(code, 1);
    let (_, err, code) = bench.utf8("nltest /x | findstr y").await;
    assert!(
        err.starts_with("the lab has neither pipes nor files"),
        "{err}"
    );
    assert_eq!(code, 255);
}

#[tokio::test]
async fn programs_that_read_their_input_end_with_it() {
    let bench = Bench::new(PcPlan::new(Scenario::Healthy)).await;
    let (out, _, code) = bench.raw("sort", false, None, b"b\r\na\r\n").await;
    assert_eq!((out.as_slice(), code), (&b"a\r\nb\r\n"[..], 0));
    let typed = b"hostname\r\nexit 5\r\nhostname\r\n";
    let (out, _, code) = bench.raw("cmd.exe", false, None, typed).await;
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("Microsoft Windows [Version 10.0."), "{out}");
    assert_eq!((out.matches("\nPC-001\r\n").count(), code), (1, 5), "{out}");
}

#[tokio::test]
async fn powershell_ends_with_what_failed() {
    let bench = Bench::new(PcPlan::new(Scenario::Workgroup)).await;
    let run = |text: &str| {
        let line = format!("powershell -NoProfile -Command \"{text}\"");
        let bench = &bench;
        async move { bench.utf8(&line).await }
    };
    let (out, err, code) = run("(Get-CimInstance Win32_ComputerSystem).PartOfDomain").await;
    assert_eq!((out.as_str(), err.as_str(), code), ("False\r\n", "", 0));
    let (_, err, code) = run("Test-ComputerSecureChannel").await;
    assert!(err.contains("ComputerNotInDomain,Microsoft"), "{err}");
    assert_eq!(code, 1);
    let (out, _, code) = run("Write-Error no; Write-Output yes").await;
    assert_eq!(
        (out.as_str(), code),
        ("yes\r\n", 0),
        "the last statement counts"
    );
    let (_, err, code) = run("Write-Output $env:TEMP").await;
    assert!(err.contains("LabUnknownScript"), "{err}");
    assert_eq!(code, 1);
}
