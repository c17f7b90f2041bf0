//! A conversation with whatever a client may think of.

use std::sync::Arc;

use proptest::prelude::*;
use rasn_ldap::{
    AttributeValueAssertion, AuthenticationChoice, BindRequest, ChangeOperation, Control, Filter,
    LdapMessage, MatchingRuleAssertion, ModifyRequest, ModifyRequestChanges, PartialAttribute,
    ProtocolOp, SearchRequest, SearchRequestDerefAliases, SearchRequestScope, SubstringChoice,
    SubstringFilter,
};

use crate::domain::{Domain, Rights};
use crate::ldap::frame;
use crate::ldap::schema::ATTRIBUTES;
use crate::ldap::server::{Directory, LdapOptions};
use crate::ldap::session::{Next, Session};
use crate::{Answers, Pace, ScriptRegistry, Shared};

const NAMES: [&str; 8] = [
    "",
    "DC=corp,DC=example,DC=jp",
    "OU=端末,DC=corp,DC=example,DC=jp",
    "CN=PC-001,OU=端末,DC=corp,DC=example,DC=jp",
    "CN=Deleted Objects,DC=corp,DC=example,DC=jp",
    "<WKGUID=18E2EA80684F11D2B9AA00C04F79F805,DC=corp,DC=example,DC=jp>",
    "<SID=S-1-5-21-1604012920-2881117003-3456204117-1106>",
    "no name",
];

/// Somebody who may do everything is logged on.
fn session() -> Session {
    let mut domain = Domain::new("corp.example.jp", "CORP");
    domain.create_user("svc", "password", true);
    domain.user_mut("svc").unwrap().rights = Rights {
        reset: true,
        enable: true,
        unlock: true,
        restore: true,
        laps: true,
        join: false,
        blind: false,
    };
    for name in ["PC-001", "PC-002"] {
        domain.create_computer(name, jiff::Timestamp::now());
    }
    domain.computer_mut("PC-002").unwrap().state = crate::domain::AccountState::Deleted;
    let shared = Shared::new(
        domain,
        ScriptRegistry::new(&[]),
        Answers::default(),
        Pace::NONE,
    );
    let dc = "dc01.corp.example.jp";
    let directory = Directory::new(dc, Arc::new(shared), LdapOptions::default());
    let mut session = Session::new(Arc::new(directory), true);
    let password = AuthenticationChoice::Simple(b"password".to_vec().into());
    let bind = BindRequest::new(3, "svc@corp.example.jp".into(), password);
    let said = session.answer(&message(ProtocolOp::BindRequest(bind), None));
    assert!(matches!(said, Next::Say(_)));
    session
}

fn message(op: ProtocolOp, control: Option<Control>) -> Vec<u8> {
    let mut message = LdapMessage::new(7, op);
    message.controls = control.map(|control| vec![control]);
    rasn::ber::encode(&message).unwrap()
}

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(ATTRIBUTES).prop_map(|(name, ..)| name.to_owned());
    prop_oneof![4 => known, 1 => ".{0,8}"]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "computer",
        "PC-001",
        "0",
        "4096",
        "TRUE",
        "S-1-5-32-544",
        "CN=x",
    ];
    let known = prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![known, prop::collection::vec(any::<u8>(), 0..12)]
}

