//! Playbooks whose steps the controller takes in the directory: read, checked and decided.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod mistakes;

use std::fs;
use std::path::Path;

use fleetmend_model::{DirectoryAction, Facts, Platform};
use fleetmend_playbooks::{
    Decision, Need, Playbook, SecretFrom, Situation, VerifyVerdict, action_file,
};
use serde_json::{Map, Value, json};

const GOOD: &str = "\
name: mend
summary: Mend it
also: [mend-linux]
parameters:
  controller: {type: string, summary: Which controller}
  rotate: {type: boolean, default: true, summary: Whether to rotate}
  admin: {type: credential, summary: Who may}
diagnose:
  script: look.ps1
  directory:
    action: read-computer
    when: facts.name is not none
    with: {computer: facts.name, domain_controller: params.controller}
    deadline: 30s
define:
  absent: facts.directory is not none and facts.directory.found is false
  account: facts.directory.sid if facts.directory is not none else none
causes:
  - {id: healthy, kind: healthy, when: facts.code == 0, reason: All is well}
  - {id: absent, kind: fault, when: absent, reason: There is no account}
  - {id: broken, kind: fault, when: \"true\", reason: It is broken}
repair:
  - id: reset
    summary: Reset it
    for: [broken]
    needs: [directory]
    caution: {en: The account has another password than the PC, ja: 違うパスワード}
    again-if-cut: true
    steps:
      - name: reset_account
        action: reset-computer-password
        with: {computer: facts.name, domain_controller: facts.directory.dc, sid: account}
        makes: machine_password
        deadline: 20s
      - name: store
        script: store.ps1
        with: {dc: answers.reset_account.dc}
        secrets: {password: machine_password}
      - name: rotate
        script: look.ps1
        when: params.rotate and not absent and answers.store.code == 0
  - id: join
    summary: Join it
    for: [absent]
    needs: [offline-join]
    steps:
      - name: provision
        action: provision-offline-join
        with: {computer: facts.name, domain: \"'example.jp'\", domain_controller: none, ou: none}
        makes: blob
      - name: store
        script: store.ps1
        with: {dc: answers.provision.dc}
        secrets: {password: blob}
verify:
  script: look.ps1
  directory:
    action: read-computer
    when: verify.code == 0
    with: {computer: facts.name, domain_controller: \"answers.reset_account.dc if answers.reset_account is defined else none\"}
  require:
    - {name: zero, require: verify.code == 0, reason: 'It is {{ verify.code }}'}
    - name: set-anew
      require: verify.directory is none or verify.directory.bad_pwd_count == 0
      reason: 'There were {{ verify.directory.bad_pwd_count }}'
";

const OTHER: &str = "\
name: mend-linux
summary: Mend it
platform: posix
diagnose: {script: look.sh}
causes: [{id: healthy, kind: healthy, when: \"true\", reason: All is well}]
repair: []
verify: {script: look.sh, require: [{name: zero, require: verify.code == 0, reason: It is not}]}
";

const LOOK_TAKES: &str = r#"{"type": "object", "additionalProperties": false}"#;
const STORE_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["dc", "password"], "properties": {"dc": {}, "password": {"type": "string"}}}"#;
const GIVES: &str = r#"{"type": "object", "additionalProperties": false, "required": ["code", "name"],
    "properties": {"code": {"type": "integer"}, "name": {"type": ["string", "null"]}}}"#;

fn write(folder: &Path, yaml: &str) {
    fs::write(folder.join("mend.yaml"), yaml).unwrap();
    fs::write(folder.join("mend-linux.yaml"), OTHER).unwrap();
    for (name, takes) in [
        ("mend/look.ps1", LOOK_TAKES),
        ("mend/store.ps1", STORE_TAKES),
        ("mend-linux/look.sh", LOOK_TAKES),
    ] {
        let script = folder.join(name);
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::write(&script, "").unwrap();
        fs::write(script.with_extension("takes.json"), takes).unwrap();
        fs::write(script.with_extension("gives.json"), GIVES).unwrap();
    }
}

fn good() -> Playbook {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), GOOD);
    let loaded = Playbook::load_file(&folder.path().join("mend.yaml"));
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

fn facts(value: Value) -> Facts {
    Facts(value.as_object().unwrap().clone())
}

fn situation(playbook: &Playbook) -> Situation {
    Situation {
        params: playbook
            .resolve_params(&Map::new(), &Default::default())
            .unwrap(),
        directory: true,
        ..Situation::default()
    }
}

/// What the directory answers about an account that is there.
fn account() -> Value {
    json!({"found": true, "dc": "dc01.example.jp", "sid": "S-1-5-21-1-2-3-1104", "bad_pwd_count": 2})
}

#[test]
fn the_good_one_is_read_whole() {
    let playbook = good();
    assert_eq!(playbook.also, ["mend-linux"]);
    let consult = playbook.consult.as_ref().unwrap();
    assert_eq!(consult.step.name, "directory");
    assert_eq!(consult.step.action(), Some(DirectoryAction::ReadComputer));
    assert_eq!(consult.step.deadline.as_secs(), 30);
    assert!(!consult.step.changes && consult.when.is_some());
    assert!(playbook.verify.consult.is_some());

    let [reset, join] = playbook.ladder.as_slice() else {
        panic!("{:?}", playbook.ladder)
    };
    assert!(reset.again_if_cut && !join.again_if_cut);
    assert_eq!(reset.caution.as_ref().unwrap().ja, "違うパスワード");
    assert!(join.caution.is_none());
    assert_eq!(reset.needs, [Need::Directory]);
    assert_eq!(join.needs, [Need::OfflineJoin]);
    let [account, store, rotate] = reset.steps.as_slice() else {
        panic!("{:?}", reset.steps)
    };
    let action = DirectoryAction::ResetComputerPassword;
    assert_eq!(account.action(), Some(action));
    assert_eq!(account.makes.as_deref(), Some("machine_password"));
    assert!(account.changes && account.when.is_none());
    assert_eq!(
        account.script.name,
        action_file(action).unwrap().name,
        "an action has its schemas where a script has its own"
    );
    let made = SecretFrom::Made("machine_password".into());
    assert_eq!(store.secrets, [("password".to_owned(), made)]);
    assert!(store.action().is_none() && rotate.when.is_some());
    let mut names: Vec<_> = playbook.scripts().map(|script| &script.name).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "mend/look.ps1",
            "mend/store.ps1",
            "mend/look.ps1",
            "mend/store.ps1",
            "mend/look.ps1"
        ]
    );
}

