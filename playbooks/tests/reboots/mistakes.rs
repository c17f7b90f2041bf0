//! What the author of such a playbook is told when it is wrong.

use std::fs;

use fleetmend_playbooks::Playbook;

use crate::{GOOD, LOOK_GIVES, NOTHING, write};

/// Returns what the author of a playbook is told.
fn told(yaml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), yaml);
    match Playbook::load_file(&folder.path().join("mend.yaml")) {
        Ok(_) => String::new(),
        Err(error) => {
            let inside = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
            error.to_string().replace(&inside, "")
        }
    }
}

/// Returns what the author of the good playbook is told once some of its text is replaced.
fn message(changes: &[(&str, &str)]) -> String {
    let mut yaml = GOOD.to_owned();
    for (from, to) in changes {
        assert!(yaml.contains(from), "the good playbook does not say {from}");
        yaml = yaml.replacen(from, to, 1);
    }
    told(&yaml)
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

/// However a file was cut or garbled, it is told what is wrong and nothing panics.
#[test]
fn a_cut_file_is_told_so() {
    for (at, character) in GOOD.char_indices().step_by(29) {
        let (before, after) = (&GOOD[..at], &GOOD[at + character.len_utf8()..]);
        // The last proof may be missing whole.
        if at < GOOD.len() - 200 {
            assert_ne!(told(before), "", "{before}");
        }
        told(&format!("{before}{{{after}"));
        told(&format!("{before}{after}"));
    }
}

#[test]
fn nothing_of_it_is_for_posix_hosts() {
    let yaml = GOOD
        .replacen(
            "summary: Mend it\n",
            "summary: Mend it\nplatform: posix\n",
            1,
        )
        .replace(".ps1", ".sh");
    assert_eq!(
        told(&yaml),
        "mend.yaml:25:7: in repair/rejoin/preflight: `preflight` is for windows hosts, and this playbook is for posix hosts\n\
         mend.yaml:30:18: in repair/rejoin/preflight/account: `logon` is for windows hosts, and this playbook is for posix hosts\n\
         mend.yaml:46:16: in repair/rejoin/rescue_logon: `logon` is for windows hosts, and this playbook is for posix hosts\n\
         mend.yaml:49:13: in repair/rejoin/blob: `on` is for windows hosts, and this playbook is for posix hosts\n\
         mend.yaml:57:17: in repair/rejoin/restart: `reboot` is for windows hosts, and this playbook is for posix hosts\n\
         mend.yaml:60:17: in repair/rejoin/second: `reboot` is for windows hosts, and this playbook is for posix hosts"
    );
}

/// A script that makes a secret says so in its schema, whatever else it answers.
#[test]
fn made_is_a_text_or_null_and_always_there() {
    let expected = "mend.yaml:49:16: in repair/rejoin/blob: `mend/make.ps1` makes a secret, so its answer needs a field `made` of type [string, null]: give it in the schema, under `properties` and `required`";
    for (gives, good) in [
        (
            r#"{"required": ["machine", "made"], "properties": {"machine": {}, "made": {"type": ["null", "string"]}}}"#,
            true,
        ),
        (
            r#"{"required": ["machine"], "properties": {"machine": {}, "made": {"type": ["string", "null"]}}}"#,
            false,
        ),
        (
            r#"{"required": ["machine", "made"], "properties": {"machine": {}, "made": {"type": "string"}}}"#,
            false,
        ),
        (
            r#"{"required": ["machine", "made"], "properties": {"machine": {}, "made": {"type": ["integer", "null"]}}}"#,
            false,
        ),
        (
            r#"{"required": ["made"], "properties": {"machine": {}}}"#,
            false,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), GOOD);
        fs::write(folder.path().join("mend/make.gives.json"), gives).unwrap();
        let loaded = Playbook::load_file(&folder.path().join("mend.yaml"));
        match loaded {
            Ok(_) => assert!(good, "{gives}"),
            Err(error) => {
                assert!(!good, "{error}");
                let error = error.to_string();
                assert!(error.ends_with(expected), "{error}");
            }
        }
    }
}

