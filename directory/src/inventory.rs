//! The domain's computers as a list.

use std::sync::Arc;

use jiff::Timestamp;
use ldap3::Scope;
use ldap3::controls::PagedResults;

use crate::account_control::DISABLED;
use crate::controller::Controller;
use crate::distinguished_name::path;
use crate::entry::Entry;
use crate::operation::Question;
use crate::{ActiveDirectory, DirectoryError, Filter, Limit};

/// How many computers are asked for at once (RFC 2696); controllers give at most 1,000.
const PAGE: i32 = 500;
/// What is read of each.
const ATTRIBUTES: &[&str] = &[
    "sAMAccountName",
    "dNSHostName",
    "operatingSystem",
    "operatingSystemVersion",
    "lastLogonTimestamp",
    "userAccountControl",
    "description",
];

/// Which computers are listed.
#[derive(Clone, Debug, Default)]
pub struct ComputerQuery {
    /// Below which organizational unit, by its distinguished name; none: the whole domain.
    pub ou: Option<String>,
    /// Which of them; none: all.
    pub filter: Option<Filter>,
}

/// A computer in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedComputer {
    /// Its `sAMAccountName` without the `$`.
    pub name: String,
    /// `dNSHostName`.
    pub dns_name: Option<String>,
    /// Its distinguished name.
    pub dn: String,
    /// The organizational units and containers that it lies in, outermost first.
    pub ou: Vec<String>,
    /// `operatingSystem`: `Windows 11 Pro`.
    pub operating_system: Option<String>,
    /// `operatingSystemVersion`: `10.0 (26100)`.
    pub operating_system_version: Option<String>,
    /// `lastLogonTimestamp`: replicated, so up to 14 days late.
    pub last_logon: Option<Timestamp>,
    /// Whether it is enabled; none if our account may not read that.
    pub enabled: Option<bool>,
    /// `description`.
    pub description: Option<String>,
}

impl ActiveDirectory {
    /// Lists computers, sorted by name; asks in pages of 500.
    ///
    /// # Errors
    /// What the controller answered; half a list is never returned.
    pub async fn computers(
        &self,
        query: &ComputerQuery,
        limit: &Limit,
    ) -> Result<Vec<ListedComputer>, DirectoryError> {
        let controller = self.any(false, limit).await?;
        let mut computers = match list(&controller, query, limit).await {
            // The place in the list is lost with the connection: from the beginning, once.
            Err(DirectoryError::Lost { .. }) => list(&controller, query, limit).await?,
            listed => listed?,
        };
        computers.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.dn.cmp(&b.dn)));
        Ok(computers)
    }
}

async fn list(
    controller: &Arc<Controller>,
    query: &ComputerQuery,
    limit: &Limit,
) -> Result<Vec<ListedComputer>, DirectoryError> {
    let session = controller.session(limit).await?;
    let filter = match &query.filter {
        Some(filter) => format!("(&(objectCategory=computer){filter})"),
        None => "(objectCategory=computer)".to_owned(),
    };
    let mut computers = Vec::new();
    let mut cookie = Vec::new();
    loop {
        let page = PagedResults { size: PAGE, cookie };
        let question = Question {
            doing: "list computers",
            base: query.ou.as_deref().unwrap_or(&session.domain),
            scope: Scope::Subtree,
            filter: &filter,
            attributes: ATTRIBUTES,
            controls: vec![page.into()],
            size_limit: 0,
        };
        let answer = controller.search_on(&session, &question, limit).await?;
        computers.extend(answer.entries.iter().map(computer));
        if answer.cookie.is_empty() {
            return Ok(computers);
        }
        cookie = answer.cookie;
    }
}

pub(crate) fn computer(entry: &Entry) -> ListedComputer {
    let text = |name| entry.text(name).map(str::to_owned);
    let account = entry
        .text("sAMAccountName")
        .map(|name| name.trim_end_matches('$').to_owned());
    let control = entry.flags("userAccountControl");
    ListedComputer {
        name: account
            .or_else(|| crate::distinguished_name::first_value(&entry.dn))
            .unwrap_or_else(|| entry.dn.clone()),
        dns_name: text("dNSHostName"),
        dn: entry.dn.clone(),
        ou: path(&entry.dn),
        operating_system: text("operatingSystem"),
        operating_system_version: text("operatingSystemVersion"),
        last_logon: entry.filetime("lastLogonTimestamp"),
        enabled: control.map(|control| control & DISABLED == 0),
        description: text("description"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_computer() {
        let entry = Entry::of(
            "CN=PC1,OU=Kiosk,OU=東京,DC=corp",
            &[
                ("sAMAccountName", b"PC1$"),
                ("userAccountControl", b"4098"),
                ("lastLogonTimestamp", b"134087562051234560"),
                ("description", "受付".as_bytes()),
            ],
        );
        let computer = computer(&entry);
        assert_eq!(computer.name, "PC1");
        assert_eq!(computer.ou, ["東京", "Kiosk"]);
        assert_eq!(computer.enabled, Some(false));
        assert_eq!(computer.description.as_deref(), Some("受付"));
        assert_eq!(computer.operating_system, None);
        assert!(computer.last_logon.is_some());
        let bare = super::computer(&Entry::of("CN=X Y,DC=corp", &[]));
        assert_eq!((bare.name.as_str(), bare.enabled), ("X Y", None));
    }
}
