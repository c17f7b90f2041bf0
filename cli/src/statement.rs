//! What is said before anything is touched: what will be done, to how many PCs, with which
//! secrets.

use std::fmt::Write as _;
use std::sync::Arc;

use fleetmend_model::{Host, HostName, RunMode};
use fleetmend_playbooks::{Language, Need, Playbook};
use fleetmend_report::fold_names;

use crate::plan::is_unverified;
use crate::wrap::wrap;

/// More names than this are told as a number.
const NAMES: usize = 160;

/// What a run is about to do.
pub(crate) struct Statement<'a> {
    pub(crate) playbook: &'a Playbook,
    pub(crate) mode: RunMode,
    pub(crate) language: Language,
    pub(crate) hosts: &'a [Arc<Host>],
    /// PCs in the inventory, of which `--limit` took `hosts`.
    pub(crate) of: usize,
    /// Accounts with the number of PCs that each logs on to.
    pub(crate) accounts: Vec<(String, usize)>,
    pub(crate) domain_user: Option<&'a str>,
    pub(crate) credential_on_pcs: bool,
    pub(crate) journal: String,
}

impl Statement<'_> {
    /// Returns the statement, one fact a line, folded to the terminal if there is one.
    pub(crate) fn text(&self, columns: Option<u16>) -> String {
        let playbook = self.playbook;
        let head = format!(
            "{}: {}",
            playbook.name,
            playbook.summary.text(self.language)
        );
        let mut text = columns.map_or(head.clone(), |columns| wrap(&head, 2, columns.into()));
        text.push('\n');
        let check = self.mode == RunMode::Check;
        let what = if check {
            "diagnose only; nothing on any PC is changed"
        } else {
            "diagnose, repair what is broken, verify; healthy PCs are not touched"
        };
        let mut line = |label: &str, fact: &str| {
            let line = format!("  {label:<9} {fact}");
            let line = columns.map_or(line.clone(), |columns| wrap(&line, 12, columns.into()));
            let _ = writeln!(text, "{line}");
        };
        line("mode", what);
        line("PCs", &self.pcs());
        line("log on as", &self.log_on());
        if let Some(text) = unverified(self.hosts) {
            line("TLS", &text);
        }
        // In a check, too: it is what a run with the same arguments could do.
        line("repairs", &self.rungs());
        line("secrets", &self.secrets());
        line("journal", &self.journal);
        text
    }

    /// Returns the question after the statement.
    pub(crate) fn question(&self) -> String {
        let verb = if self.mode == RunMode::Check {
            "Check"
        } else {
            "Repair"
        };
        let pcs = if self.hosts.len() == 1 { "PC" } else { "PCs" };
        format!("{verb} {} {pcs}?", self.hosts.len())
    }

    fn pcs(&self) -> String {
        let count = self.hosts.len();
        let of = if count == self.of {
            String::new()
        } else {
            format!(" of {}", self.of)
        };
        let hosts = self.hosts.iter().map(|host| &host.name).collect();
        format!("{count}{of}: {}", folded(hosts))
    }

    fn log_on(&self) -> String {
        let show = |(user, pcs): &(String, usize)| match self.accounts.len() {
            1 => user.clone(),
            _ => format!("{user} ({pcs} PCs)"),
        };
        let shown: Vec<String> = self.accounts.iter().take(6).map(show).collect();
        let more = if self.accounts.len() > 6 { ", …" } else { "" };
        format!(
            "{}{more}; each password is tried once on a PC",
            shown.join(", ")
        )
    }

    fn rungs(&self) -> String {
        let shown: Vec<String> = self
            .playbook
            .ladder
            .iter()
            .map(|rung| match self.missing(&rung.needs) {
                None => rung.id.clone(),
                Some(missing) => format!("{} (not available: {missing})", rung.id),
            })
            .collect();
        shown.join(", ")
    }

    fn missing(&self, needs: &[Need]) -> Option<&'static str> {
        needs.iter().find_map(|need| match need {
            Need::CredentialOnPc(_) if self.domain_user.is_none() => Some("needs --domain-user"),
            Need::CredentialOnPc(_) if !self.credential_on_pcs => {
                Some("needs --allow-credential-on-pcs")
            }
            Need::Reboot => Some("reboots are not allowed"),
            Need::Directory => Some("needs --directory"),
            Need::OfflineJoin => Some("needs --directory and Samba's net"),
            Need::CredentialOnPc(_) | Need::Parameter(_) => None,
        })
    }

    fn secrets(&self) -> String {
        let rungs: Vec<&str> = self
            .playbook
            .ladder
            .iter()
            .filter(|rung| {
                rung.needs
                    .iter()
                    .any(|need| matches!(need, Need::CredentialOnPc(_)))
            })
            .map(|rung| rung.id.as_str())
            .collect();
        match self.domain_user {
            Some(user)
                if self.credential_on_pcs && self.mode != RunMode::Check && !rungs.is_empty() =>
            {
                format!(
                    "the password of {user} reaches PCs that need {}",
                    rungs.join(", ")
                )
            }
            Some(user) => format!("the password of {user} reaches no PC"),
            None => "no domain password reaches any PC".to_owned(),
        }
    }
}

/// Returns what must be known of PCs whose certificates are not verified, if there are any.
pub(crate) fn unverified(hosts: &[Arc<Host>]) -> Option<String> {
    let names: Vec<&HostName> = hosts
        .iter()
        .filter(|host| is_unverified(host))
        .map(|host| &host.name)
        .collect();
    (!names.is_empty()).then(|| format!("certificates are not verified on {}", pcs_named(names)))
}

/// Returns how many PCs and which: `2 PCs: pc-[1:2]`.
pub(crate) fn pcs_named(names: Vec<&HostName>) -> String {
    let pcs = if names.len() == 1 { "PC" } else { "PCs" };
    format!("{} {pcs}: {}", names.len(), folded(names))
}

/// The names in short, the first of them if they are many.
fn folded(mut names: Vec<&HostName>) -> String {
    // Sorted, so that neighbours fold although they stand in different groups.
    names.sort();
    let names = fold_names(names);
    if names.len() <= NAMES {
        return names.replace(',', ", ");
    }
    let end = names
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at < NAMES)
        .last();
    let start = names.get(..end.unwrap_or(0)).unwrap_or_default();
    let whole = start.rsplit_once(',').map_or(start, |(whole, _)| whole);
    format!("{}, …", whole.replace(',', ", "))
}
