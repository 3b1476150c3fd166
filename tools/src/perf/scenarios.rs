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

/// The sizes. An hour of 10,000 nodes is more than an evening.
pub(super) const SIZES: [Size; 3] = [
    Size { nodes: 200, seeds: 5, virtual_s_max: 3_600 },
    Size { nodes: 1_000, seeds: 3, virtual_s_max: 3_600 },
    Size { nodes: 10_000, seeds: 1, virtual_s_max: 60 },
];

/// Where a figure stands in a summary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A number.
    Number(&'static str),
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

use Place::{Number, Worst};

/// All that is run.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one change",
        flags: &["--changes", "0", "--burst", "1", "--duration", "10s"],
        virtual_s: 10,
        figures: &[
            figure("on 99 % of the nodes", "ms", Number("/calm/most/worst_ms")),
            figure("on all nodes", "ms", Number("/calm/all/worst_ms")),
        ],
    },
    Scenario {
        name: "one change, 20 % loss",
        flags: &["--changes", "0", "--burst", "1", "--loss", "20%", "--duration", "10s"],
        virtual_s: 10,
        figures: &[
            figure("on 99 % of the nodes", "ms", Number("/calm/most/worst_ms")),
            figure("on all nodes", "ms", Number("/calm/all/worst_ms")),
        ],
    },
    Scenario {
        name: "1,000 changes at once",
        flags: &["--changes", "0", "--burst", "1000", "--duration", "20s"],
        virtual_s: 20,
        figures: &[figure("the last on all nodes", "ms", Number("/calm/all/worst_ms"))],
    },
    Scenario {
        name: "560 changes/s",
        flags: &["--changes", "560/s", "--duration", "30s"],
        virtual_s: 30,
        figures: &[
            figure("UDP payload per useful octet", "", Number("/octets_per_useful")),
            figure("99 of 100 changes on all nodes", "ms", Number("/calm/all/p99_ms")),
            figure("inside of all machines, per virtual second", "ms", Number("/machine_ms_per_s")),
        ],
    },
    Scenario {
        name: "idle",
        flags: &["--changes", "0", "--duration", "60s"],
        virtual_s: 60,
        figures: &[
            goal(figure("UDP payload sent per node", "B/s", Number("/octets_per_node_s")), 250.0, 300.0),
            figure("inside of all machines, per virtual second", "ms", Number("/machine_ms_per_s")),
        ],
    },
    Scenario {
        name: "5 crashes",
        flags: &["--changes", "0", "--crash", "5", "--duration", "60s"],
        virtual_s: 60,
        figures: &[
            goal(figure("first suspicion", "s", Worst("/deaths", Some("suspected_s"))), 2.5, 2.5),
            goal(figure("down everywhere", "s", Worst("/deaths", Some("everywhere_s"))), 7.0, 9.0),
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
        flags: &["--changes", "10/s", "--join", "1", "--duration", "30s"],
        virtual_s: 30,
        figures: &[figure("has everything after", "s", Worst("/joins_s", None))],
    },
    Scenario {
        name: "cut in halves for 5 minutes, 20 changes/s",
        flags: &["--changes", "20/s", "--partition", "half:5m", "--duration", "350s"],
        virtual_s: 350,
        figures: &[
            figure("after the cut, every change on all nodes", "s", Number("/healed_records_s")),
            figure("after the cut, all hold all for alive", "s", Number("/healed_members_s")),
        ],
    },
];

impl Place {
    /// The figure; `None` if the run did not come to it.
    pub(super) fn read(self, summary: &Value) -> Option<f64> {
        match self {
            Number(pointer) => summary.pointer(pointer)?.as_f64(),
            Worst(pointer, field) => {
                let values = summary.pointer(pointer)?.as_array()?;
                let of = |value: &Value| match field {
                    Some(field) => value.get(field)?.as_f64(),
                    None => value.as_f64(),
                };
                values.iter().map(of).try_fold(0.0, |worst: f64, value| Some(worst.max(value?)))
            }
        }
    }
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
        assert_eq!(Worst("/objects", Some("x")).read(&summary), None);
    }
}
