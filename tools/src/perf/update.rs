//! `tools perf update`: what dynamic updates cost those who ask, whether what was acknowledged survives, and how soon a
//! secondary has a change.
//!
//! 1. A primary with a zone from a file takes updates over UDP, each acknowledged when it is on disk. Its worker is tied to one
//!    core and the load to the other; all its other threads and the updates run where there is room, as they do on any
//!    machine. Rounds of two phases at half of the capacity: without updates and with them. The worker's CPU time is its
//!    thread's own.
//! 2. While updates come the server is killed (SIGKILL) and started again: every name has to have the last address that
//!    was acknowledged, or a later one.
//! 3. A primary and a secondary with a million names: one update at a time, from its acknowledgement (NOTIFY follows) to
//!    the first right answer of the secondary.

use super::report::{Goal, cell, goal, goal_table, head_table, size_name};
use super::updater::{Ground, Updater, Updates};
use super::{Scratch, authoritative, build_hivedns, machine, repository};
use crate::gun::{Idle, Pace, Plan, Rule, fire, first_answer};
use crate::peers::{Peer, hivedns};
use crate::population::Population;
use crate::process::{Server, hold_thread, own_thread, prefer_session, set_realtime, thread_time, threads};
use crate::queries::{MixArgs, generate};
use crate::questions::{Expect, Kind, Questions};
use crate::stats::Spread;
use crate::wire::{Header, Type, write_query};
use crate::{clock, socket, zone};
use clap::Args;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ORIGIN: &str = "example.test.";
/// DNS and metrics of the primary and of the secondary: these ports.
const PORT: u16 = 5440;
/// How long a server may take to its first right answer, a million names and a transfer included.
const START_TIME: Duration = Duration::from_secs(120);
/// Names that are updated.
const GROUND: usize = 10_000;
/// How long a gun of real-time priority leaves its core to others when nothing is due.
const GUN_SLEEP: Duration = Duration::from_micros(40);
/// Before a phase with updates is measured they have begun.
const LEAD_TIME: Duration = Duration::from_millis(300);
/// The CPU per query may be so many times that of the quiet server.
const CPU_RATIO_MAX: f64 = 1.15;
/// The share of the updates asked for that has to be acknowledged.
const RATE_SHARE_MIN: f64 = 0.98;
/// So many milliseconds may pass until the secondary answers.
const SECONDARY_MS_MAX: f64 = 50.0;
/// How long the secondary may take with one change before something is wrong.
const CHANGE_TIME: Duration = Duration::from_secs(30);

/// Measures what dynamic updates cost those who ask, and how soon a secondary has them.
#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Names of the zone that is updated
    #[arg(long, default_value_t = 100_000)]
    names: usize,
    /// Updates per second
    #[arg(long, default_value_t = 5_000.0)]
    updates: f64,
    /// Updates under way at most
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    /// Rounds, in each of which both phases have their turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per phase
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Names of the zone that a secondary has
    #[arg(long, default_value_t = 1_000_000)]
    secondary_names: usize,
    /// Changes that the secondary is timed with
    #[arg(long, default_value_t = 20)]
    changes: usize,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    worker_core: usize,
    /// The core of the load
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// Measure in the machine's own network namespace, with its firewall rules
    #[arg(long)]
    here: bool,
    /// Where to write the table (default: perf/ with the usual sizes, perf/out/ with others)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What some seconds of load showed.
#[derive(Debug, Clone, Copy, Default)]
struct Phase {
    qps: f64,
    cpu_us: f64,
    lost: u64,
    wrong: u64,
    p99_us: f64,
    updates: Option<Updates>,
}

#[derive(Default)]
struct Results {
    rounds: Vec<(Phase, Phase)>,
    capacity: f64,
    /// Names with an acknowledged address after the crash, and those that had lost it.
    survived: (usize, usize),
    /// Milliseconds from acknowledgement to the secondary's answer.
    secondary_ms: Vec<f64>,
}

/// Runs `tools perf update`.
pub(super) fn run(args: &UpdateArgs) -> Result<(), String> {
    if args.worker_core == args.load_core {
        return Err("the worker and the load need a core each".into());
    }
    let apart = authoritative::is_apart();
    if !args.no_build && !apart {
        build_hivedns()?;
    }
    if !args.here && !apart && authoritative::is_root() {
        return authoritative::run_apart();
    }
    if apart {
        prefer_session(std::process::id());
    }
    socket::pin(args.load_core)?;
    let scratch = Scratch::new()?;
    let mut results = Results::default();
    updates(args, &scratch.0, apart, &mut results)?;
    if args.changes > 0 {
        secondary(args, &scratch.0, &mut results)?;
    }
    let mut head = machine::head(&repository(), &[Peer::Hivedns]);
    head.push(("Command".into(), authoritative::command_line()));
    let is_usual = args.names == 100_000 && args.secondary_names == 1_000_000 && args.changes > 0;
    let usual = repository().join(if is_usual { "perf" } else { "perf/out" });
    let directory = args.output.as_deref().unwrap_or(&usual);
    let path = directory.join("update.md");
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table(args, &head, &results)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn listen(place: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 2 * place))
}

