//! The fewest exchanges: Create, Command, Send, Receive, Delete, and one Send and Receive for
//! each further step.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use fleetmend_lab::winrm::Action;
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Site, scripts, with};

async fn exchanges(scenario: Scenario, transport: TransportKind) -> Vec<(Action, u64)> {
    let mut options = LabOptions::new(1, scripts());
    options.mix = Mix::All(PcPlan::new(scenario).over(transport));
    let site = Site::start(options).await;
    let ended = site
        .run(with(site.run_arguments(), ["--output", "json"]))
        .await;
    let pc = site.lab.pcs().first().unwrap();
    assert_eq!(
        ended.outcomes()[&pc.name],
        pc.expected.to_string(),
        "{}",
        ended.err()
    );
    let counters = pc.winrm.as_ref().unwrap().counters();
    let of = |action| (action, counters.exchanges(action));
    vec![
        of(Action::Create),
        of(Action::Command),
        of(Action::Send),
        of(Action::Receive),
        of(Action::Signal),
        of(Action::Delete),
    ]
}

/// What `steps` steps in one process cost.
fn fewest(steps: u64) -> Vec<(Action, u64)> {
    vec![
        (Action::Create, 1),
        (Action::Command, 1),
        (Action::Send, steps),
        (Action::Receive, steps),
        (Action::Signal, 0),
        (Action::Delete, 1),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_pc_costs_one_step() {
    for transport in [TransportKind::WinrmHttp, TransportKind::WinrmHttps] {
        assert_eq!(
            exchanges(Scenario::Healthy, transport).await,
            fewest(1),
            "{transport}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_with_one_rung_costs_four_steps() {
    // Diagnose, holding the PC, the rung's one step, verify.
    for transport in [TransportKind::WinrmHttp, TransportKind::WinrmHttps] {
        let found = exchanges(Scenario::NetlogonStopped, transport).await;
        assert_eq!(found, fewest(4), "{transport}");
    }
}
