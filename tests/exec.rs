//! `fleetmend exec` over WinRM, SSH and posix hosts: what was printed, how it ended, and that
//! every argument arrives as it was typed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Instant;

use fleetmend_lab::winrm::Action;
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind::{Ssh, WinrmHttp, WinrmHttps};
use fleetmend_tests::{Ended, Site, scripts, with};
use serde_json::Value;

/// A site with these PCs: PC-001 and so on.
async fn site(plan: &[PcPlan]) -> Site {
    let mut options = LabOptions::new(plan.len(), scripts());
    options.mix = Mix::Plan(plan.to_vec());
    Site::start(options).await
}

/// One healthy PC over each transport; all speak Japanese.
async fn three() -> Site {
    site(
        &[WinrmHttp, WinrmHttps, Ssh]
            .map(|kind| PcPlan::new(Scenario::Healthy).over(kind).japanese()),
    )
    .await
}

fn arguments(site: &Site, options: &[&str], command: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["exec".into()];
    arguments.extend(site.logon_arguments());
    arguments.extend(options.iter().map(OsString::from));
    with(with(arguments, ["--"]), command)
}

async fn exec(site: &Site, options: &[&str], command: &[&str]) -> Ended {
    site.run(arguments(site, options, command)).await
}

/// What one PC said.
#[derive(Debug, PartialEq)]
struct Said {
    stdout: String,
    stderr: String,
    code: i64,
}

/// Runs a command and returns what every PC said, in the order of their names.
async fn said(site: &Site, options: &[&str], command: &[&str]) -> (Vec<Said>, Option<i32>) {
    let ended = exec(site, &[options, &["--output", "json"]].concat(), command).await;
    let report = ended.json();
    let hosts: BTreeMap<String, Said> = report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| (text(&host["host"]), of(host, &ended)))
        .collect();
    (hosts.into_values().collect(), ended.code)
}

