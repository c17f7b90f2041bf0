//! The step channel of simulated PCs, without a network between.

use crate::common::{Channel, request, run, scripts, start_line, text_of};
use fleetmend_lab::machine::RepairFault;
use fleetmend_lab::{
    Answers, Lab, LabCommand, LabOptions, LabPc, Mix, Output, Pc, PcPlan, Scenario, UNKNOWN_SCRIPT,
    digest,
};
use serde_json::{Value, json};

const USER: &str = "fleetadmin";

async fn lab_of(plan: Vec<PcPlan>) -> Lab {
    Lab::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await
    .unwrap()
}

async fn lab(scenario: Scenario) -> Lab {
    lab_of(vec![PcPlan::new(scenario)]).await
}

fn only(lab: &Lab) -> &LabPc {
    &lab.pcs()[0]
}

fn diagnose() -> Value {
    json!({ "domain_controller": null, "event_hours": 72, "tcp_timeout_ms": 3000 })
}

fn on(dc: &str) -> Value {
    json!({ "domain": "corp.example.jp", "domain_controller": dc })
}

fn verify(dc: &str, after: &Value) -> Value {
    json!({ "domain": "corp.example.jp", "domain_controller": dc, "after_record_id": after })
}

fn repair(password: &str) -> Value {
    json!({
        "domain": "corp.example.jp",
        "domain_controller": "dc01.corp.example.jp",
        "domain_credential": { "user": r"CORP\trust-repair", "password": password },
    })
}

fn proven(verified: &Value) -> bool {
    let zero = |run: &Value| run["connection_status"] == 0 && run["trust_status"] == 0;
    let runs = verified["runs"].as_array().unwrap();
    runs.iter().all(zero)
        && runs.iter().all(|run| run["dc_is_expected"] == true)
        && verified["new_events"]["netlogon_3210"] == 0
        && verified["new_events"]["netlogon_5719"] == 0
}

/// Runs a rung and then verify; tells whether verify proves it.
async fn rung(channel: &mut Channel, script: &str, params: &Value) -> (Value, bool) {
    let done = channel.answer(script, params).await;
    let verify = verify("dc01.corp.example.jp", &done["event_record_id"]);
    let verified = channel.answer("trust-repair/verify.ps1", &verify).await;
    let proven = proven(&verified);
    (done, proven)
}

#[tokio::test]
async fn a_mismatch_is_mended_by_the_domain_credential_only() {
    for scenario in [
        Scenario::PasswordMismatch,
        Scenario::MismatchWithoutNltest,
        Scenario::LostSecret,
    ] {
        let lab = lab(scenario).await;
        let password = lab.domain_credential().password.reveal().to_owned();
        let mut channel = Channel::open(&only(&lab).sim, USER);
        let facts = channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await;
        let status = if scenario == Scenario::LostSecret {
            1786
        } else {
            5
        };
        assert_eq!(
            facts["channel"]["verify"]["connection_status"], status,
            "{scenario:?}"
        );
        assert_eq!(facts["channel"]["test_computer_secure_channel"], false);
        let tool = if scenario == Scenario::MismatchWithoutNltest {
            "api"
        } else {
            "nltest"
        };
        assert_eq!(facts["channel"]["verify"]["tool"], tool);
        let dc = on("dc01.corp.example.jp");
        for script in [
            "trust-repair/netlogon-rediscover.ps1",
            "trust-repair/sc-reset.ps1",
        ] {
            let (_, mended) = rung(&mut channel, script, &dc).await;
            assert!(!mended, "{script} keeps the secret");
        }
        let script = "trust-repair/secure-channel-repair.ps1";
        let (done, mended) = rung(&mut channel, script, &repair(&password)).await;
        assert_eq!(
            (&done["repaired"], mended),
            (&json!(true), true),
            "{scenario:?}: {done}"
        );
        let facts = channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await;
        assert_eq!(facts["channel"]["verify"]["trust_status"], 0);
        assert_eq!(channel.end().await, 0);
    }
}

#[tokio::test]
async fn cheaper_rungs_mend_what_they_are_for() {
    for (scenario, script) in [
        (
            Scenario::NetlogonStopped,
            "trust-repair/netlogon-rediscover.ps1",
        ),
        (Scenario::LaggingController, "trust-repair/sc-reset.ps1"),
    ] {
        let lab = lab(scenario).await;
        let mut channel = Channel::open(&only(&lab).sim, USER);
        let facts = channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await;
        assert_ne!(
            facts["channel"]["verify"]["trust_status"], 0,
            "{scenario:?}"
        );
        let (done, mended) = rung(&mut channel, script, &on("dc01.corp.example.jp")).await;
        assert!(mended, "{scenario:?}: {done}");
    }
}

