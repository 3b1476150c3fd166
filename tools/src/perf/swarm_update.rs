//! A rolling update of hivedns under the look-ups of a stub resolver with `timeout:1 attempts:3`.

use super::swarm_watch::Events;
use crate::swarm::ask::{self, A, By};
use crate::swarm::engine::Container;
use crate::swarm::load::{Load, Report, Stub};
use crate::swarm::{Swarm, wait_for};
use std::net::SocketAddr;

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    /// The published ports of that many nodes, the asker's first.
    pub(super) servers: usize,
    /// Look-ups a second.
    pub(super) rate: u32,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) servers: usize,
    pub(super) rate: u32,
    pub(super) report: Report,
    /// From the stop signal of the asker's hivedns until the next one answered as ready, in ms.
    pub(super) restart_ms: f64,
}

/// Updates the service, forced, while a container on the second node looks up a task of the third.
pub(super) fn measure(swarm: &Swarm, asker: &Container, update: &Update) -> Result<Told, String> {
    let events = Events::start(swarm)?;
    swarm.service("web", &["--replicas", "3", "--replicas-max-per-node", "1"], &[]);
    swarm.wait_tasks("web", 3);
    let name = "n3.m.web.hive.internal.";
    let servers: Vec<SocketAddr> =
        [swarm.gateway(), (swarm.engine(3).node.address, 53).into()][..update.servers].to_vec();
    wait_for("the name", || {
        let told = |server: &SocketAddr| ask::ask(asker.pid, *server, By::Udp, name, A);
        servers.iter().all(|server| told(server).is_some_and(|told| told.answers.len() == 1))
    });
    let before: Vec<Container> = swarm.numbers().filter_map(|number| swarm.hivedns(number)).collect();
    eprintln!("  updating hivedns, {} servers, {}/s …", update.servers, update.rate);
    let (pid, name) = (asker.pid, name.to_owned());
    let load = Load::start(Stub { pid, servers, name, rtype: A, rate: update.rate });
    swarm.manager().docker(&["service", "update", "--detach", "--quiet", "--force", "hivedns_hivedns"]);
    wait_for("another hivedns on every node", || {
        swarm
            .numbers()
            .all(|number| swarm.hivedns(number).is_some_and(|now| before.iter().all(|old| old.id != now.id)))
    });
    swarm.wait_united();
    let report = load.end();
    for failure in &report.failures {
        eprintln!("  failed at {:.3} s: {}", failure.at.as_secs_f64(), failure.why);
    }
    eprintln!(
        "  {} look-ups, {} failed, the longest {:?}",
        report.asked,
        report.failures.len(),
        report.longest
    );
    let old = before.iter().find(|old| old.node == asker.node).ok_or("hivedns did not run")?;
    let new = swarm.hivedns(2).ok_or("hivedns does not run")?;
    let (stopped, healthy) = (events.first(&old.id, "kill"), events.first(&new.id, "health_status: healthy"));
    let restart_ms = healthy.saturating_sub(stopped) as f64 / 1e6;
    swarm.remove("web");
    Ok(Told { servers: update.servers, rate: update.rate, report, restart_ms })
}
