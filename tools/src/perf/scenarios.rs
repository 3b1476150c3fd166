//! What `perf replication` runs and reads: one table of scenarios, each a command line of the simulator and the
//! figures that its summary answers.

use serde_json::Value;

/// Where a figure stands in a summary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A number.
    Number(&'static str),
    /// A number that is one of all changes: none if some change was not watched, or was not everywhere at the end.
    OfChanges(&'static str),
    /// A number, in hundredths of a second and node: milliseconds per second become percent of one core.
    PercentPerNode(&'static str),
    /// Each of an array's numbers, or a field of each of its objects.
    Each(&'static str, Option<&'static str>),
}

/// A figure of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    /// What it says.
    pub(super) name: &'static str,
    /// Its unit.
    pub(super) unit: &'static str,
    /// Where it stands.
    pub(super) place: Place,
    /// At most, for up to 1,000 nodes and beyond.
    pub(super) goal: Option<(f64, f64)>,
}

/// A run and its figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    /// What happens.
    pub(super) name: &'static str,
    /// The simulator's flags, without size and seed.
    pub(super) flags: &'static [&'static str],
    /// Virtual seconds that they ask for.
    pub(super) virtual_s: u64,
    /// Milliseconds of a processor that a run takes for each node, as measured once; it decides how many seeds there
    /// is time for, and nothing else.
    pub(super) node_ms: f64,
    /// What is read off it.
    pub(super) figures: &'static [Figure],
}

/// Milliseconds of a processor that it takes to let each of a pair of nodes know the other at the start, and to let
/// them compare whom they know in a virtual second: 100 s and 8 s for 10,000 nodes.
const PAIR_MS: f64 = 0.001;
const PAIR_SECOND_MS: f64 = 0.000_08;
/// Seeds of a row for whose runs there is time.
pub(super) const SEEDS_USUAL: u64 = 20;

impl Scenario {
    /// How many seeds to run at a size, if a row may take so many seconds of a processor.
    pub(super) fn seeds(&self, nodes: u64, budget_s: f64) -> u64 {
        let nodes = nodes as f64;
        let pair_ms = PAIR_MS + self.virtual_s as f64 * PAIR_SECOND_MS;
        let run_s = (nodes * self.node_ms + nodes * nodes * pair_ms) / 1e3;
        ((budget_s / run_s) as u64).clamp(1, SEEDS_USUAL)
    }
}

impl Figure {
    /// What it should be at most at a size.
    pub(super) fn goal_at(&self, nodes: u64) -> Option<f64> {
        self.goal.map(|(small, large)| if nodes <= 1_000 { small } else { large })
    }
}

const fn figure(name: &'static str, unit: &'static str, place: Place) -> Figure {
    Figure { name, unit, place, goal: None }
}

const fn goal(figure: Figure, small: f64, large: f64) -> Figure {
    Figure { goal: Some((small, large)), ..figure }
}

use Place::{Each, Number, OfChanges, PercentPerNode};

const MOST: Figure = figure("on 99 % of the nodes", "ms", OfChanges("/calm/most/worst_ms"));
const ALL: Figure = figure("on all nodes", "ms", OfChanges("/calm/all/worst_ms"));
const MACHINE: Figure =
    goal(figure("inside of a machine, of one core", "%", PercentPerNode("/machine_ms_per_s")), 2.0, 15.0);
const DOWNS: Figure = goal(figure("healthy nodes declared down", "", Number("/false_downs")), 0.0, 0.0);