#[tokio::test]
async fn facts_tell_each_fault_by_a_number() {
    let number = |scenario| async move {
        let lab = lab(scenario).await;
        let mut channel = Channel::open(&only(&lab).sim, USER);
        channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await
    };
    let facts = number(Scenario::Healthy).await;
    assert_eq!(facts["channel"]["verify"]["trust_status"], 0);
    assert_eq!(facts["channel"]["verify"]["dc"], "dc01.corp.example.jp");
    let facts = number(Scenario::TimeSkew).await;
    assert_eq!(facts["channel"]["verify"]["connection_status"], 1398);
    assert!(facts["clock"]["offset_seconds"].as_f64().unwrap() > 300.0);
    let facts = number(Scenario::AccountDeleted).await;
    assert_eq!(facts["channel"]["verify"]["connection_status"], 1787);
    let facts = number(Scenario::NoController).await;
    assert_eq!(facts["channel"]["verify"]["connection_status"], 1311);
    assert_eq!(
        (&facts["dc"]["located"], &facts["dc"]["error"]),
        (&json!(false), &json!(1355))
    );
    let facts = number(Scenario::NetlogonStopped).await;
    assert_eq!(facts["services"]["netlogon"]["status"], 1);
    assert_eq!(facts["channel"]["verify"]["control_error"], 1722);
    let facts = number(Scenario::NotElevated).await;
    assert_eq!(facts["elevated"], false);
    assert_eq!(facts["channel"]["verify"]["control_error"], 5);
    let facts = number(Scenario::Workgroup).await;
    assert_eq!(facts["computer"]["part_of_domain"], false);
    let facts = number(Scenario::DomainController).await;
    assert_eq!(facts["computer"]["domain_role"], 4);
}

#[tokio::test]
async fn diagnose_changes_no_password_and_no_service() {
    for scenario in Scenario::ALL {
        let lab = lab(scenario).await;
        let pc = only(&lab).sim.clone();
        let state = || {
            let (machine, domain) = (pc.machine().clone(), lab.shared().domain());
            (
                machine.secret,
                machine.netlogon,
                domain.computer(&machine.name).cloned(),
            )
        };
        let before = state();
        let mut channel = Channel::open(&pc, USER);
        channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await;
        assert_eq!(state(), before, "{scenario:?}");
    }
}

#[tokio::test]
async fn a_wrong_domain_password_is_counted_and_locks_in_the_end() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let right = lab.domain_credential().password.reveal().to_owned();
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let script = "trust-repair/secure-channel-repair.ps1";
    for _ in 0..5 {
        let done = channel.answer(script, &repair("guess")).await;
        assert_eq!(done["credential_error"], 1326);
        assert_eq!(done["repaired"], Value::Null);
    }
    let done = channel.answer(script, &repair(&right)).await;
    assert_eq!(done["credential_error"], 1909);
    assert_eq!(
        lab.shared()
            .domain()
            .user("trust-repair")
            .unwrap()
            .bad_passwords_total,
        5
    );
}

#[tokio::test]
async fn a_repair_cut_in_between_leaves_the_directory_ahead_and_can_be_repeated() {
    let lab = lab(Scenario::RepairCutShort).await;
    let pc = only(&lab).sim.clone();
    let password = lab.domain_credential().password.reveal().to_owned();
    let mut channel = Channel::open(&pc, USER);
    let script = "trust-repair/secure-channel-repair.ps1";
    let (done, mended) = rung(&mut channel, script, &repair(&password)).await;
    let id = done["error_id"].as_str().unwrap();
    assert!(id.starts_with("FailToResetPasswordOnLocalMachine,"), "{id}");
    assert!(!mended);
    pc.machine().repair_fault = RepairFault::None;
    assert!(rung(&mut channel, script, &repair(&password)).await.1);
}

#[tokio::test]
async fn a_step_that_hangs_ends_with_its_process() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let pc = only(&lab).sim.clone();
    pc.machine().repair_fault = RepairFault::HangsInBetween;
    let password = lab.domain_credential().password.reveal().to_owned();
    let process = pc.spawn(LabCommand {
        user: USER.into(),
        line: start_line(),
        through_shell: false,
        code_page: None,
    });
    let text = text_of("trust-repair/secure-channel-repair.ps1");
    process
        .stdin
        .send(request(1, &text, &repair(&password)))
        .await
        .unwrap();
    let mut output = process.output;
    let wait = std::time::Duration::from_millis(100);
    assert!(
        tokio::time::timeout(wait, output.recv()).await.is_err(),
        "no answer ever"
    );
    process.kill.cancel();
    assert_eq!(output.recv().await, None);
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_step_that_dies_ends_its_process_without_an_answer() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let pc = only(&lab).sim.clone();
    pc.machine().repair_fault = RepairFault::DiesInBetween;
    let before = lab.shared().domain().computer("PC-001").cloned().unwrap();
    let password = lab.domain_credential().password.reveal().to_owned();
    let command = LabCommand {
        user: USER.into(),
        line: start_line(),
        through_shell: true,
        code_page: None,
    };
    let text = text_of("trust-repair/secure-channel-repair.ps1");
    let input = request(1, &text, &repair(&password));
    let (stdout, _, code) = run(std::sync::Arc::new(pc.clone()), command, &input).await;
    assert_eq!((stdout, code), (Vec::new(), 1));
    let after = lab.shared().domain().computer("PC-001").cloned().unwrap();
    assert_eq!(
        after.previous,
        Some(before.current),
        "the directory is ahead"
    );
    assert_ne!(pc.machine().secret.unwrap().current, after.current);
}

