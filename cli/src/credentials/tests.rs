use fleetmend_inventory::Inventory;
use fleetmend_model::Judged;

use super::*;

fn host(name: &str, change: impl FnOnce(&mut Host)) -> Arc<Host> {
    let mut host = Host::new(name);
    change(&mut host);
    Arc::new(host)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn kept(text: &str) -> Known {
    Known::Kept(secret(text))
}

fn passwords() -> Passwords {
    let mut passwords = Passwords::known(
        "fleetadmin",
        secret("default"),
        Some(Credential::new("CORP\\joiner", secret("domain"))),
    );
    let kiosk = CredentialRef("kiosk".into());
    passwords.by_name.insert(kiosk, kept("kiosk"));
    passwords
}

async fn reveal(passwords: &Passwords, host: &Host) -> String {
    let credential = passwords.credential(&name_of(host), host).await;
    credential.map_or_else(
        |error| error.to_string(),
        |credential| format!("{}/{}", credential.user, credential.password.reveal()),
    )
}

async fn gather(
    logon: &LogonArgs,
    hosts: &[Arc<Host>],
    file: Option<&Arc<CredentialsFile>>,
) -> Result<Passwords, CliError> {
    let domain = file.map_or_else(DomainArgs::default, |file| file.fill(DomainArgs::default()));
    Passwords::gather(logon, &domain, RunMode::Repair, hosts, file).await
}

/// A folder with `credentials.yaml` and files with passwords.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(credentials: &str, passwords: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in passwords {
            folder.write(name, text);
        }
        folder.write("credentials.yaml", credentials);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self) -> Arc<CredentialsFile> {
        CredentialsFile::open(&self.path("credentials.yaml"), false).unwrap()
    }
}

#[tokio::test]
async fn the_inventory_outweighs_the_credential_and_that_the_command_line() {
    let passwords = passwords();
    assert_eq!(
        reveal(&passwords, &host("a", |_| {})).await,
        "fleetadmin/default"
    );
    let named = host("b", |host| {
        host.user = Some(".\\k".into());
        host.credential = Some(CredentialRef("kiosk".into()));
    });
    assert_eq!(reveal(&passwords, &named).await, ".\\k/kiosk");
    let own = host("c", |host| {
        host.credential = Some(CredentialRef("kiosk".into()));
        host.password = Some(secret("own"));
    });
    assert_eq!(reveal(&passwords, &own).await, "fleetadmin/own");
}

#[tokio::test]
async fn the_domain_account_is_no_logon() {
    let passwords = passwords();
    let host = host("a", |host| host.password = Some(secret("own")));
    let name = CredentialRef(DOMAIN.into());
    let domain = passwords.credential(&name, &host).await.unwrap();
    assert_eq!(
        (domain.user.as_str(), domain.password.reveal()),
        ("CORP\\joiner", "domain")
    );
}

#[tokio::test]
async fn an_unknown_credential_is_no_password_at_all() {
    let host = host("a", |host| {
        host.credential = Some(CredentialRef("other".into()))
    });
    let found = passwords().credential(&name_of(&host), &host).await;
    assert!(found.is_err());
}

#[tokio::test]
async fn keys_need_no_password() {
    let with_key = host("a", |host| {
        host.transport = TransportChoice::Ssh;
        host.ssh.use_agent = true;
        host.user = Some("root".into());
        host.credential = Some(CredentialRef("unset-anywhere".into()));
    });
    let hosts = [with_key];
    let passwords = gather(&LogonArgs::default(), &hosts, None).await.unwrap();
    assert_eq!(reveal(&passwords, &hosts[0]).await, "root/");
}

#[tokio::test]
async fn a_pc_without_account_is_named() {
    let hosts = [host("pc-9", |_| {})];
    let error = gather(&LogonArgs::default(), &hosts, None).await;
    assert!(error.unwrap_err().to_string().contains("pc-9"));
}