/// A server with a configuration of its own, in a directory of its own.
fn command(directory: &Path, place: u16, zone: &str) -> Result<Command, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let file = directory.join("hivedns.toml");
    fs::write(&file, format!("[forward]\n\".\" = [\"refuse\"]\n[[zone]]\norigin = \"{ORIGIN}\"\n{zone}"))
        .map_err(failed)?;
    let (dns, mut http) = (listen(place), listen(place));
    http.set_port(dns.port() + 1);
    let mut command = Command::new(hivedns(&repository()));
    command.arg("serve").arg("-c").arg(&file).args(["--no-docker", "--no-gossip", "--workers", "1"]);
    command.args(["--listen", &dns.to_string(), "--http", &http.to_string()]);
    command.arg("--state-dir").arg(directory.join("state")).arg("--control").arg(directory.join("control"));
    command.current_dir(directory);
    Ok(command)
}

/// A question that any version of the zone answers.
fn apex() -> Questions {
    let mut questions = Questions::default();
    let expect = Expect { kind: Kind::Hit, rcode: 0, authoritative: true, answers: 1 };
    questions.push(expect, |out| write_query(out, ORIGIN, Type::Soa, None));
    questions
}

/// Starts it and waits until it answers; with its worker's thread, on its own core. The others may run on both.
fn start(
    command: &Command,
    place: u16,
    cores: (usize, usize),
    raised: bool,
) -> Result<(Server, u32), String> {
    let mut server = Server::start(cores.0, command)?;
    let (started, alive) = (server.started, || server.alive());
    first_answer(listen(place), &apex(), Rule::Answer, started, START_TIME, alive)?;
    if raised {
        prefer_session(server.pid());
    }
    let threads = threads(server.pid());
    let worker = threads.iter().find(|(_, name)| name == "worker-0").map(|(thread, _)| *thread);
    let worker = worker.ok_or("the server has no thread called worker-0")?;
    for (thread, _) in threads {
        if thread == worker {
            hold_thread(thread, &[cores.1])?;
        } else {
            hold_thread(thread, &[cores.0, cores.1])?;
        }
    }
    Ok((server, worker))
}

fn write_zone(directory: &Path, names: usize) -> Result<(Population, PathBuf), String> {
    eprintln!("{names} names: generating the zone …");
    let (population, file) = (Population::generate(names, 1), directory.join(format!("{names}.zone")));
    zone::write_file(&population, ORIGIN, None, &file)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((population, file))
}

/// The zone that takes updates, from a file.
fn primary_zone(file: &Path, more: &str) -> String {
    format!("file = \"{}\"\nupdate = [\"127.0.0.0/8\"]\n{more}", file.display())
}

/// Parts 1 and 2.
fn updates(args: &UpdateArgs, scratch: &Path, apart: bool, results: &mut Results) -> Result<(), String> {
    let (population, file) = write_zone(scratch, args.names)?;
    let mix = MixArgs {
        zone_names: args.names,
        zone_seed: 1,
        origin: ORIGIN.to_owned(),
        count: 500_000,
        ..MixArgs::default()
    };
    let questions = generate(&population, &mix);
    let command = command(&scratch.join("primary"), 0, &primary_zone(&file, ""))?;
    let cores = (args.load_core, args.worker_core);
    let (server, worker) = start(&command, 0, cores, apart)?;
    let bench = Bench { target: listen(0), pid: server.pid(), worker, questions, seconds: args.seconds };
    bench.fire(Pace::Closed { outstanding: 192 })?;
    results.capacity = bench.fire(Pace::Closed { outstanding: 192 })?.qps;
    let half = Pace::Open { qps: results.capacity / 2.0 };
    let mut updater =
        Updater::new(listen(0), Ground::new(ORIGIN, GROUND)).map_err(|error| error.to_string())?;
    for round in 0..args.rounds {
        let quiet = bench.fire(half)?;
        let busy = bench.fire_with(half, &mut updater, args)?;
        let done = busy.updates.unwrap_or_default();
        eprintln!(
            "  round {}: {:.3} and {:.3} µs per answer; {} and {} lost; {:.0} updates/s, {} refused, {} lost, half within \
             {:.1} ms, 99 % within {:.1} ms",
            round + 1,
            quiet.cpu_us,
            busy.cpu_us,
            quiet.lost + quiet.wrong,
            busy.lost + busy.wrong,
            done.rate(),
            done.refused,
            done.lost,
            done.p50_ms,
            done.p99_ms
        );
        results.rounds.push((quiet, busy));
    }
    // The crash: updates are under way when it comes.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let updating = scope.spawn(|| updater.run(args.updates, args.outstanding, &stop));
        clock::pause(LEAD_TIME);
        let _ = Command::new("kill").args(["-KILL", &server.pid().to_string()]).status();
        stop.store(true, Ordering::Relaxed);
        // That nobody is there any more is what is to be seen.
        let _ = updating.join();
    });
    drop(server);
    let (_server, _) = start(&command, 0, cores, apart)?;
    results.survived = survived(listen(0), updater.ground())?;
    eprintln!(
        "  after SIGKILL: {} names, {} of them not as acknowledged",
        results.survived.0, results.survived.1
    );
    Ok(())
}