/// What the engine takes out, no expression may ask for; in the answer of a step that makes none
/// it is a field like any other.
#[test]
fn the_secret_is_in_no_answer() {
    let gives = LOOK_GIVES.replacen(
        "\"code\": {",
        "\"made\": {\"type\": \"string\"}, \"code\": {",
        1,
    );
    for (made, expected) in [
        (
            "answers.blob.made is none",
            "mend.yaml:60:15: in repair/rejoin/second: `answers.blob.made` is not among what mend/make.ps1 gives",
        ),
        ("preflight.safety.made == 'x'", ""),
    ] {
        let yaml = GOOD.replacen("when: answers.restart.ready", &format!("when: {made}"), 1);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &yaml);
        fs::write(folder.path().join("mend/look.gives.json"), &gives).unwrap();
        fs::write(folder.path().join("mend/look.takes.json"), NOTHING).unwrap();
        let loaded = Playbook::load_file(&folder.path().join("mend.yaml"));
        let told = loaded.map_or_else(|error| error.to_string(), |_| String::new());
        let told = told
            .rsplit(std::path::MAIN_SEPARATOR)
            .next()
            .unwrap_or_default();
        assert!(
            told.ends_with(expected.rsplit('/').next().unwrap()),
            "{told}"
        );
        assert_eq!(told.is_empty(), expected.is_empty());
    }
}

/// A credential that need not be set may be for a step, and for those that follow that one.
#[test]
fn a_credential_is_declared_or_its_steps_are_left_out_without_it() {
    let follows = (
        "when: params.rescue_admin is not none and broken",
        "when: answers.rescue_account is not none",
    );
    assert_eq!(message(&[follows]), "");
    let (first, second) = (
        "mend.yaml:39:9: in repair/rejoin/rescue_account: the rung hands `rescue_admin` to the PC; say so with `needs: [credential-on-pc: rescue_admin]`, or leave the step out without it: `when: params.rescue_admin is not none`",
        "mend.yaml:43:9: in repair/rejoin/rescue_logon: the rung logs on with `rescue_admin`; say so with `needs: [credential: rescue_admin]`, or leave the step out without it: `when: params.rescue_admin is not none`",
    );
    let unasked = (
        "when: params.rescue_admin is not none and not preflight",
        "when: not preflight",
    );
    assert_eq!(message(&[unasked]), first);
    assert_eq!(message(&[unasked, follows]), format!("{first}\n{second}"));
    let needs = "needs: [{credential: domain_credential}";
    let declared = (
        needs,
        "needs: [{credential-on-pc: rescue_admin}, {credential: domain_credential}",
    );
    assert_eq!(message(&[unasked, follows, declared]), "");
    // That it may be used elsewhere does not let it reach the PC.
    let elsewhere = (
        needs,
        "needs: [{credential: rescue_admin}, {credential: domain_credential}",
    );
    assert_eq!(message(&[unasked, follows, elsewhere]), first);
}

