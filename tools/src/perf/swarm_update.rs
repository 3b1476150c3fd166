//! A rolling update of hivedns under the look-ups of a stub resolver with `timeout:1 attempts:3`.

use super::swarm_watch::{ENGINE, Events};
use crate::swarm::ask::{self, A, By};
use crate::swarm::engine::Container;
use crate::swarm::load::{Load, Report, Stub};
use crate::swarm::{Swarm, wait_for};
use std::net::{Ipv4Addr, SocketAddr};

/// Whom the stub resolver asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Servers {
    /// The published ports of its own node and of another.
    Two,
    /// That of its own node.
    One,
    /// The engine's resolver, which passes questions on to these two.
    Engine,
}

impl Servers {
    pub(super) fn title(self) -> &'static str {
        match self {
            Servers::Two => "its own node's and another's",
            Servers::One => "its own node's alone",
            Servers::Engine => "127.0.0.11, which asks these two",
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    pub(super) servers: Servers,
    /// Look-ups a second.
    pub(super) rate: u32,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) servers: Servers,
    pub(super) rate: u32,
    pub(super) report: Report,
    /// From the stop signal of the asker's hivedns until the next one answered as ready, in ms.
    pub(super) restart_ms: f64,
}

/// The machine whose published port is the asker's second server.
pub(super) fn other(swarm: &Swarm) -> Ipv4Addr {
    swarm.engine(3).node.address
}

/// Updates the service, forced, while a container on the second node looks up a task of the third.
pub(super) fn measure(swarm: &Swarm, asker: &Container, update: &Update) -> Result<Told, String> {
    let events = Events::start(swarm)?;
    let service = format!("fresh-{:?}", update.servers).to_lowercase();
    swarm.service(&service, &["--replicas", "3", "--replicas-max-per-node", "1"], &[]);
    swarm.wait_tasks(&service, 3);
    let name = format!("n3.m.{service}.hive.internal.");
    let servers: Vec<SocketAddr> = match update.servers {
        Servers::Two => vec![swarm.gateway(), (other(swarm), 53).into()],
        Servers::One => vec![swarm.gateway()],
        Servers::Engine => vec![ENGINE.into()],
    };
    wait_for("the name", || {
        let told = |server: &SocketAddr| ask::ask(asker.pid, *server, By::Udp, &name, A);
        servers.iter().all(|server| told(server).is_some_and(|told| told.answers.len() == 1))
    });
    let before: Vec<Container> = swarm.numbers().filter_map(|number| swarm.hivedns(number)).collect();
    eprintln!("  updating hivedns, asking {}, {}/s …", update.servers.title(), update.rate);
    let pid = asker.pid;
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
    swarm.remove(&[&service]);
    Ok(Told { servers: update.servers, rate: update.rate, report, restart_ms })
}
