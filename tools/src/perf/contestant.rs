//! A server under measurement: started on its core, loaded, its processor time read before and after.

use super::results::{PeerResult, Run};
use crate::clock;
use crate::gun::{Idle, Pace, Plan, fire, first_answer};
use crate::peers::{Peer, Site};
use crate::process::{Server, memory, prefer_session, usage};
use crate::questions::Questions;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a server may take to its first right answer.
const START_TIME: Duration = Duration::from_secs(120);
/// How long a server may settle before its memory is read.
const SETTLE_TIME: Duration = Duration::from_millis(1500);
/// When a question is lost: of 192 under way each is answered within milliseconds, or not at all.
const LOST_AFTER: Duration = Duration::from_millis(500);

/// A server under measurement, and what is known of it.
pub(super) struct Contestant {
    pub(super) server: Server,
    pub(super) listen: SocketAddr,
    pub(super) result: PeerResult,
}

/// A run of the gun, closed loop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volley {
    /// How long it lasts at most.
    pub(super) time: Duration,
    /// How many questions it has at most.
    pub(super) limit: Option<u64>,
    /// How many are under way.
    pub(super) outstanding: usize,
    /// From how many sockets.
    pub(super) sockets: usize,
    /// Others work on the gun's core.
    pub(super) shares_core: bool,
}

impl Contestant {
    /// Starts a server and waits for its first right answer; nothing else runs meanwhile. With `raised` its priority is
    /// the run's own.
    pub(super) fn enter(
        peer: Peer,
        site: &Site,
        questions: &Questions,
        core: usize,
        raised: bool,
    ) -> Result<Contestant, String> {
        let mut server = peer.start(core, site)?;
        let first_answer_ms = if peer == Peer::Echo {
            None
        } else {
            let (started, alive) = (server.started, || server.alive());
            let time = first_answer(site.listen, questions, peer.rule(), started, START_TIME, alive);
            let time = time.map_err(|error| format!("{}: {error}", peer.title()))?;
            Some(time.as_secs_f64() * 1e3)
        };
        server.hold(core)?;
        // Some servers open a session of their own.
        if raised {
            prefer_session(server.pid());
        }
        clock::pause(SETTLE_TIME);
        let memory = memory(server.pid());
        eprintln!(
            "  {:8} first right answer after {:.0} ms; {} MiB, at the peak {} MiB",
            peer.slug(),
            first_answer_ms.unwrap_or(0.0),
            memory.resident_kib >> 10,
            memory.peak_kib >> 10
        );
        let result = PeerResult {
            peer,
            first_answer_ms,
            loaded_kib: memory.resident_kib,
            resident_kib: 0,
            peak_kib: memory.peak_kib,
            gun: Vec::new(),
            dnsperf: Vec::new(),
        };
        Ok(Contestant { server, listen: site.listen, result })
    }

    /// One run of the gun.
    pub(super) fn fire(&self, questions: &Questions, volley: &Volley, round: usize) -> Result<Run, String> {
        let plan = Plan {
            target: self.listen,
            sockets: volley.sockets.clamp(1, volley.outstanding),
            time: volley.time,
            limit: volley.limit,
            pace: Pace::Closed { outstanding: volley.outstanding },
            timeout: LOST_AFTER,
            rule: self.result.peer.rule(),
            idle: if volley.shares_core { Idle::Yield } else { Idle::Spin },
        };
        let pid = self.server.pid();
        let before = usage(pid);
        let report = fire(&plan, questions)?;
        let after = usage(pid);
        if report.answered == 0 {
            return Err(format!("{} does not answer any more", self.result.peer.title()));
        }
        Ok(Run {
            round,
            answered: report.answered,
            lost: report.lost,
            wrong: report.wrong.total(),
            seconds: report.seconds,
            cpu_ns: after.cpu_ns - before.cpu_ns,
            cpu_ticks: after.cpu_ticks - before.cpu_ticks,
            p50_us: report.latency_us.p50,
            p99_us: report.latency_us.p99,
        })
    }
}

/// Says on the terminal what a run came to.
pub(super) fn tell(peer: Peer, load: &str, round: usize, run: &Run) {
    eprintln!(
        "  {:8} {load:8} round {}: {:6.1}k answers/s, {:.2} µs CPU per answer, {:3.0} % busy, {} lost, {} wrong",
        peer.slug(),
        round + 1,
        run.kqps(),
        run.cpu_us(),
        run.busy() * 100.0,
        run.lost,
        run.wrong
    );
}
