//! A PC that answers on another transport after its restart.

use fleetmend_lab::machine::RestartFault;
use fleetmend_lab::{LabPorts, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;

use crate::bench::{Bench, all, done_once, pcs};

/// The ports that a client tries when it is told none.
const STANDARD: LabPorts = LabPorts {
    http: 5985,
    https: 5986,
    ssh: 22,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_comes_back_over_ssh_only_is_found() {
    let free = |port| std::net::TcpListener::bind(("127.65.0.1", port)).is_ok();
    if !(free(STANDARD.http) && free(STANDARD.https) && free(STANDARD.ssh)) {
        println!("SKIPPED: another transport after a restart, because port 22 cannot be had here");
        return;
    }
    let mut options = pcs(0);
    options.ports = STANDARD;
    options.mix = Mix::Plan(vec![PcPlan::new(Scenario::Healthy).on_all_ports()]);
    let bench = Bench::start(options).await;
    let pc = &bench.site.lab.pcs()[0];
    let inventory = format!(
        "all:\n  hosts:\n    {}:\n      ansible_host: {}\n      ansible_user: '.\\fleetadmin'\n\
         \x20     transport: auto\n      tls: lab-ca.pem\n      ssh:\n        known_hosts: known_hosts\n",
        pc.name,
        pc.address.ip()
    );
    std::fs::write(bench.site.path("lab.yaml"), inventory).unwrap();
    bench.fault(RestartFault::ReturnsOver(TransportKind::Ssh));
    all(
        &bench.run(&["--max-reboots", "2"]).await,
        "repaired(mark-and-restart)",
    );
    done_once(&bench);
    assert!(bench.site.lab.ssh().connections() > 0);
}
