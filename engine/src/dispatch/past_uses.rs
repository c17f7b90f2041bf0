//! Which accounts a run that was cut had used, and what PCs said of their own.

use std::collections::BTreeMap;

use fleetmend_model::{CredentialRef, CredentialUse, HostEvent, HostName, StepEnd};

use super::fresh_logon::LOGON_UNANSWERED;
use super::local_attempts::Before;
use crate::connect_failure::{INTERRUPTED, LOCAL_LOGON, UNANSWERED};
use crate::machine::LOGON_REFUSED;

/// Credentials by name, each with the account that it was.
pub(super) type Named = BTreeMap<CredentialRef, String>;

/// The uses of accounts in a run, folded from its events.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// By the PC for which they were.
    pcs: BTreeMap<HostName, OfPc>,
    /// By the PC that was logged on to, and its account.
    attempts: AttemptsAt,
}

type AttemptsAt = BTreeMap<HostName, BTreeMap<String, Attempts>>;

#[derive(Clone, Debug, Default)]
struct OfPc {
    /// The attempt to log on that was announced last.
    last: Option<Attempt>,
    /// What rungs were handed.
    handed: BTreeMap<String, Named>,
}

#[derive(Clone, Debug)]
struct Attempt {
    /// Where: a step may run on another PC than the one for which it runs.
    at: HostName,
    name: CredentialRef,
    account: String,
    /// Amid a step, beside the PC's own session.
    amid: bool,
    /// Its answer has not come.
    open: bool,
}

#[derive(Clone, Debug, Default)]
struct Attempts {
    before: Before,
    accepted: bool,
}

/// What a PC had said of one of its accounts before a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnBefore {
    pub(super) host: HostName,
    pub(super) account: String,
    pub(super) before: Before,
}

impl Uses {
    /// Takes one more event in; `running`: a step was announced on the PC and has not ended.
    pub(super) fn apply(&mut self, host: &HostName, what: &HostEvent, running: bool) {
        match what {
            HostEvent::CredentialUsed {
                credential,
                account,
                what_for,
            } => {
                self.used(host, (credential, account), what_for, running);
            }
            HostEvent::Connected { .. } => self.answered(host, false, Some(true)),
            // Whether the password was on its way when the operator stopped it is not told.
            HostEvent::ConnectFailed { why, .. } if why == UNANSWERED || why == INTERRUPTED => {
                self.unanswered(host, false);
            }
            HostEvent::ConnectFailed { why, .. } => {
                self.answered(host, false, (why == LOCAL_LOGON).then_some(false));
            }
            HostEvent::StepEnded {
                end: StepEnd::NotRun { .. },
                ..
            } => self.unanswered(host, true),
            HostEvent::StepEnded {
                end: StepEnd::Failed { error_id, .. },
                ..
            } if error_id == LOGON_UNANSWERED => self.unanswered(host, true),
            HostEvent::StepEnded { end, .. } => {
                let word = match end {
                    StepEnd::Answered { .. } => Some(true),
                    StepEnd::Failed { error_id, .. } if error_id == LOGON_REFUSED => Some(false),
                    _ => None,
                };
                self.answered(host, true, word);
            }
            _ => {}
        }
    }

    /// The run was cut here, and goes on.
    pub(super) fn resume(&mut self) {
        for pc in self.pcs.values_mut() {
            pc.cut(&mut self.attempts);
            pc.last = None;
        }
        // Passwords are given anew, and may be others.
        let each = self.attempts.values_mut().flat_map(BTreeMap::values_mut);
        each.for_each(|attempts| attempts.accepted = false);
    }

    /// Returns the credential and account with which the PC was logged on to last.
    pub(super) fn logon(&self, host: &HostName) -> Named {
        self.last(host, false).collect()
    }

    /// Returns what the rung was handed on this PC, and what its step logged on with last.
    pub(super) fn handed(&self, host: &HostName, rung: &str) -> Named {
        let handed = self.pcs.get(host).and_then(|pc| pc.handed.get(rung));
        let mut named = handed.cloned().unwrap_or_default();
        named.extend(self.last(host, true));
        named
    }

    /// Tells whether events named the accounts that were used for the PC; those of an earlier
    /// fleetmend did not.
    pub(super) fn are_named(&self, host: &HostName) -> bool {
        self.pcs.contains_key(host)
    }

