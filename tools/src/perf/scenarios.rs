//! What `perf replication` runs and reads: one table of scenarios, each a command line of the simulator and the
//! figures that its summary answers.

use serde_json::Value;

/// A cluster's size, and how it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Nodes.
    pub(super) nodes: u64,
    /// Runs of each scenario, each with a seed of its own. Large ones take long.
    pub(super) seeds: u64,
    /// The longest virtual time that is run at this size, in seconds; scenarios beyond it are left out.
    pub(super) virtual_s_max: u64,
}

/// The sizes: what two cores run in some ten minutes. An hour of 1,000 nodes with loss is more than an evening, and so
/// is a minute of changes of 10,000; what is left out here is asked for by `--nodes` and `--seeds`.
pub(super) const SIZES: [Size; 3] = [
    Size { nodes: 200, seeds: 3, virtual_s_max: 600 },
    Size { nodes: 1_000, seeds: 2, virtual_s_max: 60 },
    Size { nodes: 10_000, seeds: 1, virtual_s_max: 4 },
];

/// Where a figure stands in a summary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A number.
    Number(&'static str),
    /// A number, in hundredths of a second and node: milliseconds per second become percent of one core.
    PercentPerNode(&'static str),
    /// The middle one of the same numbers as of [`Place::Worst`]; of two, the larger.
    Median(&'static str, Option<&'static str>),
    /// The largest of an array's numbers, or of a field of its objects; nothing if one of them is missing.
    Worst(&'static str, Option<&'static str>),
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
    /// What is read off it.
    pub(super) figures: &'static [Figure],
}

const fn figure(name: &'static str, unit: &'static str, place: Place) -> Figure {
    Figure { name, unit, place, goal: None }
}

const fn goal(figure: Figure, small: f64, large: f64) -> Figure {
    Figure { goal: Some((small, large)), ..figure }
}

use Place::{Median, Number, PercentPerNode, Worst};

/// All that is run.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one change",
        flags: &["--changes", "0", "--burst", "1", "--duration", "4s"],
        virtual_s: 4,
        figures: &[
            goal(figure("on 99 % of the nodes", "ms", Number("/calm/most/worst_ms")), 70.0, 90.0),
            goal(figure("on all nodes", "ms", Number("/calm/all/worst_ms")), 300.0, 500.0),
        ],
    },
    Scenario {
        name: "one change, 20 % loss",
        flags: &["--changes", "0", "--burst", "1", "--loss", "20%", "--duration", "5s"],
        virtual_s: 5,
        figures: &[
            goal(figure("on 99 % of the nodes", "ms", Number("/calm/most/worst_ms")), 200.0, 250.0),
            goal(figure("on all nodes", "ms", Number("/calm/all/worst_ms")), 900.0, 1_000.0),
        ],
    },
    Scenario {
        name: "1,000 changes at once",
        flags: &["--changes", "0", "--burst", "1000", "--duration", "5s"],
        virtual_s: 5,
        figures: &[goal(
            figure("the last on all nodes", "ms", Number("/calm/all/worst_ms")),
            2_000.0,
            3_000.0,
        )],
    },
    Scenario {
        name: "560 changes/s",
        flags: &["--changes", "560/s", "--duration", "8s"],
        virtual_s: 8,
        figures: &[
            goal(figure("UDP payload per useful octet", "", Number("/octets_per_useful")), 7.0, 7.0),
            figure("99 of 100 changes on all nodes", "ms", Number("/calm/all/p99_ms")),
            goal(
                figure("inside of a machine, of one core", "%", PercentPerNode("/machine_ms_per_s")),
                2.0,
                15.0,
            ),
        ],
    },
    Scenario {
        name: "idle",
        flags: &["--changes", "0", "--duration", "20s"],
        virtual_s: 20,
        figures: &[
            goal(figure("UDP payload sent per node", "B/s", Number("/octets_per_node_s")), 250.0, 300.0),
            goal(
                figure("inside of a machine, of one core", "%", PercentPerNode("/machine_ms_per_s")),
                2.0,
                15.0,
            ),
        ],
    },
    Scenario {
        name: "5 crashes",
        flags: &["--changes", "0", "--crash", "5", "--duration", "20s"],
        virtual_s: 20,
        figures: &[
            goal(figure("first suspicion", "s", Median("/deaths", Some("suspected_s"))), 2.5, 2.5),
            goal(figure("down everywhere", "s", Median("/deaths", Some("everywhere_s"))), 7.0, 9.0),
            figure("first suspicion, worst of 5", "s", Worst("/deaths", Some("suspected_s"))),
            figure("down everywhere, worst of 5", "s", Worst("/deaths", Some("everywhere_s"))),
        ],
    },
    Scenario {
        name: "5 % loss for an hour",
        flags: &["--changes", "0", "--loss", "5%", "--duration", "1h"],
        virtual_s: 3_600,
        figures: &[goal(figure("healthy nodes declared down", "", Number("/false_downs")), 0.0, 0.0)],
    },
    Scenario {
        name: "20 % loss for 10 minutes",
        flags: &["--changes", "0", "--loss", "20%", "--duration", "10m"],
        virtual_s: 600,
        figures: &[goal(figure("healthy nodes declared down", "", Number("/false_downs")), 0.0, 0.0)],
    },
    Scenario {
        name: "a new node",
        flags: &["--changes", "10/s", "--join", "1", "--duration", "10s"],
        virtual_s: 10,
        figures: &[goal(figure("has everything after", "s", Worst("/joins_s", None)), 1.5, 5.0)],
    },
    Scenario {
        name: "cut in halves for 5 minutes, 20 changes/s",
        flags: &["--changes", "20/s", "--partition", "half:5m", "--duration", "350s"],
        virtual_s: 350,
        figures: &[
            goal(
                figure("after the cut, every change on all nodes", "s", Number("/healed_records_s")),
                5.0,
                15.0,
            ),
            figure("after the cut, all hold all for alive", "s", Number("/healed_members_s")),
        ],
    },
];