#[test]
fn the_directory_is_asked_when_it_is_there_and_the_condition_holds() {
    let playbook = good();
    let there = situation(&playbook);
    let gone = Situation {
        directory: false,
        ..there.clone()
    };
    let named = facts(json!({"code": 5, "name": "PC-042"}));
    let nameless = facts(json!({"code": 5, "name": null}));
    assert!(playbook.consult_wanted(&named, &there).unwrap());
    assert!(!playbook.consult_wanted(&named, &gone).unwrap());
    assert!(!playbook.consult_wanted(&nameless, &there).unwrap());
    let params = Value::Object(playbook.consult_params(&named, &there).unwrap());
    assert_eq!(
        params,
        json!({"computer": "PC-042", "domain_controller": null})
    );
    let consult = playbook.consult.as_ref().unwrap();
    consult.step.script.check_params(&params).unwrap();

    let good = json!({"code": 0, "name": "PC-042"});
    let bad = json!({"code": 1, "name": "PC-042"});
    let wanted = |evidence, situation| {
        playbook
            .verify_consult_wanted(evidence, &named, situation)
            .unwrap()
    };
    assert!(wanted(&good, &there));
    assert!(!wanted(&good, &gone));
    assert!(!wanted(&bad, &there));
    let mut after = there.clone();
    let answer = json!({"dc": "dc02.example.jp"});
    after.answers.insert("reset_account".into(), answer);
    let params = playbook
        .verify_consult_params(&good, &named, &after)
        .unwrap();
    assert_eq!(params["domain_controller"], json!("dc02.example.jp"));
}