/// Names that had been acknowledged, and those of them that have an older address than that, or none.
fn survived(target: SocketAddr, ground: &Ground) -> Result<(usize, usize), String> {
    let mut counts = (0, 0);
    for (number, acknowledged) in ground.acknowledged.iter().enumerate().filter(|(_, address)| **address != 0)
    {
        let found = look_up(target, &ground.name(number))?;
        counts.0 += 1;
        // What was under way when it crashed may be there: it is later.
        counts.1 += usize::from(found.is_none_or(|address| address < *acknowledged));
    }
    Ok(counts)
}

/// The address of a name; asked again where nothing comes.
fn look_up(target: SocketAddr, name: &str) -> Result<Option<u32>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    socket.connect(target).map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(1))).map_err(failed)?;
    let mut query = Vec::new();
    write_query(&mut query, name, Type::A, None);
    let mut buffer = [0; 512];
    for _ in 0..3 {
        socket.send(&query).map_err(failed)?;
        if let Ok(len) = socket.recv(&mut buffer) {
            let header = Header::parse(&buffer[..len]).ok_or("an answer without a header")?;
            // One address, at the end of the answer section; nothing is added beside it.
            let octets =
                buffer[..len].last_chunk::<4>().filter(|_| header.rcode == 0 && header.counts[1] == 1);
            return Ok(octets.map(|octets| u32::from_be_bytes(*octets)));
        }
    }
    Err(format!("{target} does not answer for {name}"))
}

/// Part 3.
fn secondary(args: &UpdateArgs, scratch: &Path, results: &mut Results) -> Result<(), String> {
    let (_, file) = write_zone(scratch, args.secondary_names)?;
    let notify = format!("notify = [\"{}\"]\n", listen(1));
    let upper = command(&scratch.join("upper"), 0, &primary_zone(&file, &notify))?;
    let lower = command(&scratch.join("lower"), 1, &format!("primary = [\"{}\"]\n", listen(0)))?;
    let cores = (args.load_core, args.worker_core);
    let _upper = start(&upper, 0, cores, false)?;
    let _lower = start(&lower, 1, cores, false)?;
    let mut updater =
        Updater::new(listen(0), Ground::new(ORIGIN, GROUND)).map_err(|error| error.to_string())?;
    for _ in 0..args.changes {
        let (name, address, since) = updater.one().map_err(|error| error.to_string())?;
        while look_up(listen(1), &name)? != Some(address) {
            if since.elapsed() > CHANGE_TIME {
                return Err(format!("the secondary does not have {name} after {CHANGE_TIME:?}"));
            }
        }
        results.secondary_ms.push(since.elapsed().as_secs_f64() * 1e3);
    }
    let spread = cell(Spread::of(results.secondary_ms.iter().copied()), 1);
    eprintln!("  from the acknowledgement to the secondary's answer: {spread} ms");
    Ok(())
}

/// The server under load.
struct Bench {
    target: SocketAddr,
    pid: u32,
    worker: u32,
    questions: Questions,
    seconds: f64,
}

impl Bench {
    fn fire(&self, pace: Pace) -> Result<Phase, String> {
        // Its pace is the measure, so nothing on its core may hold it up; saturated it would leave nothing for others.
        let held = matches!(pace, Pace::Open { .. }) && set_realtime(true);
        let plan = Plan {
            target: self.target,
            sockets: 1,
            time: Duration::from_secs_f64(self.seconds),
            limit: None,
            pace,
            timeout: Duration::from_secs(2),
            rule: Rule::Answer,
            idle: if held { Idle::Sleep(GUN_SLEEP) } else { Idle::Yield },
        };
        let before = thread_time(self.pid, self.worker);
        let report = fire(&plan, &self.questions);
        let after = thread_time(self.pid, self.worker);
        if held {
            set_realtime(false);
        }
        let report = report?;
        if report.answered == 0 {
            return Err("the server does not answer any more".to_owned());
        }
        Ok(Phase {
            qps: report.qps,
            cpu_us: (after.0 - before.0) as f64 / 1e3 / report.answered as f64,
            lost: report.lost + report.held_back,
            wrong: report.wrong.total(),
            p99_us: report.latency_us.p99,
            updates: None,
        })
    }

