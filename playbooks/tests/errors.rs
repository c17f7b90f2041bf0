//! What an author is told about a wrong playbook: file, line, column, step and what, all at once.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use fleetmend_playbooks::{Playbook, PlaybookErrors};

const GOOD: &str = "\
name: mend
summary: {en: Mend it, ja: なおす}
parameters:
  pause: {type: integer, default: 5, summary: How long to wait}
  admin: {type: credential, summary: Who may}
diagnose:
  script: look.ps1
  with: {pause: params.pause}
define:
  code: facts.code
causes:
  - {id: healthy, kind: healthy, when: code == 0, reason: All is well}
  - {id: broken, kind: fault, when: code == 5, code: code, reason: 'It is {{ facts.code }}'}
  - {id: unknown, kind: fault, when: \"true\", reason: Nobody knows}
repair:
  - id: fix
    summary: Fix it
    for: [broken]
    needs: [{credential-on-pc: admin}]
    guards:
      - {name: reachable, require: facts.dc.located, reason: No controller}
    steps:
      - name: mend
        script: mend.ps1
        with: {pause: params.pause}
        secrets: {admin: admin}
verify:
  script: look.ps1
  with: {pause: answers.mend.code}
  require:
    - {name: zero, require: verify.code == 0, reason: 'It is {{ verify.code }}'}
";

const LOOK_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["pause"], "properties": {"pause": {"type": "integer"}}}"#;
const MEND_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["pause", "admin"], "properties": {"pause": {}, "admin": {"type": "object"}}}"#;
const GIVES: &str = r#"{"type": "object", "properties": {"code": {"type": "integer"},
    "dc": {"type": "object", "properties": {"located": {"type": "boolean"}}}}}"#;

fn write(folder: &Path, yaml: &str) {
    let scripts = folder.join("mend");
    fs::create_dir_all(&scripts).unwrap();
    fs::write(folder.join("mend.yaml"), yaml).unwrap();
    for (name, takes) in [("look", LOOK_TAKES), ("mend", MEND_TAKES)] {
        fs::write(scripts.join(format!("{name}.ps1")), "param($Params)\n").unwrap();
        fs::write(scripts.join(format!("{name}.takes.json")), takes).unwrap();
        fs::write(scripts.join(format!("{name}.gives.json")), GIVES).unwrap();
    }
}

fn load(folder: &Path) -> String {
    match Playbook::load_file(&folder.join("mend.yaml")) {
        Ok(_) => String::new(),
        Err(error) => {
            let inside = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
            error.to_string().replace(&inside, "")
        }
    }
}

