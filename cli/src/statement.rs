//! What is said before anything is touched: what will be done, to how many PCs, with which
//! secrets.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use fleetmend_engine::{Pace, RebootPolicy};
use fleetmend_model::{Host, HostName, Platform, RunMode};
use fleetmend_playbooks::{
    Language, Need, Parameter, ParameterKind, Playbook, Rung, SecretFrom, StepKind,
};
use fleetmend_report::fold_names;

use crate::credentials::{DOMAIN_PARAMETER, Reach};
use crate::pace;
use crate::plan::{is_unverified, option_for};
use crate::playbooks::Playbooks;
use crate::wrap::wrap;

/// More names than this are told as a number.
const NAMES: usize = 160;

/// What a run is about to do.
pub(crate) struct Statement<'a> {
    pub(crate) playbooks: &'a Playbooks,
    pub(crate) mode: RunMode,
    pub(crate) language: Language,
    pub(crate) hosts: &'a [Arc<Host>],
    /// PCs in the inventory, of which `--limit` took `hosts`.
    pub(crate) of: usize,
    /// Accounts with the number of PCs that each logs on to.
    pub(crate) accounts: Vec<(String, usize)>,
    pub(crate) domain_user: Option<&'a str>,
    /// Further accounts for the playbook: parameter and user.
    pub(crate) given: Vec<(&'a str, &'a str)>,
    /// What `credentials.yaml` gives to whom, if it is in use.
    pub(crate) reach: Option<Reach>,
    /// Whether, when and how many PCs may be restarted.
    pub(crate) reboots: &'a RebootPolicy,
    /// In which batches it goes, how fast, and when it stops.
    pub(crate) pace: &'a Pace,
    pub(crate) credential_on_pcs: bool,
    /// The directory that playbooks may use.
    pub(crate) directory: Option<DirectoryLine>,
    pub(crate) journal: String,
}

/// The directory that playbooks may use.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryLine {
    /// The domain.
    pub(crate) domain: String,
    /// The controller that accepted the account.
    pub(crate) dc: String,
    /// How many controllers are known.
    pub(crate) controllers: usize,
    /// As whom it is asked.
    pub(crate) user: String,
    /// Whether offline join blobs can be made.
    pub(crate) offline_join: bool,
}