    fn last(&self, host: &HostName, amid: bool) -> impl Iterator<Item = (CredentialRef, String)> {
        let last = self.pcs.get(host).and_then(|pc| pc.last.as_ref());
        let last = last.filter(|last| last.amid == amid);
        last.map(|last| (last.name.clone(), last.account.clone()))
            .into_iter()
    }

    /// Returns what PCs said of accounts, where it speaks against another attempt.
    pub(super) fn into_before(self) -> Vec<OwnBefore> {
        let pcs = self.attempts.into_iter();
        let each = pcs.flat_map(|(host, accounts)| {
            let accounts = accounts.into_iter();
            accounts.map(move |(account, attempts)| OwnBefore {
                host: host.clone(),
                account,
                before: attempts.before,
            })
        });
        each.filter(|own| own.before != Before::default()).collect()
    }

    fn used(
        &mut self,
        host: &HostName,
        (name, account): (&CredentialRef, &str),
        what_for: &CredentialUse,
        running: bool,
    ) {
        let pc = self.pcs.entry(host.clone()).or_default();
        let (at, amid) = match what_for {
            CredentialUse::Rung { rung } if !running => {
                let handed = pc.handed.entry(rung.clone()).or_default();
                handed.insert(name.clone(), account.to_owned());
                return;
            }
            CredentialUse::Rung { .. } => (host, true),
            CredentialUse::Elsewhere { on, .. } => (on, true),
            CredentialUse::Logon => (host, false),
        };
        // The next one is tried only after the one before was refused.
        if let Some(last) = pc.last.take().filter(|last| last.open) {
            of(&mut self.attempts, &last).refused(&last.name);
        }
        pc.last = Some(Attempt {
            at: at.clone(),
            name: name.clone(),
            account: account.to_owned(),
            amid,
            open: true,
        });
    }

    /// The attempt that was announced last ended, and the PC may have refused it.
    fn unanswered(&mut self, host: &HostName, amid: bool) {
        if let Some(pc) = self.pcs.get_mut(host)
            && pc.last.as_ref().is_some_and(|last| last.amid == amid)
        {
            pc.cut(&mut self.attempts);
        }
    }

    /// The PC has said something, or nothing, of the attempt that was announced last.
    fn answered(&mut self, host: &HostName, amid: bool, accepted: Option<bool>) {
        let Some(pc) = self.pcs.get_mut(host) else {
            return;
        };
        let Some(last) = pc.last.as_mut().filter(|last| last.amid == amid) else {
            return;
        };
        let open = std::mem::take(&mut last.open);
        let attempts = of(&mut self.attempts, last);
        match accepted {
            Some(true) => {
                attempts.accepted = true;
                attempts.before.cut = 0;
            }
            Some(false) if open => attempts.refused(&last.name),
            Some(false) | None => {}
        }
    }
}

impl OfPc {
    /// What was announced last has no answer and will have none.
    fn cut(&mut self, all: &mut AttemptsAt) {
        let Some(last) = self.last.as_mut().filter(|last| last.open) else {
            return;
        };
        last.open = false;
        let attempts = of(all, last);
        if !attempts.accepted {
            attempts.before.cut += 1;
        }
    }
}

/// Returns what is counted for the account of an attempt, at the PC that judges it.
fn of<'a>(all: &'a mut AttemptsAt, attempt: &Attempt) -> &'a mut Attempts {
    let pc = all.entry(attempt.at.clone()).or_default();
    pc.entry(attempt.account.clone()).or_default()
}

