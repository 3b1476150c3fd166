//! The rounds: all servers of one zone size, measured in turn.

use super::results::{PeerResult, Run, SizeResult};
use crate::gun::{Pace, Plan, Rule, fire, first_answer};
use crate::peers::{Peer, Site};
use crate::population::Population;
use crate::process::{Server, memory, prefer_session, usage};
use crate::queries::{MixArgs, generate, write_dnsperf};
use crate::questions::Questions;
use crate::{clock, socket, zone};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The first port; each server takes two.
const PORT: u16 = 5320;
/// How long a server may take to its first right answer.
const START_TIME: Duration = Duration::from_secs(120);
/// How long a server may settle before its memory is read.
const SETTLE_TIME: Duration = Duration::from_millis(1500);
/// A run before the first round: buffers, caches and branch predictors warm up.
const WARM_UP: Duration = Duration::from_millis(500);
/// dnsperf's answers under way.
const DNSPERF_OUTSTANDING: &str = "192";

/// What to measure, and how.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) names: usize,
    pub(super) seed: u64,
    pub(super) questions: usize,
    pub(super) peers: Vec<Peer>,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) outstanding: usize,
    pub(super) server_core: usize,
    pub(super) load_core: usize,
    pub(super) dnsperf: bool,
    pub(super) raised: bool,
    pub(super) scratch: PathBuf,
    pub(super) repository: PathBuf,
}

/// A server under measurement.
struct Contestant {
    server: Server,
    listen: SocketAddr,
    result: PeerResult,
}

/// Measures all servers with one zone.
pub(super) fn measure(course: &Course) -> Result<SizeResult, String> {
    eprintln!("{} names: generating the zone and {} questions …", course.names, course.questions);
    let origin = "example.test.".to_owned();
    let mix = MixArgs {
        zone_names: course.names,
        zone_seed: course.seed,
        seed: course.seed,
        origin: origin.clone(),
        count: course.questions,
        ..MixArgs::default()
    };
    let zone = course.scratch.join(format!("{}.zone", course.names));
    let lines = course.scratch.join(format!("{}.dnsperf", course.names));
    let failed = |error: std::io::Error| format!("{}: {error}", course.scratch.display());
    let questions = {
        let population = Population::generate(course.names, course.seed);
        zone::write_file(&population, &origin, &zone).map_err(failed)?;
        if course.dnsperf {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&lines).map_err(failed)?);
            write_dnsperf(&population, &mix, &mut out).and_then(|()| out.flush()).map_err(failed)?;
        }
        generate(&population, &mix)
    };
    socket::pin(course.load_core)?;
    let mut contestants = Vec::new();
    for (place, &peer) in course.peers.iter().enumerate() {
        let port = PORT + 2 * place as u16;
        let site = Site {
            directory: course.scratch.join(format!("{}-{}", peer.slug(), course.names)),
            repository: course.repository.clone(),
            origin: origin.clone(),
            zone: zone.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        contestants.push(enter(course, peer, &site, &questions)?);
    }
    for contestant in &mut contestants {
        fire_at(course, contestant, &questions, WARM_UP, 0)?;
    }
    for round in 0..course.rounds {
        for contestant in &mut contestants {
            let time = Duration::from_secs_f64(course.seconds);
            let run = fire_at(course, contestant, &questions, time, round)?;
            contestant.result.gun.push(run);
            tell(contestant.result.peer, "gun", round, &run);
        }
    }
    if course.dnsperf {
        for round in 0..course.rounds {
            for contestant in &mut contestants {
                let run = dnsperf_at(course, contestant, &lines, round)?;
                contestant.result.dnsperf.push(run);
                tell(contestant.result.peer, "dnsperf", round, &run);
            }
        }
    }
    for contestant in &mut contestants {
        let memory = memory(contestant.server.pid());
        (contestant.result.resident_kib, contestant.result.peak_kib) = (memory.resident_kib, memory.peak_kib);
    }
    let peers = contestants.iter().map(|contestant| contestant.result.clone()).collect();
    Ok(SizeResult { names: course.names, peers })
}

fn tell(peer: Peer, load: &str, round: usize, run: &Run) {
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

/// Starts a server and waits for its first right answer; nothing else runs meanwhile.
fn enter(course: &Course, peer: Peer, site: &Site, questions: &Questions) -> Result<Contestant, String> {
    let mut server = peer.start(course.server_core, site)?;
    let first_answer_ms = if peer == Peer::Echo {
        None
    } else {
        let time = first_answer(site.listen, questions, server.started, START_TIME, || server.alive());
        let time = time.map_err(|error| format!("{}: {error}", peer.title()))?;
        Some(time.as_secs_f64() * 1e3)
    };
    server.hold(course.server_core)?;
    // Some servers open a session of their own.
    if course.raised {
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

/// One run of the gun, closed loop.
fn fire_at(
    course: &Course,
    contestant: &mut Contestant,
    questions: &Questions,
    time: Duration,
    round: usize,
) -> Result<Run, String> {
    let plan = Plan {
        target: contestant.listen,
        sockets: 1,
        time,
        limit: None,
        pace: Pace::Closed { outstanding: course.outstanding },
        timeout: Duration::from_millis(500),
        rule: if contestant.result.peer == Peer::Echo { Rule::Echo } else { Rule::Answer },
        yields: false,
    };
    let pid = contestant.server.pid();
    let before = usage(pid);
    let report = fire(&plan, questions)?;
    let after = usage(pid);
    if report.answered == 0 {
        return Err(format!("{} does not answer any more", contestant.result.peer.title()));
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

/// One run of dnsperf: one thread on the load's core, EDNS on every query.
fn dnsperf_at(
    course: &Course,
    contestant: &Contestant,
    lines: &std::path::Path,
    round: usize,
) -> Result<Run, String> {
    let pid = contestant.server.pid();
    let before = usage(pid);
    let mut dnsperf = Command::new("taskset");
    dnsperf.args(["-c", &course.load_core.to_string(), "dnsperf", "-e", "-T", "1", "-c", "1"]);
    dnsperf.args(["-s", &contestant.listen.ip().to_string(), "-p", &contestant.listen.port().to_string()]);
    dnsperf.args(["-q", DNSPERF_OUTSTANDING, "-t", "1", "-l", &format!("{:.0}", course.seconds.max(1.0))]);
    dnsperf.arg("-d").arg(lines);
    let output = dnsperf.output().map_err(|error| format!("dnsperf: {error}"))?;
    let after = usage(pid);
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |key: &str| -> Option<f64> {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(key))?;
        line[key.len()..].split_whitespace().next()?.parse().ok()
    };
    let (Some(answered), Some(seconds)) = (number("Queries completed:"), number("Run time (s):")) else {
        return Err(format!("dnsperf did not say how much it did: {text}"));
    };
    Ok(Run {
        round,
        answered: answered as u64,
        lost: number("Queries lost:").unwrap_or(0.0) as u64,
        wrong: 0,
        seconds,
        cpu_ns: after.cpu_ns - before.cpu_ns,
        cpu_ticks: after.cpu_ticks - before.cpu_ticks,
        p50_us: number("Average Latency (s):").unwrap_or(0.0) * 1e6,
        p99_us: number("Latency StdDev (s):").unwrap_or(0.0) * 1e6,
    })
}
