//! What a stick decides is what the controller decides: its C#, run by Mono, against the decisions
//! in Rust, over every case of every shipped playbook for Windows and many changes to each.
//!
//! That Windows PowerShell compiles the same C# only Windows can prove (docs/unproven.md).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../powershell/checker.rs"]
mod checker;
#[path = "../powershell/rules.rs"]
mod rules;
#[path = "../powershell/tree.rs"]
mod tree;

#[path = "../cases/case.rs"]
#[expect(dead_code, reason = "shared with the cases themselves")]
mod case;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use case::{Case, cases, leaves};
use fleetmend_model::{Cause, Facts, Platform};
use fleetmend_playbooks::{
    Decision, Language, Playbook, Situation, StopKind, VerifyVerdict, handoff, library,
};
use serde_json::{Value, json};

/// The script as it is written for each shipped playbook is Windows PowerShell 5.1 in ASCII.
#[test]
fn the_script_is_windows_powershell() {
    let channel = handoff::Channel {
        switches: "-NoProfile -EncodedCommand ",
        bootstrap: "exit 0\n",
    };
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap_or_else(|error| panic!("{error}"));
        if playbook.platform != Platform::Windows {
            continue;
        }
        // A name that would end the here-string in which it stands, if it could.
        let description = json!({
            "playbook": playbook.handoff().unwrap_or_else(|error| panic!("{error}")),
            "pcs": [{"name": "\n'@\nRemove-Item C:\\ -Recurse\n@'\n経理"}],
        });
        let scripts = handoff::scripts(&playbook);
        let script = handoff::assemble(&description, &scripts, channel);
        let found: Vec<String> = checker::check(&script, checker::Role::Channel)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(found.is_empty(), "{name}: {found:?}");
        assert!(!script.contains("#{"), "{name}: a place was not filled");
        let tree = tree::Tree::parse(&script);
        let strings = tree.all("verbatim_here_string_characters").len();
        assert_eq!(strings, 4, "{name}: description, scripts, channel, C#");
        let alone = script.split("\r\n").filter(|line| line.starts_with("'@"));
        assert_eq!(alone.count(), 4, "{name}");
        assert_eq!(script.matches('\n').count(), script.matches("\r\n").count());
    }
}

fn lacks(test: &str) -> bool {
    let missing = ["mcs", "mono"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        println!("SKIPPED: {test}, because {program} is not installed (Debian: mono-mcs)");
    }
    missing.is_some()
}

/// Compiles what the stick holds, as one text like `Add-Type` gets it, with a driver.
fn driver(folder: &Path) -> PathBuf {
    let source = folder.join("stick.cs");
    fs::write(&source, handoff::parts::CSHARP.join("\n")).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handoff/driver.cs");
    let driver = folder.join("driver.exe");
    let output = Command::new("mcs")
        .args(["-langversion:3", "-warnaserror"])
        .arg(format!("-out:{}", driver.display()))
        .args([source, own])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    driver
}

fn told(decision: &Decision) -> Value {
    let empty =
        json!({"cause": null, "code": null, "rung": null, "guard": null, "reason": "", "next": ""});
    let with = |end: &str, cause: Option<&Cause>, more: Value| {
        let mut all = empty.clone();
        all["end"] = json!(end);
        if let Some(cause) = cause {
            all["cause"] = json!(cause.id.0);
            all["code"] = json!(cause.code);
        }
        let fields = more.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(fields);
        all
    };
    match decision {
        Decision::Healthy => with("healthy", None, json!({})),
        Decision::Try { cause, rung, .. } => with("try", Some(cause), json!({"rung": rung})),
        // From a stick none is looked at; such rungs are tried as far as it is told.
        Decision::Preflight { cause, rung } => with("try", Some(cause), json!({"rung": rung})),
        Decision::Blocked {
            cause,
            guard,
            reason,
            next,
        } => with(
            "blocked",
            Some(cause),
            json!({"guard": guard, "reason": reason, "next": next}),
        ),
        Decision::Stop {
            cause,
            end,
            reason,
            next,
        } => {
            let end = match end {
                StopKind::NotRepaired => "not-repaired",
                StopKind::Skipped => "skip",
                StopKind::AccessDenied => "access-denied",
                StopKind::NeedsHands => "needs-hands",
            };
            with(end, Some(cause), json!({"reason": reason, "next": next}))
        }
    }
}

