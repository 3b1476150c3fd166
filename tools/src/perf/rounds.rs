//! The rounds: all servers of one zone size, measured in turn.

use super::contestant::{Contestant, Volley, tell};
use super::results::{Run, SizeResult};
use crate::peers::{Duty, Peer, Site};
use crate::population::Population;
use crate::process::{memory, usage};
use crate::queries::{MixArgs, generate, write_dnsperf};
use crate::{socket, zone};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The first port; each server takes two.
const PORT: u16 = 5320;
/// A run before the first round: buffers, caches and branch predictors warm up.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);
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
    pub(super) sockets: usize,
    pub(super) server_core: usize,
    pub(super) load_core: usize,
    pub(super) dnsperf: bool,
    pub(super) raised: bool,
    pub(super) scratch: PathBuf,
    pub(super) repository: PathBuf,
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
        zone::write_file(&population, &origin, None, &zone).map_err(failed)?;
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
            duty: Duty::Zone { origin: origin.clone(), file: zone.clone() },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        contestants.push(Contestant::enter(peer, &site, &questions, course.server_core, course.raised)?);
    }
    let (outstanding, sockets) = (course.outstanding, course.sockets);
    let volley = |time| Volley { time, limit: None, outstanding, sockets, shares_core: false };
    for contestant in &contestants {
        contestant.fire(&questions, &volley(WARM_UP), 0)?;
    }
    for round in 0..course.rounds {
        for contestant in &mut contestants {
            let time = Duration::from_secs_f64(course.seconds);
            let run = contestant.fire(&questions, &volley(time), round)?;
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