impl Statement<'_> {
    /// Returns the statement, one fact a line, folded to the terminal if there is one.
    pub(crate) fn text(&self, columns: Option<u16>) -> String {
        let playbook = &self.playbooks.main;
        let head = format!(
            "{}: {}",
            playbook.name,
            playbook.summary.text(self.language)
        );
        let mut text = columns.map_or(head.clone(), |columns| wrap(&head, 2, columns.into()));
        text.push('\n');
        for (label, fact) in self.facts() {
            let line = format!("  {label:<9} {fact}");
            let line = columns.map_or(line.clone(), |columns| wrap(&line, 12, columns.into()));
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Returns the facts, each with its label.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let check = self.mode == RunMode::Check;
        let what = if check {
            "diagnose only; nothing on any PC is changed"
        } else {
            "diagnose, repair what is broken, verify; healthy PCs are not touched"
        };
        let mut facts = vec![
            ("mode", what.to_owned()),
            ("PCs", self.pcs()),
            ("log on as", self.log_on()),
        ];
        facts.extend(unverified(self.hosts).map(|text| ("TLS", text)));
        let directory = self.directory.as_ref();
        facts.extend(directory.map(|directory| ("directory", directory.text())));
        // In a check, too: it is what a run with the same arguments could do.
        for (what, may_run, left_out) in self.rungs() {
            facts.push(("repairs", format!("{what}{may_run}")));
            if !left_out.is_empty() {
                facts.push(("left out", format!("{what}{left_out}")));
            }
        }
        facts.extend(self.restarts().map(|text| ("restarts", text)));
        facts.extend(pace::lines(self.pace, self.hosts.len()));
        let allowed = self.switched_on();
        facts.extend(allowed.into_iter().map(|text| ("allowed", text)));
        facts.extend(self.without_playbook().map(|text| ("skipped", text)));
        facts.push(("secrets", self.secrets()));
        facts.extend(self.reach.iter().flat_map(Reach::lines));
        facts.push(("journal", self.journal.clone()));
        facts
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

    /// The playbooks that hosts of this run are given, with the word for these hosts if there
    /// are hosts of several platforms.
    fn used(&self) -> Vec<(&'static str, &Playbook)> {
        let platforms = [
            ("Windows: ", Platform::Windows),
            ("Linux: ", Platform::Posix),
        ];
        let here = |platform| self.hosts.iter().any(|host| host.platform == platform);
        let several = platforms.iter().all(|(_, platform)| here(*platform));
        let used = platforms
            .into_iter()
            .filter(|(_, platform)| here(*platform));
        used.filter_map(|(word, platform)| {
            let word = if several { word } else { "" };
            Some((word, self.playbooks.on(platform)?))
        })
        .collect()
    }

    /// For each playbook in use: the rungs that may run, and those that cannot with what they
    /// need.
    fn rungs(&self) -> Vec<(&'static str, String, String)> {
        let shown = |(word, playbook): (&'static str, &Playbook)| {
            let (mut may_run, mut left_out) = (Vec::new(), Vec::new());
            for rung in &playbook.ladder {
                match self.missing(playbook, rung) {
                    None => may_run.push(format!("{} ({})", rung.id, costs(rung))),
                    Some(missing) => left_out.push(format!("{} ({missing})", rung.id)),
                }
            }
            (word, may_run.join(", "), left_out.join(", "))
        };
        self.used().into_iter().map(shown).collect()
    }

    /// Whether, when and how many PCs may be restarted; nothing if no rung would.
    fn restarts(&self) -> Option<String> {
        let RebootPolicy {
            max,
            window,
            at_once,
        } = self.reboots;
        let most = self
            .used()
            .into_iter()
            .flat_map(|(_, playbook)| &playbook.ladder);
        let most = most.map(Rung::reboots).max().filter(|most| *most > 0)?;
        if *max == 0 {
            return Some(format!("none; up to {most} a PC with --max-reboots {most}"));
        }
        let hours = window.map_or(String::new(), |hours| format!(", begun in {hours} only"));
        Some(format!(
            "up to {max} a PC{hours}, at most {at_once} at once of one site or domain controller"
        ))
    }

    /// What the operator allowed beyond the defaults, in the playbook's words: it may be that a
    /// secret is handled otherwise then.
    fn switched_on(&self) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        for (_, playbook) in self.used() {
            let switches = playbook
                .ladder
                .iter()
                .filter_map(|rung| switch(playbook, rung));
            for switch in switches {
                let is_on = self.playbooks.is_on(playbook, &switch.name, self.hosts);
                let text = format!("{}: {}", switch.name, switch.summary.text(self.language));
                if is_on && !told.contains(&text) {
                    told.push(text);
                }
            }
        }
        told
    }

    fn without_playbook(&self) -> Option<String> {
        let names: Vec<&HostName> = self
            .hosts
            .iter()
            .filter(|host| self.playbooks.on(host.platform).is_none())
            .map(|host| &host.name)
            .collect();
        let name = &self.playbooks.main.name;
        (!names.is_empty()).then(|| {
            format!(
                "{name} has nothing for the platform of {}",
                pcs_named(names)
            )
        })
    }

    /// What a rung lacks on every PC, as far as that can be said before one is asked.
    fn missing(&self, playbook: &Playbook, rung: &Rung) -> Option<String> {
        if let Some(missing) = self.need_missing(&rung.needs) {
            return Some(missing);
        }
        if let Some(switch) = switch(playbook, rung)
            && !self.playbooks.is_on(playbook, &switch.name, self.hosts)
        {
            return Some(format!("needs --set {}=true", switch.name));
        }
        let reboots = rung.reboots();
        (reboots > self.reboots.max).then(|| format!("needs --max-reboots {reboots}"))
    }

    fn need_missing(&self, needs: &[Need]) -> Option<String> {
        let directory = self.directory.as_ref();
        needs.iter().find_map(|need| match need {
            Need::CredentialOnPc(name) | Need::Credential(name) if !self.has(name) => {
                Some(format!("needs {}", option_for(name)))
            }
            Need::CredentialOnPc(_) if !self.credential_on_pcs => {
                Some("needs --allow-credential-on-pcs".to_owned())
            }
            Need::Directory | Need::OfflineJoin if directory.is_none() => {
                Some("needs --directory".to_owned())
            }
            Need::OfflineJoin if directory.is_some_and(|directory| !directory.offline_join) => {
                Some("needs Samba's `net` here".to_owned())
            }
            Need::CredentialOnPc(_)
            | Need::Credential(_)
            | Need::Parameter(_)
            | Need::Directory
            | Need::OfflineJoin => None,
        })
    }

    /// Tells whether the account for a parameter is given.
    fn has(&self, parameter: &str) -> bool {
        let domain = parameter == DOMAIN_PARAMETER && self.domain_user.is_some();
        domain || self.given.iter().any(|(name, _)| *name == parameter)
    }

    /// The rungs for which this holds, of all playbooks in use, each name once.
    fn rungs_that(&self, holds: impl Fn(&Playbook, &Rung) -> bool) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for (_, playbook) in self.used() {
            for rung in playbook.ladder.iter().filter(|rung| holds(playbook, rung)) {
                if !ids.contains(&rung.id.as_str()) {
                    ids.push(&rung.id);
                }
            }
        }
        ids
    }

    /// Which secrets reach PCs.
    fn secrets(&self) -> String {
        let check = self.mode == RunMode::Check;
        let asking = self.rungs_that(|_, rung| {
            let mut needs = rung.needs.iter();
            needs.any(|need| *need == Need::CredentialOnPc(DOMAIN_PARAMETER.to_owned()))
        });
        let domain = match self.domain_user {
            Some(user) if self.credential_on_pcs && !check && !asking.is_empty() => format!(
                "the password of {user} reaches PCs that need {}",
                any_of(&asking)
            ),
            Some(user) => format!("the password of {user} reaches no PC"),
            None => "no domain password reaches any PC".to_owned(),
        };
        let domain = self.given.iter().fold(domain, |text, (name, user)| {
            let name_of = |rung: &Rung| {
                let mut needs = rung.needs.iter();
                needs.any(|need| *need == Need::CredentialOnPc((*name).to_owned()))
            };
            let asking = self.rungs_that(|_, rung| name_of(rung));
            if check || !self.credential_on_pcs || asking.is_empty() {
                return format!("{text}; that of {user} ({name}) reaches none");
            }
            format!(
                "{text}; that of {user} ({name}) reaches PCs that need {}",
                any_of(&asking)
            )
        });
        let made = self.rungs_that(|playbook, rung| {
            let mut secrets = rung.steps.iter().flat_map(|step| &step.secrets);
            let gives = secrets.any(|(_, from)| matches!(from, SecretFrom::Made(_)));
            gives && self.missing(playbook, rung).is_none()
        });
        if check || made.is_empty() {
            return domain;
        }
        format!(
            "{domain}; one that needs {} is given a new secret of its own account, and nothing else",
            any_of(&made)
        )
    }
}

