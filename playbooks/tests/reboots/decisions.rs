//! What is decided about a rung that restarts the PC, and what its steps see.

use std::time::Duration;

use fleetmend_model::Facts;
use fleetmend_playbooks::{
    Decision, Language, Playbook, PreflightEnd, RebootWindow, Situation, VerifyVerdict,
};
use serde_json::{Map, Value, json};

use crate::{GOOD, load, step};

fn facts(code: i64, site: Value, name: Value) -> Facts {
    let facts = json!({"code": code, "dc": {"site": site, "name": name}});
    Facts(facts.as_object().unwrap().clone())
}

fn broken() -> Facts {
    facts(5, json!("Tokyo"), json!("dc01"))
}

/// A situation in which only the preflight is missing.
fn allowed(playbook: &Playbook) -> Situation {
    let set = json!({"provisioning_host": "join-01", "domain_credential": "join"});
    Situation {
        params: playbook
            .resolve_params(set.as_object().unwrap(), &Default::default())
            .unwrap(),
        credentials: ["domain_credential".to_owned()].into(),
        max_reboots: 2,
        ..Situation::default()
    }
}

fn account(local: bool) -> Value {
    json!({
        "name": "PC-001\\admin", "sid": "S-1-5-21-1-2-3-1001", "local": local,
        "administrator": true, "elevated": true, "enabled": true,
        "built_in_administrator": false, "computer_name": "PC-001",
        "address": "10.0.0.1", "transport": "winrm",
    })
}

fn looked(situation: &Situation, answers: Value) -> Situation {
    let answers = PreflightEnd::Answered(answers.as_object().unwrap().clone());
    Situation {
        preflights: [("rejoin".to_owned(), answers)].into(),
        ..situation.clone()
    }
}

