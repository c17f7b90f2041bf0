//! Playbooks whose steps the controller takes in the directory: read, checked and decided.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

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

/// Returns what the author of the good playbook is told once some of its text is replaced.
fn message(changes: &[(&str, &str)]) -> String {
    let mut yaml = GOOD.to_owned();
    for (from, to) in changes {
        assert!(yaml.contains(from), "the good playbook does not say {from}");
        yaml = yaml.replacen(from, to, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &yaml);
    match Playbook::load_file(&folder.path().join("mend.yaml")) {
        Ok(_) => String::new(),
        Err(error) => {
            let inside = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
            error.to_string().replace(&inside, "")
        }
    }
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
    assert_eq!(consult.step.action, Some(DirectoryAction::ReadComputer));
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
    assert_eq!(account.action, Some(action));
    assert_eq!(account.makes.as_deref(), Some("machine_password"));
    assert!(account.changes && account.when.is_none());
    assert_eq!(
        account.script.name,
        action_file(action).unwrap().name,
        "an action has its schemas where a script has its own"
    );
    let made = SecretFrom::Made("machine_password".into());
    assert_eq!(store.secrets, [("password".to_owned(), made)]);
    assert!(store.action.is_none() && rotate.when.is_some());
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

#[test]
fn each_mistake_has_its_message() {
    let mut wrong = Vec::new();
    for (from, to, expected) in MISTAKES {
        let got = message(&[(from, to)]);
        if got != *expected {
            wrong.push(format!("{to}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "action: reset-computer-password",
        "action: reset-computer-pasword",
        "mend.yaml:31:17: in repair/reset/reset_account: unknown action `reset-computer-pasword`, did you mean `reset-computer-password`?; there are `read-computer`, `reset-computer-password`, `enable-computer`, `unlock-computer`, `restore-computer`, `provision-offline-join`",
    ),
    (
        "action: reset-computer-password",
        "script: store.ps1\n        action: reset-computer-password",
        "mend.yaml:32:17: in repair/reset/reset_account: a step has either `script` or `action`, not both",
    ),
    (
        "        script: store.ps1\n        with: {dc: answers.reset",
        "        with: {dc: answers.reset",
        "mend.yaml:35:9: in repair/reset/store: a step needs `script` or `action`",
    ),
    (
        "        makes: machine_password\n",
        "",
        "mend.yaml:30:9: in repair/reset/reset_account: `reset-computer-password` makes a secret; name it with `makes`, so that a later step can be given it\n\
         mend.yaml:37:29: in repair/reset/store: no parameter of type credential and no secret of an earlier step of the rung is named `machine_password`",
    ),
    (
        "makes: machine_password",
        "makes: controller",
        "mend.yaml:33:16: in repair/reset/reset_account: a parameter is named `controller` too; give the secret another name\n\
         mend.yaml:38:29: in repair/reset/store: no parameter of type credential and no secret of an earlier step of the rung is named `machine_password`",
    ),
    (
        "        secrets: {password: machine_password}\n",
        "        secrets: {password: machine_password}\n      - name: again\n        action: reset-computer-password\n        with: {computer: facts.name, domain_controller: none, sid: none}\n        makes: machine_password\n",
        "mend.yaml:42:16: in repair/reset/again: secret `machine_password` is defined twice, first at line 33",
    ),
    (
        "makes: machine_password",
        "makes: Machine-Password",
        "mend.yaml:33:16: in repair/reset/reset_account: `Machine-Password` is no name of a secret: use small letters, digits and `_`\n\
         mend.yaml:38:29: in repair/reset/store: no parameter of type credential and no secret of an earlier step of the rung is named `machine_password`",
    ),
    (
        "makes: machine_password",
        "makes: machine_password\n        when: params.rotate",
        "mend.yaml:34:15: in repair/reset/reset_account: a step that makes a secret is never left out; put the condition on the rung",
    ),
    (
        "        secrets: {password: machine_password}\n",
        "        secrets: {password: machine_password}\n        makes: other\n",
        "mend.yaml:39:16: in repair/reset/store: `store.ps1` makes no secret; `reset-computer-password`, `provision-offline-join` do",
    ),
    (
        "{password: machine_password}",
        "{password: machine_pasword}",
        "mend.yaml:38:29: in repair/reset/store: no parameter of type credential and no secret of an earlier step of the rung is named `machine_pasword`, did you mean `machine_password`?",
    ),
    (
        "{password: blob}",
        "{password: machine_password}",
        "mend.yaml:54:29: in repair/join/store: no parameter of type credential and no secret of an earlier step of the rung is named `machine_password`",
    ),
    (
        "    needs: [directory]\n",
        "",
        "mend.yaml:30:17: in repair/reset/reset_account: a rung with the action `reset-computer-password` must say `needs: [directory]`",
    ),
    (
        "needs: [offline-join]",
        "needs: [directory]",
        "mend.yaml:48:17: in repair/join/provision: a rung with the action `provision-offline-join` must say `needs: [offline-join]`",
    ),
    (
        "needs: [offline-join]",
        "needs: [ofline-join]",
        "mend.yaml:45:13: in repair/join: unknown need `ofline-join`, did you mean `offline-join`?; there are `reboot`, `directory`, `offline-join`\n\
         mend.yaml:48:17: in repair/join/provision: a rung with the action `provision-offline-join` must say `needs: [offline-join]`",
    ),
    (
        "sid: account}",
        "sid: account, force: true}",
        "mend.yaml:32:91: in repair/reset/reset_account: `directory/reset-computer-password` takes no parameter `force`",
    ),
    (
        ", sid: account}",
        "}",
        "mend.yaml:30:9: in repair/reset/reset_account: `directory/reset-computer-password` needs the parameter `sid`, which neither `with` nor `secrets` gives",
    ),
    (
        "deadline: 20s",
        "changes: false",
        "mend.yaml:34:18: in repair/reset/reset_account: `reset-computer-password` changes the directory, so `changes: false` is refused",
    ),
    (
        "{dc: answers.reset_account.dc}",
        "{dc: answers.reset_account.cd}",
        "mend.yaml:37:20: in repair/reset/store: `answers.reset_account.cd` is not among what directory/reset-computer-password gives",
    ),
    (
        "{dc: answers.reset_account.dc}",
        "{dc: answers.rotate.code}",
        "mend.yaml:37:20: in repair/reset/store: no step is named `rotate`",
    ),
    (
        "domain_controller: facts.directory.dc",
        "domain_controller: answers.store.code",
        "mend.yaml:32:57: in repair/reset/reset_account: `answers` is unknown here",
    ),
    (
        "when: params.rotate and",
        "when: params.rotat and",
        "mend.yaml:41:15: in repair/reset/rotate: no parameter is named `rotat`, did you mean `rotate`?",
    ),
    (
        "facts.directory.found",
        "facts.directory.fond",
        "mend.yaml:16:11: in define/absent: `facts.directory.fond` is not among what directory/read-computer gives, did you mean `facts.directory.found`?",
    ),
    (
        "require: verify.directory is none or verify.directory.bad_pwd_count",
        "require: verify.directory is none or verify.directory.bad_pwd_cont",
        "mend.yaml:64:16: in verify/set-anew: `verify.directory.bad_pwd_cont` is not among what directory/read-computer gives, did you mean `verify.directory.bad_pwd_count`?",
    ),
    (
        "    action: read-computer\n    when: facts.name",
        "    action: enable-computer\n    when: facts.name",
        "mend.yaml:11:13: in diagnose/directory: diagnose must not change the directory, so `enable-computer` is refused",
    ),
    (
        "    when: facts.name is not none",
        "    when: facts.nam is not none",
        "mend.yaml:12:11: in diagnose/directory: `facts.nam` is not among what mend/look.ps1 gives, did you mean `facts.name`?",
    ),
    (
        "    when: facts.name is not none",
        "    when: absent",
        "mend.yaml:12:11: in diagnose/directory: `absent` is unknown here",
    ),
    (
        "    when: facts.name is not none",
        "    changes: true",
        "mend.yaml:12:5: in diagnose/directory: unknown key `changes`",
    ),
    (
        "{computer: facts.name, domain_controller: params.controller}\n    deadline: 30s",
        "{computer: facts.name}",
        "mend.yaml:11:5: in diagnose/directory: `directory/read-computer` needs the parameter `domain_controller`, which neither `with` nor `secrets` gives",
    ),
    (
        "    when: verify.code == 0",
        "    when: verify.cod == 0",
        "mend.yaml:59:11: in verify/directory: `verify.cod` is not among what mend/look.ps1 gives, did you mean `verify.code`?",
    ),
    (
        "caution: {en: The account",
        "caution: {en: '{{ facts.name }}', fr: The account",
        "mend.yaml:27:14: in repair/reset: expressions are not filled in here; write the text without braces\n\
         mend.yaml:27:39: in repair/reset: unknown key `fr`",
    ),
    (
        "caution: {en: The account has another password than the PC,",
        "caution: {en: 'The {{ facts.name }}',",
        "mend.yaml:27:14: in repair/reset: expressions are not filled in here; write the text without braces",
    ),
    (
        "again-if-cut: true",
        "again-if-cut: maybe",
        "mend.yaml:28:19: in repair/reset: expected `true` or `false`, found a text",
    ),
    (
        "also: [mend-linux]",
        "also: [mend-linus]",
        "mend.yaml:3:8: in also: no playbook beside this one is named `mend-linus`, did you mean `mend-linux`?",
    ),
    (
        "also: [mend-linux]",
        "also: [mend-linux, mend-linux]",
        "mend.yaml:3:20: in also: `mend-linux` is for posix hosts, and so is `mend-linux`",
    ),
    (
        "also: [mend-linux]",
        "platform: posix\nalso: [mend-linux]",
        "mend.yaml:4:8: in also: `mend-linux` is for posix hosts, and so is `mend`\n\
         mend.yaml:10:11: in diagnose: `look.ps1` is no script: use the name of a .sh file in the playbook's folder",
    ),
    (
        "also: [mend-linux]",
        "also: [mend]",
        "mend.yaml:3:8: in also: `mend` names playbooks under `also` itself; list them here\n\
         mend.yaml:3:8: in also: `mend` is for windows hosts, and so is `mend`",
    ),
    (
        "also: [mend-linux]",
        "also: mend-linux",
        "mend.yaml:3:7: in also: expected a list, found a text",
    ),
];
