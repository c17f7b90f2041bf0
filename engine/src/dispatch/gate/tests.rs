use std::time::Duration;

use fleetmend_model::{HostName, Place};
use fleetmend_transport::LogonMark;
use tokio::time::timeout;

use super::*;
use crate::account_budget::NoBudget;

fn account() -> Key {
    Key::Account(AccountName::of("CORP\\bob"))
}

fn own() -> Key {
    Key::Credential(CredentialRef("rescue".into()))
}

fn gate() -> Arc<CredentialGate> {
    let gate = CredentialGate::new(BTreeSet::new(), Arc::new(NoBudget), Duration::from_secs(60));
    Arc::new(gate)
}

fn pc(index: usize) -> HostName {
    HostName(format!("pc-{index}"))
}

fn refusal(code: i64) -> Refusal {
    Refusal {
        account: "CORP\\bob".into(),
        host: HostName("pc-1".into()),
        place: Place::Pc,
        code: Some(code),
    }
}

fn password(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[derive(Clone, Copy)]
enum As {
    Logon,
    Handed,
}

async fn enter(gate: &CredentialGate, key: &Key, role: As, text: &str) -> Result<Pass, Closed> {
    let secret = password(text);
    let role = match role {
        As::Logon => Role::Logon(&secret),
        As::Handed => Role::Handed(&secret),
    };
    gate.enter(key, role).await
}

/// Enters as often as the gate lets in at once, up to twenty times.
async fn crowd(gate: &CredentialGate, key: &Key, role: As) -> Vec<Pass> {
    let mut passes = Vec::new();
    while passes.len() < 20 {
        match timeout(Duration::from_secs(1), enter(gate, key, role, "pw")).await {
            Ok(pass) => passes.push(pass.unwrap()),
            Err(_) => break,
        }
    }
    passes
}

#[tokio::test(start_paused = true)]
async fn one_then_five_then_all() {
    for (key, role) in [
        (account(), As::Handed),
        (account(), As::Logon),
        (own(), As::Handed),
    ] {
        let gate = gate();
        let canary = crowd(&gate, &key, role).await;
        assert_eq!(canary.len(), 1);
        canary[0].prove();
        canary[0].prove();
        let five = crowd(&gate, &key, role).await;
        assert_eq!(five.len(), 5);
        drop(canary);
        five[..4].iter().for_each(Pass::prove);
        assert_eq!(crowd(&gate, &key, role).await.len(), 0);
        // Known to work, so one that says nothing counts as well.
        five[4].used();
        drop(five);
        assert_eq!(crowd(&gate, &key, role).await.len(), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_used_gives_its_place_to_another() {
    let gate = gate();
    for _ in 0..10 {
        assert_eq!(crowd(&gate, &account(), As::Handed).await.len(), 1);
    }
    crowd(&gate, &account(), As::Handed).await[0].prove();
    for _ in 0..10 {
        assert_eq!(crowd(&gate, &account(), As::Handed).await.len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_of_which_nobody_tells_is_not_handed_on_for_ever() {
    for key in [account(), own()] {
        let gate = gate();
        for _ in 0..DOUBTS {
            let canary = crowd(&gate, &key, As::Handed).await;
            assert_eq!(canary.len(), 1);
            canary[0].used();
        }
        let closed = enter(&gate, &key, As::Handed, "pw").await.unwrap_err();
        assert_eq!(closed, Closed::Doubted);
        // Nor is it used to log on with.
        assert!(enter(&gate, &key, As::Logon, "pw").await.is_err());
        assert!(gate.first().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn logons_that_did_not_come_to_the_domain_neither_stop_the_gate_nor_let_a_crowd_in() {
    let gate = gate();
    for _ in 0..10 {
        let one = crowd(&gate, &account(), As::Logon).await;
        assert_eq!(one.len(), 1);
        one[0].logs_on(&pc(1));
        // Nor did one that was announced, and of which no byte left.
        let mark = one[0].logs_on(&pc(1));
        mark.leaves();
        mark.did_not_leave();
    }
    let one = crowd(&gate, &account(), As::Logon).await;
    one[0].prove();
    assert_eq!(crowd(&gate, &account(), As::Logon).await.len(), 5);
}

/// Shows the password to a PC that says nothing of it.
fn lose(pass: Pass, host: HostName) {
    pass.logs_on(&host).leaves();
}

#[tokio::test(start_paused = true)]
async fn three_logons_whose_answer_is_lost_close_the_gate() {
    let gate = gate();
    for index in 1..=DOUBTS {
        assert!(gate.first().is_none());
        let one = crowd(&gate, &account(), As::Logon).await;
        assert_eq!(one.len(), 1, "the next only after the one before");
        one.into_iter().for_each(|pass| lose(pass, pc(index)));
    }
    for role in [As::Logon, As::Handed] {
        let closed = enter(&gate, &account(), role, "pw").await.unwrap_err();
        assert_eq!(closed, Closed::Spared);
    }
    let story = gate.first().unwrap().story();
    assert!(
        story.contains("nothing came back after the password was sent"),
        "{story}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_leaves_nothing_in_doubt() {
    let gate = gate();
    let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
    pass.logs_on(&pc(1)).leaves();
    pass.refused();
    assert_eq!(pass.doubt(false, true), None);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_a_password_that_works_are_borne_while_it_is_accepted_between() {
    let gate = gate();
    let prove = async || {
        let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
        pass.logs_on(&pc(0)).leaves();
        pass.prove();
    };
    for _ in 0..=TRIAL {
        prove().await;
    }
    for index in 0..20 {
        let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
        lose(pass, pc(index));
        if index % 2 == 1 {
            prove().await;
        }
    }
    // Those that left before it was accepted last were good.
    let many = crowd(&gate, &account(), As::Logon).await;
    let marks: Vec<LogonMark> = many.iter().map(|pass| pass.logs_on(&pc(1))).collect();
    marks.iter().for_each(LogonMark::leaves);
    prove().await;
    drop(many);
    assert!(gate.first().is_none());
    for index in 0..DOUBTS {
        let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
        lose(pass, pc(index));
    }
    let closed = enter(&gate, &account(), As::Logon, "pw").await.unwrap_err();
    assert_eq!(closed, Closed::Spared);
}

/// A stop of the run cuts many logons at once, of a password that worked a moment ago.
#[tokio::test(start_paused = true)]
async fn what_the_run_itself_cuts_leaves_no_doubt_of_a_password_that_works() {
    let gate = gate();
    let cut = |pass: Pass| {
        pass.logs_on(&pc(1)).leaves();
        pass.cut();
    };
    // Before it was ever accepted nobody knows.
    let first = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
    first.logs_on(&pc(1)).leaves();
    first.cut();
    assert_eq!(first.doubt(false, true), Some(pass::Doubt::Lost));
    drop(first);
    for _ in 0..=TRIAL {
        let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
        pass.logs_on(&pc(0)).leaves();
        pass.prove();
    }
    let many = crowd(&gate, &account(), As::Logon).await;
    assert!(many.len() > DOUBTS, "{}", many.len());
    many.into_iter().for_each(cut);
    assert!(gate.first().is_none());
    enter(&gate, &account(), As::Logon, "pw").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn doubts_before_a_cut_count_on_until_it_is_accepted() {
    for accepted in [false, true] {
        let gate = gate();
        (1..DOUBTS).for_each(|_| gate.doubted_before(&account()));
        let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
        if accepted {
            pass.prove();
            drop(pass);
            let pass = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
            lose(pass, pc(1));
        } else {
            lose(pass, pc(1));
        }
        assert_eq!(gate.first().is_none(), accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn one_account_has_one_gate_whatever_it_is_used_for() {
    let gate = gate();
    let logon = enter(&gate, &account(), As::Logon, "pw").await.unwrap();
    let upn = Key::Account(AccountName::of("bob@corp.example.jp"));
    assert_eq!(crowd(&gate, &upn, As::Handed).await.len(), 0);
    let directory = gate.enter(&upn, Role::Directory);
    assert!(timeout(Duration::from_secs(1), directory).await.is_err());
    gate.refuse(&account(), &refusal(1326));
    drop(logon);
    let closed = enter(&gate, &upn, As::Handed, "pw").await.unwrap_err();
    assert_eq!(closed, Closed::Refused);
    let closed = gate.enter(&upn, Role::Directory).await.unwrap_err();
    assert_eq!(closed, Closed::Refused);
}

#[tokio::test(start_paused = true)]
async fn that_one_password_works_says_nothing_of_another() {
    let gate = gate();
    enter(&gate, &account(), As::Logon, "pw")
        .await
        .unwrap()
        .prove();
    assert_eq!(crowd(&gate, &account(), As::Logon).await.len(), 5);
    let wrong = enter(&gate, &account(), As::Handed, "typo").await.unwrap();
    let key = account();
    let next = enter(&gate, &key, As::Handed, "typo");
    assert!(timeout(Duration::from_secs(1), next).await.is_err());
    // Meanwhile the one that works goes on.
    assert_eq!(crowd(&gate, &account(), As::Logon).await.len(), 5);
    gate.refuse(&account(), &refusal(1326));
    drop(wrong);
    assert!(enter(&gate, &account(), As::Logon, "pw").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_closes_for_those_who_wait_and_stands() {
    let gate = gate();
    let first = enter(&gate, &account(), As::Handed, "pw").await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { enter(&gate, &account(), As::Handed, "pw").await.is_err() }
    });
    tokio::task::yield_now().await;
    gate.refuse(&account(), &refusal(1909));
    first.prove();
    drop(first);
    assert!(waiting.await.unwrap());
    let closed = enter(&gate, &account(), As::Handed, "pw").await;
    assert_eq!(closed.unwrap_err(), Closed::Refused);
    gate.refuse(&account(), &refusal(1326));
    assert_eq!(gate.first(), Some(&Shut::Refused(refusal(1909))));
    assert_eq!(
        gate.why_shut(&account()).unwrap().story_elsewhere(),
        "the account CORP\\bob was refused on pc-1 (Win32 1909); it was not used here"
    );
    // Others are none the worse for it.
    assert!(enter(&gate, &own(), As::Handed, "pw").await.is_ok());
    let other = Key::Account(AccountName::of("CORP\\eve"));
    assert!(enter(&gate, &other, As::Handed, "pw").await.is_ok());
}