const FILE: &str = r#"
version: 1
credentials:
  local-admin: {user: file-admin, password: {file: admin.pw}}
  kiosk: {user: '.\kiosk', password: {file: kiosk.pw}}
  branch: {user: 'admin-{{ 拠点 }}', password: {file: "{{ 拠点 }}.pw"}}
  nameless: {password: {file: kiosk.pw}}
  list: {attempts: 2, user: l, from: [{password: {file: none.pw}}, {password: {file: kiosk.pw}}, {password: {file: admin.pw}}]}
  domain-repair: {user: 'CORP\repair', password: {file: domain.pw}}
groups: {kiosks: kiosk}
playbook: {domain_credential: domain-repair, rescue_admin: branch}
"#;

const FILES: [(&str, &str); 6] = [
    ("admin.pw", "from-file\n"),
    ("kiosk.pw", "kiosk-from-file"),
    ("大阪.pw", "大阪のpw"),
    ("東京.pw", "東京のpw"),
    ("domain.pw", "domain-from-file"),
    ("option.pw", "from-option"),
];

fn at(city: &str) -> impl FnOnce(&mut Host) {
    let city = serde_json::Value::from(city);
    move |host| drop(host.vars.insert("拠点".into(), city))
}

/// One row of the table of precedence in docs/guide/credentials.md.
#[tokio::test]
async fn the_table_of_precedence_holds() {
    let folder = Folder::new(FILE, &FILES);
    let file = folder.open();
    let with = |change: fn(&mut Host)| {
        host("pc", |host| {
            at("大阪")(host);
            change(host);
        })
    };
    let names = |name: &str| Some(CredentialRef(name.to_owned()));
    let option = LogonArgs {
        user: Some("option-user".into()),
        password_file: Some(folder.path("option.pw")),
        ..LogonArgs::default()
    };
    let user_only = LogonArgs {
        user: Some("option-user".into()),
        ..LogonArgs::default()
    };
    let none = LogonArgs::default();
    let plain = with(|_| {});
    let user = with(|host| host.user = Some("own-user".into()));
    let password = with(|host| host.password = Some(Secret::new("own".into())));
    let mut kiosk = (*plain).clone();
    kiosk.credential = names("kiosk");
    let mut own_kiosk = kiosk.clone();
    own_kiosk.user = Some("own-user".into());
    let mut nameless = kiosk.clone();
    nameless.credential = names("nameless");
    for (logon, host, expected) in [
        (&none, &*plain, "file-admin/from-file"),
        (&user_only, &plain, "option-user/from-file"),
        (&option, &plain, "option-user/from-option"),
        (&none, &user, "own-user/from-file"),
        (&option, &user, "own-user/from-option"),
        (&none, &password, "file-admin/own"),
        (&option, &password, "option-user/own"),
        (&none, &kiosk, ".\\kiosk/kiosk-from-file"),
        (&option, &kiosk, ".\\kiosk/kiosk-from-file"),
        (&option, &own_kiosk, "own-user/kiosk-from-file"),
        (&user_only, &nameless, "option-user/kiosk-from-file"),
    ] {
        let hosts = [Arc::new(host.clone())];
        let passwords = gather(logon, &hosts, Some(&file)).await.unwrap();
        assert_eq!(reveal(&passwords, host).await, expected);
        let told = passwords.accounts(&hosts);
        let user = expected.split_once('/').unwrap().0;
        assert_eq!(
            told.keys().collect::<Vec<_>>(),
            [user],
            "the statement says so"
        );
    }
}

#[tokio::test]
async fn each_pc_is_given_its_own_and_the_playbook_its_parameters() {
    let folder = Folder::new(FILE, &FILES);
    let file = folder.open();
    let branch = |name: &str, city: &str| {
        host(name, |host| {
            at(city)(host);
            host.credential = Some(CredentialRef("branch".into()));
        })
    };
    let hosts = [branch("pc-1", "大阪"), branch("pc-2", "東京")];
    let passwords = gather(&LogonArgs::default(), &hosts, Some(&file))
        .await
        .unwrap();
    assert_eq!(reveal(&passwords, &hosts[0]).await, "admin-大阪/大阪のpw");
    assert_eq!(reveal(&passwords, &hosts[1]).await, "admin-東京/東京のpw");
    assert_eq!(passwords.domain_user(), Some("CORP\\repair"));
    assert_eq!(
        passwords.given(),
        [("rescue_admin", "branch, another on each PC")]
    );
    let domain = passwords.domain().await.unwrap().unwrap();
    assert_eq!(domain.password.reveal(), "domain-from-file");
    let name = CredentialRef("domain-repair".into());
    let own = host("pc-3", |host| host.password = Some(secret("own")));
    let given = passwords.credential(&name, &own).await.unwrap();
    assert_eq!(
        given.password.reveal(),
        "domain-from-file",
        "the PC's own is for logons"
    );
    let reach = passwords.reach(&hosts).unwrap();
    assert_eq!(reach.logons, [("branch (file)".to_owned(), 2)]);
    assert_eq!(reach.playbook.len(), 2);
}

