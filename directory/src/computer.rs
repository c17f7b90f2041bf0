//! Finding one computer by any of its names.

mod deleted;
mod ping;
mod reading;
pub(crate) mod state;

use std::sync::Arc;

use ldap3::Scope;
use ldap3::controls::RawControl;

use crate::controller::{Controller, Session};
use crate::distinguished_name::dns_name;
use crate::entry::Entry;
use crate::filter::escape;
use crate::operation::Question;
use crate::{DirectoryError, Limit};

pub(crate) use deleted::{Deleted, find_deleted, recycle_bin};
pub(crate) use reading::{Twins, read_computer};

/// More computers of one name than that are not looked at.
const MOST: i32 = 20;

/// The names that a computer may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// As it was named, without blanks and a last dot.
    pub(crate) given: String,
    /// `sAMAccountName`, with its `$`.
    pub(crate) account: String,
    /// `dNSHostName`, if it may be one.
    dns: Option<String>,
    /// The account that a DNS name of this domain would have, were its own name unset.
    guessed: Option<String>,
}

impl Names {
    pub(crate) fn of(computer: &str, domain: &str) -> Self {
        let given = computer.trim().trim_end_matches('.').to_owned();
        let dns = given.contains('.').then(|| given.clone());
        let first = given.split('.').next().unwrap_or_default();
        let inside = given
            .to_lowercase()
            .strip_prefix(&first.to_lowercase())
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest == domain);
        // A NetBIOS name has at most 15 characters.
        let short: String = first.chars().take(15).collect();
        Self {
            account: format!("{}$", given.trim_end_matches('$')),
            guessed: inside.then(|| format!("{short}$")),
            dns,
            given,
        }
    }

    /// Returns a filter for whatever may be meant, by attributes that controllers index;
    /// [`Names::rank`] says what is.
    pub(crate) fn filter(&self) -> String {
        let mut any = format!("(sAMAccountName={})", escape(&self.account));
        any += &format!("(cn={})", escape(self.given.trim_end_matches('$')));
        if let Some(dns) = &self.dns {
            any += &format!("(servicePrincipalName=HOST/{})", escape(dns));
        }
        if let Some(guessed) = &self.guessed {
            any += &format!("(sAMAccountName={})", escape(guessed));
        }
        format!("(&(objectCategory=computer)(|{any}))")
    }

    /// Returns the filter for an account that bears the DNS name and no service name. `dNSHostName`
    /// is not indexed: the controller looks at every computer that it has.
    fn slow_filter(&self) -> Option<String> {
        let dns = escape(self.dns.as_deref()?);
        Some(format!("(&(objectCategory=computer)(dNSHostName={dns}))"))
    }

    /// Returns how well the object fits, 0 best; none if it does not.
    fn rank(&self, entry: &Entry) -> Option<u8> {
        let is = |attribute: &str, name: &str| {
            let value = entry.text(attribute).unwrap_or_default();
            value.to_lowercase() == name.to_lowercase()
        };
        if is("sAMAccountName", &self.account) {
            Some(0)
        } else if self
            .dns
            .as_deref()
            .is_some_and(|dns| is("dNSHostName", dns))
        {
            Some(1)
        } else if is("cn", self.given.trim_end_matches('$')) {
            Some(2)
        } else if self
            .guessed
            .as_deref()
            .is_some_and(|name| is("sAMAccountName", name))
            && !entry.has("dNSHostName")
        {
            Some(3)
        } else {
            None
        }
    }

    /// Returns the best fitting object.
    fn choose(&self, dc: &str, entries: Vec<Entry>) -> Result<Option<Entry>, DirectoryError> {
        let mut ranked: Vec<(u8, Entry)> = entries
            .into_iter()
            .filter_map(|entry| Some((self.rank(&entry)?, entry)))
            .collect();
        let Some(best) = ranked.iter().map(|(rank, _)| *rank).min() else {
            return Ok(None);
        };
        ranked.retain(|(rank, _)| *rank == best);
        if ranked.len() > 1 {
            return Err(DirectoryError::ComputerAmbiguous {
                dc: dc.to_owned(),
                computer: self.given.clone(),
                names: ranked.into_iter().map(|(_, entry)| entry.dn).collect(),
            });
        }
        Ok(ranked.pop().map(|(_, entry)| entry))
    }
}

