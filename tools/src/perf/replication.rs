//! `tools perf replication`: what the cluster's machines cost and how fast they are, by the shipped simulator.
//!
//! Each scenario of the table runs for each size and some seeds, in virtual time; `hivedns simulate --format json`
//! tells what happened. All but the time inside of machines is the same on every computer.

use super::scenarios::{Figure, SCENARIOS, SIZES, Scenario, Size};
use super::{build_hivedns, machine, repository};
use crate::peers::Peer;
use crate::stats::Spread;
use crate::svg::{self, Bar, Chart, Series};
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Measures the cluster in the simulator: convergence, traffic, detection, healing
#[derive(Args, Debug)]
pub(crate) struct ReplicationArgs {
    /// Sizes to run
    #[arg(long, value_delimiter = ',', default_values_t = [200, 1_000, 10_000])]
    nodes: Vec<u64>,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Seeds for each, instead of as many as the size allows
    #[arg(long)]
    seeds: Option<u64>,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// Where to write the table and the picture (default: perf/ with everything, perf/out/ with a part)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Records of each node: with 1,000 nodes there are 100,000.
const RECORDS: &str = "100";

/// The figures of one scenario at one size: a value per seed, or none where a run did not come to it.
struct Row {
    size: Size,
    scenario: &'static Scenario,
    figure: &'static Figure,
    values: Vec<Option<f64>>,
}

/// Runs `tools perf replication`.
pub(super) fn run(args: &ReplicationArgs) -> Result<(), String> {
    if !args.no_build {
        build_hivedns()?;
    }
    let whole = args.only.is_none() && SIZES.iter().all(|size| args.nodes.contains(&size.nodes));
    let usual = repository().join(if whole { "perf" } else { "perf/out" });
    let directory = args.output.as_ref().unwrap_or(&usual);
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut rows = Vec::new();
    let mut broken = Vec::new();
    let mut simulated = String::new();
    for size in SIZES.into_iter().filter(|size| args.nodes.contains(&size.nodes)) {
        let wanted = |scenario: &&'static Scenario| {
            scenario.virtual_s <= size.virtual_s_max
                && args.only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str()))
        };
        for scenario in SCENARIOS.iter().filter(wanted) {
            let mut summaries = Vec::new();
            let seeds = 1..=args.seeds.unwrap_or(size.seeds);
            eprintln!("{} nodes, {} …", size.nodes, scenario.name);
            // Runs share nothing, so seeds run beside each other.
            let runs: Vec<Result<Value, String>> = std::thread::scope(|scope| {
                let runs: Vec<_> =
                    seeds.clone().map(|seed| scope.spawn(move || simulate(size, scenario, seed))).collect();
                let lost = |_| Err("a run ended early".to_owned());
                runs.into_iter().map(|run| run.join().unwrap_or_else(lost)).collect()
            });
            for (seed, summary) in seeds.zip(runs) {
                let summary = summary?;
                simulated = summary["machine"].as_str().unwrap_or_default().to_owned();
                for fault in summary["broken"].as_array().into_iter().flatten() {
                    let rule = fault["rule"].as_str().unwrap_or_default();
                    let what = fault["what"].as_str().unwrap_or_default();
                    broken.push(format!(
                        "{} nodes, {}, seed {seed}: {rule}: {what}",
                        size.nodes, scenario.name
                    ));
                }
                summaries.push(summary);
            }
            rows.extend(scenario.figures.iter().map(|figure| Row {
                size,
                scenario,
                figure,
                values: summaries.iter().map(|summary| figure.place.read(summary)).collect(),
            }));
            // After each scenario: who stops a long run keeps what it has measured.
            write(directory, &rows, &broken, &simulated)?;
        }
    }
    Ok(())
}

