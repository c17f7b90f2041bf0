//! Runs over hosts of both platforms.

use std::sync::Arc;

use crate::support::{
    MemoryJournal, Pc, World, outcomes, posix_program, program, quiet, run_world,
};
use fleetmend_engine::{Job, Programs, RunPlan};
use fleetmend_model::{Event, Platform};
use serde_json::json;

/// Two Windows PCs and a posix one.
fn mixed(programs: Programs) -> (Arc<World>, RunPlan) {
    let pcs = [Pc::broken("restart"), Pc::broken("reset"), Pc::default()];
    let world = World::new(pcs, MemoryJournal::new(None));
    let mut plan = world.plan();
    plan.job = Job::Playbook(Arc::new(programs));
    Arc::make_mut(&mut plan.hosts[1]).platform = Platform::Posix;
    (world, plan)
}

fn digest(world: &World) -> String {
    match &world.journal.records()[0].event {
        Event::RunStarted { digest, .. } => digest.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pc_without_a_program_is_not_connected_to() {
    let (world, plan) = mixed(program().into());
    plan.check().unwrap();
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        outcomes(&report),
        [
            ("healthy".into(), 1),
            ("repaired(restart)".into(), 1),
            ("skipped(platform)".into(), 1)
        ]
        .into()
    );
    assert!(!world.connects.lock().unwrap().contains_key("pc-0001"));
    assert!(report.results[1].reason.contains("posix"));
    assert_eq!(digest(&world), "00");
}

#[tokio::test(start_paused = true)]
async fn each_platform_has_its_program() {
    let (world, plan) = mixed(Programs::new(program(), [posix_program()]));
    let report = run_world(&world, plan, quiet()).await;
    assert_eq!(
        outcomes(&report),
        [
            ("healthy".into(), 1),
            ("repaired(reset)".into(), 1),
            ("repaired(restart)".into(), 1)
        ]
        .into()
    );
    // SHA-256 of "00\n01\n".
    assert_eq!(
        digest(&world),
        "1c105f9449b5ed4d254f42198751df280143b308454300cbc87d903050d1e11c"
    );
}

#[test]
fn what_another_program_knows_is_left_out_and_what_none_knows_is_refused() {
    let (_, mut plan) = mixed(Programs::new(program(), [posix_program()]));
    plan.params.insert("rotate".into(), json!("false"));
    plan.params.insert("shell".into(), json!("dash"));
    plan.check().unwrap();
    plan.params.insert("shel".into(), json!("dash"));
    let (host, error) = plan.check().unwrap_err();
    assert_eq!(host.0, "pc-0000");
    assert!(error.to_string().contains("shel"), "{error}");
    plan.params.remove("shel");
    plan.job = Job::Playbook(Arc::new(posix_program().into()));
    let (host, _) = plan.check().unwrap_err();
    assert_eq!(
        host.0, "pc-0001",
        "only this one has a program: it knows no `rotate`"
    );
}
