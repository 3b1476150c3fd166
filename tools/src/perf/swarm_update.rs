//! A rolling update of hivedns under the look-ups of a stub resolver with `timeout:1 attempts:3`.

use super::swarm_watch::{ENGINE, Events};
use crate::swarm::ask::{self, A, By};
use crate::swarm::engine::Container;
use crate::swarm::load::{Load, Report, Stub};
use crate::swarm::{Swarm, wait_for};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// As the process is called.
const PROXY: &str = "docker-proxy\n";

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
    /// Of the asker's own node.
    pub(super) restart: Restart,
}

/// A node's restart of hivedns: ms from the stop signal until the engine said so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart {
    /// The old one had ended.
    pub(super) ended: f64,
    /// The new one ran.
    pub(super) started: f64,
    /// It was found to be ready, which is looked at every few seconds.
    pub(super) healthy: f64,
}

/// The machine whose published port is the asker's second server.
pub(super) fn other(swarm: &Swarm) -> Ipv4Addr {
    swarm.engine(3).node.address
}

/// The ports that the askers' look-ups come from: fewer than the files that an engine's proxy may open. It keeps one for each
/// port of a client for 90 s, and has nothing but silence for further ones when it has no more; an engine's service may open
/// a million, a shell's child less.
const PORTS: RangeInclusive<u16> = 32_768..=47_103;
/// What the proxy opens besides, at most.
const BESIDE: u64 = 64;

/// The askers' setting that has it so.
pub(super) fn ports() -> String {
    format!("net.ipv4.ip_local_port_range={} {}", PORTS.start(), PORTS.end())
}

/// Fails where the engines' proxies may not open that many files: look-ups would fail for that reason alone.
fn proxies_suffice() -> Result<(), String> {
    // Only our own processes are seen here.
    let processes = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let paths = processes.flatten().map(|entry| entry.path());
    let proxies = paths.filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm == PROXY));
    let limits = proxies.filter_map(|path| {
        let limits = fs::read_to_string(path.join("limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let limit = line.split_whitespace().next()?;
        Some(if limit == "unlimited" { u64::MAX } else { limit.parse().ok()? })
    });
    let (least, needed) = (limits.min().ok_or("no proxy of an engine runs")?, PORTS.len() as u64 + BESIDE);
    match least >= needed {
        true => Ok(()),
        false => {
            Err(format!("an engine's proxy may open {least} files, and needs {needed}: raise `ulimit -n`"))
        }
    }
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
    proxies_suffice()?;
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
        let [began, at] = [failure.began, failure.at].map(|at| at.as_secs_f64());
        eprintln!("  failed: begun at {began:.3} s, given up at {at:.3} s: {}", failure.why);
    }
    eprintln!(
        "  {} look-ups, {} failed, the longest {:?}",
        report.asked,
        report.failures.len(),
        report.longest
    );
    let old = before.iter().find(|old| old.node == asker.node).ok_or("hivedns did not run")?;
    let new = swarm.hivedns(2).ok_or("hivedns does not run")?;
    let stopped = events.first(&old.id, "kill");
    let after = |id, action| events.first(id, action).saturating_sub(stopped) as f64 / 1e6;
    let restart = Restart {
        ended: after(&old.id, "die"),
        started: after(&new.id, "start"),
        healthy: after(&new.id, "health_status: healthy"),
    };
    eprintln!("  {restart:.0?}, without an answer for {:?}", report.gap);
    swarm.remove(&[&service]);
    Ok(Told { servers: update.servers, rate: update.rate, report, restart })
}
