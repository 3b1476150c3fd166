//! Automation of the hivedns repository: generators, load, comparison runs.
//!
//! ```text
//! perf ──► rounds over echo, hivedns, Knot, NSD, Unbound, dnsdist ──► table and picture under perf/
//! instructions, mutate, gun ──► load and checks against one server on the loopback
//! perf swarm ──► the swarm of the tests (tests/support/swarm)
//! echo ──► the ceiling: the server's socket work without a server
//! zone, queries ──► population (seeded)         clock, rng, stats, histogram, svg: nouns of their own
//! ```
//! Nothing here is shipped, and nothing of the server depends on it. `mmsg` is the only unsafe module.

mod clock;
mod echo;
mod gun;
mod histogram;
mod mmsg;
mod mutate;
mod peers;
mod perf;
mod population;
mod process;
mod queries;
mod questions;
mod rng;
mod socket;
mod stats;
mod svg;
#[path = "../../tests/support/swarm/mod.rs"]
mod swarm;
mod wire;
mod zone;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Generators, load and comparison runs for hivedns
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Zone(zone::ZoneArgs),
    Queries(queries::QueriesArgs),
    Gun(gun::GunArgs),
    Mutate(mutate::MutateArgs),
    Echo(echo::EchoArgs),
    #[command(subcommand)]
    Perf(perf::PerfCommand),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Zone(args) => zone::run(&args),
        Command::Queries(args) => queries::run(&args),
        Command::Gun(args) => gun::run(&args),
        Command::Mutate(args) => mutate::run(&args),
        Command::Echo(args) => echo::run(&args),
        Command::Perf(command) => perf::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tools: {message}");
            ExitCode::FAILURE
        }
    }
}
