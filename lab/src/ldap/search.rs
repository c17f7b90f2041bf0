//! Searches (RFC 4511 section 4.5).

use std::collections::BTreeSet;

use jiff::Timestamp;
use rasn_ldap::{
    PartialAttribute, ResultCode, SearchRequest, SearchRequestScope, SearchResultEntry,
};

use crate::domain::{Domain, DomainController, Rights};
use crate::ldap::control::Asked;
use crate::ldap::dn::Dn;
use crate::ldap::filter::Test;
use crate::ldap::object::Object;
use crate::ldap::refusal::Refusal;
use crate::ldap::root_dse;
use crate::ldap::schema::{ATTRIBUTES, Given};
use crate::ldap::tree::{Depth, Tree};
use crate::ldap::value::Values;
use crate::ldap::view::View;

/// What a search brought.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<SearchResultEntry>,
    /// Where else the client may look.
    pub(super) references: Vec<String>,
    pub(super) code: ResultCode,
    /// Where the next page begins; empty after the last; none if no page was asked for.
    pub(super) cookie: Option<Vec<u8>>,
}

/// Who searches, where, and what the server allows.
#[derive(Clone, Debug)]
pub(super) struct Searcher<'a> {
    pub(super) controller: &'a DomainController,
    pub(super) rights: Rights,
    pub(super) laps: bool,
    pub(super) recycle_bin: bool,
    pub(super) page_size: usize,
}

/// Answers a search of the root: what the controller says of itself.
pub(super) fn root(
    request: &SearchRequest,
    domain: &Domain,
    controller: &DomainController,
) -> Found {
    let known = root_dse::attributes(domain, controller, Timestamp::now());
    let wanted = Wanted::of(request);
    let mut attributes = Vec::new();
    for (name, values) in known {
        if wanted.names.is_empty()
            || wanted
                .names
                .iter()
                .any(|one| one.eq_ignore_ascii_case(name))
        {
            attributes.push(attribute(name, values, request.types_only));
        }
    }
    Found {
        entries: vec![SearchResultEntry::new("".into(), attributes)],
        references: Vec::new(),
        code: ResultCode::Success,
        cookie: None,
    }
}

/// Answers any other search.
///
/// # Errors
/// The base is not there for this account.
pub(super) fn search(
    request: &SearchRequest,
    asked: &Asked,
    domain: &mut Domain,
    searcher: &Searcher<'_>,
) -> Result<Found, Refusal> {
    let tree = Tree::of(domain, searcher.laps, searcher.recycle_bin);
    let names = owned_names(&Test::of(&request.filter, &searcher.view(domain, asked)));
    let among = names.map(|names| keys(domain, &names));
    let view = searcher.view(domain, asked);
    let test = Test::of(&request.filter, &view);
    let base = tree.named(&request.base_object, &view, asked.deleted)?;
    let head = base.dn(domain).is(&view.head);
    let depth = match request.scope {
        SearchRequestScope::SingleLevel => Depth::Children,
        SearchRequestScope::WholeSubtree => Depth::All,
        _ => Depth::Base,
    };
    let after = match &asked.page {
        Some(page) => std::str::from_utf8(&page.cookie).map_err(|_| Refusal::control())?,
        None => "",
    };
    let references = if depth == Depth::All && head && after.is_empty() {
        references(&view.head, &domain.dns_name, asked)
    } else {
        Vec::new()
    };
    let hits = tree
        .below(base, depth, &among, &view, asked.deleted)
        .filter(|object| after.is_empty() || object.place().as_str() > after)
        .filter(|object| view.sees(object) && test.holds(&view, object) == Some(true));
    let mut found = collect(hits, request, asked, searcher, &view);
    found.references = references;
    Ok(found)
}

