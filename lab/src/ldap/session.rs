//! One connection's conversation: a request in, the messages that answer it out. No socket.

use std::sync::Arc;

use jiff::Timestamp;
use rasn_ldap::{
    BindResponse, Control, ExtendedRequest, ExtendedResponse, LdapMessage, LdapResult,
    ModifyRequest, ModifyResponse, ProtocolOp, ResultCode, SearchRequest, SearchRequestScope,
    SearchResultDone, SearchResultReference,
};

use crate::domain::{Domain, DomainController, Rights};
use crate::ldap::control::{Asked, Page};
use crate::ldap::dn::Dn;
use crate::ldap::refusal::Refusal;
use crate::ldap::root_dse::{START_TLS, WHO_AM_I};
use crate::ldap::search::{self, Found, Searcher};
use crate::ldap::server::{Directory, LdapFault};
use crate::ldap::tree::Tree;
use crate::ldap::view::View;
use crate::ldap::{bind, modify};
use crate::shared::count;

/// The notice that a connection ends (RFC 4511 section 4.4.1).
const DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// One connection's conversation.
#[derive(Debug)]
pub(super) struct Session {
    directory: Arc<Directory>,
    /// TLS is on.
    pub(super) secure: bool,
    /// Who is logged on.
    account: Option<String>,
}

/// What follows a request.
#[derive(Debug)]
pub(super) enum Next {
    /// These messages, and on it goes.
    Say(Vec<u8>),
    /// These messages, and then TLS begins.
    StartTls(Vec<u8>),
    /// These messages, and the end.
    Close(Vec<u8>),
    /// Nothing, ever: the server hangs.
    Hang,
}

impl Session {
    pub(super) fn new(directory: Arc<Directory>, secure: bool) -> Self {
        Self {
            directory,
            secure,
            account: None,
        }
    }

    /// Answers one message.
    pub(super) fn answer(&mut self, message: &[u8]) -> Next {
        let Ok(message) = rasn::ber::decode::<LdapMessage>(message) else {
            return Next::Close(farewell("the message cannot be read"));
        };
        if !self.directory.is_up() {
            return Next::Close(Vec::new());
        }
        let id = message.message_id;
        let controls = message.controls.unwrap_or_default();
        let fault = self.directory.fault();
        match &message.protocol_op {
            ProtocolOp::UnbindRequest(_) => Next::Close(Vec::new()),
            // Every answer is on its way already.
            ProtocolOp::AbandonRequest(_) => Next::Say(Vec::new()),
            _ if id == 0 => Next::Close(farewell("a request has a number")),
            _ if fault == LdapFault::Hangs => Next::Hang,
            ProtocolOp::BindRequest(request) => Next::Say(self.bind(id, request)),
            ProtocolOp::ExtendedReq(request) => self.extended(id, request),
            ProtocolOp::SearchRequest(request) => Next::Say(self.search(id, request, &controls)),
            ProtocolOp::ModifyRequest(_) if fault == LdapFault::HangsOnWrites => Next::Hang,
            ProtocolOp::ModifyRequest(request) => {
                let said = self.modify(id, request, &controls);
                match fault {
                    LdapFault::DropsAfterWrites => Next::Close(Vec::new()),
                    _ => Next::Say(said),
                }
            }
            ProtocolOp::AddRequest(_) => {
                self.refuse_write(id, ProtocolOp::AddResponse, rasn_ldap::AddResponse)
            }
            ProtocolOp::DelRequest(_) => {
                self.refuse_write(id, ProtocolOp::DelResponse, rasn_ldap::DelResponse)
            }
            ProtocolOp::ModDnRequest(_) => {
                self.refuse_write(id, ProtocolOp::ModDnResponse, rasn_ldap::ModifyDnResponse)
            }
            ProtocolOp::CompareRequest(_) => {
                let refused = result(Err(Refusal::unsupported()));
                Next::Say(encode(
                    id,
                    ProtocolOp::CompareResponse(rasn_ldap::CompareResponse(refused)),
                ))
            }
            _ => Next::Close(farewell("only a server says that")),
        }
    }

    fn bind(&mut self, id: u32, request: &rasn_ldap::BindRequest) -> Vec<u8> {
        // Whoever fails is nobody, and so is whoever tries (RFC 4511 section 4.2.1).
        self.account = None;
        count(&self.directory.counters.binds);
        let bound = bind::bind(request, self.secure, &mut self.directory.domain());
        let result = result(bound.map(|account| self.account = account));
        if result.result_code != ResultCode::Success {
            count(&self.directory.counters.binds_refused);
        }
        let response = BindResponse::new(
            result.result_code,
            result.matched_dn,
            result.diagnostic_message,
            None,
            None,
        );
        encode(id, ProtocolOp::BindResponse(response))
    }

    fn extended(&mut self, id: u32, request: &ExtendedRequest) -> Next {
        let name = std::str::from_utf8(&request.request_name).unwrap_or_default();
        let (said, value) = match name {
            START_TLS if self.secure => (Err(Refusal::tls_already()), None),
            START_TLS => (Ok(()), None),
            WHO_AM_I => {
                let domain = self.directory.domain();
                let who = bind::who_am_i(self.account.as_deref(), &domain);
                (Ok(()), Some(who.into_bytes().into()))
            }
            _ => (Err(Refusal::protocol("Unknown extended request OID")), None),
        };
        let starts = name == START_TLS && said.is_ok();
        let result = result(said);
        let response = ExtendedResponse {
            result_code: result.result_code,
            matched_dn: result.matched_dn,
            diagnostic_message: result.diagnostic_message,
            referral: None,
            response_name: Some(name.as_bytes().to_vec().into()),
            response_value: value,
        };
        let bytes = encode(id, ProtocolOp::ExtendedResp(response));
        if starts {
            Next::StartTls(bytes)
        } else {
            Next::Say(bytes)
        }
    }

