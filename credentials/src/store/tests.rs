use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::Scope as SourceScope;

/// A world of sources: what is where, and how often each place was asked.
#[derive(Default)]
struct World {
    secrets: BTreeMap<String, (Option<&'static str>, &'static str)>,
    broken: Vec<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
    made: AtomicUsize,
}

#[derive(Debug)]
struct Fake {
    place: String,
    found: Result<Found, SourceError>,
    asked: Arc<Mutex<Vec<String>>>,
    slow: bool,
}

#[async_trait]
impl Source for Fake {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn scope(&self) -> SourceScope {
        SourceScope::Run
    }

    async fn fetch(&self, subject: Subject<'_>, _: &Limit) -> Result<Found, SourceError> {
        let whom = match (self.place.starts_with("laps"), subject) {
            (true, Subject::Host(host)) => format!(" for {}", host.name),
            _ => String::new(),
        };
        lock(&self.asked).push(format!("{}{whom}", self.place));
        if self.slow {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.found.clone()
    }
}

#[async_trait]
impl Sources for World {
    async fn source(&self, origin: &Origin<String>) -> Result<Arc<dyn Source>, SourceError> {
        self.made.fetch_add(1, Ordering::Relaxed);
        let place = match origin {
            Origin::Vault { vault, entry } => format!("vault {vault}/{entry}"),
            Origin::Command { words, .. } => format!("command {}", words.join(" ")),
            Origin::File(path) => format!("file {path}"),
            Origin::Env(name) => format!("env {name}"),
            Origin::Keyring { service, account } => format!("keyring {service}/{account}"),
            Origin::Prompt { asks } => format!("prompt {asks}"),
            Origin::Laps { older, .. } => format!("laps {older}"),
        };
        let found = match self.secrets.get(&place) {
            _ if self.broken.contains(&place.as_str()) => {
                Err(SourceError::new(place.clone(), "it is broken", "mend it"))
            }
            None => Err(SourceError::absent(place.clone(), "nothing is there", "")),
            Some((user, password)) => Ok(Found {
                user: user.map(str::to_owned),
                password: Secret::new((*password).to_owned()),
                ssh: None,
            }),
        };
        Ok(Arc::new(Fake {
            slow: matches!(origin, Origin::Command { .. }),
            asked: Arc::clone(&self.asked),
            place,
            found,
        }))
    }
}

const TEXT: &str = r#"
version: 1
vaults: {default: {file: v}}
credentials:
  local-admin: {user: fleetadmin, password: {vault: local-admin}}
  branch: {user: '{{ 拠点 }}-admin', password: {file: "pw/{{ 拠点 }}.txt"}}
  laps: {laps: {}}
  older: {laps: {history: 1}, attempts: 3}
  run: {user: a, password: {command: [op, read, "{{ name }}"]}}
  shared: {user: a, password: {command: [op, read]}}
  asked: {user: a, password: prompt}
  nameless: {password: {file: x}}
  entry: {password: {vault: entry}}
  one-of-two:
    from: [{laps: {}}, {user: fleetadmin, password: {vault: old}}]
  spelled:
    attempts: 2
    from: [{password: {file: "1"}}, {password: {file: "2"}}, {password: {file: "3"}}, {password: {file: "4"}}]
  two-of-three:
    attempts: 2
    user: fleetadmin
    from: [{laps: {}}, {password: {vault: old}}, {password: {vault: local-admin}}]
"#;

fn world(secrets: &[(&str, Option<&'static str>, &'static str)]) -> World {
    let secrets = secrets.iter();
    World {
        secrets: secrets
            .map(|(place, user, password)| ((*place).to_owned(), (*user, *password)))
            .collect(),
        ..World::default()
    }
}

fn store(world: World) -> (Store, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::clone(&world.asked);
    let settings = Settings::read(TEXT, Path::new("/f/credentials.yaml")).unwrap();
    (Store::new(settings, Arc::new(world)), asked)
}

fn host(name: &str) -> Host {
    let mut host = Host::new(name);
    host.vars.insert("拠点".into(), "大阪".into());
    host
}

fn limit() -> Limit {
    Limit::within(Duration::from_secs(60), &CancellationToken::new())
}

fn named(name: &str) -> CredentialRef {
    CredentialRef(name.to_owned())
}

/// A PC that refuses whatever it is shown, and tells accounts and passwords apart as the engine does.
#[derive(Default)]
struct Pc {
    refused: Mutex<Vec<(String, String)>>,
    /// Of these, those of before the run was cut.
    forgotten: u32,
}

impl Pc {
    fn account(&self, host: &Host, given: &Given) -> Option<String> {
        host.user.clone().or_else(|| given.user.clone())
    }