/// What Rust decides, in the words of the driver.
fn decided(
    playbook: &Playbook,
    facts: &Facts,
    verify: Option<&Value>,
    situation: &Situation,
) -> Value {
    let told = match verify {
        None => playbook.decide(facts, situation).map(|is| told(&is)),
        Some(verify) => playbook
            .verified(verify, facts, situation)
            .map(|is| match is {
                VerifyVerdict::Proven => json!({"verdict": "proven", "reason": "", "again": false}),
                VerifyVerdict::RebootPending => {
                    json!({"verdict": "reboot-pending", "reason": "", "again": false})
                }
                VerifyVerdict::NotProven { reason, again } => {
                    json!({"verdict": "not-proven", "reason": reason, "again": again})
                }
            }),
    };
    let Ok(mut told) = told else {
        return json!({"error": true});
    };
    let mut steps = BTreeMap::new();
    let here = playbook.ladder.iter();
    for rung in here.filter(|rung| Playbook::left_out(rung).is_none()) {
        for step in &rung.steps {
            let name = format!("{}/{}", rung.id, step.name);
            steps.insert(name, sent(playbook, step, facts, situation));
        }
    }
    let verify = &playbook.verify.step;
    steps.insert(
        "verify".to_owned(),
        sent(playbook, verify, facts, situation),
    );
    told["steps"] = json!(steps);
    told
}

fn sent(
    playbook: &Playbook,
    step: &fleetmend_playbooks::Step,
    facts: &Facts,
    situation: &Situation,
) -> Value {
    match playbook.step_wanted(step, facts, situation) {
        Err(_) => json!("error"),
        Ok(false) => json!("skipped"),
        Ok(true) => playbook
            .step_params(step, facts, situation)
            .map_or(json!("error"), Value::Object),
    }
}

/// A stick restarts nothing and looks at nothing beforehand.
fn as_on_a_stick(mut situation: Situation) -> Situation {
    situation.max_reboots = 0;
    situation.reboots = 0;
    situation.reboot_window = None;
    situation.preflights.clear();
    situation
}

fn request(facts: &Value, verify: Option<&Value>, situation: &Situation) -> Value {
    json!({
        "facts": facts,
        "verify": verify,
        "situation": {
            "params": situation.params,
            "host": situation.host,
            "answers": situation.answers,
            "tried": situation.tried,
            "credentials": situation.credentials,
            "credentials_for_pcs": situation.credentials_for_pcs,
            "directory": situation.directory,
            "offline_join": situation.offline_join,
            "language": if situation.language == Language::Ja { "ja" } else { "en" },
        },
    })
}

/// A case and what becomes of it: as it is, in both languages, with and without the directory,
/// and with single facts unknown: every fifth in each case, others in the next.
fn variants(at: usize, case: Case) -> Vec<(String, Facts, Option<Value>, Situation)> {
    let name = case
        .path
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let base = as_on_a_stick(case.situation);
    let mut all = Vec::new();
    for (language, directory) in [
        (Language::En, base.directory),
        (Language::Ja, base.directory),
        (Language::En, !base.directory),
    ] {
        let situation = Situation {
            language,
            directory,
            ..base.clone()
        };
        let about = format!("{name} ({language:?}, directory {directory})");
        all.push((about, case.facts.clone(), case.verify.clone(), situation));
    }
    let whole = case.facts.to_value();
    for pointer in leaves(&whole, "").into_iter().skip(at % 5).step_by(5) {
        let mut facts = whole.clone();
        *facts.pointer_mut(&pointer).unwrap() = Value::Null;
        let facts = Facts(facts.as_object().unwrap().clone());
        let about = format!("{name} without {pointer}");
        all.push((about, facts, case.verify.clone(), base.clone()));
    }
    all
}

