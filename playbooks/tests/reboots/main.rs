//! Playbooks that restart PCs, log on to them anew, look before they begin and work on other PCs:
//! read, checked and decided.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod decisions;
mod mistakes;

use std::fs;
use std::path::Path;
use std::time::Duration;

use fleetmend_playbooks::{Logon, Need, Playbook, SecretFrom, Step, StepKind};

const GOOD: &str = "\
name: mend
summary: Mend it
parameters:
  grace_minutes: {type: integer, default: 5, summary: How long}
  provisioning_host: {type: string, summary: Where the blob is made}
  domain_credential: {type: credential, summary: Who may join}
  rescue_admin: {type: credential, summary: Who may go on}
diagnose: {script: look.ps1}
define:
  broken: facts.code == 5
stagger-reboots-by: [facts.dc.site, facts.dc.name]
causes:
  - {id: healthy, kind: healthy, when: facts.code == 0, reason: All is well}
  - {id: broken, kind: fault, when: broken, reason: It is broken}
  - {id: unknown, kind: fault, when: \"true\", reason: Nobody knows}
repair:
  - id: rejoin
    summary: Join it anew
    for: [broken]
    needs: [{credential: domain_credential}, {parameter: provisioning_host}]
    guards:
      - {name: known, require: facts.dc.name is not none, reason: No controller is known}
    preflight:
      steps:
        - name: safety
          script: look.ps1
        - name: account
          when: preflight.safety.code == 5
          logon: {}
      guards:
        - name: quiet
          require: preflight.safety.code == 5
          reason: 'It is {{ preflight.safety.code }}'
          next: Wait
        - name: local-admin
          require: preflight.account.local and preflight.account.administrator
          reason: It is not a local administrator
    steps:
      - name: rescue_account
        script: give.ps1
        when: params.rescue_admin is not none and not preflight.account.built_in_administrator
        secrets: {account: rescue_admin}
      - name: rescue_logon
        when: params.rescue_admin is not none and broken
        logon: {credential: rescue_admin, keep: true}
      - name: blob
        script: make.ps1
        on: params.provisioning_host
        makes: blob
        with: {machine: facts.dc.name}
        secrets: {admin: domain_credential}
      - name: join
        script: give.ps1
        secrets: {account: blob}
      - name: restart
        reboot: {}
        with: {grace_minutes: params.grace_minutes, message: \"'Join ' ~ answers.blob.machine\"}
      - name: second
        reboot: {}
        when: answers.restart.ready
        deadline: 40m
    cost: 10m
verify:
  script: look.ps1
  require:
    - {name: zero, require: verify.code == 0, reason: 'It is {{ verify.code }}'}
    - name: quiet
      require: preflight.safety is not defined or verify.code != preflight.safety.code
      reason: 'It was {{ preflight.safety.code }}'
";

const NOTHING: &str = r#"{"type": "object", "additionalProperties": false}"#;
const LOOK_GIVES: &str = r#"{"type": "object", "required": ["code", "dc"], "properties": {
    "code": {"type": "integer"}, "dc": {"type": "object", "properties": {
        "name": {"type": ["string", "null"]}, "site": {"type": ["string", "null"]}}}}}"#;
const GIVE_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["account"], "properties": {"account": {}}}"#;
const GIVE_GIVES: &str = r#"{"type": "object", "properties": {"code": {"type": "integer"}}}"#;
const MAKE_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["machine", "admin"], "properties": {"machine": {}, "admin": {}}}"#;
const MAKE_GIVES: &str = r#"{"type": "object", "required": ["machine", "made"], "properties": {
    "machine": {"type": "string"}, "made": {"type": ["string", "null"]}}}"#;

fn write(folder: &Path, yaml: &str) {
    fs::write(folder.join("mend.yaml"), yaml).unwrap();
    fs::create_dir_all(folder.join("mend")).unwrap();
    for (name, takes, gives) in [
        ("look", NOTHING, LOOK_GIVES),
        ("give", GIVE_TAKES, GIVE_GIVES),
        ("make", MAKE_TAKES, MAKE_GIVES),
    ] {
        for ending in ["ps1", "sh"] {
            let text = format!("# {name}\n");
            fs::write(folder.join(format!("mend/{name}.{ending}")), text).unwrap();
        }
        fs::write(folder.join(format!("mend/{name}.takes.json")), takes).unwrap();
        fs::write(folder.join(format!("mend/{name}.gives.json")), gives).unwrap();
    }
}