#[tokio::test]
async fn an_unknown_script_is_named_by_its_digest_and_can_be_taught() {
    let text = "param($Params)\n'経理'\n";
    let sha = digest(text.as_bytes());
    let answers = Answers::parse(&format!(
        "answers:\n- {{script: {sha}, host: 'PC-002', answer: {{ taught: 経理 }}}}\n\
         - {{script: trust-repair/verify.ps1, error: {{id: Boom, code: 5, message: no}}}}\n"
    ))
    .unwrap();
    let plan = vec![PcPlan::new(Scenario::Healthy); 2];
    let options = LabOptions {
        mix: Mix::Plan(plan),
        answers,
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let mut first = Channel::open(&lab.pcs()[0].sim, USER);
    let reply = first.step(text, &json!({})).await;
    assert_eq!(reply["ok"], false);
    assert_eq!(reply["error"]["id"], UNKNOWN_SCRIPT);
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains(&sha) && message.contains("--answers"),
        "{message}"
    );
    assert_eq!(lab.counts().unknown_scripts, 1);
    let mut second = Channel::open(&lab.pcs()[1].sim, USER);
    assert_eq!(
        second.step(text, &json!({})).await["answer"],
        json!({ "taught": "経理" })
    );
    let reply = second
        .step(&text_of("trust-repair/verify.ps1"), &json!({}))
        .await;
    assert_eq!(
        reply["error"],
        json!({ "id": "Boom", "code": 5, "message": "no" })
    );
}

#[tokio::test]
async fn a_japanese_pc_makes_noise_that_is_no_frame() {
    let lab = lab_of(vec![PcPlan::new(Scenario::PasswordMismatch).japanese()]).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let reply = channel
        .step(&text_of("trust-repair/diagnose.ps1"), &diagnose())
        .await;
    assert_eq!(reply["answer"]["os"]["ui_lcid"], 1041);
    assert!(
        reply["diag"][0]
            .as_str()
            .unwrap()
            .starts_with("warning: 名前")
    );
    assert!(channel.stderr.starts_with(b"#< CLIXML\r\n"));
    assert!(
        std::str::from_utf8(&channel.stdout).is_err(),
        "cp932 before the frame"
    );
    let frame = channel
        .stdout
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty());
    assert!(frame.unwrap().is_ascii());
}

#[tokio::test]
async fn big_scripts_and_many_steps_pass() {
    let lab = lab(Scenario::Healthy).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let big = "#".repeat(10 * 1024 * 1024);
    let reply = channel.step(&big, &json!({})).await;
    assert_eq!(reply["error"]["id"], UNKNOWN_SCRIPT);
    for _ in 0..20 {
        channel
            .answer("trust-repair/diagnose.ps1", &diagnose())
            .await;
    }
    assert_eq!(channel.end().await, 0);
    assert_eq!(lab.counts().steps, 21);
}

#[tokio::test]
async fn a_damaged_line_ends_the_bootstrap_before_it_runs_anything() {
    let lab = lab(Scenario::Healthy).await;
    let pc = std::sync::Arc::new(only(&lab).sim.clone());
    let command = LabCommand {
        user: USER.into(),
        line: format!(r#"cmd.exe /c "{}""#, start_line()),
        through_shell: true,
        code_page: None,
    };
    let (stdout, _, code) = run(pc, command, b"this is no request\n").await;
    assert_eq!((stdout, code), (Vec::new(), 1_179_451_397));
    assert_eq!(lab.counts().steps, 0);
}

#[tokio::test]
async fn output_stops_when_nobody_reads() {
    let lab = lab(Scenario::Healthy).await;
    let process = only(&lab).sim.spawn(LabCommand {
        user: USER.into(),
        line: "more".into(),
        through_shell: true,
        code_page: None,
    });
    let stdin = process.stdin;
    for _ in 0..100 {
        stdin.send(vec![b'x'; 32 * 1024]).await.unwrap();
    }
    drop(stdin);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(
        process.output.len() <= 8,
        "the process waits for its reader"
    );
    let mut output = process.output;
    let mut bytes = 0;
    while let Some(Output::Stdout(chunk)) = output.recv().await {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 100 * 32 * 1024);
}

#[tokio::test]
async fn an_address_is_found_whoever_has_it() {
    let lab = lab(Scenario::LaggingController).await;
    let mut channel = Channel::open(&only(&lab).sim, USER);
    let mut params = diagnose();
    params["domain_controller"] = json!("203.0.113.77");
    let facts = channel.answer("trust-repair/diagnose.ps1", &params).await;
    let dc = &facts["dc"];
    assert_eq!((&dc["located"], &dc["error"]), (&json!(true), &json!(0)));
    assert_eq!(dc["address"], "203.0.113.77");
    assert_eq!(dc["ports"]["tcp_445"], false);
    params["domain_controller"] = json!("nowhere.corp.example.jp");
    let facts = channel.answer("trust-repair/diagnose.ps1", &params).await;
    assert_eq!(facts["dc"]["error"], 11001);
    assert_eq!(channel.end().await, 0);
}
