//! `tools perf instructions`: how many user-space instructions a query costs.
//!
//! The server runs twice, each time from its start to its end, and answers N1 and N2 queries. The difference of
//! the instructions over the difference of the queries is the cost of one: starting, loading and ending drop out. The
//! counter is the processor's, through `perf stat`; where that has none (virtual machines), callgrind counts.

use super::{Scratch, build_hivedns, repository};
use crate::gun::{Idle, Pace, Plan, Rule, fire, first_answer};
use crate::peers::{Duty, Peer, Site};
use crate::population::Population;
use crate::process::{Server, wrap};
use crate::queries::{MixArgs, generate};
use crate::questions::Questions;
use crate::{clock, zone};
use clap::Args;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The core of the server; the load runs wherever else there is room.
const SERVER_CORE: usize = 1;
/// How long a server may take to load under callgrind.
const START_TIME: Duration = Duration::from_secs(600);
/// How long a server may start, where it has nothing to load, and work off what was asked meanwhile.
const SETTLE_TIME: Duration = Duration::from_secs(4);
/// MiB of a cache that keeps everything.
const CACHE_MIB: usize = 64;
/// How long the questions of one run may take.
const RUN_TIME: Duration = Duration::from_secs(600);

/// Counts the user-space instructions that a server spends per query.
#[derive(Args, Debug)]
pub(crate) struct InstructionsArgs {
    /// Which servers
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Peer::Hivedns])]
    only: Vec<Peer>,
    /// Owner names in the zone
    #[arg(long, default_value_t = 10_000)]
    names: usize,
    /// Questions of the short run
    #[arg(long, default_value_t = 20_000)]
    short: u64,
    /// Questions of the long run
    #[arg(long, default_value_t = 220_000)]
    long: u64,
    /// Questions under way, as in the comparison, so that batches are as full
    #[arg(long, default_value_t = 192)]
    outstanding: usize,
    /// The port to use
    #[arg(long, default_value_t = 5360)]
    port: u16,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// Have a server of the zone asked, and count what an answer out of the cache costs; the mix has hits alone
    #[arg(long)]
    from_cache: bool,
    /// Fail if a server spends more than that per query
    #[arg(long)]
    at_most: Option<f64>,
    #[command(flatten)]
    mix: MixArgs,
}