fn load(yaml: &str) -> Playbook {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), yaml);
    let loaded = Playbook::load_file(&folder.path().join("mend.yaml"));
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

fn step<'a>(steps: &'a [Step], name: &str) -> &'a Step {
    steps.iter().find(|step| step.name == name).unwrap()
}

#[test]
fn the_good_one_is_read_whole() {
    let playbook = load(GOOD);
    assert_eq!(playbook.stagger_reboots_by.len(), 2);
    let [rung] = playbook.ladder.as_slice() else {
        panic!("one rung")
    };
    assert_eq!(rung.reboots(), 2);
    assert_eq!(
        rung.needs,
        [
            Need::Credential("domain_credential".to_owned()),
            Need::Parameter("provisioning_host".to_owned())
        ]
    );
    let preflight = rung.preflight.as_ref().unwrap();
    let names: Vec<_> = preflight.guards.iter().map(|guard| &guard.name).collect();
    assert_eq!(names, ["quiet", "local-admin"]);
    assert!(preflight.steps.iter().all(|step| !step.changes));
    assert!(preflight.steps[1].when.is_some());
    assert!(matches!(
        &preflight.steps[1].kind,
        StepKind::Logon(logon) if *logon == Logon::default()
    ));

    let logon = step(&rung.steps, "rescue_logon");
    let wanted = Logon {
        credential: Some("rescue_admin".to_owned()),
        keep: true,
    };
    assert!(matches!(&logon.kind, StepKind::Logon(logon) if *logon == wanted));
    assert_eq!(logon.script.name, "engine/logon");
    assert!(!logon.changes);

    let blob = step(&rung.steps, "blob");
    assert!(
        matches!(&blob.kind, StepKind::Elsewhere(host) if host.text == "params.provisioning_host")
    );
    assert!(blob.runs_script() && blob.changes);
    assert_eq!(blob.makes.as_deref(), Some("blob"));
    let join = step(&rung.steps, "join");
    assert_eq!(
        join.secrets,
        [("account".to_owned(), SecretFrom::Made("blob".to_owned()))]
    );

    let [restart, second] = ["restart", "second"].map(|name| step(&rung.steps, name));
    assert!(matches!(restart.kind, StepKind::Reboot));
    assert_eq!(restart.script.name, "engine/reboot");
    assert!(restart.changes && !restart.runs_script());
    assert_eq!(restart.deadline, Duration::from_secs(20 * 60));
    assert_eq!(second.deadline, Duration::from_secs(40 * 60));
    let given: Vec<_> = second.with.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(given, ["grace_minutes", "message", "even_if_logged_on"]);
}

#[test]
fn the_quoted_key_is_the_same() {
    let playbook = load(&GOOD.replace("        on: params", "        \"on\": params"));
    let blob = step(&playbook.ladder[0].steps, "blob");
    assert!(matches!(blob.kind, StepKind::Elsewhere(_)));
}

/// A journal belongs to one digest: whatever decides what happens to a PC is in it.
#[test]
fn the_digest_covers_what_a_preflight_runs() {
    let first = load(GOOD).digest;
    for (from, to) in [
        ("[facts.dc.site, facts.dc.name]", "[facts.dc.site]"),
        ("keep: true", "keep: false"),
        ("on: params.provisioning_host", "on: facts.dc.name"),
        ("deadline: 40m", "deadline: 41m"),
        (
            "require: preflight.safety.code == 5",
            "require: preflight.safety.code == 6",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        assert_ne!(load(&GOOD.replacen(from, to, 1)).digest, first, "{to}");
    }
    // A script that only a preflight runs.
    let folder = tempfile::tempdir().unwrap();
    let yaml = GOOD.replacen("          script: look.ps1", "          script: see.ps1", 1);
    let digests = ["# one\n", "# two\n"].map(|text| {
        write(folder.path(), &yaml);
        for (ending, schema) in [("takes", NOTHING), ("gives", LOOK_GIVES)] {
            fs::write(
                folder.path().join(format!("mend/see.{ending}.json")),
                schema,
            )
            .unwrap();
        }
        fs::write(folder.path().join("mend/see.ps1"), text).unwrap();
        Playbook::load_file(&folder.path().join("mend.yaml"))
            .unwrap_or_else(|error| panic!("{error}"))
            .digest
    });
    assert_ne!(digests[0], digests[1]);
}
