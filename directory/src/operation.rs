//! A question and a change, as one LDAP operation each.

use std::collections::HashSet;

use ldap3::adapters::EntriesOnly;
use ldap3::controls::{PagedResults, RawControl};
use ldap3::{Ldap, LdapError, LdapResult, Mod, Scope, SearchOptions};

use crate::DirectoryError;
use crate::entry::Entry;

/// Lets deleted objects be seen ([MS-ADTS] 3.1.1.3.4.1.14).
pub(crate) const SHOW_DELETED_OID: &str = "1.2.840.113556.1.4.417";
const PAGED_RESULTS_OID: &str = "1.2.840.113556.1.4.319";

/// One search.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// Finishes "was asked to".
    pub(crate) doing: &'static str,
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    /// Every value in it is escaped.
    pub(crate) filter: &'a str,
    pub(crate) attributes: &'a [&'a str],
    pub(crate) controls: Vec<RawControl>,
    /// At most so many objects; 0: all.
    pub(crate) size_limit: i32,
}

/// What a search brought.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) entries: Vec<Entry>,
    /// Where the next page begins; empty after the last.
    pub(crate) cookie: Vec<u8>,
}

impl<'a> Question<'a> {
    /// Asks for one object by its name.
    pub(crate) fn of_object(doing: &'static str, base: &'a str, attributes: &'a [&'a str]) -> Self {
        Self {
            doing,
            base,
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes,
            controls: Vec::new(),
            size_limit: 0,
        }
    }

    pub(crate) async fn ask(&self, mut ldap: Ldap) -> Result<(Answer, LdapResult), LdapError> {
        if !self.controls.is_empty() {
            ldap.with_controls(self.controls.clone());
        }
        if self.size_limit > 0 {
            ldap.with_search_options(SearchOptions::new().sizelimit(self.size_limit));
        }
        let only = EntriesOnly::new();
        let mut stream = ldap
            .streaming_search_with(only, self.base, self.scope, self.filter, self.attributes)
            .await?;
        let mut answer = Answer::default();
        while let Some(entry) = stream.next().await? {
            // An object that cannot be read is worse than none: it would look absent.
            let entry = Entry::read(entry.0).ok_or(LdapError::DecodingUTF8)?;
            answer.entries.push(entry);
        }
        let result = stream.finish().await;
        let page = result
            .ctrls
            .iter()
            .find(|control| control.1.ctype == PAGED_RESULTS_OID);
        if let Some(control) = page.filter(|control| control.1.val.is_some()) {
            answer.cookie = control.1.parse::<PagedResults>().cookie;
        }
        Ok((answer, result))
    }
}

/// One modification of one object.
pub(crate) struct Change<'a> {
    /// Finishes "was asked to".
    pub(crate) doing: &'static str,
    pub(crate) dn: &'a str,
    pub(crate) changes: Vec<Mod<Vec<u8>>>,
    pub(crate) controls: Vec<RawControl>,
}

/// Why a change is not known to be made.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// It is not made.
    Certainly(DirectoryError),
    /// Nobody knows.
    Perhaps(String),
}

impl Change<'_> {
    pub(crate) async fn write(self, mut ldap: Ldap) -> Result<LdapResult, LdapError> {
        if !self.controls.is_empty() {
            ldap.with_controls(self.controls);
        }
        ldap.modify(self.dn, self.changes).await
    }
}

/// Returns the change that sets an attribute to one value.
pub(crate) fn replace(attribute: &str, value: impl Into<Vec<u8>>) -> Mod<Vec<u8>> {
    Mod::Replace(attribute.as_bytes().to_vec(), HashSet::from([value.into()]))
}

/// Returns the change that takes an attribute away.
pub(crate) fn delete(attribute: &str) -> Mod<Vec<u8>> {
    Mod::Delete(attribute.as_bytes().to_vec(), HashSet::new())
}

/// Returns a control that the controller must understand.
pub(crate) fn control(oid: &str, value: Option<&[u8]>) -> RawControl {
    RawControl {
        ctype: oid.to_owned(),
        crit: true,
        val: value.map(<[u8]>::to_vec),
    }
}
