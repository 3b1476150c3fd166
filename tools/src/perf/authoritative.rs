//! `tools perf authoritative`: the comparison of authoritative servers, in one command.
//!
//! 1. Install the peers if they are missing, build the server.
//! 2. Go, as root, into a network namespace with nothing but a loopback: the machine's firewall rules and
//!    connection tracking would cost more per packet than what is to be compared. Raise the priority.
//! 3. Per zone size: start the servers one after the other, all on one core, and time each until its first
//!    right answer; then rounds, one run per server in each, with the load on another core.
//! 4. Write the table and the picture.

use super::report;
use super::results::Results;
use super::rounds::{Course, measure};
use super::{Scratch, build_hivedns, machine, repository, run_to_end};
use crate::peers::{PEERS, Peer};
use crate::process::{prefer_session, restore_session};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set for the run within the namespace.
const APART: &str = "HIVEDNS_PERF_APART";

/// Compares hivedns with an echo, Knot DNS and NSD: CPU per answer, throughput, start, memory.
#[derive(Args, Debug)]
pub(crate) struct AuthoritativeArgs {
    /// Zone sizes in owner names
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    names: Vec<usize>,
    /// Rounds, in each of which every server has its run
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per run
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Which servers, of those that serve zones
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = PEERS)]
    only: Vec<Peer>,
    /// Questions under way (more than about 250 overflow the socket buffer that Knot leaves at the kernel's default)
    #[arg(long, default_value_t = 192)]
    outstanding: usize,
    /// From how many sockets they come: answers to one of them leave together
    #[arg(long, default_value_t = 1)]
    sockets: usize,
    /// How many different questions
    #[arg(long, default_value_t = 1_000_000)]
    questions: usize,
    /// The seed of zones and questions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The core of the servers
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// The core of the load
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Leave dnsperf out
    #[arg(long)]
    no_dnsperf: bool,
    /// Do not build the server, nor look whether the peers are installed
    #[arg(long)]
    no_build: bool,
    /// Measure in the machine's own network namespace, with its firewall rules
    #[arg(long)]
    here: bool,
    /// Where to write the table and the picture (default: perf/ with all servers, perf/out/ with some)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Writes table and picture again from the figures of an earlier run.
#[derive(Args, Debug)]
pub(crate) struct RenderArgs {
    /// The figures (`authoritative.json` of the run)
    figures: PathBuf,
    /// Where to write
    #[arg(long)]
    output: PathBuf,
}

/// Runs `tools perf authoritative`.
pub(super) fn run(args: &AuthoritativeArgs) -> Result<(), String> {
    if args.server_core == args.load_core {
        return Err("the servers and the load need a core each".into());
    }
    if let Some(peer) = args.only.iter().find(|peer| !PEERS.contains(peer)) {
        return Err(format!("{} serves no zones here", peer.title()));
    }
    let apart = is_apart();
    if !args.no_build && !apart {
        install_missing(&args.only)?;
        if args.only.contains(&Peer::Hivedns) {
            build_hivedns()?;
        }
    }
    if !args.here && !apart && is_root() {
        return run_apart();
    }
    if !args.here && !apart {
        eprintln!("not root: measuring on the machine's own loopback, with its firewall rules");
    }
    let scratch = Scratch::new()?;
    let peers: Vec<Peer> = PEERS.into_iter().filter(|peer| args.only.contains(peer)).collect();
    let dnsperf = !args.no_dnsperf && has("dnsperf");
    let mut head = machine::head(&repository(), &peers);
    head.extend(machine::dnsperf().filter(|_| dnsperf));
    head.push(("Command".into(), command_line()));
    let mut results = Results { head, sizes: Vec::new() };
    if apart {
        prefer_session(std::process::id());
    }
    for &names in &args.names {
        let course = Course {
            names,
            seed: args.seed,
            questions: args.questions,
            peers: peers.clone(),
            rounds: args.rounds,
            seconds: args.seconds,
            outstanding: args.outstanding,
            sockets: args.sockets,
            server_core: args.server_core,
            load_core: args.load_core,
            dnsperf,
            raised: apart,
            scratch: scratch.0.clone(),
            repository: repository(),
        };
        results.sizes.push(measure(&course)?);
    }
    let whole = peers.len() == PEERS.len() && args.sockets == 1;
    let usual = repository().join(if whole { "perf" } else { "perf/out" });
    write(&results, args.output.as_deref().unwrap_or(&usual))
}

/// Runs `tools perf render`.
pub(super) fn render(args: &RenderArgs) -> Result<(), String> {
    let name = |error: &dyn std::fmt::Display| format!("{}: {error}", args.figures.display());
    let text = fs::read_to_string(&args.figures).map_err(|error| name(&error))?;
    let results: Results = serde_json::from_str(&text).map_err(|error| name(&error))?;
    write(&results, &args.output)
}

/// Writes the table and the picture into a directory, and the figures beside the build's other products.
fn write(results: &Results, directory: &Path) -> Result<(), String> {
    let figures = repository().join("perf/out");
    let json = serde_json::to_string_pretty(results).expect("numbers and structures only");
    let files = [
        (figures.join("authoritative.json"), json),
        (directory.join("authoritative.md"), report::table(results)),
        (directory.join("authoritative.svg"), report::picture(results)),
    ];
    for (path, text) in files {
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// True within the namespace of [`run_apart`].
pub(super) fn is_apart() -> bool {
    std::env::var_os(APART).is_some()
}

/// Runs this very command again within a network namespace of its own and with raised priority.
pub(super) fn run_apart() -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("unshare");
    command.args(["--net", "nice", "-n", "-15", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command.arg(own).args(std::env::args_os().skip(1));
    command.env(APART, "yes");
    let done = run_to_end(&mut command);
    restore_session(std::process::id());
    done
}

/// How the user started this.
pub(super) fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo run --release -p tools -- {}", words.join(" "))
}

fn install_missing(peers: &[Peer]) -> Result<(), String> {
    let missing = missing(peers);
    if missing.is_empty() {
        return Ok(());
    }
    let script = repository().join("tests/install-peers");
    let sets = ["servers", "load", "namespaces"];
    if !is_root() {
        let run = format!("{} {}", script.display(), sets.join(" "));
        return Err(format!("{} missing: run {run} as root first", missing.join(" and ")));
    }
    run_to_end(Command::new(script).args(sets))
}

/// The programs of servers that are not installed.
pub(super) fn missing(peers: &[Peer]) -> Vec<&'static str> {
    peers.iter().filter_map(|peer| peer.program()).filter(|program| !has(program)).collect()
}

/// Whether a program is installed.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|directory| directory.join(program).is_file())
}

pub(super) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    effective == Some("0")
}