impl Attempts {
    fn refused(&mut self, name: &CredentialRef) {
        if !self.accepted {
            *self.before.refused.entry(name.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{Phase, StepRef, TransportKind};

    use super::*;

    fn pc() -> HostName {
        HostName("pc-1".into())
    }

    fn used(name: &str, what_for: CredentialUse) -> HostEvent {
        HostEvent::CredentialUsed {
            credential: CredentialRef(name.into()),
            account: "admin".into(),
            what_for,
        }
    }

    fn logon(name: &str) -> HostEvent {
        used(name, CredentialUse::Logon)
    }

    fn failed(why: &str) -> HostEvent {
        HostEvent::ConnectFailed {
            why: why.into(),
            reason: String::new(),
        }
    }

    fn connected() -> HostEvent {
        HostEvent::Connected {
            transport: TransportKind::Ssh,
            address: "pc-1:22".into(),
        }
    }

    /// `None` stands for a cut after which the run goes on.
    fn before(events: &[Option<HostEvent>]) -> (u32, u32) {
        let mut uses = Uses::default();
        for event in events {
            match event {
                Some(event) => uses.apply(&pc(), event, false),
                None => uses.resume(),
            }
        }
        let own = uses.into_before();
        let own = own
            .first()
            .map(|own| own.before.clone())
            .unwrap_or_default();
        (own.refused.values().sum(), own.cut)
    }

    #[test]
    fn only_what_was_not_answered_before_a_cut_is_in_doubt() {
        let one = || Some(logon("a"));
        for (events, expected) in [
            (vec![one(), None], (0, 1)),
            (vec![one(), None, one(), None], (0, 2)),
            (vec![one(), Some(failed("logon")), None], (1, 0)),
            (vec![one(), Some(failed("timed-out")), None], (0, 0)),
            // Nothing came back after it was sent, or the operator stopped it.
            (vec![one(), Some(failed("unanswered")), None], (0, 1)),
            (vec![one(), Some(failed("interrupted")), None], (0, 1)),
            (
                vec![
                    one(),
                    Some(failed("unanswered")),
                    one(),
                    Some(failed("unanswered")),
                ],
                (0, 2),
            ),
            (vec![Some(failed("interrupted")), None], (0, 0)),
            (vec![one(), Some(connected()), None], (0, 0)),
            // A reconnect that was cut: it had been accepted in this run.
            (vec![one(), Some(connected()), one(), None], (0, 0)),
            (vec![one(), Some(connected()), None, one(), None], (0, 1)),
            (vec![one(), None, one(), Some(connected()), None], (0, 0)),
            // The second of a list, which is tried only after the first was refused.
            (vec![one(), one(), None], (1, 1)),
            (vec![one(), one(), Some(failed("logon")), None], (2, 0)),
            // Barred, without an attempt.
            (vec![Some(failed("logon")), None], (0, 0)),
        ] {
            assert_eq!(before(&events), expected, "{events:?}");
        }
    }

    #[test]
    fn what_a_rung_is_handed_is_no_attempt_but_a_logon_amid_a_step_is() {
        let rung = || CredentialUse::Rung {
            rung: "join".into(),
        };
        let mut uses = Uses::default();
        uses.apply(&pc(), &used("domain", rung()), false);
        let handed = uses.handed(&pc(), "join");
        assert_eq!(handed[&CredentialRef("domain".into())], "admin");
        uses.resume();
        assert!(uses.clone().into_before().is_empty());

        uses.apply(&pc(), &used("rescue", rung()), true);
        let step = StepRef {
            phase: Phase::Preflight,
            rung: Some("join".into()),
            step: "rescue".into(),
        };
        let end = StepEnd::Failed {
            error_id: LOGON_REFUSED.to_owned(),
            code: None,
            message: String::new(),
        };
        let mut refused = uses.clone();
        let ended = HostEvent::StepEnded {
            step,
            end,
            elapsed_ms: 1,
        };
        refused.apply(&pc(), &ended, true);
        assert_eq!(refused.into_before()[0].before.refused.len(), 1);
        uses.resume();
        assert_eq!(uses.into_before()[0].before.cut, 1);
    }
    #[test]
    fn a_logon_on_another_pc_counts_there() {
        let dc = HostName("dc-1".into());
        let elsewhere = used(
            "local-admin",
            CredentialUse::Elsewhere {
                rung: "rejoin".into(),
                on: dc.clone(),
            },
        );
        let mut uses = Uses::default();
        uses.apply(&pc(), &logon("local-admin"), false);
        uses.apply(&pc(), &connected(), false);
        uses.apply(&pc(), &elsewhere, true);
        uses.resume();
        // Another PC's step, at the same server.
        let other = HostName("pc-2".into());
        uses.apply(&other, &elsewhere, true);
        uses.resume();
        let before = uses.into_before();
        assert_eq!(before.len(), 1, "{before:?}");
        assert_eq!(before[0].host, dc);
        assert_eq!(before[0].before.cut, 2);
    }

    #[test]
    fn a_step_names_what_it_logged_on_with() {
        let mut uses = Uses::default();
        assert!(!uses.are_named(&pc()));
        let rung = || CredentialUse::Rung {
            rung: "join".into(),
        };
        uses.apply(&pc(), &used("domain", rung()), false);
        uses.apply(&pc(), &used("rescue", rung()), true);
        let named = uses.handed(&pc(), "join");
        let names: Vec<&str> = named.keys().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["domain", "rescue"]);
        assert!(uses.logon(&pc()).is_empty());
        assert!(uses.are_named(&pc()));
    }
}
