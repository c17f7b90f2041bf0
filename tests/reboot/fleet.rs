//! Many PCs: staggered by site, and held against a second controller.

use std::time::Duration;

use fleetmend_lab::Pace;
use fleetmend_tests::finish;

use crate::bench::{Bench, all, done_once, pcs, quick};

#[tokio::test(flavor = "multi_thread")]
async fn no_more_pcs_of_a_site_restart_at_once_than_allowed() {
    let bench = Bench::start(pcs(60)).await;
    bench.each(|index, machine| {
        machine.restarts = quick();
        machine.site = ["東京", "大阪"][index % 2].to_owned();
    });
    let ended = bench
        .run(&["--max-reboots", "2", "--max-rebooting", "5"])
        .await;
    all(&ended, "repaired(mark-and-restart)");
    done_once(&bench);
    let counts = bench.site.lab.shared().restarts.by_site();
    assert_eq!(counts.len(), 2);
    for (site, counts) in counts {
        assert_eq!((counts.begun, counts.now), (60, 0), "{site}");
        assert!(counts.most <= 5, "{site}: {} at once", counts.most);
        assert!(counts.most >= 2, "{site}: one after the other");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_leaves_a_pc_alone_that_the_first_repairs() {
    let mut options = pcs(1);
    options.pace = Pace { scale: 1.0 };
    let bench = Bench::start(options).await;
    let first = bench.spawn(&["--max-reboots", "2"]);
    bench
        .until("held", |machine| machine.boot.lock.is_some())
        .await;
    let pc = &bench.site.lab.pcs()[0];
    let state = || {
        let machine = pc.sim.machine();
        (
            machine.registry.clone(),
            machine.secret,
            machine.boot.lock.clone(),
        )
    };
    let before = state();
    let other = bench.site.path("other-data");
    let mut arguments = bench.arguments("run", &["--max-reboots", "2"]);
    let at = arguments
        .iter()
        .position(|word| word == "--data-dir")
        .unwrap();
    arguments[at + 1] = other.into();
    let second = finish(bench.command(arguments).spawn().unwrap()).await;
    all(&second, "blocked(other-controller)");
    assert_eq!(state(), before, "it changed something");
    assert_eq!(pc.sim.machine().boot.orders, 0);
    pc.sim.machine().slowness = 0.01;
    let first = tokio::time::timeout(Duration::from_secs(60), finish(first)).await;
    all(&first.unwrap(), "repaired(mark-and-restart)");
    done_once(&bench);
}
