//! `tools perf replication`: what the cluster's machines cost and how fast they are, by the shipped simulator.
//!
//! Each scenario of the table runs for each size and some seeds, in virtual time; `hivedns simulate --format json`
//! tells what happened. All but the time inside of machines is the same on every computer.

use super::row::{self, Row};
use super::scenarios::{SCENARIOS, Scenario};
use super::{build_hivedns, machine, pool, repository};
use crate::peers::Peer;
use crate::svg::{self, Bar, Chart, Series};
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Measures the cluster in the simulator: convergence, traffic, detection, healing
///
/// Fails if a goal was missed, a rule was broken or a run did not end.
#[derive(Args, Debug)]
pub(crate) struct ReplicationArgs {
    /// Sizes to run
    #[arg(long, value_delimiter = ',', default_values_t = [200, 1_000, 10_000])]
    nodes: Vec<u64>,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Seeds for each scenario and size, instead of as many as there is time for
    #[arg(long)]
    seeds: Option<u64>,
    /// Seconds of a processor that the seeds of one scenario and size may take
    #[arg(long, default_value_t = 600.0)]
    budget: f64,
    /// Only scenarios of so much virtual time, in seconds
    #[arg(long)]
    virtual_max: Option<u64>,
    /// Runs at one time [default: one for each processor]
    #[arg(long)]
    jobs: Option<usize>,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// The server to run [default: the one of the release build]
    #[arg(long)]
    program: Option<PathBuf>,
    /// Where to write the table and the picture (default: perf/ with everything, perf/out/ with a part)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Records of each node: with 1,000 nodes there are 100,000.
const RECORDS: &str = "100";
/// Rows of the goals that no simulation measures, each with the command that does.
const ELSEWHERE: [(&str, &str); 2] = [
    ("memory of a replicated record", "cargo test --test replicated_record -- --nocapture"),
    ("real time to apply and publish 1M records", "cargo run --release -p tools -- perf publish"),
];

/// One run.
struct Run {
    row: usize,
    nodes: u64,
    scenario: &'static Scenario,
    seed: u64,
}

/// Scenario by scenario and size by size, what came of the runs so far.
#[derive(Default)]
struct Results {
    rows: Vec<Row>,
    broken: Vec<String>,
    left_out: Vec<String>,
}

/// Runs `tools perf replication`.
pub(super) fn run(args: &ReplicationArgs) -> Result<(), String> {
    let (mut results, runs) = plan(args);
    if runs.is_empty() {
        return Err("nothing to run: no scenario is that short and has that in its name".to_owned());
    }
    if !args.no_build && args.program.is_none() {
        build_hivedns()?;
    }
    let program = args.program.clone().unwrap_or_else(release);
    let sizes = ReplicationArgs::usual_sizes();
    let whole = results.left_out.is_empty()
        && args.only.is_none()
        && sizes.iter().all(|size| args.nodes.contains(size));
    let usual = repository().join(if whole { "perf" } else { "perf/out" });
    let directory = args.output.as_ref().unwrap_or(&usual);
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(processors);
    let (mut ended, mut written) = (0, Ok(()));
    let work = |run: &Run| simulate(&program, run);
    pool::each(&runs, jobs, work, |place, outcome| {
        let run = &runs[place];
        let what = format!("{} nodes, {}, seed {}", run.nodes, run.scenario.name, run.seed);
        ended += 1;
        eprintln!("{ended} of {}: {what}", runs.len());
        results.take(run, &what, outcome);
        // After each run: who stops a long one keeps what it has measured.
        written = write(directory, &results);
        written.is_ok()
    });
    written?;
    println!("{}", table(&results));
    let missed = results.rows.iter().flat_map(Row::missed).count();
    match (results.broken.len(), missed) {
        (0, 0) => Ok(()),
        (broken, missed) => Err(format!("{broken} rules broken or runs failed, {missed} goals missed")),
    }
}

impl ReplicationArgs {
    fn usual_sizes() -> [u64; 3] {
        [200, 1_000, 10_000]
    }
}

/// The rows, all empty, and the runs that fill them.
fn plan(args: &ReplicationArgs) -> (Results, Vec<Run>) {
    let (mut results, mut runs) = (Results::default(), Vec::new());
    for &nodes in &args.nodes {
        let named = |scenario: &&Scenario| {
            args.only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str()))
        };
        for scenario in SCENARIOS.iter().filter(named) {
            if args.virtual_max.is_some_and(|max| scenario.virtual_s > max) {
                results.left_out.push(format!("{nodes} nodes, {}: too long in virtual time", scenario.name));
                continue;
            }
            let seeds = args.seeds.unwrap_or_else(|| scenario.seeds(nodes, args.budget));
            let row = results.rows.len();
            runs.extend((1..=seeds).map(|seed| Run { row, nodes, scenario, seed }));
            results.rows.push(Row::new(nodes, scenario, seeds));
        }
    }
    (results, runs)
}

