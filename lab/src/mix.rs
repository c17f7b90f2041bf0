//! Which PCs a lab has.

use fleetmend_model::TransportKind;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::scenario::Scenario;

/// One PC to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PcPlan {
    /// What is wrong with it.
    pub scenario: Scenario,
    /// What it offers.
    pub transport: TransportKind,
    /// A Japanese Windows.
    pub japanese: bool,
    /// Writes stray output and progress records.
    pub noisy: bool,
    /// Multiplies the time that everything takes.
    pub slowness: f64,
    /// Whether all its ports are served, not only that of its transport.
    pub all_ports: bool,
}

impl PcPlan {
    /// Returns an ordinary PC over WinRM (HTTP).
    pub fn new(scenario: Scenario) -> Self {
        let transport = TransportKind::WinrmHttp;
        Self {
            scenario,
            transport,
            japanese: false,
            noisy: false,
            slowness: 1.0,
            all_ports: false,
        }
    }

    /// Returns it offering this transport instead.
    pub fn over(self, transport: TransportKind) -> Self {
        Self { transport, ..self }
    }

    /// Returns it with every port served.
    pub fn on_all_ports(self) -> Self {
        Self {
            all_ports: true,
            ..self
        }
    }

    /// Returns what it offers beside its transport.
    pub(crate) fn others(&self) -> impl Iterator<Item = TransportKind> {
        use TransportKind::{Ssh, WinrmHttp, WinrmHttps};
        let own = self.transport;
        let all = self.all_ports;
        [WinrmHttp, WinrmHttps, Ssh]
            .into_iter()
            .filter(move |other| all && *other != own)
    }

    /// Returns it with a Japanese Windows, and talkative.
    pub fn japanese(self) -> Self {
        Self {
            japanese: true,
            noisy: true,
            ..self
        }
    }
}

/// What kind of fleet it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Mix {
    /// A believable morning: mostly mismatches, and one of everything else.
    Demo,
    /// Every PC is in this state, over this transport.
    All(PcPlan),
    /// These PCs; `pcs` of the options is ignored.
    Plan(Vec<PcPlan>),
}

impl Mix {
    /// Returns the PCs, in the order of their numbers; with a seed, in an order drawn from it.
    pub fn plan(&self, pcs: usize, seed: Option<u64>) -> Vec<PcPlan> {
        let mut plan: Vec<PcPlan> = match self {
            Self::Demo => demo().into_iter().cycle().take(pcs).collect(),
            Self::All(pc) => vec![*pc; pcs],
            Self::Plan(plan) => plan.clone(),
        };
        if let Some(seed) = seed {
            plan.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        plan
    }
}

/// The 24 PCs of the demo.
fn demo() -> Vec<PcPlan> {
    use TransportKind::{Ssh, WinrmHttps};
    let pc = PcPlan::new;
    let mismatch = pc(Scenario::PasswordMismatch);
    vec![
        pc(Scenario::Healthy),
        mismatch,
        mismatch.over(WinrmHttps),
        pc(Scenario::NetlogonStopped),
        mismatch.japanese(),
        mismatch.over(Ssh),
        pc(Scenario::TimeSkew),
        pc(Scenario::AccountDeleted),
        pc(Scenario::WrongLocalPassword),
        pc(Scenario::Off),
        mismatch,
        pc(Scenario::NoController),
        PcPlan {
            slowness: 1.8,
            ..mismatch
        },
        pc(Scenario::LostSecret),
        pc(Scenario::Silent),
        mismatch.over(WinrmHttps),
        pc(Scenario::Healthy).over(Ssh).japanese(),
        pc(Scenario::DomainController),
        mismatch,
        pc(Scenario::MismatchWithoutNltest),
        pc(Scenario::AccountDisabled),
        pc(Scenario::LaggingController),
        pc(Scenario::Healthy).over(WinrmHttps),
        PcPlan {
            noisy: true,
            ..mismatch
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_one_of_everything_worth_showing() {
        let plan = Mix::Demo.plan(24, None);
        let count = |scenario| plan.iter().filter(|pc| pc.scenario == scenario).count();
        let mismatches = count(Scenario::PasswordMismatch);
        for scenario in Scenario::ALL {
            assert!(count(scenario) <= mismatches, "most PCs have a mismatch");
        }
        for scenario in [
            Scenario::Healthy,
            Scenario::TimeSkew,
            Scenario::AccountDeleted,
            Scenario::NoController,
            Scenario::WrongLocalPassword,
            Scenario::Off,
            Scenario::Silent,
            Scenario::DomainController,
        ] {
            assert!(count(scenario) >= 1, "{scenario:?}");
        }
        assert!(plan.iter().any(|pc| pc.japanese));
        assert!(plan.iter().any(|pc| pc.transport == TransportKind::Ssh));
    }

    #[test]
    fn a_seed_always_draws_the_same_order() {
        let order = |seed| Mix::Demo.plan(100, seed);
        assert_eq!(order(Some(7)), order(Some(7)));
        assert_ne!(order(Some(7)), order(Some(8)));
        assert_eq!(order(None).len(), 100);
    }
}
