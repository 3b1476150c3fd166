//! What the rounds measured, as it is kept and as it is asked for.

use crate::peers::Peer;
use crate::stats::Spread;
use serde::{Deserialize, Serialize};

/// One run of a load tool against one server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The round it belongs to.
    pub(crate) round: usize,
    /// Questions answered.
    pub(crate) answered: u64,
    /// Questions lost.
    pub(crate) lost: u64,
    /// Answers that were not the ones due (dnsperf does not look).
    pub(crate) wrong: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// CPU time of the server's threads.
    pub(crate) cpu_ns: u64,
    /// The same in clock ticks of 10 ms, as a check.
    pub(crate) cpu_ticks: u64,
    /// Half of the answers came within this many microseconds.
    pub(crate) p50_us: f64,
    /// 99 of a hundred did.
    pub(crate) p99_us: f64,
}

/// What was measured of one server with one zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerResult {
    /// Which server.
    pub(crate) peer: Peer,
    /// From exec to the first right answer, where there is a zone to load.
    pub(crate) first_answer_ms: Option<f64>,
    /// Resident after loading.
    pub(crate) loaded_kib: u64,
    /// Resident at the end of all runs.
    pub(crate) resident_kib: u64,
    /// The highest ever.
    pub(crate) peak_kib: u64,
    /// Runs with `gun`.
    pub(crate) gun: Vec<Run>,
    /// Runs with dnsperf.
    pub(crate) dnsperf: Vec<Run>,
}

/// All servers with one zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SizeResult {
    /// Owner names in the zone.
    pub(crate) names: usize,
    /// The servers.
    pub(crate) peers: Vec<PeerResult>,
}

/// The whole comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The machine and the servers, as pairs of what and which.
    pub(crate) head: Vec<(String, String)>,
    /// Per zone size.
    pub(crate) sizes: Vec<SizeResult>,
}

/// Which load tool's runs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Gun,
    Dnsperf,
}

impl Run {
    /// CPU time per answered query in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.answered.max(1) as f64
    }

    /// Answers per second, in thousands.
    pub(crate) fn kqps(&self) -> f64 {
        self.answered as f64 / 1e3 / self.seconds.max(1e-9)
    }

    /// The share of the time that the server was running.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu_ns as f64 / 1e9 / self.seconds.max(1e-9)
    }
}

impl PeerResult {
    /// The runs of a load tool.
    pub(crate) fn runs(&self, load: Load) -> &[Run] {
        match load {
            Load::Gun => &self.gun,
            Load::Dnsperf => &self.dnsperf,
        }
    }

    /// The spread of a figure over the rounds.
    pub(crate) fn spread(&self, load: Load, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs(load).iter().map(figure))
    }
}

impl SizeResult {
    /// One server's results.
    pub(crate) fn peer(&self, peer: Peer) -> Option<&PeerResult> {
        self.peers.iter().find(|result| result.peer == peer)
    }

    /// CPU per answered query of one server over another's, taken within each round.
    pub(crate) fn cpu_ratio(&self, load: Load, of: Peer, to: Peer) -> Option<Spread> {
        cpu_ratio(self.peer(of)?.runs(load), self.peer(to)?.runs(load))
    }
}

/// CPU per answered query of some runs over that of others, taken within each round.
pub(crate) fn cpu_ratio(of: &[Run], to: &[Run]) -> Option<Spread> {
    let pairs = of.iter().flat_map(|a| to.iter().filter(|b| b.round == a.round).map(move |b| (a, b)));
    Spread::of(pairs.map(|(a, b)| a.cpu_us() / b.cpu_us()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A server with three rounds of a thousand answers each.
    pub(in crate::perf) fn result(peer: Peer, cpu_ns: [u64; 3]) -> PeerResult {
        let run = |round: usize| Run {
            round,
            answered: 1_000,
            lost: 0,
            wrong: 0,
            seconds: 0.01,
            cpu_ns: cpu_ns[round],
            cpu_ticks: 0,
            p50_us: 0.0,
            p99_us: 0.0,
        };
        let gun = (0..3).map(run).collect();
        let (first_answer_ms, loaded_kib, resident_kib, peak_kib) = (None, 0, 0, 0);
        PeerResult { peer, first_answer_ms, loaded_kib, resident_kib, peak_kib, gun, dnsperf: vec![] }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Both slow down in the last round; the ratio does not see it.
        let peers =
            vec![result(Peer::Echo, [2_000, 2_000, 8_000]), result(Peer::Knot, [4_000, 5_000, 16_000])];
        let size = SizeResult { names: 1, peers };
        let ratio = size.cpu_ratio(Load::Gun, Peer::Knot, Peer::Echo).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.0, 2.0, 2.5));
        assert_eq!(size.cpu_ratio(Load::Gun, Peer::Nsd, Peer::Echo), None);
        assert_eq!(size.cpu_ratio(Load::Dnsperf, Peer::Knot, Peer::Echo), None);
    }
}
