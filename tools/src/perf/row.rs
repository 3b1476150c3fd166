//! The rows of one scenario at one size: what its runs have come to, as a table shows it.

use super::scenarios::{Figure, Scenario};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The head of the table.
pub(super) const HEAD: &str = "| nodes | what happens | figure | median | worst | seeds | goal | | nodes speak | a run |\n\
    |---:|---|---|---:|---:|---:|---:|---|---|---:|";

/// One scenario at one size.
pub(super) struct Row {
    /// The size.
    pub(super) nodes: u64,
    /// What happens.
    pub(super) scenario: &'static Scenario,
    /// How many seeds are to be run.
    pub(super) seeds: u64,
    /// By seed: for each figure its values; nothing of a run that failed.
    values: BTreeMap<u64, Option<Vec<Vec<Option<f64>>>>>,
    sealed: bool,
    real_s: f64,
    peak_kib: u64,
}

/// How a figure came out: sorted, what never came last.
struct Outcome {
    sorted: Vec<Option<f64>>,
}

impl Outcome {
    /// The middle value, or the mean of the middle two; `None`: never.
    fn median(&self) -> Option<f64> {
        let middle = self.sorted.len() / 2;
        let upper = self.sorted.get(middle).copied().flatten()?;
        match self.sorted.len() % 2 {
            1 => Some(upper),
            _ => Some((self.sorted[middle - 1]? + upper) / 2.0),
        }
    }

    /// The worst; `None`: never.
    fn worst(&self) -> Option<f64> {
        self.sorted.last().copied().flatten()
    }

    /// Whether a goal is met: one of zero allows nothing at all, another half of the runs.
    fn meets(&self, goal: f64) -> bool {
        let judged = if goal == 0.0 { self.worst() } else { self.median() };
        judged.is_some_and(|value| value <= goal)
    }
}

impl Row {
    /// Before any run.
    pub(super) fn new(nodes: u64, scenario: &'static Scenario, seeds: u64) -> Row {
        Row { nodes, scenario, seeds, values: BTreeMap::new(), sealed: false, real_s: 0.0, peak_kib: 0 }
    }

    /// A run came to its end.
    pub(super) fn take(&mut self, seed: u64, summary: &Value) {
        let values = self.scenario.figures.iter().map(|figure| figure.place.read(summary)).collect();
        self.values.insert(seed, Some(values));
        self.sealed = summary["machine"].as_str().is_some_and(|machine| machine.ends_with(", sealed"));
        self.real_s += summary["real_s"].as_f64().unwrap_or(0.0);
        self.peak_kib = self.peak_kib.max(summary["peak_kib"].as_u64().unwrap_or(0));
    }

    /// A run did not.
    pub(super) fn fail(&mut self, seed: u64) {
        self.values.insert(seed, None);
    }

    /// How many seeds were run.
    pub(super) fn runs(&self) -> u64 {
        self.values.len() as u64
    }

    fn outcome(&self, place: usize) -> Outcome {
        let mut sorted: Vec<Option<f64>> = Vec::new();
        for run in self.values.values() {
            match run.as_ref().and_then(|figures| figures.get(place)) {
                Some(values) => sorted.extend(values),
                None => sorted.push(None),
            }
        }
        let size = |value: &Option<f64>| value.unwrap_or(f64::INFINITY);
        sorted.sort_by(|one, other| size(one).total_cmp(&size(other)));
        Outcome { sorted }
    }

    /// Smallest, median and largest value of a figure; `None` if a run did not come to it.
    pub(super) fn spread(&self, figure: &str) -> Option<(f64, f64, f64)> {
        let place = self.scenario.figures.iter().position(|other| other.name == figure)?;
        let outcome = self.outcome(place);
        Some((outcome.sorted.first().copied().flatten()?, outcome.median()?, outcome.worst()?))
    }