/// Says a decision in a word.
fn word(playbook: &Playbook, facts: &Facts, situation: &Situation) -> String {
    match playbook.decide(facts, situation) {
        Ok(Decision::Healthy) => "healthy".to_owned(),
        Ok(Decision::Preflight { rung, .. }) => format!("preflight {rung}"),
        Ok(Decision::Try { rung, .. }) => format!("try {rung}"),
        Ok(Decision::Blocked { guard, .. }) => format!("blocked {guard}"),
        Ok(Decision::Stop { .. }) => "stop".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

fn blocked(playbook: &Playbook, situation: &Situation) -> (String, String, String) {
    match playbook.decide(&broken(), situation).unwrap() {
        Decision::Blocked {
            guard,
            reason,
            next,
            ..
        } => (guard, reason, next),
        other => panic!("{other:?}"),
    }
}

#[test]
fn restarts_are_counted_before_anything_is_asked() {
    let playbook = load(GOOD);
    let good = allowed(&playbook);
    for (max_reboots, reboots, expected) in [
        (0, 0, "blocked needs-reboot"),
        (1, 0, "blocked needs-reboot"),
        (2, 0, "preflight rejoin"),
        (2, 1, "blocked needs-reboot"),
        (3, 1, "preflight rejoin"),
        (u32::MAX, u32::MAX, "preflight rejoin"),
    ] {
        let situation = Situation {
            max_reboots,
            reboots,
            ..good.clone()
        };
        let is = word(&playbook, &broken(), &situation);
        assert_eq!(is, expected, "{reboots} of {max_reboots}");
    }
    let once = Situation {
        max_reboots: 1,
        ..good
    };
    let (_, reason, next) = blocked(&playbook, &once);
    assert!(
        reason.contains("rejoin") && reason.contains('2'),
        "{reason}"
    );
    assert!(next.contains("--max-reboots 2"), "{next}");
    let japanese = Situation {
        language: Language::Ja,
        ..once
    };
    let (_, reason, next) = blocked(&playbook, &japanese);
    assert!(reason.contains("再起動") && next.contains("--max-reboots 2"));
}

#[test]
fn a_rung_must_end_within_the_hours_for_restarts() {
    let playbook = load(GOOD);
    let window = |open_for: Option<u64>| Situation {
        reboot_window: Some(RebootWindow {
            text: "22:00-05:00".to_owned(),
            open_for: open_for.map(Duration::from_secs),
        }),
        ..allowed(&playbook)
    };
    // It costs ten minutes.
    for (open_for, expected) in [
        (None, "blocked reboot-window"),
        (Some(0), "blocked reboot-window"),
        (Some(599), "blocked reboot-window"),
        (Some(600), "preflight rejoin"),
        (Some(25_000), "preflight rejoin"),
    ] {
        let is = word(&playbook, &broken(), &window(open_for));
        assert_eq!(is, expected, "{open_for:?}");
    }
    let (_, reason, next) = blocked(&playbook, &window(None));
    assert!(reason.contains("22:00-05:00") && next.contains("22:00-05:00"));
    // Nothing to do with a rung that restarts nothing.
    let quiet = GOOD
        .replacen("reboot: {}\n        with: {grace_minutes: params.grace_minutes, message: \"'Join ' ~ answers.blob.machine\"}", "logon: {}", 1)
        .replacen("reboot: {}\n        when: answers.restart.ready", "logon: {}", 1);
    let quiet = load(&quiet);
    assert_eq!(quiet.ladder[0].reboots(), 0);
    let mut closed = window(None);
    closed.max_reboots = 0;
    assert_eq!(word(&quiet, &broken(), &closed), "preflight rejoin");
}

#[test]
fn a_preflight_is_run_only_where_nothing_else_forbids_the_rung() {
    let playbook = load(GOOD);
    let good = allowed(&playbook);
    assert_eq!(word(&playbook, &broken(), &good), "preflight rejoin");
    let unknown = facts(5, json!(null), json!(null));
    assert_eq!(word(&playbook, &unknown, &good), "blocked known");
    let mut without = good.clone();
    without.credentials.clear();
    assert_eq!(
        word(&playbook, &broken(), &without),
        "blocked needs-credential"
    );
    let mut without = good.clone();
    without
        .params
        .insert("provisioning_host".into(), Value::Null);
    assert_eq!(
        word(&playbook, &broken(), &without),
        "blocked needs-parameter"
    );
    let mut tried = good.clone();
    tried.tried.insert("rejoin".to_owned());
    assert_eq!(word(&playbook, &broken(), &tried), "stop");
    let well = facts(0, json!(null), json!(null));
    assert_eq!(word(&playbook, &well, &good), "healthy");
}

#[test]
fn what_a_preflight_brought_decides() {
    let playbook = load(GOOD);
    let good = allowed(&playbook);
    let safety = |code: i64| json!({"code": code, "dc": {"name": null, "site": null}});
    let with = |answers: Value| looked(&good, answers);
    let free = with(json!({"safety": safety(5), "account": account(true)}));
    assert_eq!(word(&playbook, &broken(), &free), "try rejoin");
    let theirs = with(json!({"safety": safety(5), "account": account(false)}));
    assert_eq!(word(&playbook, &broken(), &theirs), "blocked local-admin");
    // What it found is told, with its numbers.
    let busy = with(json!({"safety": safety(86), "account": null}));
    let (guard, reason, next) = blocked(&playbook, &busy);
    assert_eq!(
        (guard.as_str(), reason.as_str(), next.as_str()),
        ("quiet", "It is 86", "Wait")
    );
    let failed = |language| Situation {
        language,
        preflights: [(
            "rejoin".to_owned(),
            PreflightEnd::Failed {
                step: "safety".to_owned(),
                reason: "WSManTimeout".to_owned(),
            },
        )]
        .into(),
        ..good.clone()
    };
    for language in [Language::En, Language::Ja] {
        let (guard, reason, _) = blocked(&playbook, &failed(language));
        assert_eq!(guard, "preflight");
        assert!(
            reason.contains("safety") && reason.contains("WSManTimeout"),
            "{reason}"
        );
    }
    // The answers for another rung are none for this one.
    let mut other = free.clone();
    let end = other.preflights.remove("rejoin").unwrap();
    other.preflights.insert("other".to_owned(), end);
    assert_eq!(word(&playbook, &broken(), &other), "preflight rejoin");
}

/// A credential that need not be set reaches no PC unless the operator allows it.
#[test]
fn a_credential_that_is_set_must_be_allowed() {
    let playbook = load(GOOD);
    let mut situation = allowed(&playbook);
    situation
        .params
        .insert("rescue_admin".into(), json!("rescue"));
    situation.credentials.insert("rescue_admin".to_owned());
    let (guard, reason, _) = blocked(&playbook, &situation);
    assert_eq!(guard, "needs-credential-on-pc");
    assert!(reason.contains("rescue_admin"), "{reason}");
    situation
        .credentials_for_pcs
        .insert("rescue_admin".to_owned());
    assert_eq!(word(&playbook, &broken(), &situation), "preflight rejoin");
    // What only reaches the other host needs no such leave.
    assert!(!situation.credentials_for_pcs.contains("domain_credential"));
}

#[test]
fn steps_see_the_preflight_of_their_rung() {
    let playbook = load(GOOD);
    let rung = &playbook.ladder[0];
    let preflight = rung.preflight.as_ref().unwrap();
    let mut situation = allowed(&playbook);
    let wanted = |name: &str, situation: &Situation| {
        let steps = [&preflight.steps, &rung.steps];
        let step = steps
            .iter()
            .find_map(|steps| steps.iter().find(|step| step.name == name));
        playbook.step_wanted(step.unwrap(), &broken(), situation)
    };
    // A step of the preflight sees those before it.
    for (code, expected) in [(5, true), (86, false)] {
        let so_far = looked(&situation, json!({"safety": {"code": code}}));
        assert_eq!(wanted("account", &so_far), Ok(expected));
    }
    assert!(wanted("account", &situation).is_err(), "nothing was asked");

    situation = looked(
        &situation,
        json!({"safety": {"code": 5}, "account": account(true)}),
    );
    assert_eq!(
        wanted("rescue_account", &situation),
        Ok(false),
        "it is not set"
    );
    situation
        .params
        .insert("rescue_admin".into(), json!("rescue"));
    assert_eq!(wanted("rescue_account", &situation), Ok(true));
    // Terms and preflights in one condition.
    assert_eq!(wanted("rescue_logon", &situation), Ok(true));
}

#[test]
fn a_restart_is_given_what_it_takes() {
    let playbook = load(GOOD);
    let rung = &playbook.ladder[0];
    let mut situation = allowed(&playbook);
    situation
        .answers
        .insert("blob".into(), json!({"machine": "PC-001", "made": null}));
    let params = |name: &str| {
        let step = step(&rung.steps, name);
        let params = playbook.step_params(step, &broken(), &situation).unwrap();
        let params = Value::Object(params);
        step.script.check_params(&params).unwrap();
        params
    };
    assert_eq!(
        params("restart"),
        json!({"grace_minutes": 5, "message": "Join PC-001", "even_if_logged_on": false})
    );
    assert_eq!(
        params("second"),
        json!({"grace_minutes": 0, "message": null, "even_if_logged_on": false})
    );
    situation.params.insert("grace_minutes".into(), json!(61));
    let restart = step(&rung.steps, "restart");
    let long = playbook
        .step_params(restart, &broken(), &situation)
        .unwrap();
    assert!(restart.script.check_params(&Value::Object(long)).is_err());
}

#[test]
fn verify_sees_the_preflight_of_the_rung_before() {
    let playbook = load(GOOD);
    let evidence = json!({"code": 0, "dc": {"name": null, "site": null}});
    let verdict = |situation: &Situation| playbook.verified(&evidence, &broken(), situation);
    let mut situation = allowed(&playbook);
    situation.tried.insert("rejoin".to_owned());
    // There was none.
    assert_eq!(verdict(&situation), Ok(VerifyVerdict::Proven));
    let same = looked(&situation, json!({"safety": {"code": 0}, "account": null}));
    assert!(matches!(
        verdict(&same),
        Ok(VerifyVerdict::NotProven { reason, .. }) if reason == "It was 0"
    ));
    let other = looked(&situation, json!({"safety": {"code": 5}, "account": null}));
    assert_eq!(verdict(&other), Ok(VerifyVerdict::Proven));
    // A rung that was only looked at since is not the one to be proven.
    let mut two = other.clone();
    let answers: Map<String, Value> = [("safety".to_owned(), json!({"code": 0}))]
        .into_iter()
        .collect();
    two.preflights
        .insert("another".to_owned(), PreflightEnd::Answered(answers));
    assert_eq!(verdict(&two), Ok(VerifyVerdict::Proven));
}

#[test]
fn work_elsewhere_is_for_a_host_with_a_name() {
    let playbook = load(GOOD);
    let rung = &playbook.ladder[0];
    let mut situation = allowed(&playbook);
    let elsewhere = |name: &str, situation: &Situation| {
        playbook.elsewhere(step(&rung.steps, name), &broken(), situation)
    };
    assert_eq!(
        elsewhere("blob", &situation),
        Ok(Some("join-01".to_owned()))
    );
    assert_eq!(elsewhere("join", &situation), Ok(None));
    assert_eq!(elsewhere("restart", &situation), Ok(None));
    for nobody in [json!(null), json!("")] {
        situation.params.insert("provisioning_host".into(), nobody);
        let error = elsewhere("blob", &situation).unwrap_err();
        assert!(error.place.starts_with(&rung_place(&playbook)), "{error}");
        assert!(error.detail.ends_with("is no name of a host"), "{error}");
    }
}

/// The file under which the playbook was loaded stands before the place.
fn rung_place(playbook: &Playbook) -> String {
    let place = &playbook.terms.first().unwrap().value.place;
    place.split("mend.yaml").next().unwrap().to_owned()
}

#[test]
fn pcs_share_the_lanes_of_site_and_controller() {
    let playbook = load(GOOD);
    let situation = allowed(&playbook);
    let lanes =
        |site: Value, name: Value| playbook.lanes(&facts(5, site, name), &situation).unwrap();
    assert_eq!(lanes(json!("Tokyo"), json!("DC01")), ["0:tokyo", "1:dc01"]);
    assert_eq!(lanes(json!("x"), json!("x")), ["0:x", "1:x"]);
    assert_eq!(lanes(json!(null), json!("dc01")), ["1:dc01"]);
    // Those of which nothing is known are together.
    assert_eq!(lanes(json!(null), json!(null)), [""]);
    let number = playbook.lanes(&facts(5, json!(7), json!("dc01")), &situation);
    assert_eq!(number.unwrap_err().detail, "`7` is neither a text nor null");
    let none = load(&GOOD.replacen(
        "stagger-reboots-by: [facts.dc.site, facts.dc.name]\n",
        "",
        1,
    ));
    assert_eq!(none.lanes(&broken(), &situation).unwrap(), [""]);
}
