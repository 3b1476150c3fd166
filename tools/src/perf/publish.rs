//! `tools perf publish`: what changes cost those who ask.
//!
//! 1. Write a state directory with a million cluster-wide records, by the server's own disk module, and start the
//!    shipped server on it.
//! 2. Tie its worker to one core, all its other threads to another. That one is shared with the load and with a member
//!    of its cluster, which writes changes over gossip.
//! 3. Rounds of four phases: at half of the capacity and saturated, each without changes and with them. The worker's
//!    CPU time is its thread's own.
//! 4. Time how long the catalog takes to apply and publish as many records as the zone has.

use super::member::{Changes, MEMBER, Member, Record, Records, Wish};
use super::metrics::metrics;
use super::publish_report::{self, Phase, Results, Round};
use super::{Scratch, authoritative, build_hivedns, machine, repository};
use crate::gun::{Idle, Pace, Plan, Rule, fire, first_answer};
use crate::peers::{Peer, hivedns};
use crate::process::{Server, hold_thread, memory, prefer_session, set_realtime, thread_time, threads};
use crate::questions::{Expect, Kind, Questions};
use crate::rng::Rng;
use crate::wire::{Type, write_query};
use crate::{clock, socket};
use bytes::Bytes;
use clap::Args;
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::Source;
use hivedns::catalog::published::Publisher;
use hivedns::catalog::services::Terms;
use hivedns::catalog::state::State;
use hivedns::discovery::cluster::Rrset;
use hivedns::disk::{Entry, StateDir};
use hivedns::gossip::replication::cluster::{Stamp, Write as ClusterWrite};
use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The domain of service names: the server's default.
const DOMAIN: &str = "hive.internal.";
/// DNS, metrics and gossip of the server: these ports.
const PORT: u16 = 5370;
/// How long the server may take to its first right answer.
const START_TIME: Duration = Duration::from_secs(120);
/// How long the member may take to join.
const JOIN_TIME: Duration = Duration::from_secs(60);
/// How long a gun of real-time priority leaves its core to others when nothing is due.
const GUN_SLEEP: Duration = Duration::from_micros(40);
/// Before each measurement of a phase with changes: the first batches of them are on their way.
const LEAD_TIME: Duration = Duration::from_millis(300);
/// Readings of how long a publication took, in each phase with changes.
const READINGS: usize = 10;
/// Between two of them.
const READING_PAUSE: Duration = Duration::from_millis(15);
/// Of a hundred questions, those for names that are not there.
const ABSENT_PERCENT: f64 = 10.0;
/// Changes handed to the catalog between two slices of its work, as the control thread does.
const SLICE_CHANGES: u32 = 1_024;

/// Measures what changes of a large zone cost those who ask.
#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// Names of the zone; the bound of cluster-wide records is a little above the default
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// Changes per second
    #[arg(long, default_value_t = 10_000.0)]
    changes: f64,
    /// Rounds, in each of which every phase has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per phase
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    worker_core: usize,
    /// The core of the control thread, the changes and the load
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// Measure in the machine's own network namespace, with its firewall rules
    #[arg(long)]
    here: bool,
    /// Where to write the table (default: perf/ with the usual names and changes, perf/out/ with others)
    #[arg(long)]
    output: Option<std::path::PathBuf>,
}

/// The names of the zone: tasks of services.
struct Tasks {
    count: u32,
    /// A record as it is replicated, and where its four octets of address stand.
    template: Vec<u8>,
}

/// Tasks of one service.
const TASKS_PER_SERVICE: u32 = 200;

impl Tasks {
    fn new(count: u32) -> Result<Tasks, String> {
        let domain = Name::parse(DOMAIN).map_err(|error| error.to_string())?;
        let name = format!("x.{DOMAIN}");
        let set = Rrset::read(&name, 5, "A", &["10.0.0.1".to_owned()], &domain);
        let template = set.map_err(|error| error.to_string())?.value();
        // The layout ends with the last record's RDATA.
        if !template.ends_with(&[10, 0, 0, 1]) {
            return Err("a replicated set does not end with its last address any more".to_owned());
        }
        Ok(Tasks { count, template })
    }
}