/// Takes as many as are wanted and allowed.
fn collect<'a>(
    hits: impl Iterator<Item = Object<'a>>,
    request: &SearchRequest,
    asked: &Asked,
    searcher: &Searcher<'_>,
    view: &View<'_>,
) -> Found {
    let limit = match usize::try_from(request.size_limit) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    let page = asked
        .page
        .as_ref()
        .map(|page| usize::try_from(page.size).unwrap_or(usize::MAX));
    let most = searcher
        .page_size
        .min(limit)
        .min(page.unwrap_or(usize::MAX));
    let wanted = Wanted::of(request);
    let mut entries = Vec::new();
    let mut last = String::new();
    let mut more = false;
    for object in hits {
        if entries.len() == most {
            more = true;
            break;
        }
        last = object.place();
        entries.push(entry(&object, &wanted, request.types_only, view));
    }
    // A page of none asks for no further page.
    let goes_on = more && most < limit && most > 0;
    let (code, cookie) = match page {
        Some(_) if goes_on => (ResultCode::Success, Some(last.into_bytes())),
        Some(_) if !more || most == 0 => (ResultCode::Success, Some(Vec::new())),
        None if !more => (ResultCode::Success, None),
        _ => (ResultCode::SizeLimitExceeded, page.map(|_| Vec::new())),
    };
    Found {
        entries,
        references: Vec::new(),
        code,
        cookie,
    }
}

/// Which attributes a client wants.
struct Wanted<'a> {
    /// None of them: all that come unasked.
    names: Vec<&'a str>,
    /// All that come unasked, beside those that are named.
    all: bool,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a SearchRequest) -> Self {
        let named = request.attributes.iter().map(|name| name.as_str());
        let all = request.attributes.is_empty() || named.clone().any(|name| name == "*");
        Self {
            names: named.filter(|name| *name != "*").collect(),
            all,
        }
    }
}

fn entry(
    object: &Object<'_>,
    wanted: &Wanted<'_>,
    types_only: bool,
    view: &View<'_>,
) -> SearchResultEntry {
    let mut attributes = Vec::new();
    for (name, _, given) in ATTRIBUTES {
        let named = || {
            wanted
                .names
                .iter()
                .any(|one| one.eq_ignore_ascii_case(name))
        };
        let comes = (wanted.all && *given == Given::Always) || named();
        if !comes || view.attribute(name).is_none() {
            continue;
        }
        let values = view.values(object, name);
        if !values.is_empty() {
            attributes.push(attribute(name, values, types_only));
        }
    }
    let dn = object.dn(view.domain).to_string();
    SearchResultEntry::new(dn.into(), attributes)
}

fn attribute(name: &str, values: Values, types_only: bool) -> PartialAttribute {
    let values = if types_only { Vec::new() } else { values };
    let values: Vec<_> = values.into_iter().map(Into::into).collect();
    PartialAttribute::new(name.into(), values.into())
}

/// The head of a domain refers to the trees that hang below its name.
fn references(head: &Dn, dns_name: &str, asked: &Asked) -> Vec<String> {
    if asked.domain_scope {
        return Vec::new();
    }
    let below = ["ForestDnsZones", "DomainDnsZones"];
    let mut references: Vec<String> = below
        .iter()
        .map(|zone| format!("ldap://{zone}.{dns_name}/DC={zone},{head}"))
        .collect();
    references.push(format!("ldap://{dns_name}/CN=Configuration,{head}"));
    references
}

impl<'s> Searcher<'s> {
    fn view<'a>(&self, domain: &'a Domain, asked: &Asked) -> View<'a>
    where
        's: 'a,
    {
        View {
            domain,
            controller: self.controller,
            rights: self.rights,
            laps: self.laps,
            owner: asked.owner,
            head: Dn::of_domain(&domain.dns_name),
        }
    }
}

fn owned_names(test: &Test) -> Option<Vec<(&'static str, String)>> {
    let names = test.names()?;
    Some(
        names
            .into_iter()
            .map(|(kind, name)| (kind, name.to_owned()))
            .collect(),
    )
}

/// Returns the keys of the accounts that carry one of these names.
fn keys(domain: &mut Domain, names: &[(&'static str, String)]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (kind, name) in names {
        if matches!(*kind, "dNSHostName" | "servicePrincipalName") {
            keys.extend(domain.named(name).iter().cloned());
        } else {
            // A deleted object is called by its name, a line feed and more.
            let name = name.split('\n').next().unwrap_or(name);
            keys.insert(name.trim_end_matches('$').to_owned());
        }
    }
    keys
}
