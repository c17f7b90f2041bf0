//! Logon, sealing and the faults asked for, over real sockets.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::inject::{Drop, DropPoint, Nth, Slow};
use super::test_client::*;
use super::test_pc::Act;
use super::*;
use crate::ntlm::test_client::{PASSWORD, Shape, USER};
use crate::ntlm::{channel_binding_value, endpoint_binding};

#[tokio::test]
async fn nothing_in_clear_over_http() {
    let lab = lab(vec![], WinrmOptions::default()).await;
    let mut client = Client::plain(&lab).await;
    let soap = "Content-Type: application/soap+xml;charset=UTF-8\r\n";
    let answer = client
        .post(soap, envelope("Create", None, CREATE).as_bytes())
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(header(&answer.head, "www-authenticate"), Some("Negotiate"));
    assert!(!answer.head.contains("Basic"));
    let mut client = Client::logged_on(&lab).await;
    let answer = client
        .post(soap, envelope("Create", None, CREATE).as_bytes())
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.len()), (500, 0));
    assert_eq!(lab.winrm.counters().values().unsealed_refused, 1);
    assert_eq!(lab.winrm.counters().all_exchanges(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_noted() {
    let lab = lab(vec![], WinrmOptions::default()).await;
    for shape in [
        Shape {
            password: Some("wrong"),
            ..Shape::default()
        },
        Shape {
            user: Some("nobody"),
            ..Shape::default()
        },
    ] {
        let mut client = Client::plain(&lab).await;
        let answer = client.logon(&shape).await;
        assert_eq!(answer.status, 401);
        assert_eq!(header(&answer.head, "www-authenticate"), Some("Negotiate"));
        assert_eq!(header(&answer.head, "connection"), Some("close"));
        assert!(
            client.post("", b"").await.is_none(),
            "the connection is closed"
        );
    }
    let expected = [(USER.to_owned(), false), ("nobody".to_owned(), false)];
    assert_eq!(*lab.pc.logons.lock().unwrap(), expected);
    assert_eq!(lab.winrm.counters().values().logons_refused, 2);
}

#[tokio::test]
async fn accounts_of_the_domain_cannot_be_checked() {
    let domain = Some(("PC-001".to_owned(), "example.jp".to_owned()));
    let lab = lab(
        vec![],
        WinrmOptions {
            domain,
            ..WinrmOptions::default()
        },
    )
    .await;
    // The test client writes PC-001 as its domain, which is the domain's name here.
    let mut client = Client::plain(&lab).await;
    assert_eq!(client.logon(&Shape::default()).await.status, 401);
}

#[tokio::test]
async fn connections_are_cut_where_asked() {
    for point in [
        DropPoint::BeforeRunning,
        DropPoint::BeforeAnswering,
        DropPoint::AfterAnswering,
    ] {
        let at = Nth {
            action: Action::Create,
            number: 2,
        };
        let faults = WinrmFaults {
            drops: vec![Drop { at, point }],
            ..WinrmFaults::default()
        };
        let lab = faulty(vec![], faults).await;
        let mut client = Client::logged_on(&lab).await;
        client.create().await;
        let answered = client
            .raw(&envelope("Create", None, CREATE))
            .await
            .is_some();
        assert_eq!(answered, point == DropPoint::AfterAnswering);
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert!(
            client
                .raw(&envelope("Create", None, CREATE))
                .await
                .is_none()
        );
        let created = if point == DropPoint::BeforeRunning {
            1
        } else {
            2
        };
        assert_eq!(
            lab.winrm.counters().values().shells_created,
            created,
            "{point:?}"
        );
        assert_eq!(lab.winrm.counters().values().connections_open, 0);
    }
}

#[tokio::test]
async fn answers_are_spoilt_where_asked() {
    let nth = |number| {
        Some(Nth {
            action: Action::Create,
            number,
        })
    };
    let faults = WinrmFaults {
        unsealed_answer: nth(1),
        wrong_signature: nth(2),
        ..WinrmFaults::default()
    };
    let lab = faulty(vec![], faults).await;
    for expected in ["in clear", "signature"] {
        let mut client = Client::logged_on(&lab).await;
        let answer = client.raw(&envelope("Create", None, CREATE)).await.unwrap();
        assert_eq!(client.open(&answer), Err(expected));
    }
    Client::logged_on(&lab).await.create().await;
}

#[tokio::test]
async fn busy_slow_and_far_hosts() {
    let faults = WinrmFaults {
        busy: 2,
        latency: Duration::from_millis(100),
        slow: Some(Slow {
            bytes: 500,
            every: Duration::from_millis(20),
        }),
        ..WinrmFaults::default()
    };
    let lab = faulty(vec![], faults).await;
    let mut client = Client::plain(&lab).await;
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(client.post("", b"").await.unwrap().status, 503);
    }
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(client.logon(&Shape::default()).await.status, 200);
    let begun = Instant::now();
    client.create().await;
    // Some 2,000 bytes in pieces of 500, after the way there and back.
    assert!(
        begun.elapsed() >= Duration::from_millis(160),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_host_may_refuse_everybody() {
    let faults = WinrmFaults {
        always_401: true,
        ..WinrmFaults::default()
    };
    let lab = faulty(vec![], faults).await;
    let mut client = Client::plain(&lab).await;
    assert_eq!(client.logon(&Shape::default()).await.status, 401);
    assert!(lab.pc.logons.lock().unwrap().is_empty());
}

#[tokio::test]
async fn changed_and_repeated_messages_end_the_connection() {
    let lab = lab(vec![], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let mut bytes = envelope("Create", None, CREATE).into_bytes();
    let signature = client.sealing.as_mut().unwrap().seal(&mut bytes);
    let body = framing::write(&signature, &bytes, MimeForm::Tab);
    let kind = format!("Content-Type: {}\r\n", framing::CONTENT_TYPE);
    assert_eq!(client.post(&kind, &body).await.unwrap().status, 200);
    assert_eq!(client.post(&kind, &body).await.unwrap().status, 400);
    assert!(client.post(&kind, &body).await.is_none());
    assert_eq!(lab.winrm.counters().values().unseal_failures, 1);
    assert_eq!(lab.winrm.counters().values().shells_created, 1);
}

#[tokio::test]
async fn over_tls_soap_goes_in_clear_after_any_logon() {
    let lab = lab(
        vec![],
        WinrmOptions {
            basic: true,
            ..WinrmOptions::default()
        },
    )
    .await;
    let mut client = Client::tls(&lab).await;
    let answer = client.post("", b"").await.unwrap();
    assert!(
        answer.head.contains("Basic realm=\"WSMAN\""),
        "{}",
        answer.head
    );
    let soap = "Content-Type: application/soap+xml;charset=UTF-8\r\n";
    let right = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut client = Client::tls(&lab).await;
    let basic = format!("{soap}Authorization: Basic {right}\r\n");
    for _ in 0..2 {
        let answer = client.post(&basic, IDENTIFY.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(
            String::from_utf8(answer.body)
                .unwrap()
                .contains("OS: 10.0.19045")
        );
    }
    assert_eq!(lab.winrm.counters().values().logons_accepted, 1);
    let wrong = STANDARD.encode(format!("{USER}:{PASSWORD}x"));
    let answer = client
        .post(&format!("Authorization: Basic {wrong}\r\n"), b"")
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    let mut client = Client::tls(&lab).await;
    assert_eq!(client.logon(&Shape::default()).await.status, 200);
    let body = envelope("Create", None, CREATE);
    assert_eq!(
        client.post(soap, body.as_bytes()).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn basic_is_never_taken_in_clear() {
    let lab = lab(
        vec![],
        WinrmOptions {
            basic: true,
            ..WinrmOptions::default()
        },
    )
    .await;
    let right = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut client = Client::plain(&lab).await;
    let header = format!("Authorization: Basic {right}\r\n");
    assert_eq!(client.post(&header, b"").await.unwrap().status, 401);
    assert!(lab.pc.logons.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_strict_host_wants_the_channel_binding() {
    let options = WinrmOptions {
        channel_binding_required: true,
        ..WinrmOptions::default()
    };
    let lab = lab(vec![], options).await;
    let own = channel_binding_value(&endpoint_binding(lab.tls.certificate_der()));
    for (binding, expected) in [(Some(own), 200), (None, 401), (Some([1; 16]), 401)] {
        let mut client = Client::tls(&lab).await;
        let shape = Shape {
            binding,
            ..Shape::default()
        };
        assert_eq!(client.logon(&shape).await.status, expected, "{binding:?}");
    }
    // No password was wrong.
    assert_eq!(lab.pc.logons.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn strangers_learn_little() {
    let lab = lab(vec![], WinrmOptions::default()).await;
    let mut client = Client::plain(&lab).await;
    let headers = "WSMANIDENTIFY: unauthenticated\r\nContent-Type: application/soap+xml\r\n";
    let answer = client.post(headers, IDENTIFY.as_bytes()).await.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        answer.status == 200 && text.contains("OS: 0.0.0 SP: 0.0 Stack: 3.0"),
        "{text}"
    );
    let create = envelope("Create", None, CREATE);
    assert_eq!(
        client
            .post(headers, create.as_bytes())
            .await
            .unwrap()
            .status,
        401
    );
    let mut client = Client::plain(&lab).await;
    let answer = client.send("GET /wsman HTTP/1.1\r\n", b"").await.unwrap();
    assert_eq!(
        (answer.status, header(&answer.head, "allow")),
        (405, Some("POST"))
    );
    let mut client = Client::plain(&lab).await;
    assert_eq!(
        client
            .send("POST /other HTTP/1.1\r\n", b"")
            .await
            .unwrap()
            .status,
        404
    );
}

#[tokio::test]
async fn idle_connections_end_but_waiting_ones_do_not() {
    let options = WinrmOptions {
        connection_idle: Duration::from_millis(150),
        ..WinrmOptions::default()
    };
    let acts = vec![Act::Sleep(Duration::from_millis(400)), exit(0)];
    let lab = lab(acts, options).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    assert_eq!(received(&client.receive(&shell, &command).await).1, Some(0));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(
        client
            .raw(&envelope("Delete", Some(&shell), ""))
            .await
            .is_none()
    );
    assert_eq!(lab.winrm.counters().values().connections_open, 0);
    assert_eq!(lab.winrm.counters().values().shells_open, 1);
}
