use std::path::Path;
use std::time::Duration;

use super::*;
use crate::template::Template;

const WHOLE: &str = r#"
version: 1
vaults:
  default: {file: fleetmend.vault}
  ops: {file: ../ops.vault, key_file: /keys/ops.key}
credentials:
  local-admin:
    user: fleetadmin
    password: {vault: local-admin}
  named: {user: admin, password: {vault: {name: ops, entry: "pc/{{ name }}"}}}
  kiosk: {user: '.\kiosk', password: {command: [op, read, "op://fleet/kiosk/password"], timeout: 20s}}
  branch: {user: admin, password: {file: "pw/{{ 拠点 }}.txt"}}
  from-env: {user: admin, password: {env: BRANCH_PASSWORD_FILE}}
  ring: {user: admin, password: {keyring: {service: fleetmend, account: admin}}}
  asked: {user: admin, password: prompt}
  laps: {laps: {}}
  older: {laps: {history: 1, computer: "{{ asset }}"}, user: other, attempts: 3}
  ssh-key: {user: root, ssh: {key_file: id_ed25519, passphrase: {vault: ssh}, agent: false}}
  two:
    attempts: 2
    from:
      - {laps: {}}
      - {user: fleetadmin, password: {vault: old-local-admin}}
groups: {kiosks: kiosk, 経理部: laps}
playbook: {domain_credential: ring}
directory: asked
ansible_vault: {password: prompt, 本番: {vault: ansible}}
"#;

fn read(text: &str) -> Result<Settings, String> {
    Settings::read(text, Path::new("/etc/fleetmend/credentials.yaml"))
        .map_err(|errors| errors.to_string())
}

fn from(settings: &Settings, name: &str) -> Vec<Alternative> {
    let name = CredentialRef(name.to_owned());
    settings.credential(&name).unwrap().from.clone()
}

#[test]
fn the_whole_form_is_read() {
    let settings = read(WHOLE).unwrap();
    assert_eq!(settings.names().count(), 11);
    assert_eq!(
        settings.vaults()["ops"],
        VaultPlace {
            file: "/etc/fleetmend/../ops.vault".into(),
            key_file: Some("/keys/ops.key".into())
        }
    );
    let kiosk = &from(&settings, "kiosk")[0];
    assert_eq!(kiosk.user.as_ref().unwrap().text(), r".\kiosk");
    let Some(Origin::Command { words, timeout }) = &kiosk.password else {
        panic!("{kiosk:?}")
    };
    assert_eq!((words.len(), *timeout), (3, Duration::from_secs(20)));
    let older = from(&settings, "older");
    let origins: Vec<_> = older
        .iter()
        .map(|one| one.password.clone().unwrap())
        .collect();
    let computer = Some(Template::new("{{ asset }}").unwrap());
    let laps = |older| Origin::Laps {
        older,
        computer: computer.clone(),
    };
    assert_eq!(origins, [laps(0), laps(1)]);
    let two = settings.credential(&CredentialRef("two".into())).unwrap();
    assert_eq!((two.attempts, two.from.len()), (2, 2));
    assert_eq!(settings.groups()["経理部"].0, "laps");
    assert_eq!(settings.playbook()["domain_credential"].0, "ring");
    assert_eq!(settings.directory().unwrap().0, "asked");
    let labels: Vec<&str> = settings
        .ansible_vault()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(labels, ["default", "本番"]);
    let ssh = from(&settings, "ssh-key")[0].ssh.clone().unwrap();
    assert_eq!(ssh.key_file.unwrap().text(), "id_ed25519");
    assert!(matches!(ssh.passphrase, Some(Origin::Vault { .. })));
}

#[test]
fn files_stand_beside_the_settings_and_the_home_folder_opens() {
    let settings = read(WHOLE).unwrap();
    let Some(Origin::File(path)) = &from(&settings, "branch")[0].password else {
        panic!()
    };
    let mut host = fleetmend_model::Host::new("pc-1");
    host.vars.insert("拠点".into(), "大阪".into());
    let scope = crate::template::Scope::of(&host);
    let rendered = Origin::File(path.clone()).render(Some(&scope), settings.folder());
    assert_eq!(
        rendered.unwrap(),
        Origin::File("/etc/fleetmend/pw/大阪.txt".to_owned())
    );
    let home = std::env::home_dir().unwrap();
    assert_eq!(origin::whole("~/x.pw", Path::new("/a")), home.join("x.pw"));
}