impl InstructionsArgs {
    fn mix(&self) -> MixArgs {
        let mix = MixArgs { zone_names: self.names, count: self.long as usize, ..self.mix.clone() };
        match self.from_cache {
            // Few, so that the questions which fill the cache drop out of the count.
            true => MixArgs { count: self.short as usize, recursive: true, ..mix.hits_alone() },
            false => mix,
        }
    }
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counter {
    PerfStat,
    Callgrind,
}

/// Runs `tools perf instructions`.
pub(super) fn run(args: &InstructionsArgs) -> Result<(), String> {
    if args.short >= args.long {
        return Err("--long must be more than --short".into());
    }
    if args.only.contains(&Peer::Hivedns) && !args.no_build {
        build_hivedns()?;
    }
    let counter = Counter::choose()?;
    let scratch = Scratch::new()?;
    let mix = args.mix();
    mix.check()?;
    let zone = scratch.0.join("zone");
    let population = Population::generate(mix.zone_names, mix.zone_seed);
    zone::write_file(&population, &mix.origin, None, &zone)
        .map_err(|error| format!("{}: {error}", zone.display()))?;
    let questions = generate(&population, &mix);
    let zone_site = |directory: PathBuf, port| Site {
        directory,
        repository: repository(),
        duty: Duty::Zone { origin: mix.origin.clone(), file: zone.clone() },
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
    };
    let upstream = zone_site(scratch.0.join("upstream"), args.port + 2);
    let _upstream = args.from_cache.then(|| Peer::Hivedns.start(0, &upstream)).transpose()?;
    let mut worst: f64 = 0.0;
    for &peer in &args.only {
        let mut site = zone_site(scratch.0.join(peer.slug()), args.port);
        if args.from_cache {
            site.duty = Duty::Forward { upstream: upstream.listen, cache_mib: CACHE_MIB };
        }
        let short = count(counter, peer, &site, &questions, args.short, args.outstanding)?;
        let long = count(counter, peer, &site, &questions, args.long, args.outstanding)?;
        let each = (long as f64 - short as f64) / (args.long - args.short) as f64;
        worst = worst.max(each);
        println!(
            "{}: {each:.0} instructions per query ({} names, {} and {} queries, {})",
            peer.title(),
            args.names,
            args.short,
            args.long,
            counter.name()
        );
    }
    match args.at_most {
        Some(bound) if worst > bound => {
            Err(format!("{worst:.0} instructions per query are more than {bound:.0}"))
        }
        _ => Ok(()),
    }
}

/// The instructions of one life of a server that answers so many questions.
fn count(
    counter: Counter,
    peer: Peer,
    site: &Site,
    questions: &Questions,
    limit: u64,
    outstanding: usize,
) -> Result<u64, String> {
    let failed = |error: String| format!("{} under {}: {error}", peer.title(), counter.name());
    let command = peer.command(site)?;
    let record = site.directory.join("instructions");
    clear(&site.directory)?;
    let mut server = Server::start(SERVER_CORE, &counter.wrap(&command, &record)).map_err(failed)?;
    let rule = peer.rule();
    if peer != Peer::Echo {
        first_answer(site.listen, questions, rule, server.started, START_TIME, || server.alive())
            .map_err(failed)?;
    }
    server.hold(SERVER_CORE).map_err(failed)?;
    // What was asked while the server loaded still fills its socket.
    clock::pause(SETTLE_TIME);
    if let Duty::Forward { .. } = site.duty {
        warm(site.listen, questions, rule, outstanding).map_err(failed)?;
    }
    let plan = Plan {
        target: site.listen,
        sockets: 1,
        time: RUN_TIME,
        limit: Some(limit),
        pace: Pace::Closed { outstanding },
        timeout: Duration::from_secs(20),
        rule,
        idle: Idle::Spin,
    };
    let report = fire(&plan, questions)?;
    if report.answered != limit || report.wrong.total() > 0 {
        return Err(failed(format!("{limit} questions gave {}", report.to_text())));
    }
    match counter {
        // perf passes no signal on; its child is asked to end, and perf ends with it.
        Counter::PerfStat => server.end_child(),
        Counter::Callgrind => server.end(),
    }
    counter.read(&site.directory).map_err(failed)
}

/// Asks everything once, so that the cache has it.
fn warm(target: SocketAddr, questions: &Questions, rule: Rule, outstanding: usize) -> Result<(), String> {
    let (sockets, time, timeout) = (1, RUN_TIME, Duration::from_secs(20));
    let (limit, pace) = (Some(questions.len() as u64), Pace::Closed { outstanding });
    fire(&Plan { target, sockets, time, limit, pace, timeout, rule, idle: Idle::Yield }, questions)?;
    Ok(())
}

/// Removes the records of earlier runs.
fn clear(directory: &Path) -> Result<(), String> {
    for entry in fs::read_dir(directory).map_err(|error| error.to_string())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("instructions") {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl Counter {
    fn choose() -> Result<Counter, String> {
        let probe = Command::new("perf").args(["stat", "-x,", "-e", "instructions:u", "true"]).output();
        if let Ok(output) = probe
            && output.status.success()
            && !String::from_utf8_lossy(&output.stderr).contains("not supported")
        {
            return Ok(Counter::PerfStat);
        }
        match Command::new("valgrind").arg("--version").output() {
            Ok(output) if output.status.success() => Ok(Counter::Callgrind),
            _ => Err(
                "neither perf's instruction counter nor valgrind is there (Debian: apt-get install valgrind)"
                    .into(),
            ),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Counter::PerfStat => "perf stat",
            Counter::Callgrind => "callgrind",
        }
    }

    /// The command run under the counter.
    fn wrap(self, command: &Command, record: &Path) -> Command {
        let mut wrapped = match self {
            Counter::PerfStat => {
                let mut perf = Command::new("perf");
                perf.args(["stat", "-x,", "-e", "instructions:u", "-o"]).arg(record).arg("--");
                perf
            }
            Counter::Callgrind => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["--tool=callgrind", "--trace-children=yes", "--quiet"]);
                valgrind.arg(format!("--callgrind-out-file={}.%p", record.display()));
                valgrind
            }
        };
        wrap(&mut wrapped, command);
        wrapped
    }

    /// The instructions that the records in the directory add up to.
    fn read(self, directory: &Path) -> Result<u64, String> {
        let mut total = 0;
        for entry in fs::read_dir(directory).map_err(|error| error.to_string())?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with("instructions") {
                continue;
            }
            let text = fs::read_to_string(entry.path()).map_err(|error| error.to_string())?;
            total += match self {
                Counter::PerfStat => perf_stat_total(&text),
                Counter::Callgrind => callgrind_total(&text),
            };
        }
        if total == 0 { Err("no instructions were recorded".into()) } else { Ok(total) }
    }
}

/// `123456,,instructions:u,…`
fn perf_stat_total(text: &str) -> u64 {
    let line = text.lines().find(|line| line.contains("instructions"));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// `totals: 123456`, or `summary:` where a part was dumped.
fn callgrind_total(text: &str) -> u64 {
    let totals =
        |key| text.lines().filter_map(move |line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
    totals("totals:").chain(totals("summary:")).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_records_are_read() {
        assert_eq!(perf_stat_total("# started\n\n4711,,instructions:u,99,100.00,,\n"), 4711);
        assert_eq!(callgrind_total("events: Ir\nfn=x\n1 2\ntotals: 815\n"), 815);
        assert_eq!(callgrind_total("events: Ir\nsummary: 42\n"), 42);
    }
}