    fn search(&self, id: u32, request: &SearchRequest, controls: &[Control]) -> Vec<u8> {
        count(&self.directory.counters.searches);
        let found = self.find(request, controls);
        let mut bytes = Vec::new();
        let mut page = None;
        let done = match found {
            Ok(found) => {
                for entry in found.entries {
                    bytes.extend(encode(id, ProtocolOp::SearchResEntry(entry)));
                }
                for reference in found.references {
                    let to = SearchResultReference(vec![reference.into()]);
                    bytes.extend(encode(id, ProtocolOp::SearchResRef(to)));
                }
                page = found.cookie.and_then(Page::control);
                LdapResult::new(found.code, "".into(), "".into())
            }
            Err(refusal) => result(Err(refusal)),
        };
        let mut message = LdapMessage::new(id, ProtocolOp::SearchResDone(SearchResultDone(done)));
        message.controls = page.map(|page| vec![page]);
        bytes.extend(rasn::ber::encode(&message).unwrap_or_default());
        bytes
    }

    fn find(&self, request: &SearchRequest, controls: &[Control]) -> Result<Found, Refusal> {
        let asked = Asked::read(controls)?;
        let mut domain = self.directory.domain();
        let controller = self.directory.controller(&domain);
        let root = request.base_object.is_empty();
        if root && request.scope == SearchRequestScope::BaseObject {
            return Ok(search::root(request, &domain, &controller));
        }
        let rights = self.rights(&domain)?;
        if self.directory.fault() == LdapFault::Busy {
            return Err(Refusal::busy());
        }
        let options = &self.directory.options;
        let searcher = Searcher {
            controller: &controller,
            rights,
            laps: options.laps,
            recycle_bin: options.recycle_bin,
            page_size: options.page_size,
        };
        search::search(request, &asked, &mut domain, &searcher)
    }

    fn modify(&self, id: u32, request: &ModifyRequest, controls: &[Control]) -> Vec<u8> {
        count(&self.directory.counters.writes);
        let result = result(self.change(request, controls));
        encode(id, ProtocolOp::ModifyResponse(ModifyResponse(result)))
    }

    fn change(&self, request: &ModifyRequest, controls: &[Control]) -> Result<(), Refusal> {
        let asked = Asked::read(controls)?;
        let mut domain = self.directory.domain();
        let controller = self.directory.controller(&domain);
        let options = &self.directory.options;
        let tree = Tree::of(&domain, options.laps, options.recycle_bin);
        let view = View {
            domain: &domain,
            controller: &controller,
            rights: self.rights(&domain)?,
            laps: options.laps,
            owner: false,
            head: Dn::of_domain(&domain.dns_name),
        };
        // `unicodePwd` needs an encrypted connection; so does being logged on, here.
        let dc = &controller.dns_name;
        let change = modify::modify(request, asked.deleted, dc, &tree, &view)?;
        change.make(&mut domain, Timestamp::now());
        Ok(())
    }

    /// Nobody in the lab may create, delete or move anything.
    fn refuse_write<R>(
        &self,
        id: u32,
        op: impl FnOnce(R) -> ProtocolOp,
        response: impl FnOnce(LdapResult) -> R,
    ) -> Next {
        let rights = self.rights(&self.directory.domain());
        let refused = rights.and(Err(Refusal::no_right()));
        Next::Say(encode(id, op(response(result(refused)))))
    }

    fn rights(&self, domain: &Domain) -> Result<Rights, Refusal> {
        let account = self.account.as_deref().ok_or_else(Refusal::needs_logon)?;
        let account = domain.user(account).ok_or_else(Refusal::needs_logon)?;
        Ok(account.rights())
    }
}

/// Returns the notice that the connection ends because of what the client sent.
pub(super) fn farewell(why: &str) -> Vec<u8> {
    let result = result(Err(Refusal::protocol(why)));
    let response = ExtendedResponse {
        result_code: result.result_code,
        matched_dn: result.matched_dn,
        diagnostic_message: result.diagnostic_message,
        referral: None,
        response_name: Some(DISCONNECTION.as_bytes().to_vec().into()),
        response_value: None,
    };
    encode(0, ProtocolOp::ExtendedResp(response))
}

fn result(outcome: Result<(), Refusal>) -> LdapResult {
    match outcome {
        Ok(()) => LdapResult::new(ResultCode::Success, "".into(), "".into()),
        Err(refusal) => LdapResult::new(refusal.code, refusal.matched.into(), refusal.text.into()),
    }
}

fn encode(id: u32, op: ProtocolOp) -> Vec<u8> {
    // Everything that is built here can be written.
    rasn::ber::encode(&LdapMessage::new(id, op)).unwrap_or_default()
}

impl Directory {
    /// Returns this controller as it is now.
    fn controller(&self, domain: &Domain) -> DomainController {
        let known = domain.controllers.iter().find(|dc| dc.dns_name == self.dc);
        known.cloned().unwrap_or_else(|| DomainController {
            dns_name: self.dc.clone(),
            address: std::net::Ipv4Addr::LOCALHOST,
            up: false,
            lagging: false,
        })
    }
}