/// Expressions that no shipped playbook has yet, each over the same facts.
const EXPRESSIONS: &[&str] = &[
    "facts.list[0]",
    "facts.list[-1]",
    "facts.list[1:]",
    "facts.list[:-1]",
    "facts.text[1:3]",
    "facts.list | first",
    "facts.list | last",
    "facts.list | sort",
    "facts.names | sort",
    "facts.names | unique | list",
    "facts.names | map('upper') | join('/')",
    "facts.mixed | reject('none') | list",
    "facts.mixed | select('number') | list",
    "facts.mixed | select('string') | list",
    "facts.mixed | select | list",
    "facts.rows | map(attribute='a.b') | list",
    "facts.rows | selectattr('a.b', 'gt', 1) | list",
    "facts.rows | rejectattr('on') | map(attribute='a') | list",
    "facts.list | max",
    "facts.list | min",
    "facts.names | max",
    "facts.text | length",
    "facts.text | list | length",
    "facts.text | replace('信', 'x')",
    "' a b ' | trim",
    "'a b  c' | split",
    "'a,b,,c' | split(',') | list",
    "facts.real | string",
    "facts.whole | string",
    "facts.none | string",
    "facts.yes | string",
    "facts.list | string",
    "facts.rows | string",
    "facts.names | string",
    "facts.real | tojson",
    "facts.rows | tojson",
    "facts.odd | tojson",
    "facts.odd | upper",
    "facts.huge | string",
    "facts.tiny | tojson",
    "facts.real | abs",
    "1 + 2 * 3 - 4",
    "7 / 2",
    "6 / 2",
    "1.5 + 1",
    "-facts.whole",
    "'a' ~ 1 ~ none ~ true",
    "'a' + 'b'",
    "[1] + [2, 'c']",
    "none < 1",
    "true == 1",
    "true < 2",
    "1 == 1.0",
    "'10' == 10",
    "'b' > 'a'",
    "[1, 2] < [1, 3]",
    "[1, 2] == [1, 2]",
    "facts.rows[0] == facts.rows[0]",
    "1 < 2 < 3",
    "3 > 2 > 2",
    "2 in facts.list",
    "'2' in facts.list",
    "'信頼' in facts.text",
    "1 in '123'",
    "'a' in facts.rows[0]",
    "'a' not in facts.rows[0]",
    "not facts.list",
    "not facts.empty",
    "facts.empty or 'else'",
    "facts.whole and facts.text",
    "facts.none or facts.empty or 0",
    "'x' if facts.yes else 'y'",
    "facts.nothing is defined",
    "facts.nothing is undefined",
    "facts.nothing is none",
    "facts.nothing | default('d')",
    "facts.none | default('d')",
    "facts.text is string",
    "facts.whole is number",
    "facts.yes is number",
    "facts.yes is boolean",
    "facts.list is sequence",
    "facts.rows[0] is mapping",
    "facts.text is startingwith '信'",
    "facts.text is endingwith 'x'",
    "facts.rows[0].a['b']",
    "facts.none | list",
    "facts.empty | join(',')",
    "facts.list | join",
    "facts.list | length > 2 and facts.real < 0",
    // What must fail on both sides.
    "facts.nothing.more",
    "facts.nothing == 1",
    "not facts.nothing",
    "facts.nothing or 1",
    "facts.nothing | length",
    "facts.whole | length",
    "facts.text | abs",
    "facts.nothing",
    "1 in facts.whole",
    "facts.none.more.most",
];

