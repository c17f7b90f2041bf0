//! Two hundred hosts and one wrong password on a real domain that locks at the fifth; and what an
//! expired, disabled, locked account is told.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::path::PathBuf;

use fleetmend_tests::samba::{Account, Domain, Members};
use fleetmend_tests::{Ended, with};

const MEMBERS: Members = Members {
    winbind: 3,
    adcli: 0,
};
const MEMBER_NAMES: [&str; 3] = ["pc1", "pc2", "pc3"];
/// Wrong passwords that lock an account.
const THRESHOLD: u32 = 5;
const HOSTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_spent_once_and_a_hopeless_account_not_at_all() {
    let Some(domain) = Domain::up_with_lockout(MEMBERS, THRESHOLD) else {
        return;
    };
    let inventory = many_hosts(&domain);
    tried_from_the_controller_before_any_pc(&domain, &inventory).await;
    accounts_that_would_be_refused_spend_nothing(&domain, &inventory).await;
    the_directory_account_is_told_in_its_own_words(&domain, &inventory).await;
    handed_to_one_pc_of_two_hundred(&domain, &inventory).await;
}

/// Two hundred hosts, each with an address of its own, behind which the three members stand.
fn many_hosts(domain: &Domain) -> PathBuf {
    let controller = domain.setting("DC_ADDRESS");
    let network = controller.rsplit_once('.').unwrap().0;
    let hosts = domain.write("many_known_hosts", "");
    let mut text = format!(
        "all:\n  vars:\n    platform: posix\n    transport: ssh\n    user: '{}'\n    \
         ssh: {{known_hosts: '{}', accept_new_host_keys: true}}\n  hosts:\n",
        domain.setting("LOCAL_USER"),
        hosts.display(),
    );
    // Where neither the controllers nor the members themselves are.
    let free = (11..17).chain(41..121).chain(141..255);
    let mut given = [(); 3].map(|()| String::new());
    for (nth, last) in free.enumerate() {
        let member = nth % MEMBER_NAMES.len();
        given[member].push_str(&format!("ip addr add {network}.{last}/32 dev eth0\n"));
        text.push_str(&format!(
            "    端末-{nth:03}: {{address: {network}.{last}}}\n"
        ));
    }
    for (member, commands) in MEMBER_NAMES.iter().zip(given) {
        domain.shell(member, &commands);
    }
    domain.write("many.yaml", &text)
}

fn base(domain: &Domain, inventory: &std::path::Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["run".into(), "trust-repair".into()];
    arguments.extend(domain.host_options(inventory));
    with(arguments, ["--yes", "--output", "json"])
}

/// `--domain-user` with a password that is in this file.
fn repair_account(domain: &Domain, name: &str, password: PathBuf) -> Vec<OsString> {
    let user = format!("{name}@{}", domain.setting("DOMAIN"));
    let options = ["--domain-user".into(), user.into()];
    let mut options = Vec::from(options);
    options.extend(["--domain-password-file".into(), password.into()]);
    options.push("--allow-credential-on-pcs".into());
    options
}

fn bad_passwords(domain: &Domain, account: &str) -> i64 {
    domain.account(account).unwrap().number("badPwdCount")
}

fn connections(domain: &Domain) -> usize {
    let each = MEMBER_NAMES.iter();
    each.map(|member| domain.connections(member)).sum()
}