const MISTAKES: &[(&str, &str, &str)] = &[
    // Kinds of steps.
    (
        "reboot: {}\n        with",
        "reboots: {}\n        with",
        "mend.yaml:55:9: in repair/rejoin/restart: a step needs one of `script`, `action`, `reboot`, `logon`\n\
         mend.yaml:56:9: in repair/rejoin/restart: unknown key `reboots`, did you mean `reboot`?",
    ),
    (
        "reboot: {}\n        with",
        "reboot:\n        with",
        "mend.yaml:56:15: in repair/rejoin/restart: expected a mapping, found nothing",
    ),
    (
        "reboot: {}\n        with",
        "reboot: {grace: 5}\n        with",
        "mend.yaml:56:18: in repair/rejoin/restart: unknown key `grace`",
    ),
    (
        "reboot: {}\n        with",
        "reboot: {}\n        script: look.ps1\n        with",
        "mend.yaml:56:17: in repair/rejoin/restart: a step has one of `script`, `action`, `reboot`, `logon`, not several",
    ),
    (
        "reboot: {}\n        with",
        "reboot: {}\n        changes: false\n        with",
        "mend.yaml:57:18: in repair/rejoin/restart: a step with `reboot` has no `changes`",
    ),
    (
        "reboot: {}\n        with",
        "reboot: {}\n        makes: x\n        on: facts.dc.name\n        with",
        "mend.yaml:57:16: in repair/rejoin/restart: a step with `reboot` has no `makes`\n\
         mend.yaml:58:13: in repair/rejoin/restart: a step with `reboot` has no `on`",
    ),
    (
        "reboot: {}\n        with",
        "reboot: {}\n        secrets: {account: rescue_admin}\n        with",
        "mend.yaml:55:9: in repair/rejoin/restart: the rung hands `rescue_admin` to the PC; say so with `needs: [credential-on-pc: rescue_admin]`, or leave the step out without it: `when: params.rescue_admin is not none`\n\
         mend.yaml:57:18: in repair/rejoin/restart: a step with `reboot` has no `secrets`\n\
         mend.yaml:57:19: in repair/rejoin/restart: `engine/reboot` takes no parameter `account`",
    ),
    (
        "{grace_minutes: params.grace_minutes, message",
        "{grace_minute: params.grace_minutes, message",
        "mend.yaml:57:16: in repair/rejoin/restart: `engine/reboot` takes no parameter `grace_minute`, did you mean `grace_minutes`?",
    ),
    (
        "name: second",
        "name: lock",
        "mend.yaml:58:15: in repair/rejoin/lock: `lock` is no step: the engine has a step of that name",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {credential: rescue_amin, keep: true}",
        "mend.yaml:45:29: in repair/rejoin/rescue_logon: no parameter of type credential is named `rescue_amin`, did you mean `rescue_admin`?",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {credential: grace_minutes}",
        "mend.yaml:45:29: in repair/rejoin/rescue_logon: no parameter of type credential is named `grace_minutes`",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {keep: true}",
        "mend.yaml:45:23: in repair/rejoin/rescue_logon: `keep` is for a logon with a credential: the account in use is kept anyway",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {credential: rescue_admin, keep: 1}",
        "mend.yaml:45:49: in repair/rejoin/rescue_logon: expected `true` or `false`, found a number",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: rescue_admin",
        "mend.yaml:45:16: in repair/rejoin/rescue_logon: expected a mapping, found a text",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {user: rescue_admin}",
        "mend.yaml:45:17: in repair/rejoin/rescue_logon: unknown key `user`",
    ),
    (
        "logon: {credential: rescue_admin, keep: true}",
        "logon: {}\n        with: {run: params.provisioning_host}",
        "mend.yaml:46:15: in repair/rejoin/rescue_logon: a step with `logon` has no `with`\n\
         mend.yaml:46:16: in repair/rejoin/rescue_logon: `engine/logon` takes no parameter `run`",
    ),
    // Another host.
    (
        "on: params.provisioning_host",
        "on: params.provisioning_hots",
        "mend.yaml:48:13: in repair/rejoin/blob: no parameter is named `provisioning_hots`, did you mean `provisioning_host`?",
    ),
    (
        "on: params.provisioning_host",
        "on: [pc-042]",
        "mend.yaml:48:13: in repair/rejoin/blob: expected an expression, found a list",
    ),
    (
        "{credential: domain_credential}, ",
        "",
        "mend.yaml:46:9: in repair/rejoin/blob: the rung hands `domain_credential` to another PC; say so with `needs: [credential: domain_credential]`, or leave the step out without it: `when: params.domain_credential is not none`",
    ),
    (
        "{credential: domain_credential}, ",
        "{credential: domain_credentials}, ",
        "mend.yaml:20:26: in repair/rejoin: no parameter of type credential is named `domain_credentials`, did you mean `domain_credential`?\n\
         mend.yaml:46:9: in repair/rejoin/blob: the rung hands `domain_credential` to another PC; say so with `needs: [credential: domain_credential]`, or leave the step out without it: `when: params.domain_credential is not none`",
    ),
    (
        "{credential: domain_credential}, {parameter: provisioning_host}",
        "{credential: domain_credential, parameter: provisioning_host}",
        "mend.yaml:20:45: in repair/rejoin: one need a line: write `parameter` apart from `credential`",
    ),
    (
        "diagnose: {script: look.ps1}",
        "diagnose: {script: look.ps1, on: params.provisioning_host}",
        "mend.yaml:8:30: in diagnose: unknown key `on`",
    ),
    (
        "account: blob}",
        "account: blop}",
        "mend.yaml:54:28: in repair/rejoin/join: no parameter of type credential and no secret of an earlier step of the rung is named `blop`, did you mean `blob`?",
    ),
    // Preflights.
    (
        "          script: look.ps1\n        - name: account",
        "          script: look.ps1\n          changes: true\n        - name: account",
        "mend.yaml:27:20: in repair/rejoin/preflight/safety: preflight must not change the PC, so `changes: true` is refused",
    ),
    (
        "          script: look.ps1\n        - name: account",
        "          script: make.ps1\n          makes: x\n          with: {machine: facts.dc.name}\n          secrets: {admin: rescue_admin}\n        - name: account",
        "mend.yaml:25:11: in repair/rejoin/preflight/safety: the rung hands `rescue_admin` to the PC; say so with `needs: [credential-on-pc: rescue_admin]`, or leave the step out without it: `when: params.rescue_admin is not none`\n\
         mend.yaml:27:18: in repair/rejoin/preflight/safety: a preflight makes no secret; make it in a step of the rung\n\
         mend.yaml:31:17: in repair/rejoin/preflight/account: `preflight.safety.code` is not among what mend/make.ps1 gives\n\
         mend.yaml:35:20: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what mend/make.ps1 gives\n\
         mend.yaml:36:19: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what mend/make.ps1 gives\n\
         mend.yaml:71:16: in verify/quiet: `preflight.safety.code` is not among what mend/make.ps1 gives\n\
         mend.yaml:72:15: in verify/quiet: `preflight.safety.code` is not among what mend/make.ps1 gives",
    ),
    (
        "          script: look.ps1\n        - name: account",
        "          reboot: {}\n        - name: account",
        "mend.yaml:25:11: in repair/rejoin/preflight/safety: a preflight only looks, so `reboot` is refused\n\
         mend.yaml:28:17: in repair/rejoin/preflight/account: `preflight.safety.code` is not among what engine/reboot gives\n\
         mend.yaml:32:20: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what engine/reboot gives\n\
         mend.yaml:33:19: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what engine/reboot gives\n\
         mend.yaml:68:16: in verify/quiet: `preflight.safety.code` is not among what engine/reboot gives\n\
         mend.yaml:69:15: in verify/quiet: `preflight.safety.code` is not among what engine/reboot gives",
    ),
    (
        "          script: look.ps1\n        - name: account",
        "          action: unlock-computer\n          with: {computer: facts.dc.name, domain_controller: none, sid: none}\n        - name: account",
        "mend.yaml:26:19: in repair/rejoin/preflight/safety: preflight must not change the directory, so `unlock-computer` is refused\n\
         mend.yaml:26:19: in repair/rejoin/preflight/safety: a rung with the action `unlock-computer` must say `needs: [directory]`\n\
         mend.yaml:27:68: in repair/rejoin/preflight/safety: `directory/unlock-computer` takes no parameter `sid`\n\
         mend.yaml:29:17: in repair/rejoin/preflight/account: `preflight.safety.code` is not among what directory/unlock-computer gives\n\
         mend.yaml:33:20: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what directory/unlock-computer gives\n\
         mend.yaml:34:19: in repair/rejoin/preflight/quiet: `preflight.safety.code` is not among what directory/unlock-computer gives\n\
         mend.yaml:69:16: in verify/quiet: `preflight.safety.code` is not among what directory/unlock-computer gives\n\
         mend.yaml:70:15: in verify/quiet: `preflight.safety.code` is not among what directory/unlock-computer gives",
    ),
    (
        "          logon: {}",
        "          logon: {credential: rescue_admin, keep: true}",
        "mend.yaml:27:11: in repair/rejoin/preflight/account: the rung logs on with `rescue_admin`; say so with `needs: [credential: rescue_admin]`, or leave the step out without it: `when: params.rescue_admin is not none`\n\
         mend.yaml:29:51: in repair/rejoin/preflight/account: a preflight only looks, so `keep` is refused",
    ),
    (
        "          logon: {}",
        "          logon: {}\n          makes: x",
        "mend.yaml:30:18: in repair/rejoin/preflight/account: a step with `logon` has no `makes`",
    ),
    (
        "when: preflight.safety.code == 5",
        "when: preflight.account.local",
        "mend.yaml:28:17: in repair/rejoin/preflight/account: no step is named `account`",
    ),
    (
        "when: preflight.safety.code == 5",
        "when: answers.restart.ready",
        "mend.yaml:28:17: in repair/rejoin/preflight/account: `answers` is unknown here",
    ),
    (
        "require: preflight.account.local and",
        "require: preflight.account.locale and",
        "mend.yaml:36:20: in repair/rejoin/preflight/local-admin: `preflight.account.locale` is not among what engine/logon gives, did you mean `preflight.account.local`?",
    ),
    (
        "require: preflight.account.local and",
        "require: preflight.acount.local and",
        "mend.yaml:36:20: in repair/rejoin/preflight/local-admin: no step is named `acount`, did you mean `account`?",
    ),
    (
        "'It is {{ preflight.safety.code }}'",
        "'It is {{ preflight.safety.cod }}'",
        "mend.yaml:33:19: in repair/rejoin/preflight/quiet: `preflight.safety.cod` is not among what mend/look.ps1 gives, did you mean `preflight.safety.code`?",
    ),
    (
        "require: facts.dc.name is not none",
        "require: preflight.safety.code == 5",
        "mend.yaml:22:32: in repair/rejoin/known: `preflight` is unknown here",
    ),
    (
        "not preflight.account.built_in_administrator",
        "not preflight.account.built_in",
        "mend.yaml:41:15: in repair/rejoin/rescue_account: `preflight.account.built_in` is not among what engine/logon gives",
    ),
    (
        "preflight.safety is not defined or",
        "preflight.safty is not defined or",
        "mend.yaml:68:16: in verify/quiet: no step is named `safty`, did you mean `safety`?",
    ),
    (
        "    preflight:\n      steps:\n",
        "    preflight:\n      step:\n",
        "mend.yaml:24:7: in repair/rejoin/preflight: unknown key `step`, did you mean `steps`?\n\
         mend.yaml:24:7: in repair/rejoin/preflight: the key `steps` is missing\n\
         mend.yaml:32:20: in repair/rejoin/preflight/quiet: `preflight` is unknown here\n\
         mend.yaml:33:19: in repair/rejoin/preflight/quiet: `preflight` is unknown here\n\
         mend.yaml:36:20: in repair/rejoin/preflight/local-admin: `preflight` is unknown here\n\
         mend.yaml:41:15: in repair/rejoin/rescue_account: `preflight` is unknown here\n\
         mend.yaml:68:16: in verify/quiet: `preflight` is unknown here\n\
         mend.yaml:69:15: in verify/quiet: `preflight` is unknown here",
    ),
    (
        "    preflight:\n      steps:\n",
        "    preflights:\n      steps:\n",
        "mend.yaml:23:5: in repair/rejoin: unknown key `preflights`, did you mean `preflight`?\n\
         mend.yaml:41:15: in repair/rejoin/rescue_account: `preflight` is unknown here\n\
         mend.yaml:68:16: in verify/quiet: `preflight` is unknown here\n\
         mend.yaml:69:15: in verify/quiet: `preflight` is unknown here",
    ),
    (
        "      guards:\n        - name: quiet",
        "      guards:\n        - name: local-admin",
        "mend.yaml:35:11: in repair/rejoin/preflight/local-admin: guard `local-admin` is defined twice, first at line 31",
    ),
    (
        "  broken: facts.code == 5",
        "  preflight: facts.code == 5\n  broken: facts.code == 5",
        "mend.yaml:10:3: in define/preflight: `preflight` is no term: expressions have that name already",
    ),
    // Restarts of many.
    (
        "[facts.dc.site, facts.dc.name]",
        "[facts.dc.sight, facts.dc.name]",
        "mend.yaml:11:22: in stagger-reboots-by: `facts.dc.sight` is not among what mend/look.ps1 gives",
    ),
    (
        "[facts.dc.site, facts.dc.name]",
        "facts.dc.site",
        "mend.yaml:11:21: in stagger-reboots-by: expected a list, found a text",
    ),
    (
        "[facts.dc.site, facts.dc.name]",
        "[preflight.safety.code]",
        "mend.yaml:11:22: in stagger-reboots-by: `preflight` is unknown here",
    ),
    // Words that are gone.
    (
        "{credential: domain_credential}, ",
        "{credential: domain_credential}, reboot, ",
        "mend.yaml:20:46: in repair/rejoin: unknown need `reboot`; there are `directory`, `offline-join`",
    ),
    (
        "    cost: 10m\n",
        "    cost: 10m\n    may-reboot: true\n",
        "mend.yaml:63:5: in repair/rejoin: unknown key `may-reboot`",
    ),
];
