//! The rounds of `tools perf resolver`: one upstream, several resolvers before it, hits and misses in turn.
//!
//! Everything is asked of names in one zone. Hits are drawn evenly from the names of the population; what is new lies
//! below a wildcard, so that the upstream knows an answer to as many names as are asked for.

use super::contestant::{Contestant, Volley, tell};
use super::metrics::{metrics, sum};
use super::resolver_report::{Filled, PeerRuns, SizeRuns};
use super::rounds::WARM_UP;
use crate::peers::{Duty, Peer, Site};
use crate::population::Population;
use crate::process::memory;
use crate::queries::{MixArgs, generate};
use crate::questions::{Expect, Kind, Questions};
use crate::wire::{Edns, Type, desire_recursion, write_query};
use crate::zone;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first port, the upstream's; each server takes two.
const PORT: u16 = 5340;
/// The zone. Below `test.` Unbound would answer by itself.
const ORIGIN: &str = "example.net.";
/// What is new lies below this name; no generated label is the same.
const WILDCARD: &str = "miss";
/// How long answers are to be remembered: longer than any run, and no longer than everybody keeps them.
const TTL: u32 = 86_400;
/// How much the resolvers that are compared may remember: all of what is asked, and nothing has to go.
const CACHE_MIB: usize = 1024;
/// How much hivedns may remember where that is measured.
const FILLED_MIB: usize = 200;
/// How long a run of misses, or of warming up, may take.
const PASS_TIME: Duration = Duration::from_secs(300);
/// Passes over all questions until the upstream hears of none: what is lost in one is asked again in the next.
const PASSES_MAX: usize = 5;
/// The UDP payload size in questions for new names.
const PAYLOAD: u16 = 1232;

/// What to measure, and how.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) seed: u64,
    pub(super) questions: usize,
    /// New names per run; none: no such runs.
    pub(super) misses: usize,
    pub(super) peers: Vec<Peer>,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) outstanding: usize,
    pub(super) sockets: usize,
    pub(super) server_core: usize,
    pub(super) load_core: usize,
    pub(super) raised: bool,
    pub(super) scratch: PathBuf,
    pub(super) repository: PathBuf,
}

/// The upstream: hivedns with the zone, on the core of the load.
struct Upstream(Contestant);

impl Upstream {
    fn start(course: &Course, population: &Population) -> Result<Upstream, String> {
        let directory = course.scratch.join(format!("upstream-{}", population.nodes.len()));
        let file = directory.with_extension("zone");
        write_zone(population, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        let duty = Duty::Zone { origin: ORIGIN.to_owned(), file };
        let site = site(course, directory, duty, 0);
        let some = generate(population, &mix(course, population, 16, false));
        let core = course.load_core;
        Ok(Upstream(Contestant::enter(Peer::Hivedns, &site, &some, core, course.raised)?))
    }

    /// How many questions it has heard so far.
    fn heard(&self) -> Result<u64, String> {
        Ok(sum(&told(self.0.listen)?, "hivedns_dns_requests_total") as u64)
    }
}

/// What the hivedns that listens there tells of itself.
fn told(listen: SocketAddr) -> Result<BTreeMap<String, f64>, String> {
    metrics(SocketAddr::new(listen.ip(), listen.port() + 1))
}

fn write_zone(population: &Population, file: &Path) -> std::io::Result<()> {
    zone::write_file(population, ORIGIN, Some(TTL), file)?;
    writeln!(OpenOptions::new().append(true).open(file)?, "*.{WILDCARD}\tA 10.0.0.1")
}

/// Hits only: what an upstream refers or denies is not what a cache is compared by.
fn mix(course: &Course, population: &Population, count: usize, recursive: bool) -> MixArgs {
    MixArgs {
        zone_names: population.nodes.len(),
        zone_seed: course.seed,
        seed: course.seed,
        origin: ORIGIN.to_owned(),
        count,
        recursive,
        ..MixArgs::default().hits_alone()
    }
}

fn site(course: &Course, directory: PathBuf, duty: Duty, place: u16) -> Site {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 2 * place));
    Site { directory, repository: course.repository.clone(), duty, listen }
}

/// Questions for names that nobody has asked for yet.
fn new_names(batch: &str, count: usize) -> Questions {
    let mut questions = Questions::default();
    let expect = Expect { kind: Kind::Hit, rcode: 0, authoritative: false, answers: 1 };
    for number in 0..count {
        let name = format!("{batch}-{number}.{WILDCARD}.{ORIGIN}");
        questions.push(expect, |out| {
            let start = out.len();
            write_query(out, &name, Type::A, Some(Edns { payload: PAYLOAD, dnssec_ok: false }));
            desire_recursion(&mut out[start..]);
        });
    }
    questions
}

