//! The scripts of local-admin-access on a simulated PC: what they answer fits the schemas, and what
//! they do decides who may log on afterwards.

use std::path::Path;

use fleetmend_lab::machine::LocalAccount;
use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use serde_json::{Value, json};

use crate::common::{Channel, text_of};

const DIAGNOSE: &str = "local-admin-access/diagnose.ps1";
const MAKE_USABLE: &str = "local-admin-access/make-usable.ps1";
const SET_ACCOUNT: &str = "local-admin-access/set-account.ps1";

async fn lab(scenario: Scenario) -> Lab {
    let scripts = [DIAGNOSE, MAKE_USABLE, SET_ACCOUNT].map(|name| Script {
        name: name.into(),
        text: text_of(name),
    });
    let options = LabOptions {
        mix: Mix::Plan(vec![PcPlan::new(scenario).japanese()]),
        ..LabOptions::new(0, scripts.to_vec())
    };
    Lab::start(options).await.unwrap()
}

fn fits(name: &str, kind: &str, value: &Value) {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = schema.validate(value) {
        panic!(
            "{name} {kind} {value:#}: {error} at {}",
            error.instance_path()
        );
    }
}

/// Runs a step as the built-in Administrator, whose token is never filtered.
async fn ask(lab: &Lab, name: &str, params: Value) -> Value {
    let mut channel = Channel::open(&lab.pcs()[0].sim, "administrator");
    fits(name, "takes", &params);
    let answer = channel.answer(name, &params).await;
    fits(name, "gives", &answer);
    answer
}

async fn diagnose(lab: &Lab, account: &str) -> Value {
    ask(lab, DIAGNOSE, json!({ "account": account })).await
}

fn wanted(password: Option<&str>) -> Value {
    let mut params =
        json!({ "account": "rescue", "enable": true, "add": true, "allow_remote": true });
    if let Some(password) = password {
        params["create"] = json!(true);
        params["replace"] = json!(false);
        params["local_admin_credential"] = json!({ "user": "rescue", "password": password });
    }
    params
}

#[tokio::test]
async fn an_account_in_disorder_is_told_and_put_in_order() {
    let lab = lab(Scenario::Healthy).await;
    {
        let mut pc = lab.pcs()[0].sim.machine();
        pc.remote_admins = false;
        let rescue = LocalAccount {
            enabled: false,
            locked: true,
            expired: true,
            rid: 1002,
            ..LocalAccount::new("as-before-1A", false)
        };
        pc.accounts.insert("rescue".into(), rescue);
    }
    let facts = diagnose(&lab, "Rescue").await;
    let account = &facts["account"];
    assert_eq!(account["found"], true);
    for (field, value) in [
        ("enabled", false),
        ("locked", true),
        ("expired", true),
        ("administrator", false),
        ("full_token", false),
        ("network_logon", true),
        ("own", false),
    ] {
        assert_eq!(account[field], value, "{field}");
    }
    let administrators = facts["administrators"].as_array().unwrap();
    let told = |name: &str, field: &str| {
        let mut all = administrators.iter();
        all.find(|one| one["name"] == name).unwrap()[field].clone()
    };
    assert_eq!(administrators.len(), 2);
    assert_eq!(told("administrator", "own"), true);
    assert_eq!(told("administrator", "full_token"), true);
    assert_eq!(told("fleetadmin", "full_token"), false);
    let pc = lab.pcs()[0].sim.machine().clone();
    assert_eq!(pc.password_of("rescue"), None);

    let done = ask(&lab, MAKE_USABLE, wanted(None)).await;
    assert_eq!(
        done,
        json!({
            "flags_error": 0, "expiry_error": 0, "member_error": 0, "remote_allowed": true,
            "probe_errors": [],
        })
    );
    let pc = lab.pcs()[0].sim.machine().clone();
    assert_eq!(pc.password_of("rescue"), Some("as-before-1A"));
    assert!(pc.is_elevated("rescue"));

    // Once more finds nothing to do but what is cheap to say again.
    let again = ask(&lab, MAKE_USABLE, wanted(None)).await;
    assert_eq!(again["flags_error"], Value::Null);
    assert_eq!(again["expiry_error"], Value::Null);
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn an_account_is_made_with_the_password_and_proven() {
    let lab = lab(Scenario::Healthy).await;
    lab.pcs()[0].sim.machine().shortest_password = 8;
    assert_eq!(diagnose(&lab, "rescue").await["account"]["found"], false);

    let refused = ask(&lab, SET_ACCOUNT, wanted(Some("short"))).await;
    assert_eq!(refused["account_error"], 2245);
    assert_eq!(refused["logon_error"], Value::Null);
    assert!(lab.pcs()[0].sim.machine().account("rescue").is_none());

    let made = ask(&lab, SET_ACCOUNT, wanted(Some("long-enough-1A"))).await;
    assert_eq!(made["created"], true);
    assert_eq!(made["logon_error"], 0);
    let pc = lab.pcs()[0].sim.machine().clone();
    assert_eq!(pc.password_of("RESCUE"), Some("long-enough-1A"));
    assert!(pc.account("rescue").unwrap().administrator);
    assert_eq!(pc.account("rescue").unwrap().bad_passwords_total, 0);

    // Another password is another matter, and was not allowed.
    let kept = ask(&lab, SET_ACCOUNT, wanted(Some("another-one-1A"))).await;
    assert_eq!(kept["account_error"], 5);
    let pc = lab.pcs()[0].sim.machine().clone();
    assert_eq!(pc.password_of("rescue"), Some("long-enough-1A"));
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_right_to_log_on_that_is_denied_shows_in_the_proof() {
    let lab = lab(Scenario::Healthy).await;
    let denied = "S-1-5-114".to_owned();
    lab.pcs()[0].sim.machine().network_denied.insert(denied);
    let made = ask(&lab, SET_ACCOUNT, wanted(Some("long-enough-1A"))).await;
    assert_eq!(made["account_error"], 0);
    assert_eq!(made["logon_error"], 1385);
    let facts = diagnose(&lab, "rescue").await;
    assert_eq!(facts["account"]["network_logon"], false);
    assert_eq!(facts["network_logon_denied"], json!(["S-1-5-114"]));
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_filtered_token_changes_nothing() {
    let lab = lab(Scenario::NotElevated).await;
    let before = lab.pcs()[0].sim.machine().accounts.clone();
    let mut channel = Channel::open(&lab.pcs()[0].sim, "fleetadmin");
    let refused = channel
        .answer(SET_ACCOUNT, &wanted(Some("long-enough-1A")))
        .await;
    assert_eq!(refused["account_error"], 5);
    let refused = channel.answer(MAKE_USABLE, &wanted(None)).await;
    assert_eq!(refused["probe_errors"][0]["code"], 5);
    fits(MAKE_USABLE, "gives", &refused);
    assert_eq!(
        channel.answer(DIAGNOSE, &json!({ "account": null })).await["elevated"],
        false
    );
    assert_eq!(lab.pcs()[0].sim.machine().accounts, before);
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_domain_controller_has_no_local_accounts() {
    let lab = lab(Scenario::DomainController).await;
    let facts = diagnose(&lab, "rescue").await;
    assert_eq!(facts["administrators"], Value::Null);
    assert_eq!(facts["account"]["found"], Value::Null);
    assert_eq!(lab.shutdown().await, 0);
}
