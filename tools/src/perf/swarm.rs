//! `tools perf swarm`: hivedns beside the resolver of the engines themselves, in a swarm of three on this machine.
//!
//! The swarm is that of the tests (`tests/support/swarm`), with the image as it is shipped and the repository's own stack.

use super::machine::head;
use super::swarm_cut::{self, Cut};
use super::swarm_report::{Results, table};
use super::swarm_speed::{self, Course};
use super::swarm_update::{self, Servers, Update, other};
use super::{authoritative, repository, swarm_changes};
use crate::swarm::Swarm;
use crate::swarm::stage::{self, Place};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How long a new task, one that stops and one that is killed take to be seen so.
    Changes,
    /// A node that is cut off.
    Cut,
    /// Queries a second, and what each costs.
    Speed,
    /// A rolling update of hivedns under load.
    Update,
}

const PARTS: [Part; 4] = [Part::Changes, Part::Cut, Part::Speed, Part::Update];
const NODES: usize = 3;

/// Compares hivedns in a swarm with the engines' own resolver: changes, a cut, speed, an update.
#[derive(Args, Debug)]
pub(crate) struct SwarmArgs {
    /// Which parts; with some only, the table goes to perf/out/
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = PARTS)]
    only: Vec<Part>,
    /// Rounds of changes and of speed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per run of speed
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Questions under way
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    /// How many seconds a node is cut off
    #[arg(long, default_value_t = 60)]
    cut: u64,
    /// Look-ups a second during the update
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// A hivedns that is there already, instead of building it as it is shipped
    #[arg(long)]
    program: Option<PathBuf>,
    /// Where to write the table (default: perf/ with all parts, perf/out/ with others)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Runs `tools perf swarm`.
pub(super) fn run(args: &SwarmArgs) -> Result<(), String> {
    // In the outer process, which reaches the crates' registry; in the inner one all is built already.
    let program = match &args.program {
        Some(program) => program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?,
        None => build()?,
    };
    match stage::enter() {
        Place::Nowhere(why) => Err(why),
        Place::Done(true) => Ok(()),
        Place::Done(false) => Err("the measurement failed".into()),
        Place::Inner(dir) => measure(args, &dir, &program),
    }
}

/// The program of the image as it is shipped.
fn build() -> Result<PathBuf, String> {
    eprintln!("building hivedns …");
    let mut image = Command::new(repository().join("tools/image"));
    let output = image.arg("--program").output().map_err(|error| format!("tools/image: {error}"))?;
    if !output.status.success() {
        return Err(format!("tools/image: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn measure(args: &SwarmArgs, dir: &Path, program: &Path) -> Result<(), String> {
    eprintln!("raising a swarm of {NODES} engines …");
    let swarm = Swarm::raise(dir, &repository(), program, NODES);
    swarm.image(Some(program));
    swarm.client_image();
    swarm.deploy();
    // Who asks, on each node, in networks that outlive every change.
    let second = other(&swarm).to_string();
    let dns = ["--dns", &swarm.gateway().ip().to_string(), "--dns", &second];
    let ports = swarm_update::ports();
    swarm.service("asker", &[&["--mode", "global", "--sysctl", &ports][..], &dns].concat(), &[]);
    let mut askers = swarm.wait_tasks("asker", NODES);
    askers.sort_by(|one, other| one.node.cmp(&other.node));

    let mut head = head(&repository(), &[]);
    head.push(("Engines".into(), swarm.manager().docker(&["version", "--format", "{{.Server.Version}}"])));
    if args.program.is_some() {
        head.push(("Program".into(), "not as it is shipped".into()));
    }
    head.push(("Command".into(), authoritative::command_line()));
    let mut results = Results { head, ..Results::default() };
    let has = |part| args.only.contains(&part);
    if has(Part::Changes) {
        results.changes = swarm_changes::measure(&swarm, &askers, args.rounds)?;
    }
    if has(Part::Speed) {
        let time = Duration::from_secs_f64(args.seconds.clamp(0.1, 600.0));
        let course = Course { rounds: args.rounds, time, outstanding: args.outstanding };
        results.speed = swarm_speed::measure(&swarm, &askers[1], &course)?;
    }
    if has(Part::Cut) {
        results.cut =
            Some(swarm_cut::measure(&swarm, &askers, &Cut { time: Duration::from_secs(args.cut) })?);
    }
    if has(Part::Update) {
        for servers in [Servers::Two, Servers::One, Servers::Engine] {
            let update = Update { servers, rate: args.rate };
            results.updates.push(swarm_update::measure(&swarm, &askers[1], &update)?);
        }
    }
    let whole = PARTS.iter().all(|part| has(*part)) && args.program.is_none();
    let usual = repository().join(if whole { "perf" } else { "perf/out" });
    let directory = args.output.as_deref().unwrap_or(&usual);
    let path = directory.join("swarm.md");
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table(&results)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