impl Records for Tasks {
    fn record(&self, number: u32, address: Ipv4Addr) -> Record {
        // Made of labels and digits: always a name.
        let name = Name::parse(&self.name(number)).unwrap_or(Name::ROOT);
        let mut value = self.template.clone();
        let at = value.len() - 4;
        value[at..].copy_from_slice(&address.octets());
        (hivedns::discovery::cluster::key(&name, RecordType::A), value)
    }

    fn name(&self, number: u32) -> String {
        format!("task-{number}.svc{}.{DOMAIN}", number / TASKS_PER_SERVICE)
    }

    fn count(&self) -> u32 {
        self.count
    }
}

/// Runs `tools perf publish`.
pub(super) fn run(args: &PublishArgs) -> Result<(), String> {
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
    let tasks = Tasks::new(args.names)?;
    eprintln!("{} names: timing the catalog alone …", args.names);
    let applied = apply_and_publish(&tasks);
    eprintln!("  applied and published after {:.2} s", applied.as_secs_f64());
    eprintln!("writing the state directory …");
    let restored: Vec<Record> = (0..args.names).map(|number| stored(&tasks, number)).collect();
    let state = scratch.0.join("state");
    write_state(&state, &restored)?;

    let site = Site::new(&scratch.0, &state);
    let (mut server, worker, start_ms) = start(args, apart, &site, &tasks)?;
    eprintln!("  first right answer after {start_ms:.0} ms");
    let (wishes, heard) = channel();
    let (joined, has_joined) = channel();
    let (gossip, dns) = (site.gossip, site.dns);
    // The machine stays on the thread that makes it.
    let changer = std::thread::spawn(move || {
        let member = Member::join(gossip, dns, tasks, &restored, JOIN_TIME);
        drop(restored);
        match member {
            Ok(member) => {
                let _ = joined.send(Ok(()));
                member.run(&heard);
            }
            Err(error) => _ = joined.send(Err(error)),
        }
    });
    has_joined.recv().map_err(|_| "the changing member is gone".to_owned())??;
    let questions = questions(&Tasks::new(args.names)?);

    let bench = Bench { args, site, pid: server.pid(), worker, questions, wishes };
    let mut results = Results {
        head: machine::head(&repository(), &[Peer::Hivedns]),
        names: args.names,
        changes: args.changes,
        applied_s: applied.as_secs_f64(),
        start_ms,
        resident_kib: (memory(server.pid()).resident_kib, 0),
        capacity: 0.0,
        rounds: Vec::new(),
    };
    results.head.push(("Command".into(), authoritative::command_line()));
    // Buffers, caches and branch predictors warm up; then the capacity.
    bench.fire(Pace::Closed { outstanding: 192 }, 0.5)?;
    results.capacity = bench.fire(Pace::Closed { outstanding: 192 }, args.seconds)?.qps;
    for number in 0..args.rounds {
        let half = Pace::Open { qps: results.capacity / 2.0 };
        let full = Pace::Closed { outstanding: 192 };
        let round = Round {
            quiet_half: bench.fire(half, args.seconds)?,
            busy_half: bench.fire_busy(half)?,
            quiet_full: bench.fire(full, args.seconds)?,
            busy_full: bench.fire_busy(full)?,
        };
        eprintln!("  round {}: {}", number + 1, round.line());
        results.rounds.push(round);
    }
    results.resident_kib.1 = memory(server.pid()).resident_kib;
    drop(bench);
    let _ = changer.join();
    server.end();
    let usual = args.names == 1_000_000 && args.changes == 10_000.0;
    let usual = repository().join(if usual { "perf" } else { "perf/out" });
    publish_report::write(&results, args.output.as_deref().unwrap_or(&usual))
}

/// Where the server listens and what it is started with.
struct Site {
    dns: SocketAddr,
    http: SocketAddr,
    gossip: SocketAddr,
    command: Command,
}