#[tokio::test]
async fn what_is_fetched_late_is_fetched_late() {
    let folder = Folder::new(FILE, &FILES);
    let hosts = [host("pc", at("大阪"))];
    let file = folder.open();
    let passwords = gather(&LogonArgs::default(), &hosts, Some(&file))
        .await
        .unwrap();
    folder.write("admin.pw", "rotated");
    assert_eq!(reveal(&passwords, &hosts[0]).await, "file-admin/rotated");
    let option = LogonArgs {
        user: Some("u".into()),
        password_file: Some(folder.path("option.pw")),
        ..LogonArgs::default()
    };
    let passwords = gather(&option, &hosts, None).await.unwrap();
    folder.write("option.pw", "rotated, too");
    assert_eq!(reveal(&passwords, &hosts[0]).await, "u/rotated, too");
}

#[tokio::test]
async fn another_is_given_within_the_budget_of_the_list_only() {
    let folder = Folder::new(FILE, &FILES);
    let file = folder.open();
    let listed = host("pc", |host| {
        at("大阪")(host);
        host.credential = Some(CredentialRef("list".into()));
    });
    let plain = host("pc", at("大阪"));
    let hosts = [Arc::clone(&listed), Arc::clone(&plain)];
    let passwords = gather(&LogonArgs::default(), &hosts, Some(&file))
        .await
        .unwrap();
    let another = async |host: &Arc<Host>, count| {
        let refused = ["l/kiosk-from-file", "from-file"];
        let judge = |user: &str, password: &Secret| {
            let one = format!("{user}/{}", password.reveal());
            let refused = refused.iter().take(count);
            Judged {
                refused: refused.into_iter().any(|refused| one.ends_with(refused)),
                account: one,
                print: 0,
            }
        };
        let refusals = Refusals {
            count: u32::try_from(count).unwrap(),
            forgotten: 0,
            judge: &judge,
        };
        let found = passwords
            .another(&name_of(host), host, &refusals)
            .await
            .unwrap();
        found.map(|found| found.password.reveal().to_owned())
    };
    assert_eq!(reveal(&passwords, &listed).await, "l/kiosk-from-file");
    assert_eq!(another(&listed, 1).await.as_deref(), Some("from-file"));
    assert_eq!(another(&listed, 2).await, None);
    assert_eq!(another(&plain, 1).await, None);
    let own = host("pc", |host| {
        host.credential = Some(CredentialRef("list".into()));
        host.password = Some(secret("own"));
    });
    assert_eq!(another(&own, 1).await, None);
}

#[tokio::test]
async fn a_missing_variable_names_pc_and_variable() {
    let folder = Folder::new(FILE, &FILES);
    let file = folder.open();
    let hosts = [host("pc-7", |host| {
        host.credential = Some(CredentialRef("branch".into()))
    })];
    let error = gather(&LogonArgs::default(), &hosts, Some(&file)).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("pc-7") && error.contains("variable `拠点`"),
        "{error}"
    );
}