#[test]
fn what_was_not_asked_is_null() {
    let playbook = good();
    let situation = situation(&playbook);
    let silent = facts(json!({"code": 5, "name": "PC-042"}));
    let absent =
        facts(json!({"code": 5, "name": "PC-042", "directory": {"found": false, "sid": null}}));
    let rung = |facts: &Facts, situation: &Situation| match playbook.decide(facts, situation) {
        Ok(Decision::Try { cause, rung, .. }) => format!("{}: {rung}", cause.id.0),
        Ok(Decision::Blocked { cause, guard, .. }) => format!("{}: {guard}", cause.id.0),
        other => panic!("{other:?}"),
    };
    assert_eq!(rung(&silent, &situation), "broken: reset");
    assert_eq!(rung(&absent, &situation), "absent: needs-offline-join");
    let joins = Situation {
        offline_join: true,
        ..situation.clone()
    };
    assert_eq!(rung(&absent, &joins), "absent: join");
    let gone = Situation {
        directory: false,
        ..situation.clone()
    };
    assert_eq!(rung(&silent, &gone), "broken: needs-directory");

    let judged = |evidence: Value| playbook.verified(&evidence, &silent, &situation).unwrap();
    assert_eq!(
        judged(json!({"code": 0, "name": null})),
        VerifyVerdict::Proven
    );
    let failed = judged(json!({"code": 0, "name": null, "directory": account()}));
    assert!(
        matches!(&failed, VerifyVerdict::NotProven { reason, .. } if reason == "There were 2"),
        "{failed:?}"
    );
}

#[test]
fn steps_see_terms_and_the_answers_before_them() {
    let playbook = good();
    let mut situation = situation(&playbook);
    let facts = facts(json!({"code": 5, "name": "PC-042", "directory": account()}));
    let [reset, store, rotate] = playbook.ladder[0].steps.as_slice() else {
        panic!("three steps")
    };
    assert!(playbook.step_wanted(reset, &facts, &situation).unwrap());
    let params = playbook.step_params(reset, &facts, &situation).unwrap();
    let expected = json!({
        "computer": "PC-042",
        "domain_controller": "dc01.example.jp",
        "sid": "S-1-5-21-1-2-3-1104"
    });
    assert_eq!(Value::Object(params), expected);
    reset.script.check_params(&expected).unwrap();
    assert!(playbook.step_params(store, &facts, &situation).is_err());
    let answer = json!({"dc": "dc01.example.jp"});
    situation.answers.insert("reset_account".into(), answer);
    let params = playbook.step_params(store, &facts, &situation).unwrap();
    assert_eq!(Value::Object(params), json!({"dc": "dc01.example.jp"}));
    situation.answers.insert("store".into(), json!({"code": 0}));
    assert!(playbook.step_wanted(rotate, &facts, &situation).unwrap());
    situation.answers.insert("store".into(), json!({"code": 5}));
    assert!(!playbook.step_wanted(rotate, &facts, &situation).unwrap());
}

#[test]
fn each_who_answered_is_held_against_its_own_schema() {
    let playbook = good();
    let mut whole = json!({"code": 0, "name": null, "directory": null});
    playbook.check_facts(&whole).unwrap();
    playbook.check_evidence(&whole).unwrap();
    assert!(playbook.diagnose.script.check_answer(&whole).is_err());
    whole["directory"] = account();
    let error = playbook.check_facts(&whole).unwrap_err();
    assert_eq!(error.script, "directory/read-computer");
    let error = playbook.check_evidence(&json!({"code": 0})).unwrap_err();
    assert_eq!(error.script, "mend/look.ps1");
}

#[test]
fn siblings_are_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), GOOD);
    let path = folder.path().join("mend.yaml");
    let playbook = Playbook::load_file(&path).unwrap();
    let also = playbook.load_also(path.to_str().unwrap()).unwrap();
    let [sibling] = also.as_slice() else {
        panic!("{also:?}")
    };
    assert_eq!(sibling.name, "mend-linux");
    assert_eq!(sibling.platform, Platform::Posix);
    assert!(sibling.load_also("mend-linux").unwrap().is_empty());

    // What is wrong inside a sibling is told in its own file.
    fs::remove_file(folder.path().join("mend-linux/look.sh")).unwrap();
    let error = playbook.load_also(path.to_str().unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(
            "mend-linux.yaml:4:20: in diagnose: the file `mend-linux/look.sh` is missing"
        ),
        "{text}"
    );
}

/// The field of the facts can be given by one only.
#[test]
fn a_script_may_not_give_what_the_directory_gives() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), GOOD);
    let gives = GIVES.replace(r#""code": {"#, r#""directory": {}, "code": {"#);
    fs::write(folder.path().join("mend/look.gives.json"), gives).unwrap();
    let error = Playbook::load_file(&folder.path().join("mend.yaml")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("mend.yaml:11:5: in diagnose/directory: `mend/look.ps1` gives a field `directory` itself"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
}