    /// The figures whose goals the runs so far have missed.
    pub(super) fn missed(&self) -> impl Iterator<Item = &'static Figure> {
        self.scenario.figures.iter().enumerate().filter_map(|(place, figure)| {
            let goal = figure.goal_at(self.nodes)?;
            (self.runs() > 0 && !self.outcome(place).meets(goal)).then_some(figure)
        })
    }

    /// A line of the table for each figure.
    pub(super) fn lines(&self) -> String {
        let mut out = String::new();
        for (place, figure) in self.scenario.figures.iter().enumerate() {
            let outcome = self.outcome(place);
            let goal = figure.goal_at(self.nodes);
            let seeds = match outcome.sorted.len() as u64 == self.runs() {
                true => self.runs().to_string(),
                false => format!("{}, {} values", self.runs(), outcome.sorted.len()),
            };
            let verdict = goal.map_or("", |goal| if outcome.meets(goal) { "met" } else { "missed" });
            // Writing into a string does not fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {seeds} | {} | {verdict} | {} | {} |",
                self.nodes,
                self.scenario.name,
                figure.name,
                outcome.median().map_or("never".to_owned(), |value| format!(
                    "**{}**{}",
                    short(value),
                    unit(figure)
                )),
                outcome.worst().map_or("never".to_owned(), |value| format!(
                    "{}{}",
                    short(value),
                    unit(figure)
                )),
                goal.map_or("–".into(), |goal| format!("{}{}", short(goal), unit(figure))),
                if self.sealed { "sealed" } else { "in clear" },
                self.cost()
            );
        }
        out
    }

    /// What a run took of the real world.
    fn cost(&self) -> String {
        let ended = self.values.values().flatten().count().max(1) as f64;
        format!("{} s, {} MiB", short(self.real_s / ended), self.peak_kib >> 10)
    }
}

fn unit(figure: &Figure) -> String {
    if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) }
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
    use super::super::scenarios::SCENARIOS;
    use super::*;
    use serde_json::json;

    fn row(name: &str, summaries: &[Value]) -> Row {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let mut row = Row::new(200, scenario, summaries.len() as u64);
        (1..).zip(summaries).for_each(|(seed, summary)| row.take(seed, summary));
        row
    }

    #[test]
    fn every_death_of_every_seed_is_a_value_and_one_that_never_came_is_the_worst() {
        let death = |first: f64, all: Option<f64>| json!({ "suspected_s": first, "everywhere_s": all });
        let row = row(
            "5 crashes",
            &[
                json!({ "deaths": [death(2.0, Some(5.0)), death(3.0, Some(6.0))], "machine": "gossip, sealed" }),
                json!({ "deaths": [death(2.2, None)], "machine": "gossip, sealed", "real_s": 4.0 }),
            ],
        );
        let lines = row.lines();
        assert!(
            lines.contains(
                "| first suspicion, of each | **2.2** s | 3.0 s | 2, 3 values | 2.5 s | met | sealed |"
            ),
            "{lines}"
        );
        assert!(
            lines.contains("| down everywhere, of each | **6.0** s | never | 2, 3 values | 7.0 s | met |"),
            "{lines}"
        );
        assert!(lines.contains("| 2.0 s, 0 MiB |"), "{lines}");
        assert_eq!(row.missed().count(), 0);
    }

    #[test]
    fn a_goal_of_zero_is_missed_by_one_run_of_many() {
        let downs = |downs: u64| json!({ "false_downs": downs });
        assert_eq!(row("5 % loss for an hour", &[downs(0), downs(0), downs(0)]).missed().count(), 0);
        let row = row("5 % loss for an hour", &[downs(0), downs(1), downs(0)]);
        assert_eq!(row.missed().count(), 1);
        assert!(row.lines().contains("| **0** | 1.0 | 3 | 0 | missed | in clear |"), "{}", row.lines());
    }

    #[test]
    fn a_size_that_spoke_in_clear_is_not_shown_as_sealed() {
        let of = |machine: &str| row("one change", &[json!({ "machine": machine })]).lines();
        assert!(of("gossip, sealed").contains("| sealed |"));
        assert!(of("gossip, in clear, its octets counted as sealed").contains("| in clear |"));
    }

    #[test]
    fn what_never_came_misses_its_goal() {
        let mut row = row("one change", &[json!({ "calm": null, "unwatched": 0, "unfinished": 0 })]);
        assert_eq!(row.missed().count(), 2);
        assert!(row.lines().contains("| never | never | 1 |"), "{}", row.lines());
        row.fail(1);
        assert_eq!(row.missed().count(), 2);
    }
}