/// Measures all resolvers with one zone.
pub(super) fn measure(course: &Course, names: usize) -> Result<SizeRuns, String> {
    eprintln!("{names} names: generating the zone and {} questions …", course.questions);
    let population = Population::generate(names, course.seed);
    let questions = generate(&population, &mix(course, &population, course.questions, true));
    let upstream = Upstream::start(course, &population)?;
    let mut contestants = Vec::new();
    for (place, &peer) in (1..).zip(&course.peers) {
        let duty = Duty::Forward { upstream: upstream.0.listen, cache_mib: CACHE_MIB };
        let site = site(course, course.scratch.join(format!("{}-{names}", peer.slug())), duty, place);
        contestants.push(Contestant::enter(peer, &site, &questions, course.server_core, course.raised)?);
    }
    let (outstanding, sockets) = (course.outstanding, course.sockets);
    let hit = |time| Volley { time, limit: None, outstanding, sockets, shares_core: false };
    for contestant in &contestants {
        if contestant.result.peer == Peer::Echo {
            contestant.fire(&questions, &hit(WARM_UP), 0)?;
        } else {
            warm(course, contestant, &questions, &upstream)?;
        }
    }
    let mut peers: Vec<PeerRuns> = course.peers.iter().map(|&peer| PeerRuns::new(peer)).collect();
    for round in 0..course.rounds {
        for (contestant, runs) in contestants.iter().zip(&mut peers) {
            let heard = upstream.heard()?;
            let run = contestant.fire(&questions, &hit(Duration::from_secs_f64(course.seconds)), round)?;
            runs.leaked += upstream.heard()? - heard;
            tell(runs.peer, "hits", round, &run);
            runs.hits.push(run);
        }
        if course.misses == 0 {
            continue;
        }
        let fresh = new_names(&format!("round{round}"), course.misses);
        for (contestant, runs) in contestants.iter().zip(&mut peers) {
            if runs.peer != Peer::Echo {
                let run = contestant.fire(&fresh, &once(course, &fresh), round)?;
                tell(runs.peer, "misses", round, &run);
                runs.misses.push(run);
            }
        }
    }
    Ok(SizeRuns { names, peers })
}

/// Every question once, while the upstream works on the gun's core.
fn once(course: &Course, questions: &Questions) -> Volley {
    let limit = Some(questions.len() as u64);
    let (outstanding, sockets) = (course.outstanding, course.sockets);
    Volley { time: PASS_TIME, limit, outstanding, sockets, shares_core: true }
}

/// Asks everything until the cache has it all.
fn warm(
    course: &Course,
    contestant: &Contestant,
    questions: &Questions,
    upstream: &Upstream,
) -> Result<(), String> {
    for _ in 0..PASSES_MAX {
        let heard = upstream.heard()?;
        contestant.fire(questions, &once(course, questions), 0)?;
        if upstream.heard()? == heard {
            return Ok(());
        }
    }
    let name = contestant.result.peer.title();
    eprintln!("  {name} asks its upstream again for what it was told {PASSES_MAX} times");
    Ok(())
}

/// Has a cache remember that many answers, and a server without a cache do the same work.
pub(super) fn fill(course: &Course, entries: usize) -> Result<Filled, String> {
    eprintln!("{entries} different questions, and a cache of {FILLED_MIB} MiB …");
    let population = Population::generate(0, course.seed);
    let upstream = Upstream::start(course, &population)?;
    let some = generate(&population, &mix(course, &population, 16, true));
    let questions = new_names("entry", entries);
    let enter = |cache_mib, place| {
        let duty = Duty::Forward { upstream: upstream.0.listen, cache_mib };
        let site = site(course, course.scratch.join(format!("cache-{cache_mib}")), duty, place);
        Contestant::enter(Peer::Hivedns, &site, &some, course.server_core, course.raised)
    };
    let without = enter(0, 1)?;
    without.fire(&questions, &once(course, &questions), 0)?;
    let without_kib = memory(without.server.pid()).resident_kib;
    drop(without);
    let filled = enter(FILLED_MIB, 2)?;
    let kept = || Ok::<u64, String>(sum(&told(filled.listen)?, "hivedns_cache_entries") as u64);
    let before = kept()?;
    let run = filled.fire(&questions, &once(course, &questions), 0)?;
    Ok(Filled {
        cache_mib: FILLED_MIB,
        asked: entries as u64,
        answered: run.answered.saturating_sub(run.wrong),
        entries: kept()?.saturating_sub(before),
        without_kib,
        before_kib: filled.result.loaded_kib,
        after_kib: memory(filled.server.pid()).resident_kib,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_new_name_is_asked_for_twice() {
        let batches = [new_names("round0", 300), new_names("round1", 300), new_names("entry", 300)];
        let packets: HashSet<&[u8]> =
            batches.iter().flat_map(|batch| (0..batch.len()).map(|index| batch.packet(index))).collect();
        assert_eq!(packets.len(), 900);
        assert!(packets.iter().all(|packet| packet[2] == 1), "RD is set");
    }
}
