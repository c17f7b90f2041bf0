//! What the author of such a playbook is told when it is wrong.

use fleetmend_playbooks::Playbook;

use crate::{GOOD, write};

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
fn message(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good playbook does not say {from}");
    told(&GOOD.replacen(from, to, 1))
}

/// However a file was cut or garbled, it is told what is wrong and nothing panics.
#[test]
fn a_cut_file_is_told_so() {
    for (at, character) in GOOD.char_indices().step_by(37) {
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
fn each_mistake_has_its_message() {
    let mut wrong = Vec::new();
    for (from, to, expected) in MISTAKES {
        let got = message(from, to);
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
        "mend.yaml:32:17: in repair/reset/reset_account: a step has one of `script`, `action`, `reboot`, `logon`, not several",
    ),
    (
        "        script: store.ps1\n        with: {dc: answers.reset",
        "        with: {dc: answers.reset",
        "mend.yaml:35:9: in repair/reset/store: a step needs one of `script`, `action`, `reboot`, `logon`",
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
        "mend.yaml:39:18: in repair/reset/store: the step that makes `machine_password` may be left out; give this one a condition too, such as `when: answers.STEP is not none`",
    ),
    (
        "        secrets: {password: machine_password}\n",
        "        secrets: {password: machine_password}\n        makes: other\n",
        "mend.yaml:39:16: in repair/reset/store: `mend/store.ps1` makes a secret, so its answer needs a field `made` of type [string, null]: give it in the schema, under `properties` and `required`",
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
        "mend.yaml:45:13: in repair/join: unknown need `ofline-join`, did you mean `offline-join`?; there are `directory`, `offline-join`\n\
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