impl Site {
    fn new(directory: &Path, state: &Path) -> Site {
        let [dns, http, gossip] = [0, 1, 2].map(|k| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + k)));
        let mut command = Command::new(hivedns(&repository()));
        command.env("HIVEDNS_FORWARD__.", "refuse");
        command.args(["serve", "--no-docker", "--workers", "1", "--listen", &dns.to_string()]);
        command.args(["--http", &http.to_string(), "--gossip", &gossip.to_string()]);
        command.arg("--state-dir").arg(state).arg("--control").arg(directory.join("control"));
        command.current_dir(directory);
        Site { dns, http, gossip, command }
    }
}

/// Starts the server, waits until it answers, and puts its threads in their places; the worker's thread.
fn start(args: &PublishArgs, apart: bool, site: &Site, tasks: &Tasks) -> Result<(Server, u32, f64), String> {
    // At first on the core of the load, where its threads stay; the worker is moved.
    let mut server = Server::start(args.load_core, &site.command)?;
    let mut first = Questions::default();
    push(&mut first, &tasks.name(0), true);
    let (started, alive) = (server.started, || server.alive());
    let time = first_answer(site.dns, &first, Rule::Answer, started, START_TIME, alive)?;
    if apart {
        prefer_session(server.pid());
    }
    let threads = threads(server.pid());
    let worker = threads.iter().find(|(_, name)| name == "worker-0").map(|(thread, _)| *thread);
    let worker = worker.ok_or("the server has no thread called worker-0")?;
    hold_thread(worker, &[args.worker_core])?;
    Ok((server, worker, time.as_secs_f64() * 1e3))
}

/// A record as it stands on the disk of a node.
fn stored(tasks: &Tasks, number: u32) -> Record {
    let (key, value) = tasks.record(number, Ipv4Addr::from(0x0a00_0000 | (number & 0x00ff_ffff)));
    let stamp = Stamp { lamport: u64::from(number) + 1, writer: MEMBER };
    let octets = ClusterWrite { key: &key, stamp, value: Some(&value) }.to_octets();
    (key, octets)
}

fn write_state(directory: &Path, records: &[Record]) -> Result<(), String> {
    let (mut state, _) = StateDir::open(directory).map_err(|error| error.to_string())?;
    for part in records.chunks(4_096) {
        let entries: Vec<Entry> = part
            .iter()
            .map(|(key, stored)| Entry {
                key: Bytes::copy_from_slice(key),
                value: Some(Bytes::copy_from_slice(stored)),
            })
            .collect();
        state.append(&entries).map_err(|error| error.to_string())?;
    }
    state.sync().map_err(|error| error.to_string())
}

fn push(questions: &mut Questions, name: &str, exists: bool) {
    let expect = match exists {
        true => Expect { kind: Kind::Hit, rcode: 0, authoritative: true, answers: 1 },
        false => Expect { kind: Kind::NxDomain, rcode: 3, authoritative: true, answers: 0 },
    };
    questions.push(expect, |out| write_query(out, name, Type::A, None));
}

/// Names at random, some of them absent.
fn questions(tasks: &Tasks) -> Questions {
    let mut rng = Rng::for_purpose(1, "publish");
    let mut questions = Questions::default();
    for _ in 0..tasks.count {
        let number = rng.below(tasks.count as usize) as u32;
        match rng.percent(ABSENT_PERCENT) {
            true => push(&mut questions, &format!("no-{}", tasks.name(number)), false),
            false => push(&mut questions, &tasks.name(number), true),
        }
    }
    questions
}

/// The server under load.
struct Bench<'a> {
    args: &'a PublishArgs,
    site: Site,
    pid: u32,
    worker: u32,
    questions: Questions,
    wishes: Sender<Wish>,
}