impl Results {
    fn take(&mut self, run: &Run, what: &str, outcome: Result<Value, String>) {
        match outcome {
            Ok(summary) => {
                for fault in summary["broken"].as_array().into_iter().flatten() {
                    let text = |field: &str| fault[field].as_str().unwrap_or_default();
                    self.broken.push(format!("{what}: {}: {}", text("rule"), text("what")));
                }
                self.rows[run.row].take(run.seed, &summary);
            }
            Err(error) => {
                self.broken.push(format!("{what}: {error}"));
                self.rows[run.row].fail(run.seed);
            }
        }
    }

    /// What was asked for and is not in the table, or not in full.
    fn missing(&self) -> Vec<String> {
        let unfinished = self.rows.iter().filter(|row| row.runs() < row.seeds).map(|row| {
            format!(
                "{} nodes, {}: {} of {} seeds were run",
                row.nodes,
                row.scenario.name,
                row.runs(),
                row.seeds
            )
        });
        unfinished.chain(self.left_out.iter().cloned()).collect()
    }
}

fn release() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(repository().join("target"), PathBuf::from);
    target.join("release/hivedns")
}

/// Writes what is known so far.
fn write(directory: &Path, results: &Results) -> Result<(), String> {
    for (name, text) in [("replication.md", table(results)), ("replication.svg", picture(&results.rows))] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// One run; its summary. That a rule was broken is part of it.
fn simulate(program: &Path, run: &Run) -> Result<Value, String> {
    let mut command = Command::new(program);
    command.args(["simulate", "--format", "json", "--records", RECORDS]).args(run.scenario.flags);
    command.args(["--nodes", &run.nodes.to_string(), "--seed", &run.seed.to_string()]);
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("{}: {error}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
    })
}

fn table(results: &Results) -> String {
    let mut out = String::from(
        "# Replication, simulated\n\n\
         Written by `tools perf replication`; `hivedns simulate` repeats each run, the seeds are 1, 2, 3 and so on. \
         Latency is 0.2 to 1 ms, links have 1 Gbit/s, each node has 100 records of 100 octets. Every node's clock has \
         its own start and drift.\n\n\
         ![Convergence, traffic and detection](replication.svg)\n\n| | |\n|---|---|\n",
    );
    // Writing into a string does not fail, here and below.
    let peers: [Peer; 0] = [];
    for (what, which) in machine::head(&repository(), &peers) {
        let _ = writeln!(out, "| {what} | {which} |");
    }
    let _ = writeln!(
        out,
        "\nA goal of zero is judged by the worst value, any other by the median. Of a crash each death is a value. \
         Where nodes speak in clear, 8 octets are counted with each datagram for the seal, and the time inside of \
         machines is without sealing (`cargo bench --bench secrecy` has its price).\n\n{}",
        row::HEAD
    );
    results.rows.iter().filter(|row| row.runs() > 0).for_each(|row| out.push_str(&row.lines()));
    out.push_str("\nMeasured elsewhere:\n\n");
    for (what, command) in ELSEWHERE {
        let _ = writeln!(out, "- {what}: `{command}`");
    }
    list(&mut out, "Not run", &results.missing());
    match results.broken.is_empty() {
        true => out.push_str("\nEvery rule was kept in every run.\n"),
        false => list(&mut out, "Broken rules", &results.broken),
    }
    out
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(out, "\n## {title}\n");
        lines.iter().for_each(|line| {
            let _ = writeln!(out, "- {line}");
        });
    }
}