#[test]
fn options_outweigh_the_file_for_the_playbook() {
    let folder = Folder::new(FILE, &FILES);
    let file = folder.open();
    let domain = |change: fn(&mut DomainArgs)| {
        let mut domain = DomainArgs::default();
        change(&mut domain);
        let kept = file.fill(domain).kept;
        kept.into_iter().map(|kept| kept.name).collect::<Vec<_>>()
    };
    assert_eq!(domain(|_| {}), ["domain_credential", "rescue_admin"]);
    assert_eq!(
        domain(|domain| domain.domain_user = Some("x".into())),
        ["rescue_admin"]
    );
    assert_eq!(
        domain(|domain| domain.credential = vec!["rescue_admin=x".parse().unwrap()]),
        ["domain_credential"]
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_anybody_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new(FILE, &[]);
    let path = folder.path("credentials.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
    let error = CredentialsFile::open(&path, false).unwrap_err();
    assert!(error.to_string().contains("changed by anybody"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_anybody_can_change_is_refused_and_not_run() {
    use std::os::unix::fs::PermissionsExt as _;

    let text = "version: 1\ncredentials: {local-admin: {user: a, password: {command: [./prog]}}}\n";
    let folder = Folder::new(text, &[("prog", "#!/bin/sh\ntouch 動いた\n")]);
    let file = folder.open();
    let hosts = [host("pc-1", |_| {})];
    for (mode, is_refused) in [(0o775, false), (0o777, true)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path("prog"), mode).unwrap();
        let gathered = gather(&LogonArgs::default(), &hosts, Some(&file)).await;
        let error = gathered.err().map(|error| error.to_string());
        let told = error.is_some_and(|error| error.contains("it is run for passwords"));
        assert_eq!(told, is_refused);
        assert!(!folder.path("動いた").exists());
    }
}

#[test]
fn groups_name_credentials_and_hosts_outweigh_them() {
    let folder = Folder::new(
        "version: 1\ncredentials: {a: {laps: {}}, b: {laps: {}}}\ngroups: {all: a, 端末: b, 倉庫: a}\n",
        &[],
    );
    let file = folder.open();
    let yaml = "all:\n  children:\n    端末:\n      hosts: {pc-1: {}, pc-2: {credential: own}}\n    \
                倉庫:\n      hosts: {pc-3: {}}\n  hosts: {pc-4: {}}\n";
    let load = |yaml: &str| {
        fleetmend_inventory::load_text("x", yaml, &fleetmend_inventory::Options::default()).unwrap()
    };
    let mut inventory = load(yaml);
    file.assign(&mut inventory).unwrap();
    let named: BTreeMap<String, String> = inventory
        .hosts
        .iter()
        .map(|host| (host.name.0.clone(), name_of(host).0))
        .collect();
    let expected = [("pc-1", "b"), ("pc-2", "own"), ("pc-3", "a"), ("pc-4", "a")];
    let expected = expected.map(|(pc, name)| (pc.to_owned(), name.to_owned()));
    assert_eq!(named, BTreeMap::from(expected));
    let both = format!("{yaml}    \n").replace("hosts: {pc-3: {}}", "hosts: {pc-3: {}, pc-1: {}}");
    let error = file.assign(&mut load(&both)).unwrap_err().to_string();
    assert!(error.contains("pc-1: two groups"), "{error}");
    let settled = both.replace(
        "倉庫:\n",
        "倉庫:\n      vars: {ansible_group_priority: 5}\n",
    );
    let mut inventory = load(&settled);
    file.assign(&mut inventory).unwrap();
    let pc = inventory.hosts.iter().find(|host| host.name.0 == "pc-1");
    assert_eq!(name_of(pc.unwrap()).0, "a");
}

/// A group that is typed otherwise than in the inventory: its PCs would get another password.
#[test]
fn groups_that_the_inventory_lacks_are_told_with_what_was_meant() {
    let load = |yaml: &str| {
        fleetmend_inventory::load_text("x", yaml, &fleetmend_inventory::Options::default()).unwrap()
    };
    let warnings = |groups: &str, inventory: &Inventory| {
        let text = format!("version: 1\ncredentials: {{a: {{laps: {{}}}}}}\ngroups: {groups}\n");
        let folder = Folder::new(&text, &[]);
        let warnings = folder.open().warnings(inventory);
        let path = folder.path("credentials.yaml").display().to_string();
        let warnings = warnings.into_iter();
        warnings
            .map(|warning| warning.replace(&path, "FILE"))
            .collect::<Vec<_>>()
    };
    // As macOS keeps it.
    let group = "\u{30AB}\u{3099}組";
    let yaml = format!(
        "all:\n  children:\n    {group}: {{hosts: {{pc-1: {{}}, pc-2: {{}}}}}}\n    倉庫: {{hosts: {{pc-3: {{}}}}}}\n"
    );
    let mut whole = load(&yaml);
    assert_eq!(warnings("{\u{30AC}組: a}", &whole), [""; 0]);
    let near = "FILE:3:10: the inventory has no group `倉庫室`, did you mean `倉庫`? No PC is logged on to \
                with a for it";
    assert_eq!(warnings("{倉庫室: a, \u{30AC}組: a}", &whole), [near]);
    let rest = "FILE:3:18: the inventory has no group `経理`, `営業`";
    assert_eq!(warnings("{all: a, 経理: a, 営業: a}", &whole), [rest]);
    let none = warnings("{経理: a, 倉庫室: a}", &whole);
    assert_eq!(none.len(), 3, "{none:?}");
    assert!(none[2].contains("none of the groups"), "{none:?}");
    assert_eq!(warnings("{}", &whole), [""; 0]);

    // So is a credential's name.
    let named = load("all: {hosts: {pc-1: {credential: \"\u{30AB}\u{3099}\"}}}");
    assert_eq!(name_of(&named.hosts[0]).0, "\u{30AC}");

    // What is left by a limit has nothing to do with it.
    let folder = Folder::new(
        "version: 1\ncredentials: {a: {laps: {}}}\ngroups: {\u{30AC}組: a, 倉庫: a}\n",
        &[],
    );
    let file = folder.open();
    file.assign(&mut whole).unwrap();
    assert_eq!(name_of(&whole.hosts[0]).0, "a");
    let limited = whole.limit("pc-3").unwrap();
    assert_eq!(limited.hosts.len(), 1);
    assert_eq!(file.warnings(&limited), [""; 0]);
}

/// A list's words are for people; each account is judged, and used, by itself.
#[tokio::test]
async fn each_account_of_a_list_stands_for_itself() {
    let text = r"
version: 1
credentials:
  list:
    attempts: 2
    from:
      - {user: fleetadmin, password: {file: local.pw}}
      - {user: 'CORP\svc', password: {file: domain.pw}}
  laps-else: {from: [{laps: {}}, {user: 'CORP\svc', password: {file: domain.pw}}]}
";
    let folder = Folder::new(
        text,
        &[("local.pw", "local"), ("domain.pw", "of-the-domain")],
    );
    let file = folder.open();
    let pc = |name: &str| {
        host("pc-1", |host| {
            host.credential = Some(CredentialRef(name.into()))
        })
    };
    let hosts = [pc("list"), pc("laps-else")];
    let passwords = gather(&LogonArgs::default(), &hosts, Some(&file)).await;
    let mut passwords = passwords.unwrap();
    let domain = (Logon::Place(1), r"CORP\svc".to_owned());
    let local = (Logon::Place(0), "fleetadmin".to_owned());
    assert_eq!(
        passwords.logons(&hosts[0]).await.unwrap(),
        [local, domain.clone()]
    );
    assert_eq!(passwords.logons(&hosts[1]).await.unwrap(), [domain]);
    let credential = passwords.logon(&hosts[1], &Logon::Place(1)).await.unwrap();
    let credential = credential.unwrap();
    assert_eq!(
        (credential.user.as_str(), credential.password.reveal()),
        (r"CORP\svc", "of-the-domain")
    );
    // The inventory's account outweighs them all.
    let own = host("pc-2", |host| {
        host.user = Some("own".into());
        host.credential = Some(CredentialRef("list".into()));
    });
    assert_eq!(
        passwords.logons(&own).await.unwrap(),
        [(Logon::First, "own".to_owned())]
    );
    // A password of a variable is that of the first account.
    passwords
        .by_name
        .insert(CredentialRef("list".into()), kept("of-a-variable"));
    assert_eq!(
        reveal(&passwords, &hosts[0]).await,
        "fleetadmin/of-a-variable"
    );
}