/// One text a step's parameter, so that each is computed or fails by itself.
fn trial(folder: &Path) -> Playbook {
    let mut yaml = String::from(
        "name: trial\nsummary: {en: t, ja: t}\nplatform: windows\n\
         diagnose: {script: look.ps1, deadline: 10s}\n\
         causes:\n  - {id: healthy, kind: healthy, when: 'false', reason: {en: r, ja: r}}\n  - {id: fault, kind: fault, when: 'true', reason: {en: r, ja: r}, next: {en: n, ja: n}}\n\
         repair:\n  - id: all\n    summary: {en: t, ja: t}\n    for: [fault]\n    cost: 1s\n    steps:\n",
    );
    for (at, text) in EXPRESSIONS.iter().enumerate() {
        let text = text.replace('\'', "''");
        yaml.push_str(&format!(
            "      - {{name: s{at}, script: look.ps1, deadline: 10s, with: {{value: '{text}'}}}}\n"
        ));
    }
    yaml.push_str(
        "verify:\n  script: look.ps1\n  deadline: 10s\n  require:\n    - {name: v, require: 'true', reason: {en: r, ja: r}}\n  attempts: 1\n  pause: 1s\n",
    );
    let own = folder.join("trial");
    fs::create_dir_all(&own).unwrap();
    fs::write(folder.join("trial.yaml"), yaml).unwrap();
    fs::write(own.join("look.ps1"), "param($Params)\n").unwrap();
    for side in ["takes", "gives"] {
        fs::write(own.join(format!("look.{side}.json")), "{}").unwrap();
    }
    Playbook::load_file(&folder.join("trial.yaml")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn expressions_yield_the_same_values() {
    if lacks("expressions_yield_the_same_values") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let playbook = trial(folder.path());
    let facts = json!({
        "list": [3, 1, 2], "names": ["b", "A", "a", "C"], "mixed": [1, null, "x", 2.5, true, ""],
        "rows": [{"a": {"b": 1}, "on": true}, {"a": {"b": 2}, "on": false}],
        "text": "信頼関係x", "real": -12.345, "whole": 42, "none": null, "yes": true,
        "odd": "<a href='x'>&\"\\\n\u{7f}\u{1f600}", "empty": [],
        "huge": 3_221_225_506_i64, "tiny": 0.1,
    });
    let situation = Situation::default();
    let facts_of = Facts(facts.as_object().unwrap().clone());
    let expected = decided(&playbook, &facts_of, None, &situation);
    let trees = playbook.handoff().unwrap_or_else(|error| panic!("{error}"));
    let answers = ask(
        &driver,
        format!("{trees}\n{}\n", request(&facts, None, &situation)),
    );
    let mut wrong = Vec::new();
    let mut errors = 0;
    for (at, text) in EXPRESSIONS.iter().enumerate() {
        let key = format!("all/s{at}");
        let (is, should) = (&answers[0]["steps"][&key], &expected["steps"][&key]);
        errors += usize::from(should == "error");
        if is != should || is.is_null() {
            wrong.push(format!("{text}: C# {is}, Rust {should}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(errors, 10, "as many fail as are listed to");
}

/// Gives lines to the driver and returns its answers.
fn ask(driver: &Path, input: String) -> Vec<Value> {
    let mut mono = Command::new("mono")
        .arg(driver)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = mono.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = mono.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_stick_decides_as_the_controller_does() {
    if lacks("the_stick_decides_as_the_controller_does") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    let mut seen = 0;
    let mut texts = 0;
    let mut wrong = Vec::new();
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap_or_else(|error| panic!("{error}"));
        if playbook.platform != Platform::Windows {
            continue;
        }
        let mut input = format!(
            "{}\n",
            playbook.handoff().unwrap_or_else(|error| panic!("{error}"))
        );
        let mut expected = Vec::new();
        for (about, facts, verify, situation) in cases(&playbook)
            .into_iter()
            .enumerate()
            .flat_map(|(at, case)| variants(at, case))
        {
            input.push_str(&format!(
                "{}\n",
                request(&facts.to_value(), verify.as_ref(), &situation)
            ));
            expected.push((
                about,
                decided(&playbook, &facts, verify.as_ref(), &situation),
            ));
        }
        let answers = ask(&driver, input);
        assert_eq!(answers.len(), expected.len(), "{name}");
        for ((about, expected), mut answer) in expected.into_iter().zip(answers) {
            seen += 1;
            if answer.get("error").is_some() && expected.get("error").is_some() {
                answer["error"] = json!(true);
            }
            texts += usize::from(
                expected["reason"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
            );
            if answer != expected {
                wrong.push(format!(
                    "{name} {about}:\n  Rust {expected}\n  C#   {answer}"
                ));
            }
        }
    }
    let shown = wrong
        .iter()
        .take(12)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {seen} differ\n{shown}",
        wrong.len()
    );
    assert!(
        seen > 3_000 && texts > 1_000,
        "only {seen} decisions, {texts} texts"
    );
    println!("{seen} decisions, {texts} texts");
}