fn filter() -> impl Strategy<Value = Filter> {
    let pair = || {
        (name(), value())
            .prop_map(|(name, value)| AttributeValueAssertion::new(name.into(), value.into()))
    };
    let rule = prop::sample::select(vec![
        "1.2.840.113556.1.4.803",
        "1.2.840.113556.1.4.804",
        "x",
    ]);
    let leaf = prop_oneof![
        pair().prop_map(Filter::EqualityMatch),
        pair().prop_map(Filter::GreaterOrEqual),
        pair().prop_map(Filter::LessOrEqual),
        pair().prop_map(Filter::ApproxMatch),
        name().prop_map(|name| Filter::Present(name.into())),
        (name(), value(), value()).prop_map(|(name, one, other)| {
            let parts = vec![
                SubstringChoice::Initial(one.clone().into()),
                SubstringChoice::Any(other.into()),
                SubstringChoice::Final(one.into()),
            ];
            Filter::Substrings(SubstringFilter::new(name.into(), parts))
        }),
        (rule, prop::option::of(name()), value()).prop_map(|(rule, name, value)| {
            let name = name.map(Into::into);
            let rule = MatchingRuleAssertion::new(Some(rule.into()), name, value.into(), false);
            Filter::ExtensibleMatch(rule)
        }),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let many = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            many().prop_map(|filters| Filter::And(filters.into())),
            many().prop_map(|filters| Filter::Or(filters.into())),
            inner
                .clone()
                .prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn search() -> impl Strategy<Value = ProtocolOp> {
    let scope = prop::sample::select(vec![
        SearchRequestScope::BaseObject,
        SearchRequestScope::SingleLevel,
        SearchRequestScope::WholeSubtree,
    ]);
    let base = prop::sample::select(NAMES.to_vec());
    let attributes = prop::collection::vec(name(), 0..4);
    (base, scope, 0..3_u32, any::<bool>(), filter(), attributes).prop_map(
        |(base, scope, size, types, filter, attributes)| {
            ProtocolOp::SearchRequest(SearchRequest::new(
                base.into(),
                scope,
                SearchRequestDerefAliases::NeverDerefAliases,
                size,
                0,
                types,
                filter,
                attributes.into_iter().map(Into::into).collect(),
            ))
        },
    )
}

fn modify() -> impl Strategy<Value = ProtocolOp> {
    let operation = prop::sample::select(vec![
        ChangeOperation::Add,
        ChangeOperation::Delete,
        ChangeOperation::Replace,
    ]);
    let values = prop::collection::vec(value(), 0..3);
    let change = (operation, name(), values).prop_map(|(operation, name, values)| {
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        let modification = PartialAttribute::new(name.into(), values.into());
        ModifyRequestChanges {
            operation,
            modification,
        }
    });
    let changes = prop::collection::vec(change, 0..3);
    (prop::sample::select(NAMES.to_vec()), changes).prop_map(|(name, changes)| {
        ProtocolOp::ModifyRequest(ModifyRequest {
            object: name.into(),
            changes,
        })
    })
}

fn control() -> impl Strategy<Value = Control> {
    let known = [
        "1.2.840.113556.1.4.319",
        "1.2.840.113556.1.4.417",
        "1.2.840.113556.1.4.801",
        "1.2.3",
    ];
    let page = b"\x30\x06\x02\x01\x01\x04\x01x".to_vec();
    let value = prop_oneof![Just(page), prop::collection::vec(any::<u8>(), 0..8)];
    (prop::sample::select(known.to_vec()), any::<bool>(), value).prop_map(
        |(oid, critical, value)| {
            Control::new(oid.as_bytes().to_vec().into(), critical, Some(value.into()))
        },
    )
}

/// Reads every message of an answer.
fn read(said: &[u8]) -> Vec<LdapMessage> {
    let mut messages = Vec::new();
    let mut rest = said;
    while let Some(length) = frame::length(rest, usize::MAX).unwrap() {
        let (first, more) = rest.split_at(length);
        frame::check(first).unwrap();
        messages.push(rasn::ber::decode(first).unwrap());
        rest = more;
    }
    assert!(rest.is_empty());
    messages
}

proptest! {
    #[test]
    fn every_request_is_answered_once(
        op in prop_oneof![2 => search(), 1 => modify()],
        control in prop::option::of(control()),
    ) {
        let bytes = message(op, control);
        prop_assert_eq!(frame::length(&bytes, usize::MAX), Ok(Some(bytes.len())));
        prop_assert_eq!(frame::check(&bytes), Ok(()));
        let Next::Say(said) = session().answer(&bytes) else {
            return Err(TestCaseError::fail("the conversation ended"));
        };
        let messages = read(&said);
        prop_assert!(messages.iter().all(|message| message.message_id == 7));
        let done = messages.iter().filter(|message| matches!(
            message.protocol_op,
            ProtocolOp::SearchResDone(_) | ProtocolOp::ModifyResponse(_)
        ));
        prop_assert_eq!(done.count(), 1);
    }

    #[test]
    fn a_damaged_request_ends_in_an_answer_or_a_farewell(
        op in prop_oneof![2 => search(), 1 => modify()],
        control in prop::option::of(control()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = message(op, control);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Next::Say(said) | Next::Close(said) = session().answer(&bytes) {
            read(&said);
        }
    }
}
