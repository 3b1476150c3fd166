//! What a run has shown, in numbers: for the report, for `--format json`, for whoever compares runs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Times until a change was on a share of the nodes, in milliseconds, over many changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The middle change.
    pub median_ms: f64,
    /// The slowest but one of a hundred.
    pub p99_ms: f64,
    /// The slowest.
    pub worst_ms: f64,
}

impl Times {
    /// Of some values; `None` if there are none.
    pub fn of(mut ms: Vec<f64>) -> Option<Times> {
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = ((ms.len() as f64 * share).ceil() as usize).clamp(1, ms.len().max(1));
            ms.get(place - 1).copied()
        };
        Some(Times { median_ms: at(0.5)?, p99_ms: at(0.99)?, worst_ms: at(1.0)? })
    }
}

/// How some changes spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// How many changes.
    pub changes: u64,
    /// Until half of the nodes had it.
    pub half: Times,
    /// Until 99 of 100 nodes had it.
    pub most: Times,
    /// Until the last node had it.
    pub all: Times,
}

/// A node that died, in seconds after its death.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// Who.
    pub node: String,
    /// Until somebody suspected it.
    pub suspected_s: Option<f64>,
    /// Until every living node had it down.
    pub everywhere_s: Option<f64>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// When it was seen.
    pub at_s: f64,
    /// The rule.
    pub rule: String,
    /// By whom, and the first difference.
    pub what: String,
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at_s: f64,
    /// What happened.
    pub what: String,
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Repeats the run.
    pub seed: u64,
    /// What was simulated.
    pub machine: String,
    /// Nodes at the start.
    pub nodes: u64,
    /// Records of all nodes at the end.
    pub records: u64,
    /// The share of packets that was lost.
    pub loss: f64,
    /// Virtual seconds in all.
    pub virtual_s: f64,
    /// Virtual seconds of the measured part: while changes were made.
    pub measured_s: f64,
    /// Events in all.
    pub events: u64,
    /// The hash of all that happened.
    pub trace: String,
    /// Changes made and over while nothing was cut; `None` if there were none.
    pub calm: Option<Convergence>,
    /// Changes that a cut was in the way of; `None` if there were none.
    pub cut: Option<Convergence>,
    /// Changes that were too many to be watched.
    pub unwatched: u64,
    /// Changes that were not everywhere at the end.
    pub unfinished: u64,
    /// The share of arrivals within so many milliseconds.
    pub curve: Vec<(f64, f64)>,
    /// Datagrams that a node sent per second, in the measured part.
    pub datagrams_per_node_s: f64,
    /// Octets of their payload.
    pub octets_per_node_s: f64,
    /// Octets that a node wrote to streams per second.
    pub stream_octets_per_node_s: f64,
    /// Octets of datagrams sent for each octet of a change that came to a node that it had to reach, both within the
    /// measured part; `None` if none came, or not all were watched. A deletion is the octets of its key.
    pub octets_per_useful: Option<f64>,
    /// The same of octets written to streams.
    pub stream_octets_per_useful: Option<f64>,
    /// Packets that the network lost by chance, by a cut, or because a link was full.
    pub packets_lost: u64,
    /// Datagrams that came where no process heard them.
    pub packets_unheard: u64,
    /// The machines' own counters, summed over all nodes, of the measured part.
    pub counters: BTreeMap<String, u64>,
    /// Deaths.
    pub deaths: Vec<Death>,
    /// Healthy nodes that were declared down.
    pub false_downs: u64,
    /// How often a node hid the records of one that lived, within its lease.
    pub hidden_early: u64,
    /// Seconds until each newcomer had everything: records, members, the cluster's records, leave to answer.
    pub joins_s: Vec<Option<f64>>,
    /// Seconds from the end of the cut until every change that had waited for it was everywhere; `None` if none had,
    /// or not all arrived.
    pub healed_records_s: Option<f64>,
    /// Seconds from the end of the cut until everybody held everybody for alive.
    pub healed_members_s: Option<f64>,
    /// The later of both.
    pub healed_s: Option<f64>,
    /// Seconds of quiet until every rule was kept.
    pub settled_s: Option<f64>,
    /// The most octets that some machine had waiting.
    pub queued_octets_max: u64,
    /// Milliseconds of processor time inside of machines per virtual second, all nodes together, in the measured part,
    /// by a sample of the events; zero if no time was taken.
    pub machine_ms_per_s: f64,
    /// Seconds of the real clock; the caller's.
    pub real_s: f64,
    /// The most memory of the process, in KiB; the caller's.
    pub peak_kib: u64,
    /// What happened.
    pub story: Vec<Line>,
    /// Rules that were broken; empty if all is well.
    pub broken: Vec<Broken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_middle_the_hundredth_and_the_last() {
        let times = Times::of((1..=200).map(f64::from).rev().collect()).unwrap();
        assert_eq!((times.median_ms, times.p99_ms, times.worst_ms), (100.0, 198.0, 200.0));
        assert_eq!(Times::of(vec![]), None);
        assert_eq!(Times::of(vec![7.0]).map(|times| times.p99_ms), Some(7.0));
    }
}
