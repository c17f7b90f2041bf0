//! The fold of a run's records.

use std::collections::HashMap;

use fleetmend_model::{
    ErrorsSpent, Event, HandedIn, HostEvent, HostName, HostResult, Outcome, OutcomeClass, Phase,
    Record, RunId, RunMode, StepEnd, TransportKind,
};
use jiff::Timestamp;

use crate::ExecResult;
use crate::unfinished::Progress;

/// A run as its records so far tell it.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// Which run; `None` before the first record.
    pub run: Option<RunId>,
    /// What it is for.
    pub mode: Option<RunMode>,
    /// The playbook's name, or the command.
    pub subject: String,
    /// The playbook's digest; empty for exec.
    pub digest: String,
    /// Which fleetmend ran.
    pub version: String,
    /// When the first record was stored.
    pub started: Option<Timestamp>,
    /// When the latest record was stored.
    pub latest: Option<Timestamp>,
    /// Whether the run has ended.
    pub ended: bool,
    /// Whether the operator interrupted it.
    pub interrupted: bool,
    /// How it used up its allowance of failures, if it did.
    pub spent: Option<ErrorsSpent>,
    /// Which account was not used any more, if one was not: known to whoever ran it.
    pub account_closed: Option<AccountClosed>,
    /// The exit code, once it has ended.
    pub exit_code: Option<i32>,
    /// Every PC, in the order of the run.
    pub hosts: Vec<HostReport>,
    index: HashMap<HostName, usize>,
}

/// An account that was not used any more in a run: it was refused, or spared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AccountClosed {
    /// Its name.
    pub account: String,
    /// The PC that refused it, or for which the directory was first asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_on: Option<HostName>,
    /// The Win32 code of the refusal; a refused logon has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Why it was not even tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spared: Option<String>,
    /// The PCs that ended without what needs it.
    pub not_reached: Vec<HostName>,
}

/// One PC of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct HostReport {
    /// Which.
    pub host: HostName,
    /// How it was reached, if it was.
    pub transport: Option<TransportKind>,
    /// `address:port`, if it was reached.
    pub address: Option<String>,
    /// Rungs that ran on it, in order, with whether verify held.
    pub rungs: Vec<(String, Option<bool>)>,
    /// What a command by hand gave, in exec runs.
    pub exec: Option<ExecResult>,
    /// What a person did on it by hand and handed in, the latest; the result then follows from it.
    pub by_hand: Option<HandedIn>,
    /// Its one result, once it has it.
    pub result: Option<HostResult>,
    /// Whether the result was concluded by [`RunReport::settle`] instead of told by an event.
    pub concluded: bool,
    progress: Progress,
}

impl RunReport {
    /// Folds the records of one run.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut report = Self::default();
        for record in records {
            report.apply(record);
        }
        report
    }

    /// Takes one more record in.
    pub fn apply(&mut self, record: &Record) {
        self.run = Some(record.run);
        self.started.get_or_insert(record.at);
        self.latest = Some(record.at);
        match &record.event {
            Event::RunStarted {
                mode,
                subject,
                digest,
                version,
                hosts,
                ..
            } => {
                self.mode = Some(*mode);
                self.subject.clone_from(subject);
                self.digest.clone_from(digest);
                self.version.clone_from(version);
                for host in hosts {
                    self.host_mut(host);
                }
            }
            Event::Host { host, what } => {
                let host = self.host_mut(host);
                if let Some(host) = host {
                    host.apply(what, record.at);
                }
            }
            Event::Interrupted { .. } => self.interrupted = true,
            // Whether it was interrupted, its PCs' results tell.
            Event::Resumed { .. } => self.interrupted = false,
            Event::BatchStarted { .. } => {}
            Event::ErrorsSpent(spent) => self.spent = Some(spent.clone()),
            Event::RunEnded { exit_code } => {
                self.ended = true;
                self.exit_code = Some(*exit_code);
            }
        }
    }

    /// Adds results that never became events, as after the journal failed.
    pub fn add_results(&mut self, results: impl IntoIterator<Item = HostResult>) {
        for result in results {
            if let Some(host) = self.host_mut(&result.host.clone()) {
                host.result.get_or_insert(result);
            }
        }
    }

    /// Concludes a result for every PC that has none, in a run without an end: `unknown` where
    /// something was under way or had run, else `skipped(not-reached)`.
    pub fn settle(&mut self) {
        let (mode, run) = (self.mode, self.run);
        for host in &mut self.hosts {
            if host.result.is_none() {
                host.result = Some(host.progress.result(&host.host, mode, run));
                host.concluded = true;
            }
        }
    }

    /// Puts what a command printed in place of what the events kept of it.
    pub fn set_exec(&mut self, host: &HostName, result: ExecResult) {
        if let Some(host) = self.host_mut(host) {
            host.exec = Some(result);
        }
    }

    /// Returns the results so far, in the order of the run.
    pub fn results(&self) -> impl Iterator<Item = &HostResult> {
        self.hosts.iter().filter_map(|host| host.result.as_ref())
    }

    /// Returns the results of the PCs that are not well: first those that were under way when
    /// the records end, then those not reached, then the others by class; each in the order of
    /// the run.
    pub fn not_well(&self) -> Vec<&HostResult> {
        let mut results: Vec<(u8, OutcomeClass, &HostResult)> = self
            .hosts
            .iter()
            .filter_map(|host| Some((host, host.result.as_ref()?)))
            .map(|(host, result)| (host.concluded, result.outcome.class(), result))
            .filter(|(_, class, _)| !class.is_well())
            .map(|(concluded, class, result)| {
                let place = match (concluded, class) {
                    (true, OutcomeClass::Unknown) => 0,
                    (true, _) => 1,
                    (false, _) => 2,
                };
                (place, class, result)
            })
            .collect();
        results.sort_by_key(|(place, class, _)| (*place, *class));
        results.into_iter().map(|(_, _, result)| result).collect()
    }

    fn host_mut(&mut self, name: &HostName) -> Option<&mut HostReport> {
        let place = *self.index.entry(name.clone()).or_insert_with(|| {
            self.hosts.push(HostReport::new(name.clone()));
            self.hosts.len() - 1
        });
        self.hosts.get_mut(place)
    }
}