/// Returns the message for the good playbook with some of its text replaced.
fn message(changes: &[(&str, &str)]) -> String {
    let mut yaml = GOOD.to_owned();
    for (from, to) in changes {
        assert!(yaml.contains(from), "the good playbook does not say {from}");
        yaml = yaml.replacen(from, to, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &yaml);
    load(folder.path())
}

#[test]
fn the_good_one_loads() {
    assert_eq!(message(&[]), "");
}

#[test]
fn each_mistake_has_its_message() {
    let mistakes: &[(&str, &str, &str)] = &[
        (
            "kind: fault, when: code == 5",
            "kind: fault, whenn: code == 5",
            "mend.yaml:13:5: in causes/broken: the key `when` is missing\n\
          mend.yaml:13:31: in causes/broken: unknown key `whenn`, did you mean `when`?",
        ),
        (
            "for: [broken]",
            "for: [brocken]",
            "mend.yaml:18:11: in repair/fix: no cause is named `brocken`, did you mean `broken`?",
        ),
        (
            "for: [broken]",
            "for: [healthy]",
            "mend.yaml:18:11: in repair/fix: `healthy` is of kind healthy; a rung can only be for causes of kind fault",
        ),
        (
            "for: [broken]",
            "for: []",
            "mend.yaml:18:10: in repair/fix: `for` must not be empty",
        ),
        (
            "script: mend.ps1",
            "script: gone.ps1",
            "mend.yaml:24:17: in repair/fix/mend: the file `mend/gone.ps1` is missing\n\
          mend.yaml:24:17: in repair/fix/mend: the file `mend/gone.takes.json` is missing\n\
          mend.yaml:24:17: in repair/fix/mend: the file `mend/gone.gives.json` is missing",
        ),
        (
            "script: mend.ps1",
            "script: ../mend.ps1",
            "mend.yaml:24:17: in repair/fix/mend: `../mend.ps1` is no script: use the name of a .ps1 file in the playbook's folder",
        ),
        (
            "when: code == 0",
            "when: code ==",
            "mend.yaml:12:40: in causes/healthy: the expression `code ==` does not compile: syntax error: unexpected end of input, expected expression",
        ),
        (
            "when: code == 0",
            "when: code | twice == 0",
            "mend.yaml:12:40: in causes/healthy: the expression `code | twice == 0` does not compile: unknown filter `twice`",
        ),
        (
            "code: facts.code\n",
            "code: facts.cod\n",
            "mend.yaml:10:9: in define/code: `facts.cod` is not among what mend/look.ps1 gives, did you mean `facts.code`?",
        ),
        (
            "require: facts.dc.located",
            "require: facts.dc.found",
            "mend.yaml:21:36: in repair/fix/reachable: `facts.dc.found` is not among what mend/look.ps1 gives",
        ),
        (
            "require: facts.dc.located",
            "require: facts.code.value",
            "mend.yaml:21:36: in repair/fix/reachable: `facts.code.value` is not among what mend/look.ps1 gives",
        ),
        (
            "'It is {{ facts.code }}'",
            "'It is {{ facts.cide }}'",
            "mend.yaml:13:68: in causes/broken: `facts.cide` is not among what mend/look.ps1 gives, did you mean `facts.code`?",
        ),
        (
            "require: verify.code == 0",
            "require: verify.dode == 0",
            "mend.yaml:31:29: in verify/zero: `verify.dode` is not among what mend/look.ps1 gives, did you mean `verify.code`?",
        ),
        (
            "when: code == 5",
            "when: cose == 5",
            "mend.yaml:13:37: in causes/broken: `cose` is unknown here, did you mean `code`?",
        ),
        (
            "when: code == 5",
            "when: verify.code == 5",
            "mend.yaml:13:37: in causes/broken: `verify` is unknown here",
        ),
        (
            "with: {pause: params.pause}\ndefine",
            "with: {pause: facts.code}\ndefine",
            "mend.yaml:8:17: in diagnose: `facts` is unknown here",
        ),
        (
            "with: {pause: answers.mend.code}",
            "with: {pause: answers.mand.code}",
            "mend.yaml:29:17: in verify: no step is named `mand`, did you mean `mend`?",
        ),
        (
            "with: {pause: params.pause}\ndefine",
            "with: {pause: host.nmae}\ndefine",
            "mend.yaml:8:17: in diagnose: no field of a host is named `nmae`",
        ),
        (
            "type: integer",
            "type: int",
            "mend.yaml:4:17: in parameters/pause: unknown type `int`; there are `string`, `integer`, `boolean`, `credential`",
        ),
        (
            "default: 5",
            "default: five",
            "mend.yaml:4:35: in parameters/pause: the default is a text, which is not of type integer",
        ),
        (
            "{type: credential,",
            "{type: credential, secret: false,",
            "mend.yaml:5:37: in parameters/admin: a parameter of type credential is always secret, and only those are",
        ),
        (
            "{id: unknown,",
            "{id: broken,",
            "mend.yaml:14:5: in causes/broken: cause `broken` is defined twice, first at line 13",
        ),
        (
            "verify:\n  script: look.ps1\n  with: {pause: answers.mend.code}\n  require:\n    - {name: zero, require: verify.code == 0, reason: 'It is {{ verify.code }}'}\n",
            "",
            "mend.yaml:1:1: the key `verify` is missing",
        ),
        (
            "with: {pause: params.pause}\ndefine",
            "with: {pause: params.pause}\n  changes: true\ndefine",
            "mend.yaml:9:12: in diagnose: diagnose must not change the PC, so `changes: true` is refused",
        ),
        (
            "with: {pause: params.pause}\n        secrets",
            "with: {pause: params.admin}\n        secrets",
            "mend.yaml:25:23: in repair/fix/mend: `admin` is a credential; pass it under `secrets`, never under `with`",
        ),
        (
            "needs: [{credential-on-pc: admin}]",
            "needs: [{credential-on-pc: pause}]",
            "mend.yaml:19:32: in repair/fix: no parameter of type credential is named `pause`\n\
          mend.yaml:23:9: in repair/fix/mend: the rung hands `admin` to the PC; say so with `needs: [credential-on-pc: admin]`, or leave the step out without it: `when: params.admin is not none`",
        ),
        (
            "needs: [{credential-on-pc: admin}]",
            "needs: [reboots]",
            "mend.yaml:19:13: in repair/fix: unknown need `reboots`; there are `directory`, `offline-join`\n\
          mend.yaml:23:9: in repair/fix/mend: the rung hands `admin` to the PC; say so with `needs: [credential-on-pc: admin]`, or leave the step out without it: `when: params.admin is not none`",
        ),
        (
            "secrets: {admin: admin}",
            "secrets: {}",
            "mend.yaml:23:9: in repair/fix/mend: `mend/mend.ps1` needs the parameter `admin`, which neither `with` nor `secrets` gives",
        ),
        (
            "secrets: {admin: admin}",
            "secrets: {admin: admin, admim: admin}",
            "mend.yaml:26:33: in repair/fix/mend: `mend/mend.ps1` takes no parameter `admim`, did you mean `admin`?",
        ),
        (
            "name: mend\nsummary",
            "name: mends\nsummary",
            "mend.yaml:1:7: the name `mends` differs from the file's, `mend`",
        ),
        (
            "when: \"true\"",
            "when: code == 7",
            "mend.yaml:14:5: in causes: the last cause must catch the rest: `when: \"true\"`",
        ),
        (
            "id: healthy, kind: healthy",
            "id: healthy, kind: fault",
            "mend.yaml:12:3: in causes: no cause has `kind: healthy`",
        ),
        (
            "    summary: Fix it\n",
            "    summary: Fix it\n    cost: soon\n",
            "mend.yaml:18:11: in repair/fix: `soon` is no duration; write `500ms`, `90s` or `2m`",
        ),
        (
            "summary: {en: Mend it, ja: なおす}",
            "summary: [Mend it]",
            "mend.yaml:2:10: in summary: expected a mapping, found a list",
        ),
        (
            "define:\n  code: facts.code\n",
            "define:\n  facts: facts.code\n  code: facts.code\n",
            "mend.yaml:10:3: in define/facts: `facts` is no term: expressions have that name already",
        ),
        (
            "diagnose:\n",
            "diagnose:\n  script: look.ps1\n",
            "mend.yaml:8:3: duplicate key `script`, first used at line 7, column 3",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, expected) in mistakes {
        let got = message(&[(from, to)]);
        if got != *expected {
            wrong.push(format!("{to}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_text() {
    let message = message(&[
        ("type: credential", "type: credentials"),
        ("kind: healthy", "kind: fine"),
        ("for: [broken]", "for: [brken]"),
        ("require: verify.code == 0", "require: verify.code =="),
    ]);
    assert_eq!(
        message,
        "mend.yaml:5:17: in parameters/admin: unknown type `credentials`, did you mean `credential`?; there are `string`, `integer`, `boolean`, `credential`\n\
         mend.yaml:12:25: in causes/healthy: unknown kind `fine`; there are `healthy`, `fault`, `skip`, `access-denied`, `needs-hands`\n\
         mend.yaml:18:11: in repair/fix: no cause is named `brken`, did you mean `broken`?\n\
         mend.yaml:31:29: in verify/zero: the expression `verify.code ==` does not compile: syntax error: unexpected end of input, expected expression"
    );
}

#[test]
fn a_bad_schema_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), GOOD);
    fs::write(
        folder.path().join("mend/mend.gives.json"),
        r#"{"type": "objekt"}"#,
    )
    .unwrap();
    fs::write(folder.path().join("mend/mend.takes.json"), "{").unwrap();
    assert_eq!(
        load(folder.path()),
        "mend.yaml:24:17: in repair/fix/mend: the takes schema `mend/mend.takes.json` cannot be used: EOF while parsing an object at line 1 column 1"
    );
}

#[test]
fn a_file_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Playbook::load_file(&folder.path().join("mend.yaml")),
        Err(PlaybookErrors::Unreadable { .. })
    ));
    fs::write(folder.path().join("mend.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let error = Playbook::load_file(&folder.path().join("mend.yaml")).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("it is not UTF-8"));
    fs::write(folder.path().join("mend.yaml"), "").unwrap();
    assert_eq!(
        load(folder.path()),
        "mend.yaml:1:1: expected a mapping, found nothing"
    );
}

/// However a file was cut or garbled, it is told what is wrong and nothing panics.
#[test]
fn a_cut_file_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), GOOD);
    let mut good = 0;
    for (at, character) in GOOD.char_indices() {
        fs::write(folder.path().join("mend.yaml"), &GOOD[..at]).unwrap();
        good += usize::from(load(folder.path()).is_empty());
        let rest = &GOOD[at + character.len_utf8()..];
        fs::write(
            folder.path().join("mend.yaml"),
            format!("{}{{{rest}", &GOOD[..at]),
        )
        .unwrap();
        load(folder.path());
    }
    assert!(good <= 2, "{good} cut playbooks loaded");
}