#[test]
fn every_mistake_has_its_place() {
    let head = "version: 1\ncredentials:\n";
    let mut wrong: Vec<String> = Vec::new();
    for (text, told) in [
        ("", "1:1: `version` must be 1"),
        ("version: 2\n", "1:10: `version` must be 1"),
        ("- a\n", "1:1: the file must be a mapping, found a list"),
        (
            "version: 1\ncredential: {}\n",
            "2:1: the file has no key `credential`, did you mean `credentials`?",
        ),
        (
            "version: 1\ncredentials:\n  a: {usr: x, password: prompt}\n",
            "3:7: the credential `a` has no key `usr`, did you mean `user`?",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x}\n",
            "3:6: the credential `a` lacks a source: `password`, `laps` or `ssh`",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {vault: e}}\n",
            "3:34: there is no vault `default` in this file",
        ),
        (
            "version: 1\nvaults: {ops: {file: v}}\ncredentials:\n  a: {password: {vault: {name: opps, entry: e}}}\n",
            "4:32: there is no vault `opps` in this file, did you mean `ops`?",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {file: f, env: E}}\n",
            "3:36: `password` has both `file` and `env`; one of them must go",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {file: f, timeout: 3s}}\n",
            "3:36: `password` has both `file` and `timeout`; one of them must go",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {command: op read x}}\n",
            "3:36: `command` must be a list: the program and its arguments; no shell reads them, found a text",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {command: [op], timeout: 1h}}\n",
            "3:51: `timeout` must read 30s, 500ms or 2m, and be at most 10m",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: 7, password: prompt}\n",
            "3:13: `user` of the credential `a` must be a text (put it in quotes), found a number",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: x, password: {file: 'pw/{{ site'}}\n",
            "3:33: `file`: `pw/{{ site` cannot be read",
        ),
        (
            "version: 1\ncredentials:\n  a: {attempts: 0, laps: {}}\n",
            "3:17: `attempts` of the credential `a` must be a whole number from 1 to 9",
        ),
        (
            "version: 1\ncredentials:\n  a: {from: []}\n",
            "3:13: `from` of the credential `a` must be a list of sources, found a list",
        ),
        (
            "version: 1\ncredentials:\n  a: {from: [{laps: {}}], password: prompt}\n",
            "3:27: the credential `a` has both `from` and `password`; one of them must go",
        ),
        (
            "version: 1\ncredentials:\n  a: {from: [{laps: {histroy: 1}}]}\n",
            "3:22: `laps` has no key `histroy`, did you mean `history`?",
        ),
        (
            "version: 1\ncredentials:\n  a: {user: r, ssh: {agent: false}}\n",
            "3:21: `ssh` of the credential `a` lacks `key_file` or `agent: true`",
        ),
        (
            "version: 1\ncredentials:\n  kiosk: {laps: {}}\ngroups: {k: kiosks}\n",
            "4:13: there is no credential `kiosks` in this file, did you mean `kiosk`?",
        ),
        (
            "version: 1\ncredentials:\n  a: {laps: {}}\ndirectory: a\n",
            "4:12: `directory` needs one secret for the whole run, and `a` has another for each PC",
        ),
        (
            "version: 1\ncredentials:\n\ta: {}\n",
            "3:1: a tab is used for indentation",
        ),
        (
            "version: 1\nversion: 1\n",
            "2:1: duplicate key `version`, first used at line 1, column 1",
        ),
    ] {
        let error = read(text).unwrap_err();
        let place = format!("/etc/fleetmend/credentials.yaml:{told}");
        if !error.starts_with(&place) {
            wrong.push(format!("{text}\n{error}\n{place}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let both = format!("{head}  a: {{usr: x}}\n  b: {{laps: 3}}\n");
    assert_eq!(read(&both).unwrap_err().lines().count(), 3, "all at once");
}

#[test]
fn a_secret_in_plain_text_is_refused_and_never_told() {
    for written in [
        "{user: a, password: Kanaria-1}",
        "{user: a, password: 'Kanaria-1'}",
        "{user: a, password: 0778812345}",
        "{user: a, password: [Kanaria-1]}",
        "{user: a, password: {Kanaria-1}}",
        "{user: a, password: {Kanaria-1: x}}",
        "{user: a, password: {vault: {Kanaria-1: x, entry: y}}}",
        "{user: a, password: !Kanaria-1 x}",
        "{user: a, password: !!int Kanaria-1}",
        "{user: a, password: !vault Kanaria-1}",
        "{user: a, password: *Kanaria-1}",
        "{user: a, password: &Kanaria-1 }",
        "{user: a, password: @Kanaria-1}",
        "{user: a, password: %Kanaria-1}",
        "{user: a, password: \"Kanaria-1}",
        "{user: a, ssh: {agent: true, passphrase: Kanaria-1}}",
        "{user: a, laps: Kanaria-1}",
    ] {
        let text =
            format!("version: 1\ncredentials:\n a: {written}\nvaults: {{default: {{file: v}}}}\n");
        let errors = Settings::read(&text, Path::new("c.yaml")).unwrap_err();
        let told = format!("{errors} {errors:?} {:?}", errors.hints());
        assert!(
            !told.contains("Kanaria") && !told.contains("778812345"),
            "{text}\n{told}"
        );
        assert!(told.starts_with("c.yaml:"), "{text}\n{told}");
        if written.starts_with("{user: a, password: ") && told.contains("PlainSecret") {
            assert!(told.starts_with("c.yaml:3:25: "), "{text}\n{told}");
        }
    }
    let text = "version: 1\nansible_vault: {password: Kanaria-1}\n";
    let error = read(text).unwrap_err();
    assert!(
        error.contains(":2:27: `password` holds") && !error.contains("Kanaria"),
        "{error}"
    );
    let errors = Settings::read(
        "version: 1\ncredentials: {a: {password: x}}\n",
        Path::new("c.yaml"),
    );
    assert!(errors.unwrap_err().hints()[0].contains("fleetmend vault set"));
}

#[test]
fn the_nearest_group_counts_and_rivals_are_an_error() {
    let text = "version: 1\ncredentials: {a: {laps: {}}, b: {laps: {}}}\n\
                groups: {all: a, 経理部: b, 営業部: a, 本社: b}\n";
    let settings = read(text).unwrap();
    let of = |groups: &[(&'static str, u32)]| {
        let groups: Vec<NearGroup<'static, u32>> = groups
            .iter()
            .map(|(name, rank)| NearGroup { name, rank: *rank })
            .collect();
        settings
            .of_groups("pc-1", groups)
            .map(|name| name.map(|name| name.0.clone()))
    };
    assert_eq!(
        of(&[("all", 0), ("端末", 1)]).unwrap().as_deref(),
        Some("a")
    );
    assert_eq!(
        of(&[("all", 0), ("経理部", 1)]).unwrap().as_deref(),
        Some("b")
    );
    assert_eq!(
        of(&[("経理部", 1), ("本社", 1)]).unwrap().as_deref(),
        Some("b")
    );
    assert_eq!(of(&[("端末", 3)]), Ok(None));
    let error = of(&[("all", 0), ("経理部", 2), ("営業部", 2)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pc-1: two groups that are equally near name different credentials: \
         `経理部` names b, `営業部` names a"
    );
    // One that is nearer than both settles it.
    let settled = of(&[("経理部", 2), ("営業部", 2), ("本社", 3)]).unwrap();
    assert_eq!(settled.as_deref(), Some("b"));
}

/// `ガ` as it is typed, and as macOS keeps it in file names.
const TYPED: &str = "\u{30AC}組";
const KEPT: &str = "\u{30AB}\u{3099}組";

#[test]
fn names_are_the_same_in_every_form_of_unicode() {
    let text = format!(
        "version: 1\ncredentials: {{{KEPT}: {{laps: {{}}}}, b: {{laps: {{}}}}}}\n\
         groups: {{{TYPED}: {TYPED}}}\nplaybook: {{rescue: {KEPT}}}\n"
    );
    let settings = read(&text).unwrap();
    for form in [TYPED, KEPT] {
        let name = CredentialRef(form.to_owned());
        assert!(settings.credential(&name).is_some(), "{form}");
        let group = NearGroup {
            name: form,
            rank: 1,
        };
        let named = settings.of_groups("pc-1", [group]).unwrap();
        assert_eq!(named.unwrap().0, TYPED);
        assert_eq!(settings.lacking_groups(["all", form]), []);
    }
}

#[test]
fn two_names_that_look_the_same_are_an_error() {
    let laps = "{laps: {}}";
    let twice = |before: &str, value: &str| {
        format!(
            "version: 1\ncredentials:\n  a: {laps}\n{before}\n  {TYPED}: {value}\n  {KEPT}: {value}\n"
        )
    };
    for (text, what) in [
        (twice("", laps), "`credentials`"),
        (twice("groups:", "a"), "`groups`"),
    ] {
        let error = read(&text).unwrap_err();
        let due = format!(
            "/etc/fleetmend/credentials.yaml:6:3: {what} has `{TYPED}` twice, in two forms of \
             Unicode; the first stands at 5:3"
        );
        assert_eq!(error, due);
    }
}

#[test]
fn a_group_that_nobody_has_is_found_with_what_was_meant() {
    let settings = read(
        "version: 1\ncredentials: {a: {laps: {}}, b: {laps: {}}}\n\
         groups: {all: a, kiosks: b, 倉庫: a, kiosk-2: a}\n",
    )
    .unwrap();
    let lacking = settings.lacking_groups(["all", "kiosk", "kiosk-2", "端末"]);
    let lacking: Vec<_> = lacking
        .iter()
        .map(|group| (group.name, group.near.as_deref(), group.at.to_string()))
        .collect();
    assert_eq!(
        lacking,
        [
            ("kiosks", Some("kiosk"), "3:18".to_owned()),
            ("倉庫", None, "3:29".to_owned())
        ]
    );
    // The nearest already has its credential: it was not meant.
    let lacking = settings.lacking_groups(["all", "kiosk-2"]);
    assert!(
        lacking.iter().all(|group| group.near.is_none()),
        "{lacking:?}"
    );
}