impl Bench<'_> {
    fn fire(&self, pace: Pace, seconds: f64) -> Result<Phase, String> {
        // Its pace is the measure, so nothing on its core may hold it up; saturated it would leave nothing for others.
        let held = matches!(pace, Pace::Open { .. }) && set_realtime(true);
        let plan = Plan {
            target: self.site.dns,
            sockets: 1,
            time: Duration::from_secs_f64(seconds),
            limit: None,
            pace,
            timeout: Duration::from_secs(2),
            rule: Rule::Answer,
            idle: if held { Idle::Sleep(GUN_SLEEP) } else { Idle::Yield },
        };
        let slow = self.slow_answers()?;
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
        let slower = self.slow_answers()?;
        Ok(Phase {
            qps: report.qps,
            cpu_us: (after.0 - before.0) as f64 / 1e3 / report.answered as f64,
            waited_ms: (after.1 - before.1) as f64 / 1e6,
            lost: report.lost + report.held_back,
            wrong: report.wrong.total(),
            p50_us: report.latency_us.p50,
            p99_us: report.latency_us.p99,
            longest_ms: report.latency_us.max / 1e3,
            stall_ms: report.stall_us / 1e3,
            longest_batch_ms: publish_report::highest_grown(&slow, &slower),
            changes: None,
            publish_ms: Vec::new(),
        })
    }

    /// The same while changes come.
    fn fire_busy(&self, pace: Pace) -> Result<Phase, String> {
        let gone = |_| "the changing member is gone".to_owned();
        self.wishes.send(Wish::Change(self.args.changes)).map_err(|_| gone(()))?;
        clock::pause(LEAD_TIME);
        let mut phase = self.fire(pace, self.args.seconds)?;
        for _ in 0..READINGS {
            let metrics = metrics(self.site.http)?;
            let took = metrics.get("hivedns_snapshot_publish_seconds").copied().unwrap_or(0.0);
            phase.publish_ms.push(took * 1e3);
            clock::pause(READING_PAUSE);
        }
        let (answer, changes) = channel();
        self.wishes.send(Wish::Settle(answer)).map_err(|_| gone(()))?;
        let changes: Changes = changes.recv().map_err(|_| gone(()))??;
        phase.changes = Some(changes);
        Ok(phase)
    }

    /// Answers by how long their batches took at most: seconds, and how many so far.
    fn slow_answers(&self) -> Result<BTreeMap<String, f64>, String> {
        let all = metrics(self.site.http)?;
        let is_bucket = |name: &String| name.starts_with("hivedns_dns_request_duration_seconds_bucket");
        Ok(all.into_iter().filter(|(name, _)| is_bucket(name)).collect())
    }
}

/// How long the catalog takes from the first change to a published snapshot with all names.
fn apply_and_publish(tasks: &Tasks) -> Duration {
    let origin = Name::parse(DOMAIN).unwrap_or(Name::ROOT);
    let (ttl, negative_ttl, lease) =
        (Duration::from_secs(5), Duration::from_secs(2), Duration::from_secs(60));
    let mut state = State::new(HashSeed::new(*b"a seed for perf."), 16);
    let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl, lease };
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    let mut publisher = Publisher::new(state.snapshot(Moment::START));
    let deltas: Vec<Delta> = (0..tasks.count)
        .map(|number| Delta::PutRecords {
            source: Source::Cluster,
            name: Name::parse(&tasks.name(number)).unwrap_or(Name::ROOT),
            rtype: RecordType::A,
            ttl: 5,
            rdatas: vec![Box::from(number.to_be_bytes())],
        })
        .collect();
    let begun = clock::now();
    for (number, delta) in (0..).zip(deltas) {
        state.apply(delta);
        if number % SLICE_CHANGES == SLICE_CHANGES - 1 {
            state.work(Moment::START);
        }
    }
    publisher.publish(state.snapshot(Moment::START));
    clock::now() - begun
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_on_disk_is_what_the_server_reads() {
        let tasks = Tasks::new(1_000).unwrap();
        let (key, octets) = stored(&tasks, 417);
        let write = ClusterWrite::from_octets(&octets).unwrap();
        assert_eq!(write.key, key);
        let set = Rrset::decode(write.key, write.value.unwrap()).unwrap();
        assert_eq!(set.name().to_string(), "task-417.svc2.hive.internal.");
        assert_eq!(set.texts(), ["10.0.1.161"]);
    }
}