/// Writes what is known so far.
fn write(directory: &Path, rows: &[Row], broken: &[String], simulated: &str) -> Result<(), String> {
    let texts = [("replication.md", table(rows, broken, simulated)), ("replication.svg", picture(rows))];
    for (name, text) in texts {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// One run; its summary. That a rule was broken is part of it.
fn simulate(size: Size, scenario: &Scenario, seed: u64) -> Result<Value, String> {
    let program = repository().join("target/release/hivedns");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map(|target| PathBuf::from(target).join("release/hivedns"));
    let program = target.unwrap_or(program);
    let mut command = Command::new(&program);
    command.args(["simulate", "--format", "json", "--records", RECORDS]).args(scenario.flags);
    command.args(["--nodes", &size.nodes.to_string(), "--seed", &seed.to_string()]);
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("{}: {error}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim())
    })
}

fn spread(row: &Row) -> Option<Spread> {
    Spread::of(row.values.iter().copied().collect::<Option<Vec<f64>>>()?)
}

fn table(rows: &[Row], broken: &[String], simulated: &str) -> String {
    let mut out = String::from(
        "# Replication, simulated\n\n\
         Written by `tools perf replication`; `hivedns simulate` repeats each run. Latency is 0.2 to 1 ms, links have \
         1 Gbit/s, each node has 100 records of 100 octets. Every node's clock has its own start and drift.\n\n\
         ![Convergence, traffic and detection](replication.svg)\n\n| | |\n|---|---|\n",
    );
    // Writing into a string does not fail, here and below.
    let peers: [Peer; 0] = [];
    for (what, which) in machine::head(&repository(), &peers) {
        let _ = writeln!(out, "| {what} | {which} |");
    }
    let _ = writeln!(out, "| Machine | {simulated} |");
    let _ = writeln!(
        out,
        "\n| nodes | what happens | figure | median | worst | seeds | goal | |\n|---:|---|---|---:|---:|---:|---:|---|"
    );
    for row in rows {
        let unit = if row.figure.unit.is_empty() { String::new() } else { format!(" {}", row.figure.unit) };
        let goal = row.figure.goal.map(|(small, large)| if row.size.nodes <= 1_000 { small } else { large });
        let cells = match spread(row) {
            Some(spread) => {
                let met = goal.map_or("", |goal| if spread.median <= goal { "met" } else { "missed" });
                format!(
                    "**{}**{unit} | {}{unit} | {} | {} | {met}",
                    short(spread.median),
                    short(spread.max),
                    row.values.len(),
                    goal.map_or("–".into(), short)
                )
            }
            None => {
                format!("never | never | {} | {} | missed", row.values.len(), goal.map_or("–".into(), short))
            }
        };
        let _ =
            writeln!(out, "| {} | {} | {} | {cells} |", row.size.nodes, row.scenario.name, row.figure.name);
    }
    match broken.is_empty() {
        true => out.push_str("\nEvery rule was kept in every run.\n"),
        false => {
            let _ = writeln!(out, "\n## Broken rules\n");
            broken.iter().for_each(|line| {
                let _ = writeln!(out, "- {line}");
            });
        }
    }
    out
}

fn picture(rows: &[Row]) -> String {
    let series: Vec<Series> = SIZES
        .iter()
        .zip(["#b8c1cc", "#3d7fc1", "#f0a202"])
        .map(|(size, colour)| Series { name: format!("{} nodes", size.nodes), colour })
        .collect();
    let chart = |title: &str, wanted: &[(&str, &str)]| Chart {
        title: title.to_owned(),
        subtitle: "less is better; bar: median, whisker: range over seeds".to_owned(),
        groups: wanted
            .iter()
            .map(|(scenario, figure)| {
                let bar = |size: &Size| {
                    let row = rows.iter().find(|row| {
                        row.size.nodes == size.nodes
                            && row.scenario.name == *scenario
                            && row.figure.name == *figure
                    });
                    row.and_then(spread).map(|s| Bar { value: s.median, range: (s.min, s.max) })
                };
                ((*scenario).to_owned(), SIZES.iter().map(bar).collect())
            })
            .collect(),
    };
    let charts = [
        chart(
            "A change on all nodes, ms",
            &[("one change", "on all nodes"), ("one change, 20 % loss", "on all nodes")],
        ),
        chart("A crashed node is down everywhere, s", &[("5 crashes", "down everywhere")]),
        chart("Idle traffic, B/s per node", &[("idle", "UDP payload sent per node")]),
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

/// A number with as many digits as say something.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_met_its_goal_and_what_never_came() {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "5 crashes").unwrap();
        let row = |figure: usize, values| Row {
            size: SIZES[0],
            scenario,
            figure: &scenario.figures[figure],
            values,
        };
        let rows = [row(0, vec![Some(2.0), Some(3.0), Some(2.2)]), row(1, vec![Some(5.0), None])];
        let table = table(&rows, &["x".into()], "m");
        assert!(
            table.contains("| 200 | 5 crashes | first suspicion | **2.2** s | 3.0 s | 3 | 2.5 | met |"),
            "{table}"
        );
        assert!(table.contains("| down everywhere | never | never | 2 | 7.0 | missed |"), "{table}");
        assert!(table.contains("- x"));
        assert!(!picture(&rows).contains("NaN"));
    }
}