fn picture(rows: &[Row]) -> String {
    let mut sizes: Vec<u64> = rows.iter().map(|row| row.nodes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let colours = ["#b8c1cc", "#3d7fc1", "#f0a202", "#5b8c5a"].into_iter().cycle();
    let series: Vec<Series> = sizes
        .iter()
        .zip(colours)
        .map(|(nodes, colour)| Series { name: format!("{nodes} nodes"), colour })
        .collect();
    let chart = |title: &str, wanted: &[(&str, &str)]| Chart {
        title: title.to_owned(),
        subtitle: "less is better; bar: median, whisker: range over seeds".to_owned(),
        groups: wanted
            .iter()
            .map(|(scenario, figure)| {
                let bar = |nodes: &u64| {
                    let row =
                        rows.iter().find(|row| row.nodes == *nodes && row.scenario.name == *scenario)?;
                    let (min, median, max) = row.spread(figure)?;
                    Some(Bar { value: median, range: (min, max) })
                };
                ((*scenario).to_owned(), sizes.iter().map(bar).collect())
            })
            .collect(),
    };
    let charts = [
        chart(
            "A change on all nodes, ms",
            &[("one change", "on all nodes"), ("one change, 20 % loss", "on all nodes")],
        ),
        chart("A crashed node is down everywhere, s", &[("5 crashes", "down everywhere, of each")]),
        chart(
            "Idle traffic, B/s per node",
            &[("idle for a minute, after a minute", "UDP payload sent per node")],
        ),
        chart("UDP payload per useful octet", &[("560 changes/s", "UDP payload per useful octet")]),
    ];
    svg::sheet(
        "Replication, simulated",
        "virtual time, 0.2 to 1 ms between nodes",
        "tools perf replication",
        &series,
        &charts,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ReplicationArgs,
    }

    fn args(flags: &[&str]) -> ReplicationArgs {
        Line::parse_from([&["tools"], flags].concat()).args
    }

    #[test]
    fn any_sizes_are_run_and_what_is_left_out_is_said() {
        let (results, runs) = plan(&args(&["--nodes", "50,3000", "--seeds", "2", "--virtual-max", "5"]));
        let scenarios = SCENARIOS.iter().filter(|scenario| scenario.virtual_s <= 5).count();
        assert_eq!((results.rows.len(), runs.len()), (2 * scenarios, 4 * scenarios));
        assert_eq!(results.left_out.len(), 2 * (SCENARIOS.len() - scenarios));
        assert_eq!(results.missing().len(), 2 * SCENARIOS.len());
        assert!(run(&args(&["--only", "no such scenario"])).is_err());
    }

    #[test]
    fn the_charts_are_of_figures_that_there_are() {
        let (mut results, runs) = plan(&args(&["--nodes", "50", "--seeds", "1"]));
        let summary = json!({
            "nodes": 50, "unwatched": 0, "unfinished": 0, "octets_per_node_s": 100.0, "octets_per_useful": 5.0,
            "calm": { "most": { "worst_ms": 1.0 }, "all": { "worst_ms": 2.0, "p99_ms": 2.0 } },
            "deaths": [{ "suspected_s": 1.0, "everywhere_s": 5.0 }],
        });
        for run in &runs {
            results.take(run, "x", Ok(summary.clone()));
        }
        let picture = picture(&results.rows);
        assert!(!picture.contains("NaN") && !picture.contains("–"), "{picture}");
        let table = table(&results);
        assert!(!table.contains("Not run"));
        // A line between the head and the rows would end the table.
        assert!(table.contains("---:|\n| 50 | one change |"), "{table}");
        results.take(&runs[0], "a run", Err("it ended".to_owned()));
        assert!(super::table(&results).contains("- a run: it ended"));
    }
}