impl DirectoryLine {
    fn text(&self) -> String {
        let Self {
            domain, dc, user, ..
        } = self;
        match self.controllers {
            0 | 1 => format!("{domain} at {dc} as {user}"),
            several => format!("{domain} at {dc} (one of {several} controllers) as {user}"),
        }
    }
}

/// What a rung costs a PC: time, restarts, and which passwords reach it.
fn costs(rung: &Rung) -> String {
    let minutes = rung.cost.as_secs().div_ceil(60);
    let mut costs = vec![format!("{minutes} min")];
    match rung.reboots() {
        0 => {}
        1 => costs.push("1 restart".to_owned()),
        several => costs.push(format!("{several} restarts")),
    }
    let secrets = rung.steps.iter();
    let secrets = secrets.filter(|step| !matches!(step.kind, StepKind::Elsewhere(_)));
    for (_, from) in secrets.flat_map(|step| &step.secrets) {
        let secret = match from {
            SecretFrom::Credential(name) => format!("gets {name}"),
            SecretFrom::Made(_) => "gets its own new secret".to_owned(),
        };
        if !costs.contains(&secret) {
            costs.push(secret);
        }
    }
    costs.join(", ")
}

/// The parameter without which a rung is never tried: its condition begins with it, or one of its
/// guards is nothing else.
fn switch<'p>(playbook: &'p Playbook, rung: &Rung) -> Option<&'p Parameter> {
    let when = rung.when.iter().map(|when| {
        let text = when.0.text.trim();
        text.split_once(" and ").map_or(text, |(first, _)| first)
    });
    // Of `a and b or c` the first part alone decides nothing.
    let when = when.filter(|_| {
        let whole = rung.when.as_ref().map_or("", |when| &when.0.text);
        !outside_brackets(whole).contains(" or ")
    });
    let guards = rung.guards.iter().map(|guard| guard.require.0.text.trim());
    when.chain(guards).find_map(|text| {
        let name = text.strip_prefix("params.")?;
        let mut all = playbook.parameters.iter();
        all.find(|parameter| parameter.name == name && parameter.kind == ParameterKind::Boolean)
    })
}

/// The text without what stands in brackets.
fn outside_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    let mut outside = |c: &char| match c {
        '(' | '[' => {
            depth += 1;
            false
        }
        ')' | ']' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    };
    text.chars().filter(|c| outside(c)).collect()
}

/// `a`, `a or b`, `a, b or c`.
fn any_of(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, before @ [_, ..])) => format!("{} or {last}", before.join(", ")),
        _ => names.concat(),
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
