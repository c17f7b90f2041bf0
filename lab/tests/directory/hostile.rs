//! What no client should send.

use std::time::Duration;

use fleetmend_lab::ldap::LdapOptions;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::{Bench, PASSWORD, bench, domain, start};

const SECONDS: Duration = Duration::from_secs(5);

/// Sends bytes to the open port and returns all that comes until the server hangs up.
async fn answer(bench: &Bench, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(bench.server.ldap()).await.unwrap();
    // The server may hang up before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let reading = stream.read_to_end(&mut said);
    let read = tokio::time::timeout(SECONDS, reading).await;
    let _ = read.expect("the server neither answers nor hangs up");
    said
}

/// Returns the result code of the notice that a connection ends (RFC 4511 section 4.4.1).
fn notice(said: &[u8]) -> Option<u8> {
    let oid = b"1.3.6.1.4.1.1466.20036";
    let known = said.windows(oid.len()).any(|window| window == oid);
    // SEQUENCE, INTEGER 0, [APPLICATION 24], ENUMERATED code.
    let at = said.windows(2).position(|pair| pair == [0x0a, 1])?;
    known.then(|| said[at + 2])
}

#[tokio::test]
async fn says_that_it_hangs_up_and_does() {
    let bench = bench().await;
    let mut deep = vec![0x30, 0x84, 0, 1, 0, 0];
    deep.extend([0xa2, 0x83, 0, 0xff, 0].repeat(13_200));
    deep.truncate(65_542);
    for (what, bytes) in [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("too long", vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        ("no definite length", vec![0x30, 0x80, 2, 1, 1, 0, 0]),
        (
            "a length of eight bytes",
            vec![0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (
            "an element that is longer than the message",
            vec![0x30, 5, 2, 1, 1, 0x60, 0x30],
        ),
        ("nothing within", vec![0x30, 0]),
        ("number 0", vec![0x30, 5, 2, 1, 0, 0x50, 0]),
        ("too deep", deep),
        (
            "what only a server says",
            vec![0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0],
        ),
    ] {
        let said = answer(&bench, &bytes).await;
        assert_eq!(notice(&said), Some(2), "{what}: {said:02x?}");
    }
    // And others are served as before.
    bench.log_on("svc-none").await;
}

#[tokio::test]
async fn nothing_said_before_tls_counts_within() {
    let bench = bench().await;
    let start_tls = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    let mut bytes = start_tls.to_vec();
    // A search right behind it, before any handshake.
    bytes.extend(b"\x30\x25\x02\x01\x02\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00");
    let said = answer(&bench, &bytes).await;
    assert_eq!(
        said[..7],
        [0x30, said[1], 2, 1, 1, 0x78, said[6]],
        "{said:02x?}"
    );
    let whole = 2 + usize::from(said[1]);
    assert_eq!(said.len(), whole, "one answer and no more");
}

#[tokio::test]
async fn patience_and_size_have_limits() {
    let options = LdapOptions {
        idle: Duration::from_millis(300),
        patience: Duration::from_millis(300),
        longest_message: 2_000,
        connections: 3,
        ..LdapOptions::default()
    };
    let bench = start(domain(), options).await;
    assert!(answer(&bench, b"").await.is_empty(), "silence ends");
    assert!(
        answer(&bench, &[0x30, 100, 2]).await.is_empty(),
        "half a message ends"
    );
    let long = [&[0x30, 0x82, 0x10, 0][..], &[0; 100]].concat();
    assert_eq!(notice(&answer(&bench, &long).await), Some(2));
    // TLS that does not begin.
    let mut stream = TcpStream::connect(bench.server.ldaps()).await.unwrap();
    let mut said = Vec::new();
    let ended = tokio::time::timeout(SECONDS, stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok());
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(bench.connect().await);
    }
    assert!(answer(&bench, b"").await.is_empty());
    assert_eq!(bench.server.counts().connections, 7);
}

/// A message that is right, as `ldap3` writes it, with a few bytes that are not.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let bind = [
        &b"\x30\x2d\x02\x01\x01\x60\x28\x02\x01\x03\x04\x0fcorp\\svc-nobody\x80\x12"[..],
        &PASSWORD.as_bytes()[..18],
    ]
    .concat();
    let search = b"\x30\x25\x02\x01\x02\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00".to_vec();
    let wrong = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(vec![bind, search]), wrong).prop_map(|(mut bytes, wrong)| {
        for (at, byte) in wrong {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

#[test]
fn survives_what_is_nearly_right_and_what_is_not_at_all() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = LdapOptions {
        idle: Duration::from_millis(30),
        ..LdapOptions::default()
    };
    let bench = runtime.block_on(start(domain(), options));
    let mut runner = TestRunner::new(Config::with_cases(300));
    let garbage = prop::collection::vec(any::<u8>(), 0..200);
    let message = prop_oneof![nearly_right(), garbage];
    let messages = prop::collection::vec(message, 1..4).prop_map(|messages| messages.concat());
    let outcome = runner.run(&messages, |bytes| {
        runtime.block_on(answer(&bench, &bytes));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async { bench.log_on("svc-none").await });
    drop(bench);
}