impl HostReport {
    fn new(host: HostName) -> Self {
        Self {
            host,
            transport: None,
            address: None,
            rungs: Vec::new(),
            exec: None,
            by_hand: None,
            result: None,
            concluded: false,
            progress: Progress::default(),
        }
    }

    fn apply(&mut self, what: &HostEvent, at: Timestamp) {
        self.progress.apply(what, at);
        match what {
            HostEvent::Connected { transport, address } => {
                self.transport = Some(*transport);
                self.address = Some(address.clone());
            }
            HostEvent::StepEnded {
                step,
                end: StepEnd::Answered { answer },
                ..
            } if step.phase == Phase::Exec => {
                self.exec = Some(ExecResult::from_answer(answer));
            }
            HostEvent::RungStarted { rung, .. } => self.rungs.push((rung.clone(), None)),
            HostEvent::RungEnded { rung, verified } => {
                if let Some(last) = self.rungs.iter_mut().rev().find(|(name, _)| name == rung) {
                    last.1 = Some(*verified);
                }
            }
            HostEvent::HandedIn(handed) => {
                self.result = Some(handed.result.clone());
                self.concluded = false;
                self.by_hand = Some(HandedIn::clone(handed));
            }
            HostEvent::Finished { result } => {
                self.result = Some(result.clone());
                self.concluded = false;
            }
            HostEvent::Connecting
            | HostEvent::CredentialUsed { .. }
            | HostEvent::ConnectFailed { .. }
            | HostEvent::StepStarted { .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::RebootOrdered { .. }
            | HostEvent::StepEnded { .. }
            | HostEvent::Diagnosed { .. } => {}
        }
    }

    /// Tells whether the PC has ended well.
    pub fn is_well(&self) -> bool {
        self.result
            .as_ref()
            .is_some_and(|result| result.outcome.class().is_well())
    }

    /// Returns how it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.result.as_ref().map(|result| &result.outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn folds_a_run() {
        let report = RunReport::from_records(&testing::repair_run());
        assert_eq!(report.hosts.len(), 6);
        assert_eq!(report.results().count(), 6);
        assert_eq!(report.exit_code, Some(1));
        let repaired = report
            .hosts
            .iter()
            .find(|host| host.host.0 == "pc-002")
            .unwrap();
        assert_eq!(
            repaired.rungs,
            [("restart-netlogon".to_owned(), Some(true))]
        );
        assert_eq!(repaired.address.as_deref(), Some("127.0.1.2:5985"));
        assert!(repaired.is_well());
        let classes: Vec<&str> = report
            .not_well()
            .iter()
            .map(|result| result.outcome.class().name())
            .collect();
        assert_eq!(
            classes,
            [
                "not-repaired",
                "unreachable",
                "access-denied",
                "needs-hands"
            ]
        );
    }

    #[test]
    fn a_cut_run_has_hosts_without_result() {
        let records = testing::repair_run();
        let report = RunReport::from_records(&records[..3]);
        assert!(!report.ended);
        assert_eq!(report.hosts.len(), 6);
        assert_eq!(report.results().count(), 0);
    }

    #[test]
    fn a_cut_run_concludes_those_under_way_first() {
        // pc-002 is on its rung, pc-001 and pc-003 have ended, the other three wait.
        let mut records = testing::repair_run();
        let mut cut = records.split_off(4);
        records.push(cut.remove(1));
        records.push(cut.remove(2));
        let mut report = RunReport::from_records(&records);
        report.settle();
        let shown: Vec<String> = report
            .not_well()
            .iter()
            .map(|result| format!("{} {}", result.host, result.outcome))
            .collect();
        assert_eq!(
            shown,
            [
                "pc-002 unknown(repair/restart-netlogon)",
                "経理-04 skipped(not-reached)",
                "pc-005 skipped(not-reached)",
                "pc-006 skipped(not-reached)",
                "pc-003.corp.example.jp not-repaired(no-account(1787))",
            ]
        );
        assert_eq!(report.results().count(), report.hosts.len());
    }
}