fn of(host: &Value, ended: &Ended) -> Said {
    let exec = &host["exec"];
    assert!(exec.is_object(), "{host}\n{}", ended.err());
    Said {
        stdout: text(&exec["stdout"]),
        stderr: text(&exec["stderr"]),
        code: exec["exit_code"].as_i64().unwrap(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

const QUERY: [&str; 2] = ["nltest", "/sc_query:corp.example.jp"];

/// The PCs of the seeds: well, broken, Japanese, over SSH.
async fn seeds() -> Site {
    site(&[
        PcPlan::new(Scenario::Healthy),
        PcPlan::new(Scenario::PasswordMismatch).over(WinrmHttps),
        PcPlan::new(Scenario::PasswordMismatch).japanese(),
        PcPlan::new(Scenario::Healthy).over(Ssh),
        PcPlan::new(Scenario::PasswordMismatch).over(Ssh).japanese(),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrators_query_is_read_right_everywhere() {
    let site = seeds().await;
    let (said, code) = said(&site, &[], &QUERY).await;
    let well = r"Flags: 30 HAS_IP  HAS_TIMESERV
Trusted DC Name \\dc01.corp.example.jp
Trusted DC Connection Status Status = 0 0x0 NERR_Success
The command completed successfully
";
    let broken = "Flags: 0
Trusted DC Name \nTrusted DC Connection Status Status = 5 0x5 ERROR_ACCESS_DENIED
The command completed successfully
";
    let japanese = "フラグ: 0
信頼された DC 名 \n信頼された DC の接続状態Status = 5 0x5 ERROR_ACCESS_DENIED
コマンドは正常に完了しました。
";
    let expected = [well, broken, japanese, well, japanese];
    assert_eq!(said.len(), expected.len());
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!(said.stdout, expected.replace('\n', "\r\n"));
        assert_eq!((said.stderr.as_str(), said.code), ("", 0));
    }
    assert_eq!(
        code,
        Some(0),
        "nltest ends with 0 also where the trust is broken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pcs_that_said_the_same_stand_together_in_text() {
    let site = seeds().await;
    let ended = exec(&site, &[], &QUERY).await;
    let out = ended.out();
    let head = "pc-001.corp.example.jp, pc-004.corp.example.jp (2 PCs): exit 0\n";
    assert!(out.contains(head), "{out}");
    assert_eq!(out.matches("NERR_Success").count(), 1, "{out}");
    assert!(out.contains("Status = 0 0x0 NERR_Success"), "{out}");
    assert!(
        out.contains("接続状態Status = 5 0x5 ERROR_ACCESS_DENIED"),
        "{out}"
    );
    assert!(!out.contains('\u{fffd}') && !out.contains('\r'), "{out}");
    assert!(
        ended.err().contains("exec on 5 of 5 PCs"),
        "{}",
        ended.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonl_tells_every_record_and_the_answer_of_each_pc() {
    let site = seeds().await;
    let ended = exec(&site, &["--output", "jsonl"], &QUERY).await;
    let records: Vec<Value> = ended
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answers: Vec<&Value> = records
        .iter()
        .filter(|record| record["what"]["what"] == "step-ended")
        .map(|record| &record["what"]["end"]["answer"])
        .collect();
    assert_eq!(answers.len(), 5, "{}", ended.out());
    assert!(answers.iter().all(|answer| answer["exit_code"] == 0));
    // The journal keeps bytes that are no UTF-8 as they are.
    let raw = |answer: &&&Value| answer["stdout_base64"].is_string();
    assert_eq!(
        answers.iter().filter(raw).count(),
        1,
        "the Japanese PC behind sshd"
    );
    assert_eq!(records.last().unwrap()["event"], "run-ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_japanese_complaint_is_read_right() {
    let site = three().await;
    let (said, code) = said(&site, &[], &["cmd", "/c", "frobnicate", "経理"]).await;
    for said in said {
        assert_eq!(said.stdout, "");
        assert!(
            said.stderr.starts_with("'frobnicate' は、内部コマンド"),
            "{}",
            said.stderr
        );
        assert_eq!(said.code, 1);
    }
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_arrive_as_they_were_typed() {
    let site = three().await;
    // ping names the host that it does not know: its argument, as it arrived.
    for word in [
        "経理部 共有",
        r#"say "hi there""#,
        "100% %PATH% %OS%",
        "a & b && c | d > e < f",
        r"^caret ^%OS^% !OS!",
        r"C:\Program Files\x\ ",
        r#"tail\\ \" \\"#,
        "(a) 'b' `c` $d;e,f=g",
        "*",
    ] {
        let (said, code) = said(&site, &[], &["ping", word]).await;
        let expected = format!("ping 要求ではホスト {word} が見つかりませんでした。");
        assert_eq!(said.len(), 3);
        for said in said {
            assert!(said.stdout.starts_with(&expected), "{word}: {said:?}");
            assert_eq!((said.stderr.as_str(), said.code), ("", 1), "{word}");
        }
        assert_eq!(code, Some(1));
    }
    let (said, _) = said(&site, &[], &["ping", "a b", "", "c"]).await;
    assert!(
        said[2].stdout.starts_with("オプション  は正しく"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_cmd_can_do_goes_through_it() {
    let site = three().await;
    let command = ["echo", "100%", "%OS%", "a&b", "経理部 共有"];
    let (said, code) = said(&site, &[], &command).await;
    for said in said {
        assert_eq!(said.stdout, "\"100%\" \"%OS%\" \"a&b\" \"経理部 共有\"\r\n");
    }
    assert_eq!(code, Some(0));
    let (said, _) = self::said(&site, &[], &["cmd", "/c", "echo %OS% & hostname"]).await;
    assert!(said[0].stdout.starts_with("Windows_NT"), "{said:?}");
    assert!(said[2].stdout.ends_with("PC-003\r\n"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_come_through_and_decide_ours() {
    let site = three().await;
    for (word, number) in [
        ("0", 0),
        ("1", 1),
        ("3010", 3010),
        ("-1073741819", -1_073_741_819),
    ] {
        let ours = Some(i32::from(number != 0));
        for options in [&[][..], &["--powershell"]] {
            let (said, code) = said(&site, options, &["exit", word]).await;
            assert_eq!(said.len(), 3);
            for said in said {
                assert_eq!(said.code, number, "{options:?} {said:?}");
            }
            assert_eq!(code, ours, "{options:?} exit {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pc_that_fails_decides_the_exit_code() {
    let site = site(&[
        PcPlan::new(Scenario::Healthy),
        PcPlan::new(Scenario::MismatchWithoutNltest),
    ])
    .await;
    let (said, code) = said(&site, &[], &QUERY).await;
    assert_eq!((said[0].code, said[1].code), (0, 1), "{said:?}");
    assert!(said[1].stderr.contains("is not recognized"), "{said:?}");
    assert_eq!(code, Some(1));
    let ended = exec(&site, &["--limit", &site.lab.pcs()[0].name], &QUERY).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
}

async fn powershell(site: &Site, text: &str) -> Vec<Said> {
    said(site, &["--powershell"], &[text]).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn powershell_runs_as_typed() {
    let site = seeds().await;
    let stdout = |said: Vec<Said>| -> Vec<String> {
        said.into_iter()
            .map(|said| {
                assert_eq!((said.stderr.as_str(), said.code), ("", 0));
                said.stdout.replace("\r\n", "|")
            })
            .collect()
    };
    let found = stdout(powershell(&site, "Test-ComputerSecureChannel").await);
    assert_eq!(found, ["True|", "False|", "False|", "True|", "False|"]);
    let found =
        stdout(powershell(&site, "(Get-CimInstance Win32_ComputerSystem).PartOfDomain").await);
    assert_eq!(found, ["True|"; 5]);
    let both = "hostname; $env:COMPUTERNAME; Write-Output '経理部 it''s \"x\"'";
    let found = stdout(powershell(&site, both).await);
    assert_eq!(found[2], "PC-003|PC-003|経理部 it's \"x\"|");
    assert_eq!(found[4], "PC-005|PC-005|経理部 it's \"x\"|");
    let found = stdout(powershell(&site, "nltest /sc_query:corp.example.jp").await);
    assert!(
        found[3].contains("Status = 0 0x0 NERR_Success"),
        "{found:?}"
    );
    assert!(found[4].contains("接続状態Status = 5 0x5"), "{found:?}");
    let found = stdout(powershell(&site, "Get-Date").await);
    assert!(
        found[0].contains("20") && found[2].contains('年'),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn powershell_errors_are_read_out_of_clixml() {
    let site = three().await;
    for said in powershell(&site, "Write-Error '拒否されました'; 'after'; exit 5").await {
        assert!(said.stderr.contains("拒否されました"), "{said:?}");
        assert!(said.stderr.contains("WriteErrorException"), "{said:?}");
        assert!(
            !said.stderr.contains("CLIXML") && !said.stderr.contains("_x000D_"),
            "{said:?}"
        );
        assert_eq!((said.stdout.as_str(), said.code), ("after\r\n", 5));
    }
    for said in powershell(&site, "'before'; throw 'だめ'; 'after'").await {
        assert!(said.stderr.starts_with("だめ"), "{said:?}");
        assert_eq!((said.stdout.as_str(), said.code), ("before\r\n", 1));
    }
    for said in powershell(&site, "Get-Frob | Sort-Object").await {
        assert!(said.stderr.contains("LabUnknownScript"), "{said:?}");
        assert_eq!(said.code, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_megabytes_come_through_whole() {
    const SIZE: usize = 5_000_000;
    let site = three().await;
    let text = format!("'x' * {SIZE}");
    for said in powershell(&site, &text).await {
        assert_eq!(said.stdout.len(), SIZE + 2);
        assert_eq!(said.code, 0);
    }
    let ended = exec(&site, &["--powershell"], &[&text]).await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout.len() > SIZE,
        "the three said the same: {}",
        ended.stdout.len()
    );
    assert!(ended.stdout.len() < SIZE + 1000, "{}", ended.stdout.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_waits_for_input_ends() {
    let site = three().await;
    let began = Instant::now();
    for command in [&["sort"][..], &["cmd"]] {
        let (said, code) = said(&site, &["--timeout", "60s"], command).await;
        assert!(said.iter().all(|said| said.code == 0), "{said:?}");
        assert_eq!(code, Some(0));
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let counters = site.lab.pcs()[0].winrm.as_ref().unwrap().counters();
    let sent = counters.exchanges(Action::Send);
    assert_eq!((sent, counters.exchanges(Action::Command)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_end_is_ended_at_its_deadline() {
    let site = three().await;
    let began = Instant::now();
    let options = ["--timeout", "2s", "--output", "json"];
    let ended = exec(&site, &options, &["ping", "-t", "localhost"]).await;
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), 3);
    for (name, outcome) in &outcomes {
        assert!(outcome.starts_with("unknown"), "{name}: {outcome}");
    }
    assert!(
        ended.out().contains("failed to finish within 2s\""),
        "the limit is named: {}",
        ended.out()
    );
    for pc in &site.lab.pcs()[..2] {
        let winrm = pc.winrm.as_ref().unwrap();
        assert_eq!(winrm.counters().exchanges(Action::Delete), 1, "{}", pc.name);
    }
    let (said, _) = said(&site, &[], &["hostname"]).await;
    assert_eq!(said.len(), 3, "the PCs still serve");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_local_password_is_told_and_the_others_run() {
    let site = site(&[
        PcPlan::new(Scenario::Healthy),
        PcPlan::new(Scenario::WrongLocalPassword),
        PcPlan::new(Scenario::WrongLocalPassword).over(Ssh),
        PcPlan::new(Scenario::Off),
    ])
    .await;
    let ended = exec(&site, &["--output", "json"], &["hostname"]).await;
    let outcomes: Vec<String> = ended.outcomes().into_values().collect();
    assert_eq!(outcomes[1], "access-denied(logon)");
    assert_eq!(outcomes[2], "access-denied(logon)");
    assert_eq!(outcomes[3], "unreachable(refused)");
    let report = ended.json();
    assert_eq!(report["hosts"][0]["exec"]["stdout"], "PC-001\r\n");
    assert!(report["hosts"][1]["exec"].is_null());
    assert_eq!(ended.code, Some(1));
    assert_eq!(site.lab.counts().logons_refused, 2, "each was tried once");
    let text = exec(&site, &[], &["hostname"]).await.out();
    assert!(
        text.contains("access-denied(logon)") && text.contains("PC-001"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_costs_five_exchanges() {
    let site = site(&[PcPlan::new(Scenario::Healthy)]).await;
    said(&site, &[], &["hostname"]).await;
    let counters = site.lab.pcs()[0].winrm.as_ref().unwrap().counters();
    let all = [
        Action::Create,
        Action::Command,
        Action::Send,
        Action::Receive,
        Action::Delete,
    ];
    assert_eq!(all.map(|action| counters.exchanges(action)), [1; 5]);
    assert_eq!(counters.exchanges(Action::Signal), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cmd_would_cut_is_not_run() {
    let site = three().await;
    let ended = exec(&site, &["--output", "json"], &["ping", "a\nb"]).await;
    let report = ended.json();
    // Over WinRM no shell stands between; behind sshd cmd.exe does.
    for index in 0..2 {
        assert_eq!(report["hosts"][index]["exec"]["exit_code"], 1, "{report}");
    }
    let behind = &report["hosts"][2];
    assert!(behind["exec"].is_null(), "{report}");
    assert!(text(&behind["reason"]).contains("line break"), "{report}");
    assert_eq!(
        site.lab.counts().commands,
        3,
        "the third is the question for the shell"
    );
    assert_eq!(ended.code, Some(1));
}
