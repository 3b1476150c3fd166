//! `tools perf resolver`: what a cache hit costs, what a forwarded miss, and what memory a million entries take.
//!
//! 1. Install the peers if they are missing, build the server, go into a network namespace of one's own.
//! 2. Per size: an authoritative hivedns with the generated zone is everybody's upstream. The resolvers all sit on one
//!    core, the upstream and the load on another. Each resolver is asked everything until the upstream hears nothing
//!    any more; then rounds: hits of each, then as many new names of each.
//! 3. A hivedns with `cache.size = "200MiB"` is asked a million different questions.
//! 4. Write the table.

use super::resolver_report::{Results, table};
use super::resolver_rounds::{Course, fill, measure};
use super::{Scratch, authoritative, build_hivedns, machine, repository, run_to_end};
use crate::peers::{Peer, RESOLVERS};
use crate::process::prefer_session;
use crate::socket;
use clap::{Args, ValueEnum};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The sizes that the table under perf/ has.
const NAMES: [usize; 2] = [1_000, 100_000];
/// The different questions that the cache is to remember.
const ENTRIES: usize = 1_000_000;

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// Answers from the cache
    Hits,
    /// Questions that are new (and hits, which they are compared with)
    Misses,
    /// A million entries
    Memory,
}

/// All of them.
const SCENARIOS: [Scenario; 3] = [Scenario::Hits, Scenario::Misses, Scenario::Memory];

/// Compares hivedns as a resolver with an echo, Unbound and dnsdist: CPU per hit and per forwarded miss, memory.
#[derive(Args, Debug)]
pub(crate) struct ResolverArgs {
    /// Names of the upstream's zone
    #[arg(long, value_delimiter = ',', default_values_t = NAMES)]
    names: Vec<usize>,
    /// Which parts; with some only, the table goes to perf/out/
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = SCENARIOS)]
    only: Vec<Scenario>,
    /// Rounds, in each of which every resolver has its runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per run of hits
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// New names per run of misses
    #[arg(long, default_value_t = 100_000)]
    misses: usize,
    /// Different questions whose answers are to be remembered
    #[arg(long, default_value_t = ENTRIES)]
    entries: usize,
    /// Questions under way
    #[arg(long, default_value_t = 192)]
    outstanding: usize,
    /// From how many sockets they come: answers to one of them leave together
    #[arg(long, default_value_t = 1)]
    sockets: usize,
    /// How many questions, drawn evenly from all names
    #[arg(long, default_value_t = 500_000)]
    questions: usize,
    /// The seed of zones and questions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The core of the resolvers
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// The core of the load and the upstream
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Do not build the server, nor look whether the peers are installed
    #[arg(long)]
    no_build: bool,
    /// Measure in the machine's own network namespace, with its firewall rules
    #[arg(long)]
    here: bool,
    /// Where to write the table (default: perf/ with all parts and the usual sizes, perf/out/ with others)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Runs `tools perf resolver`.
pub(super) fn run(args: &ResolverArgs) -> Result<(), String> {
    if args.server_core == args.load_core {
        return Err("the resolvers and the load need a core each".into());
    }
    let apart = authoritative::is_apart();
    if !args.no_build && !apart {
        install_missing();
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
    let missing = authoritative::missing(&RESOLVERS);
    let is_here = |peer: &Peer| peer.program().is_none_or(|program| !missing.contains(&program));
    let peers: Vec<Peer> = RESOLVERS.into_iter().filter(is_here).collect();
    let mut head = machine::head(&repository(), &peers);
    head.push(("Command".into(), authoritative::command_line()));
    let course = Course {
        seed: args.seed,
        questions: args.questions,
        misses: if args.only.contains(&Scenario::Misses) { args.misses } else { 0 },
        peers,
        rounds: args.rounds,
        seconds: args.seconds,
        outstanding: args.outstanding,
        sockets: args.sockets,
        server_core: args.server_core,
        load_core: args.load_core,
        raised: apart,
        scratch: scratch.0.clone(),
        repository: repository(),
    };
    let mut results = Results { head, missing, sizes: Vec::new(), memory: None };
    if args.only.contains(&Scenario::Hits) || args.only.contains(&Scenario::Misses) {
        for &names in &args.names {
            results.sizes.push(measure(&course, names)?);
        }
    }
    if args.only.contains(&Scenario::Memory) {
        results.memory = Some(fill(&course, args.entries)?);
    }
    let usual = args.names == NAMES && args.entries == ENTRIES;
    let whole = usual && SCENARIOS.iter().all(|scenario| args.only.contains(scenario));
    let usual = repository().join(if whole { "perf" } else { "perf/out" });
    let directory = args.output.as_deref().unwrap_or(&usual);
    let path = directory.join(if args.sockets == 1 { "resolver.md" } else { "resolver-askers.md" });
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table(&results)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Installs what is missing where that is possible; the table says what is missing still.
fn install_missing() {
    if !authoritative::missing(&RESOLVERS).is_empty() && authoritative::is_root() {
        let mut script = Command::new(repository().join("tests/install-peers"));
        if let Err(error) = run_to_end(script.args(["load", "namespaces"])) {
            eprintln!("{error}: measuring without what is missing");
        }
    }
}