    fn of(user: &str, password: &Secret) -> (String, String) {
        let account = user.to_lowercase();
        let account = account.rsplit('\\').next().unwrap().to_owned();
        (account, password.reveal().to_owned())
    }

    fn refuse(&self, host: &Host, given: &Given) {
        let user = self.account(host, given).unwrap_or_default();
        let one = Self::of(&user, &given.password);
        assert!(!lock(&self.refused).contains(&one), "shown twice: {one:?}");
        lock(&self.refused).push(one);
    }

    async fn another(&self, store: &Store, name: &str, host: &Host) -> Option<Given> {
        let judge = |user: &str, password: &Secret| {
            let one = Self::of(user, password);
            Judged {
                refused: lock(&self.refused).contains(&one),
                account: one.0,
                print: one.1.bytes().map(u64::from).sum(),
            }
        };
        let refusals = Refusals {
            count: self.forgotten + u32::try_from(lock(&self.refused).len()).unwrap(),
            forgotten: self.forgotten,
            judge: &judge,
        };
        let account = |given: &Given| self.account(host, given);
        store
            .another(&named(name), host, &refusals, account, &limit())
            .await
            .unwrap()
    }
}

fn shown(given: &Given) -> String {
    let user = given.user.clone().unwrap_or_default();
    format!("{user}/{}", given.password.reveal())
}

/// Returns what is given after a PC refused so many of what it was given.
async fn fetch(store: &Store, name: &str, host: &Host, refused: u32) -> Option<String> {
    let pc = Pc::default();
    let (name_of, limit) = (named(name), limit());
    let first = store.fetch(&name_of, Some(host), &limit).await;
    let mut given = first.unwrap();
    for _ in 0..refused {
        pc.refuse(host, &given);
        given = pc.another(store, name, host).await?;
    }
    Some(shown(&given))
}

async fn look(store: &Store, name: &str, hosts: &[Host]) -> Result<(), String> {
    let name = named(name);
    let wanted: Vec<Wanted<'_>> = hosts
        .iter()
        .map(|host| Wanted {
            name: &name,
            host: Some(host),
            has_account: host.user.is_some(),
        })
        .collect();
    let looked = store.look(&wanted, &limit()).await;
    looked.map_err(|errors| {
        let errors = errors.iter().map(ToString::to_string);
        errors.collect::<Vec<_>>().join("\n")
    })
}

#[tokio::test]
async fn each_pc_has_its_own() {
    let (store, _) = store(world(&[
        ("vault default/local-admin", None, "one"),
        ("file /f/pw/大阪.txt", None, "two"),
        ("laps 0", Some(".\\lapsadmin"), "three"),
        ("vault default/entry", Some("kept"), "four"),
    ]));
    let pc = host("pc-1");
    for (name, given) in [
        ("local-admin", "fleetadmin/one"),
        ("branch", "大阪-admin/two"),
        ("laps", ".\\lapsadmin/three"),
        ("entry", "kept/four"),
    ] {
        assert_eq!(fetch(&store, name, &pc, 0).await.as_deref(), Some(given));
        assert_eq!(fetch(&store, name, &pc, 1).await, None, "one attempt");
    }
}

#[tokio::test]
async fn who_has_nothing_costs_no_attempt_and_who_fails_ends_it() {
    let pc = host("pc-1");
    let both = [
        ("laps 0", Some("l"), "new"),
        ("vault default/old", None, "old"),
    ];
    let (has_both, asked) = store(world(&both));
    assert_eq!(
        fetch(&has_both, "one-of-two", &pc, 0).await.as_deref(),
        Some("l/new")
    );
    assert_eq!(
        fetch(&has_both, "one-of-two", &pc, 1).await,
        None,
        "the budget is one"
    );
    assert_eq!(
        *lock(&asked),
        ["laps 0 for pc-1"; 2],
        "nothing was asked for in vain"
    );

    let (no_laps, _) = store(world(&both[1..]));
    assert_eq!(
        fetch(&no_laps, "one-of-two", &pc, 0).await.as_deref(),
        Some("fleetadmin/old")
    );
    assert_eq!(fetch(&no_laps, "one-of-two", &pc, 1).await, None);

    let mut world = world(&both[1..]);
    world.broken.push("laps 0");
    let (broken, _) = store(world);
    let failed = broken
        .fetch(&named("one-of-two"), Some(&pc), &limit())
        .await;
    let error = failed.unwrap_err();
    assert!(error.to_string().contains("it is broken"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("mend it"));
}

#[tokio::test]
async fn a_budget_counts_different_passwords() {
    let pc = host("pc-1");
    let (all, _) = store(world(&[
        ("laps 0", None, "a"),
        ("vault default/old", None, "b"),
        ("vault default/local-admin", None, "c"),
    ]));
    let given = [0, 1, 2, 9].map(|refused| fetch(&all, "two-of-three", &pc, refused));
    let given = futures::future::join_all(given).await;
    let given: Vec<_> = given.iter().map(Option::as_deref).collect();
    assert_eq!(
        given,
        [Some("fleetadmin/a"), Some("fleetadmin/b"), None, None]
    );

    // The second is the first again: the third is the second attempt.
    let (twice, _) = store(world(&[
        ("laps 0", None, "a"),
        ("vault default/old", None, "a"),
        ("vault default/local-admin", None, "c"),
    ]));
    assert_eq!(
        fetch(&twice, "two-of-three", &pc, 1).await.as_deref(),
        Some("fleetadmin/c")
    );

    // Accounts that differ are one where the inventory names the account.
    let (users, _) = store(world(&[
        ("laps 0", Some("x"), "a"),
        ("laps 1", Some("y"), "a"),
    ]));
    assert_eq!(fetch(&users, "older", &pc, 1).await.as_deref(), Some("y/a"));
    let mut own = host("pc-2");
    own.user = Some("z".into());
    assert_eq!(fetch(&users, "older", &own, 1).await, None);
}

/// What stands in a place changes: LAPS sets a new password between two tries.
#[tokio::test]
async fn what_is_new_in_a_place_that_was_refused_is_tried_before_the_next() {
    let host = host("pc-1");
    let (before, _) = store(world(&[
        ("laps 0", Some("l"), "current"),
        ("laps 1", Some("l"), "older"),
    ]));
    let (after, _) = store(world(&[
        ("laps 0", Some("l"), "new"),
        ("laps 1", Some("l"), "current"),
    ]));
    let pc = Pc::default();
    let first = before
        .fetch(&named("older"), Some(&host), &limit())
        .await
        .unwrap();
    pc.refuse(&host, &first);
    let second = pc.another(&after, "older", &host).await.unwrap();
    assert_eq!(shown(&second), "l/new");
    pc.refuse(&host, &second);
    // The older one has been refused already, as the current one that it was.
    assert!(pc.another(&after, "older", &host).await.is_none());
    let third = pc.another(&before, "older", &host).await.unwrap();
    assert_eq!(shown(&third), "l/older");
    pc.refuse(&host, &third);
    // Three attempts, whatever comes now.
    let (later, _) = store(world(&[("laps 0", Some("l"), "newer")]));
    assert!(pc.another(&later, "older", &host).await.is_none());
}

#[tokio::test]
async fn an_account_in_other_words_ends_no_list_and_spends_nothing() {
    let host = host("pc-1");
    let (spelled, _) = store(world(&[
        ("file /f/1", Some(".\\fleetadmin"), "wrong"),
        ("file /f/2", Some("fleetadmin"), "wrong"),
        ("file /f/3", Some("PC-1\\FleetAdmin"), "wrong"),
        ("file /f/4", Some("fleetadmin"), "right"),
    ]));
    let given = fetch(&spelled, "spelled", &host, 1).await;
    assert_eq!(given.as_deref(), Some("fleetadmin/right"));
    assert_eq!(fetch(&spelled, "spelled", &host, 2).await, None);
}

#[tokio::test]
async fn of_what_was_refused_before_a_cut_as_many_places_are_passed_over() {
    let host = host("pc-1");
    let (spelled, _) = store(world(&[
        ("file /f/1", Some("a"), "one"),
        ("file /f/2", Some("a"), "one"),
        ("file /f/3", Some("a"), "two"),
        ("file /f/4", Some("a"), "three"),
    ]));
    let mut pc = Pc {
        forgotten: 1,
        ..Pc::default()
    };
    let next = pc.another(&spelled, "spelled", &host).await.unwrap();
    assert_eq!(shown(&next), "a/two");
    // With two attempts this was the last.
    pc.refuse(&host, &next);
    assert!(pc.another(&spelled, "spelled", &host).await.is_none());
    pc.forgotten = 2;
    assert!(pc.another(&spelled, "spelled", &host).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_program_runs_once_for_those_who_wait_and_again_later() {
    let (store, asked) = store(world(&[
        ("command op read", None, "s"),
        ("command op read pc-1", None, "1"),
        ("command op read pc-2", None, "2"),
    ]));
    let pcs: Vec<Host> = (1..=20).map(|n| host(&format!("pc-{n}"))).collect();
    let given = futures::future::join_all(pcs.iter().map(|pc| fetch(&store, "shared", pc, 0)));
    assert!(
        given
            .await
            .iter()
            .all(|given| given.as_deref() == Some("a/s"))
    );
    assert_eq!(lock(&asked).len(), 1);
    assert_eq!(
        fetch(&store, "shared", &pcs[0], 0).await.as_deref(),
        Some("a/s")
    );
    assert_eq!(lock(&asked).len(), 2, "nothing is kept");
    let own = futures::future::join_all(pcs[..2].iter().map(|pc| fetch(&store, "run", pc, 0)));
    assert_eq!(own.await, [Some("a/1".to_owned()), Some("a/2".to_owned())]);
}

#[tokio::test]
async fn a_look_asks_once_runs_nothing_and_names_what_is_missing() {
    let pcs = [host("pc-1"), host("pc-2")];
    let (whole, asked) = store(world(&[
        ("file /f/pw/大阪.txt", None, "two"),
        ("prompt the password of a (asked)", None, "typed"),
        ("vault default/entry", Some("kept"), "four"),
    ]));
    for name in [
        "branch",
        "asked",
        "entry",
        "laps",
        "run",
        "shared",
        "one-of-two",
    ] {
        look(&whole, name, &pcs).await.unwrap();
    }
    let told = lock(&asked).join("\n");
    assert!(
        !told.contains("command") && !told.contains("laps"),
        "{told}"
    );
    assert_eq!(told.matches("file").count(), 1, "{told}");

    let (empty, _) = store(world(&[
        ("file /f/x", None, "x"),
        ("vault default/entry", None, "y"),
    ]));
    assert_eq!(
        look(&empty, "branch", &pcs).await.unwrap_err(),
        "pc-1, pc-2: the credential branch is nowhere: file /f/pw/大阪.txt: nothing is there"
    );
    for name in ["nameless", "entry"] {
        assert_eq!(
            look(&empty, name, &pcs).await.unwrap_err(),
            format!("pc-1, pc-2: the credential {name} names no account")
        );
        let mut own = host("pc-3");
        own.user = Some("me".into());
        look(&empty, name, &[own]).await.unwrap();
    }
    let error = look(&empty, "branch", &[Host::new("pc-9")])
        .await
        .unwrap_err();
    assert!(
        error.starts_with(
            "pc-9: the credential branch: `{{ 拠点 }}-admin` needs the variable `拠点`"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_is_asked_while_something_is_missing() {
    let (store, asked) = store(world(&[(
        "prompt the password of a (asked)",
        None,
        "typed",
    )]));
    let (asks, needs) = (named("asked"), named("nameless"));
    let pc = host("pc-1");
    let wanted = [&asks, &needs].map(|name| Wanted {
        name,
        host: Some(&pc),
        has_account: true,
    });
    assert_eq!(store.look(&wanted, &limit()).await.unwrap_err().len(), 1);
    assert_eq!(*lock(&asked), ["file /f/x"]);
}

#[test]
fn accounts_are_named_without_asking() {
    let (store, asked) = store(World::default());
    let pc = host("pc-1");
    for (name, account) in [
        ("local-admin", Some("fleetadmin")),
        ("branch", Some("大阪-admin")),
        ("laps", Some("the account that LAPS names")),
        ("entry", Some("the account of the vault's entry entry")),
        (
            "one-of-two",
            Some("the account that LAPS names, else fleetadmin"),
        ),
        ("nameless", None),
    ] {
        let told = store.account_in_words(&named(name), Some(&pc)).unwrap();
        assert_eq!(told.as_deref(), account, "{name}");
    }
    assert!(lock(&asked).is_empty());
    assert_eq!(store.kinds(&named("one-of-two")), "LAPS, else vault");
    assert!(store.needs_directory(&named("older")) && !store.needs_directory(&named("run")));
}

#[tokio::test]
async fn each_place_has_its_own_account_and_password() {
    let (store, asked) = store(world(&[
        ("vault default/entry", Some(r"CORP\svc"), "of-the-domain"),
        ("vault default/old", None, "old"),
        ("laps 0", Some(r".\fleetadmin"), "of-laps"),
    ]));
    let pc = host("pc-1");
    let accounts = async |name: &str| {
        let accounts = store.accounts(&named(name), Some(&pc), &limit()).await;
        accounts.unwrap()
    };
    let owned = |user: &str| Some(user.to_owned());
    // LAPS names accounts of the PC alone, and is not asked.
    assert_eq!(accounts("one-of-two").await, [(1, owned("fleetadmin"))]);
    assert_eq!(accounts("laps").await, []);
    assert_eq!(accounts("nameless").await, [(0, None)]);
    assert!(lock(&asked).is_empty());
    assert_eq!(accounts("entry").await, [(0, owned(r"CORP\svc"))]);
    assert_eq!(*lock(&asked), ["vault default/entry"]);
    let place = async |name: &str, place| {
        let name = named(name);
        let limit = limit();
        let given = store.fetch_place(&name, Some(&pc), place, &limit).await;
        given
            .unwrap()
            .map(|given| given.password.reveal().to_owned())
    };
    assert_eq!(place("one-of-two", 1).await.as_deref(), Some("old"));
    assert_eq!(place("two-of-three", 2).await, None, "nothing is there");
    assert_eq!(place("two-of-three", 3).await, None, "no such place");
    for (name, account) in [
        ("one-of-two", Some("fleetadmin")),
        ("branch", Some("大阪-admin")),
        ("entry", None),
    ] {
        let told = store.named_account(&named(name), Some(&pc)).unwrap();
        assert_eq!(told.as_deref(), account, "{name}");
    }
}