async fn tried_from_the_controller_before_any_pc(domain: &Domain, inventory: &std::path::Path) {
    let name = Account::Join.name();
    let wrong = domain.write("wrong.pw", "Not-The-Password-1");
    let before = (bad_passwords(domain, name), connections(domain));
    let mut options = domain.directory_options(Account::Reset);
    options.extend(repair_account(domain, name, wrong));
    let ended = domain.run(with(base(domain, inventory), options)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert!(ended.err().contains("(1326)"), "{}", ended.err());
    assert_eq!(bad_passwords(domain, name), before.0 + 1);
    assert_eq!(connections(domain), before.1, "a member was connected to");
}

/// What makes an account one that no password opens, and the words and number for it.
const HOPELESS: [(&str, &str, &str); 4] = [
    ("disabled", "the account is disabled", "(1331)"),
    ("expired", "the account has expired", "(1793)"),
    ("locked", "the account is locked out", "(1909)"),
    (
        "must-change",
        "the password must be changed first",
        "(1907)",
    ),
];

const PASSWORD: &str = "Right-Password-7";

/// One logon over LDAPS with a password that is none of the account's.
fn wrong_logon(domain: &Domain, name: &str) -> Vec<String> {
    let certificate = format!("LDAPTLS_CACERT={}", domain.setting("CA"));
    let server = format!("ldaps://{}", domain.setting("DC"));
    let user = format!("{name}@{}", domain.setting("DOMAIN"));
    let words = ["env", &certificate, "ldapwhoami", "-x", "-H", &server];
    let account = ["-D", &user, "-w", "Not-The-Password"];
    words
        .iter()
        .chain(&account)
        .map(|word| (*word).to_owned())
        .collect()
}

/// Makes an account in this state, whose password is [`PASSWORD`].
fn make(domain: &Domain, state: &str, role: &str) -> String {
    let name = format!("{role}-{state}");
    let said = domain.exec("dc1", &["samba-tool", "user", "create", &name, PASSWORD]);
    assert_eq!(said.code, 0, "{said:?}");
    let dn = domain.account(&name).unwrap().one("dn").unwrap().to_owned();
    let change = |attribute: &str, value: &str| {
        domain.write_sam(
            "ldbmodify",
            &format!(
                "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n"
            ),
        );
    };
    match state {
        "disabled" => change("userAccountControl", "514"),
        // 2020-01-01, as FILETIME.
        "expired" => change("accountExpires", "132223104000000000"),
        "must-change" => change("pwdLastSet", "0"),
        _ => {
            for _ in 0..=THRESHOLD {
                let words = wrong_logon(domain, &name);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let said = domain.exec("ctl", &words);
                assert_eq!(said.code, 49, "{said:?}");
            }
            let locked = domain.account(&name).unwrap().number("lockoutTime");
            assert!(locked > 0, "{name} did not get locked");
        }
    }
    name
}

fn has_words(ended: &Ended, words: &str, number: &str) {
    let told = ended.err();
    assert_eq!(ended.code, Some(3), "{told}");
    assert!(told.contains(words) && told.contains(number), "{told}");
}

async fn accounts_that_would_be_refused_spend_nothing(
    domain: &Domain,
    inventory: &std::path::Path,
) {
    let before = connections(domain);
    for (state, words, number) in HOPELESS {
        let name = make(domain, state, "join");
        let spent = bad_passwords(domain, &name);
        let right = domain.write("right.pw", PASSWORD);
        let mut options = domain.directory_options(Account::Reset);
        options.extend(repair_account(domain, &name, right));
        let ended = domain.run(with(base(domain, inventory), options)).await;
        has_words(&ended, words, number);
        assert_eq!(bad_passwords(domain, &name), spent, "{state}");
    }
    assert_eq!(connections(domain), before, "a member was connected to");
}

async fn the_directory_account_is_told_in_its_own_words(
    domain: &Domain,
    inventory: &std::path::Path,
) {
    let before = connections(domain);
    for (state, words, number) in HOPELESS {
        let name = make(domain, state, "ask");
        let spent = bad_passwords(domain, &name);
        let right = domain.write("right.pw", PASSWORD);
        let mut options = domain.directory_options_with(Account::Reset, &right);
        let user = options.iter().position(|one| one == "--directory-user");
        options[user.unwrap() + 1] = format!("{name}@{}", domain.setting("DOMAIN")).into();
        let ended = domain.run(with(base(domain, inventory), options)).await;
        has_words(&ended, words, number);
        assert_eq!(bad_passwords(domain, &name), spent, "{state}");
    }
    assert_eq!(connections(domain), before, "a member was connected to");
}

/// Without a directory nobody can try the account before a PC is given it: one PC is, and that is
/// all.
async fn handed_to_one_pc_of_two_hundred(domain: &Domain, inventory: &std::path::Path) {
    for member in MEMBER_NAMES {
        domain.harm(member, "password");
    }
    let name = "canary-join";
    let said = domain.exec("dc1", &["samba-tool", "user", "create", name, PASSWORD]);
    assert_eq!(said.code, 0, "{said:?}");
    let wrong = domain.write("wrong.pw", "Not-The-Password-2");
    let mut arguments = base(domain, inventory);
    arguments.extend(repair_account(domain, name, wrong));
    // Three sshd stand behind two hundred hosts, and take ten strangers at a time each.
    let ended = domain
        .run(with(arguments, ["--max-concurrency", "12"]))
        .await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(bad_passwords(domain, name), 1, "{}", ended.err());
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), HOSTS);
    assert!(
        outcomes
            .values()
            .all(|outcome| !outcome.starts_with("repaired")),
        "{outcomes:?}"
    );
}