/// All that is run.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one change",
        flags: &["--changes", "0", "--burst", "1", "--duration", "4s"],
        virtual_s: 4,
        node_ms: 0.6,
        figures: &[goal(MOST, 70.0, 90.0), goal(ALL, 300.0, 500.0)],
    },
    Scenario {
        name: "one change, 20 % loss",
        flags: &["--changes", "0", "--burst", "1", "--loss", "20%", "--duration", "5s"],
        virtual_s: 5,
        node_ms: 1.0,
        figures: &[goal(MOST, 200.0, 250.0), goal(ALL, 900.0, 1_000.0)],
    },
    Scenario {
        name: "1,000 changes at once",
        flags: &["--changes", "0", "--burst", "1000", "--duration", "5s"],
        virtual_s: 5,
        node_ms: 10.0,
        figures: &[goal(
            figure("the last on all nodes", "ms", OfChanges("/calm/all/worst_ms")),
            2_000.0,
            3_000.0,
        )],
    },
    Scenario {
        name: "560 changes/s",
        flags: &["--changes", "560/s", "--duration", "8s"],
        virtual_s: 8,
        node_ms: 40.0,
        figures: &[
            goal(figure("UDP payload per useful octet", "", Number("/octets_per_useful")), 7.0, 7.0),
            figure("stream octets per useful octet", "", Number("/stream_octets_per_useful")),
            figure("99 of 100 changes on all nodes", "ms", OfChanges("/calm/all/p99_ms")),
            MACHINE,
        ],
    },
    Scenario {
        name: "idle for a minute, after a minute",
        flags: &["--changes", "0", "--settle", "60s", "--duration", "60s"],
        virtual_s: 120,
        node_ms: 5.0,
        figures: &[
            goal(figure("UDP payload sent per node", "B/s", Number("/octets_per_node_s")), 250.0, 300.0),
            figure("stream octets sent per node", "B/s", Number("/stream_octets_per_node_s")),
            MACHINE,
        ],
    },
    Scenario {
        name: "5 crashes",
        flags: &["--changes", "0", "--crash", "5", "--duration", "20s"],
        virtual_s: 20,
        node_ms: 9.0,
        figures: &[
            goal(figure("first suspicion, of each", "s", Each("/deaths", Some("suspected_s"))), 2.5, 2.5),
            goal(figure("down everywhere, of each", "s", Each("/deaths", Some("everywhere_s"))), 7.0, 9.0),
        ],
    },
    Scenario {
        name: "5 % loss for an hour",
        flags: &["--changes", "0", "--loss", "5%", "--duration", "1h"],
        virtual_s: 3_600,
        node_ms: 220.0,
        figures: &[DOWNS],
    },
    Scenario {
        name: "20 % loss for 10 minutes",
        flags: &["--changes", "0", "--loss", "20%", "--duration", "10m"],
        virtual_s: 600,
        node_ms: 50.0,
        figures: &[DOWNS],
    },
    Scenario {
        name: "a new node",
        flags: &["--changes", "10/s", "--join", "1", "--cluster", "64", "--duration", "10s"],
        virtual_s: 10,
        node_ms: 3.0,
        figures: &[goal(
            figure(
                "has records, members and the cluster's records, and answers",
                "s",
                Each("/joins_s", None),
            ),
            1.5,
            5.0,
        )],
    },
    Scenario {
        name: "cut in halves for 5 minutes, 20 changes/s",
        flags: &["--changes", "20/s", "--partition", "half:5m", "--duration", "350s"],
        virtual_s: 350,
        node_ms: 90.0,
        figures: &[
            goal(figure("after the cut, all changes and all members", "s", Number("/healed_s")), 5.0, 15.0),
            figure("after the cut, every change on all nodes", "s", Number("/healed_records_s")),
            figure("after the cut, all hold all for alive", "s", Number("/healed_members_s")),
            goal(
                figure("records of the living hidden within the lease", "", Number("/hidden_early")),
                0.0,
                0.0,
            ),
        ],
    },
];

impl Place {
    /// The figure of a run, or several; `None` for each that the run did not come to.
    pub(super) fn read(self, summary: &Value) -> Vec<Option<f64>> {
        match self {
            Number(pointer) => vec![number(summary, pointer)],
            OfChanges(pointer) => {
                let all_seen =
                    ["/unwatched", "/unfinished"].map(|missing| number(summary, missing)) == [Some(0.0); 2];
                vec![number(summary, pointer).filter(|_| all_seen)]
            }
            PercentPerNode(pointer) => {
                // A thousand milliseconds are one core: all of it.
                let percent = |ms: f64| Some(ms / number(summary, "/nodes")? / 10.0);
                // Zero says that no time was taken.
                vec![number(summary, pointer).filter(|ms| *ms > 0.0).and_then(percent)]
            }
            Each(pointer, field) => {
                let values =
                    summary.pointer(pointer).and_then(Value::as_array).filter(|values| !values.is_empty());
                let of = |value: &Value| match field {
                    Some(field) => value.get(field)?.as_f64(),
                    None => value.as_f64(),
                };
                values.map_or(vec![None], |values| values.iter().map(of).collect())
            }
        }
    }
}

fn number(summary: &Value, pointer: &str) -> Option<f64> {
    summary.pointer(pointer)?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_is_read_off_a_summary() {
        let summary = json!({ "a": { "b": 3 }, "list": [1.5, 2.5], "objects": [{ "x": 4 }, { "x": null }] });
        assert_eq!(Number("/a/b").read(&summary), [Some(3.0)]);
        assert_eq!(Each("/list", None).read(&summary), [Some(1.5), Some(2.5)]);
        assert_eq!(Each("/objects", Some("x")).read(&summary), [Some(4.0), None]);
        let machines = json!({ "nodes": 100, "ms": 500.0 });
        assert_eq!(PercentPerNode("/ms").read(&machines), [Some(0.5)]);
    }

    #[test]
    fn what_a_run_did_not_come_to_is_no_figure() {
        let summary = json!({ "calm": null, "empty": [], "ms": 0.0, "nodes": 1, "n": 5, "unwatched": 0, "unfinished": 1 });
        for place in [
            Number("/calm/all/worst_ms"),
            Each("/empty", None),
            Each("/missing", None),
            PercentPerNode("/ms"),
            OfChanges("/n"),
        ] {
            assert_eq!(place.read(&summary), [None], "{place:?}");
        }
        let whole = json!({ "n": 5, "unwatched": 0, "unfinished": 0 });
        assert_eq!(OfChanges("/n").read(&whole), [Some(5.0)]);
    }

    #[test]
    fn short_runs_have_their_twenty_seeds_and_long_ones_one_at_least() {
        let of = |name: &str| SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        assert_eq!(of("one change").seeds(1_000, 600.0), SEEDS_USUAL);
        assert_eq!(of("5 % loss for an hour").seeds(10_000, 600.0), 1);
        assert!((2..SEEDS_USUAL).contains(&of("20 % loss for 10 minutes").seeds(1_000, 600.0)));
    }
}
