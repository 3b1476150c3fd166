//! Queries a second from inside a container, and what each costs whom, by every way to a resolver.

use super::swarm_watch::ENGINE;
use crate::gun::{Idle, Pace, Plan, Rule, fire};
use crate::process::{own_cpu_ns, usage};
use crate::questions::{Expect, Kind, Questions};
use crate::swarm::ask::{self, A, By};
use crate::swarm::engine::Container;
use crate::swarm::{Swarm, seat, wait_for};
use std::net::SocketAddr;
use std::time::Duration;

/// Tasks of the service that is asked for.
const TASKS: usize = 3;
/// When a question is lost.
const LOST_AFTER: Duration = Duration::from_millis(500);
/// A look-up in the engine's resolver and one in hivedns, warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub(super) rounds: usize,
    /// Of one run.
    pub(super) time: Duration,
    /// Questions under way.
    pub(super) outstanding: usize,
}

/// A way to a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// hivedns of the asker's node, by its address in the overlay.
    Overlay,
    /// hivedns of another node.
    OverlayOther,
    /// hivedns of the asker's node, by the port that the engine publishes.
    Host,
    /// The engine's own resolver.
    Engine,
}

/// All of them, in the order in which they are measured in each round.
pub(super) const WAYS: [Way; 4] = [Way::Overlay, Way::Engine, Way::OverlayOther, Way::Host];

impl Way {
    pub(super) fn title(self) -> &'static str {
        match self {
            Way::Overlay => "hivedns, overlay, own node",
            Way::OverlayOther => "hivedns, overlay, another node",
            Way::Host => "hivedns, published port of the own node",
            Way::Engine => "127.0.0.11",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) way: Way,
    pub(super) round: usize,
    pub(super) qps: f64,
    /// CPU of the resolver's process per answer, in µs; of the published port also that of the engine's proxy.
    pub(super) cpu_us: f64,
    pub(super) lost: u64,
    pub(super) wrong: u64,
}

/// Asks for one service by all ways in turn, from a container on the second node.
pub(super) fn measure(swarm: &Swarm, asker: &Container, course: &Course) -> Result<Vec<Run>, String> {
    swarm.service("web", &["--replicas", &TASKS.to_string()], &[]);
    swarm.wait_tasks("web", TASKS);
    wait_for("the service's name", || {
        let told = ask::ask(asker.pid, swarm.listener(2), By::Udp, "web.hive.internal.", A);
        told.is_some_and(|told| told.answers.len() == TASKS)
    });
    let own = swarm.hivedns(2).ok_or("hivedns does not run")?;
    let other = swarm.hivedns(3).ok_or("hivedns does not run")?;
    let daemon = swarm.engine(2).pid();
    let mut runs = Vec::new();
    for round in 0..course.rounds {
        for way in WAYS {
            let target: SocketAddr = match way {
                Way::Overlay => swarm.listener(2),
                Way::OverlayOther => swarm.listener(3),
                Way::Host => swarm.gateway(),
                Way::Engine => ENGINE.into(),
            };
            let cpu_ns = || match way {
                Way::Overlay => usage(own.pid).cpu_ns,
                Way::OverlayOther => usage(other.pid).cpu_ns,
                Way::Host => usage(own.pid).cpu_ns + usage(daemon).cpu_ns,
                Way::Engine => own_cpu_ns(daemon),
            };
            shoot(asker, way, target, WARM_UP, course.outstanding)?;
            let before = cpu_ns();
            let report = shoot(asker, way, target, course.time, course.outstanding)?;
            let cpu_us = (cpu_ns() - before) as f64 / 1e3 / report.answered.max(1) as f64;
            let run = Run {
                way,
                round,
                qps: report.answered as f64 / report.seconds,
                cpu_us,
                lost: report.lost,
                wrong: report.wrong.total(),
            };
            let Run { qps, lost, wrong, .. } = run;
            let title = way.title();
            eprintln!(
                "  round {}: {title}: {qps:.0}/s, {cpu_us:.2} µs, {lost} lost, {wrong} wrong",
                round + 1
            );
            runs.push(run);
        }
    }
    swarm.remove(&["web"]);
    Ok(runs)
}

fn shoot(
    asker: &Container,
    way: Way,
    target: SocketAddr,
    time: Duration,
    outstanding: usize,
) -> Result<crate::gun::Report, String> {
    let name = if way == Way::Engine { "web." } else { "web.hive.internal." };
    let mut questions = Questions::default();
    let authoritative = way != Way::Engine;
    let expect = Expect { kind: Kind::Hit, rcode: 0, authoritative, answers: TASKS as u8 };
    questions.push(expect, |out| out.extend(ask::query(0, name, A)));
    let plan = Plan {
        target,
        sockets: 1,
        time,
        limit: None,
        pace: Pace::Closed { outstanding },
        timeout: LOST_AFTER,
        rule: Rule::Answer,
        // Who is asked shares the cores with who asks.
        idle: Idle::Yield,
    };
    seat::within(asker.pid, || fire(&plan, &questions)).map_err(|error| error.to_string())?
}