impl Place {
    /// The figure; `None` if the run did not come to it.
    pub(super) fn read(self, summary: &Value) -> Option<f64> {
        match self {
            Number(pointer) => summary.pointer(pointer)?.as_f64(),
            PercentPerNode(pointer) => {
                // A thousand milliseconds are one core: all of it.
                Some(summary.pointer(pointer)?.as_f64()? / summary.get("nodes")?.as_f64()? / 10.0)
            }
            Median(pointer, field) => {
                let values = array(summary, pointer, field)?;
                values.get(values.len() / 2).copied()
            }
            Worst(pointer, field) => Some(array(summary, pointer, field)?.last().copied().unwrap_or(0.0)),
        }
    }
}

/// An array's numbers, or those of a field of its objects, by size; nothing if one is missing.
fn array(summary: &Value, pointer: &str, field: Option<&str>) -> Option<Vec<f64>> {
    let of = |value: &Value| match field {
        Some(field) => value.get(field)?.as_f64(),
        None => value.as_f64(),
    };
    let mut values: Vec<f64> = summary.pointer(pointer)?.as_array()?.iter().map(of).collect::<Option<_>>()?;
    values.sort_by(f64::total_cmp);
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_is_read_off_a_summary() {
        let summary = json!({ "a": { "b": 3 }, "list": [1.5, 2.5], "objects": [{ "x": 4 }, { "x": null }] });
        assert_eq!(Number("/a/b").read(&summary), Some(3.0));
        assert_eq!(Number("/a/c").read(&summary), None);
        assert_eq!(Worst("/list", None).read(&summary), Some(2.5));
        assert_eq!(Median("/list", None).read(&summary), Some(2.5));
        let machines = json!({ "nodes": 100, "ms": 500.0 });
        assert_eq!(PercentPerNode("/ms").read(&machines), Some(0.5));
        assert_eq!(Worst("/objects", Some("x")).read(&summary), None);
    }
}