    /// The same while updates come.
    fn fire_with(&self, pace: Pace, updater: &mut Updater, args: &UpdateArgs) -> Result<Phase, String> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let updating = scope.spawn(|| {
                let both = [args.load_core, args.worker_core];
                own_thread().map_or(Ok(()), |thread| hold_thread(thread, &both))?;
                updater.run(args.updates, args.outstanding, &stop).map_err(|error| error.to_string())
            });
            clock::pause(LEAD_TIME);
            let phase = self.fire(pace);
            stop.store(true, Ordering::Relaxed);
            let updates = updating.join().map_err(|_| "the updater has panicked".to_owned())?;
            Ok(Phase { updates: Some(updates?), ..phase? })
        })
    }
}

fn table(args: &UpdateArgs, head: &[(String, String)], results: &Results) -> String {
    let Results { rounds, capacity, survived, secondary_ms } = results;
    let mut out = format!(
        "# Dynamic updates\n\n\
         Written by `tools perf update`; [README.md](README.md) says how it measures. The zone has {} names and takes \
         {:.0} updates/s, at most {} under way, each acknowledged when it is on disk. The worker is tied to one core and \
         the load to the other; all other threads and the updates run where there is room. The load is {:.0} queries/s, half of what the worker can \
         do.\n\n",
        size_name(args.names),
        args.updates,
        args.outstanding,
        capacity / 2.0
    );
    head_table(&mut out, head);
    out.push_str(
        "\n| round | CPU µs per answer, quiet | with updates | ratio | lost, quiet | with updates | 99 % of answers within, \
         quiet | with updates | updates/s | refused or lost | half acknowledged within | 99 % |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    // Writing into a string does not fail, here and below.
    for (number, (quiet, busy)) in rounds.iter().enumerate() {
        let done = busy.updates.unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {:.3} | {:.3} | {:.2} | {} | {} | {:.0} µs | {:.0} µs | {:.0} | {} | {:.1} ms | {:.1} ms |",
            number + 1,
            quiet.cpu_us,
            busy.cpu_us,
            busy.cpu_us / quiet.cpu_us,
            quiet.lost + quiet.wrong,
            busy.lost + busy.wrong,
            quiet.p99_us,
            busy.p99_us,
            done.rate(),
            done.refused + done.lost,
            done.p50_ms,
            done.p99_ms
        );
    }
    let _ = writeln!(
        out,
        "\nKilled (SIGKILL) while updates came and started again: of {} names that had been acknowledged {} had not at least \
         their last acknowledged address.",
        survived.0, survived.1
    );
    let secondary = Spread::of(secondary_ms.iter().copied());
    if let Some(spread) = secondary {
        let _ = writeln!(
            out,
            "\nA secondary of a zone of {} names answers with a change {} ms after the primary has acknowledged it \
             (median of {}, with the least and the most).",
            size_name(args.secondary_names),
            cell(Some(spread), 1),
            secondary_ms.len()
        );
    }
    let ratio = Spread::of(rounds.iter().map(|(quiet, busy)| busy.cpu_us / quiet.cpu_us));
    let lost: u64 =
        rounds.iter().map(|(quiet, busy)| quiet.lost + busy.lost + quiet.wrong + busy.wrong).sum();
    let rate = Spread::of(rounds.iter().filter_map(|(_, busy)| busy.updates).map(|done| done.rate()));
    let mut goals = Vec::new();
    if let (Some(ratio), Some(rate)) = (ratio, rate) {
        goals.push(goal(
            "CPU per answer, with updates to without",
            ratio.median,
            Goal::AtMost(CPU_RATIO_MAX),
        ));
        goals.push(goal("answers lost or wrong", lost as f64, Goal::AtMost(0.0)));
        goals.push(goal("updates/s acknowledged", rate.median, Goal::AtLeast(args.updates * RATE_SHARE_MIN)));
        goals.push(goal("acknowledged and gone after SIGKILL", survived.1 as f64, Goal::AtMost(0.0)));
    }
    if let Some(spread) = secondary {
        goals.push(goal("ms to the secondary's answer", spread.median, Goal::AtMost(SECONDARY_MS_MAX)));
    }
    goal_table(&mut out, &goals);
    out
}