/// Finds the computer, or says that there is none as far as our account can see.
pub(crate) async fn find(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    attributes: &[&str],
    controls: Vec<RawControl>,
    limit: &Limit,
) -> Result<Option<Entry>, DirectoryError> {
    // These decide which it is.
    let mut wanted = vec!["sAMAccountName", "dNSHostName", "cn"];
    wanted.extend(attributes);
    for filter in [Some(names.filter()), names.slow_filter()]
        .into_iter()
        .flatten()
    {
        let question = Question {
            doing: "find a computer",
            base: &session.domain,
            scope: Scope::Subtree,
            filter: &filter,
            attributes: &wanted,
            controls: controls.clone(),
            size_limit: MOST,
        };
        let answer = controller.search(&question, limit).await?;
        if let Some(entry) = names.choose(&session.dc, answer.entries)? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Finds the computer; not finding it is an error that says what it is worth.
pub(crate) async fn find_or_say(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    attributes: &[&str],
    limit: &Limit,
) -> Result<Entry, DirectoryError> {
    if let Some(entry) = find(controller, session, names, attributes, Vec::new(), limit).await? {
        return Ok(entry);
    }
    may_see(controller, session, names, limit).await?;
    Err(DirectoryError::ComputerNotFound {
        dc: session.dc.clone(),
        computer: names.given.clone(),
    })
}

/// Fails where "not found" is worth nothing: our account does not see the domain, or no computer in
/// it, or the controller knows this one and hides it.
///
/// A controller leaves out what an account may not see, without a word ([MS-ADTS] 3.1.1.4.3).
/// Every domain has the computers that are its controllers, so somebody who sees none sees nothing.
/// What cannot be told: whether a disabled account is hidden, or one that was asked for by a DNS
/// name unlike its account's.
pub(crate) async fn may_see(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    limit: &Limit,
) -> Result<(), DirectoryError> {
    let blind = |why| DirectoryError::NotAllowedToSee {
        dc: session.dc.clone(),
        why,
    };
    let head = Question::of_object("read the head of the domain", &session.domain, &["name"]);
    match controller.search(&head, limit).await {
        Ok(answer) if !answer.entries.is_empty() => {}
        Ok(_) => return Err(blind("the head of the domain is hidden")),
        Err(error) if matches!(error.code(), Some(32 | 50)) => {
            return Err(blind("the head of the domain is hidden"));
        }
        Err(error) => return Err(error),
    }
    let any = Question {
        doing: "find any computer",
        base: &session.domain,
        scope: Scope::Subtree,
        filter: "(&(objectCategory=computer)(sAMAccountName=*))",
        attributes: &["sAMAccountName"],
        controls: Vec::new(),
        size_limit: 1,
    };
    let answer = controller.search(&any, limit).await?;
    let mut shown = answer.entries.iter();
    if !shown.any(|entry| entry.has("sAMAccountName")) {
        return Err(blind("not even the domain controllers' accounts are shown"));
    }
    let domain = dns_name(&session.domain);
    for account in [Some(&names.account), names.guessed.as_ref()]
        .into_iter()
        .flatten()
    {
        if ping::knows(controller, &domain, account, limit).await? == Some(true) {
            return Err(blind("it knows the account and does not show it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computer(account: &str, cn: &str, dns: Option<&str>) -> Entry {
        let mut values = vec![
            ("sAMAccountName", account.as_bytes()),
            ("cn", cn.as_bytes()),
        ];
        values.extend(dns.map(|dns| ("dNSHostName", dns.as_bytes())));
        Entry::of(&format!("CN={cn},DC=corp"), &values)
    }

    fn chosen(name: &str, entries: Vec<Entry>) -> Option<String> {
        let names = Names::of(name, "corp.example.jp");
        names.choose("dc1", entries).unwrap().map(|entry| entry.dn)
    }

    #[test]
    fn searches_for_every_name_it_may_be() {
        let names = Names::of(" PC1$ ", "corp.example.jp");
        assert_eq!(
            names.filter(),
            "(&(objectCategory=computer)(|(sAMAccountName=PC1$)(cn=PC1)))"
        );
        let names = Names::of("A-Very-Long-Host-Name.Corp.Example.JP.", "corp.example.jp");
        assert_eq!(names.guessed.as_deref(), Some("A-Very-Long-Hos$"));
        assert_eq!(Names::of("pc.other.jp", "corp.example.jp").guessed, None);
        let evil = Names::of("*)(cn=*", "corp.example.jp").filter();
        assert!(evil.contains("(cn=\\2a\\29\\28cn=\\2a)"), "{evil}");
    }

    #[test]
    fn prefers_the_account_name_then_the_dns_name() {
        let by_account = computer("PC1$", "受付", Some("pc1.corp.example.jp"));
        let by_cn = computer("PC9$", "pc1", None);
        assert_eq!(
            chosen("pc1", vec![by_cn.clone(), by_account.clone()]).unwrap(),
            "CN=受付,DC=corp"
        );
        assert_eq!(
            chosen("PC1", vec![by_cn.clone()]).unwrap(),
            "CN=pc1,DC=corp"
        );
        let dns = "PC1.corp.example.jp";
        assert_eq!(chosen(dns, vec![by_account]).unwrap(), "CN=受付,DC=corp");
        // An account whose DNS name says that it is another is not it.
        let other = computer("PC1$", "PC1", Some("pc1.lab.example.jp"));
        assert_eq!(chosen(dns, vec![other]), None);
        let unset = computer("PC1$", "PC1", None);
        assert_eq!(chosen(dns, vec![unset]).unwrap(), "CN=PC1,DC=corp");
        assert_eq!(chosen("pc1", vec![]), None);
    }

    #[test]
    fn does_not_guess_between_two() {
        let names = Names::of("pc1.corp.example.jp", "corp.example.jp");
        let twins = vec![
            computer("A$", "A", Some("pc1.corp.example.jp")),
            computer("B$", "B", Some("PC1.corp.example.jp")),
        ];
        let error = names.choose("dc1", twins).unwrap_err();
        assert_eq!(error.id(), "ComputerAmbiguous");
    }
}
