//! The table of `tools perf resolver`.

use super::report::{Goal, cell, goal, goal_table, head_table, size_name};
use super::results::{Run, cpu_ratio};
use crate::peers::Peer;
use crate::stats::Spread;
use std::fmt::Write;

/// A hit may cost so many times what the echo costs.
const ECHO_RATIO_MAX: f64 = 1.0 / 0.80;
/// A hit of another resolver costs at least so many times ours.
const PEER_RATIO_MIN: f64 = 1.6;
/// A forwarded miss may cost so many times a hit.
const MISS_RATIO_MAX: f64 = 4.0;

/// The runs of one resolver.
#[derive(Debug, Clone)]
pub(super) struct PeerRuns {
    pub(super) peer: Peer,
    pub(super) hits: Vec<Run>,
    pub(super) misses: Vec<Run>,
    /// Questions that the upstream heard during the runs of hits: none should come to it.
    pub(super) leaked: u64,
}

/// All resolvers with one zone.
#[derive(Debug, Clone)]
pub(super) struct SizeRuns {
    pub(super) names: usize,
    pub(super) peers: Vec<PeerRuns>,
}

/// What a cache has remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    /// Its `cache.size`.
    pub(super) cache_mib: usize,
    /// Different questions.
    pub(super) asked: u64,
    /// Those with the right answer.
    pub(super) answered: u64,
    /// By how many more it keeps, as it counts itself.
    pub(super) entries: u64,
    /// Resident after the same work of a server without a cache.
    pub(super) without_kib: u64,
    /// Resident before the first of them.
    pub(super) before_kib: u64,
    /// Resident after the last.
    pub(super) after_kib: u64,
}

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) head: Vec<(String, String)>,
    /// Programs that could not be compared.
    pub(super) missing: Vec<&'static str>,
    pub(super) sizes: Vec<SizeRuns>,
    pub(super) memory: Option<Filled>,
}

impl PeerRuns {
    /// Before any run.
    pub(super) fn new(peer: Peer) -> PeerRuns {
        PeerRuns { peer, hits: Vec::new(), misses: Vec::new(), leaked: 0 }
    }

    /// CPU per forwarded miss over CPU per hit.
    fn miss_ratio(&self) -> Option<Spread> {
        cpu_ratio(&self.misses, &self.hits)
    }
}

impl SizeRuns {
    fn peer(&self, peer: Peer) -> Option<&PeerRuns> {
        self.peers.iter().find(|runs| runs.peer == peer)
    }

    /// CPU per hit of one over that of another.
    fn hit_ratio(&self, of: Peer, to: Peer) -> Option<Spread> {
        cpu_ratio(&self.peer(of)?.hits, &self.peer(to)?.hits)
    }
}

/// The report as Markdown.
pub(super) fn table(results: &Results) -> String {
    let mut out = String::from(
        "# Resolvers compared\n\n\
         Written by `tools perf resolver`; [README.md](README.md) says how it measures. Each resolver has one worker on \
         one core; the load and everybody's upstream, an authoritative hivedns, sit on another, everything on the \
         loopback.\n\n",
    );
    head_table(&mut out, &results.head);
    // Writing into a string does not fail, here and below.
    for program in &results.missing {
        let _ = writeln!(out, "\nNot compared, since it is not installed: {program}.");
    }
    if let Some(first) = results.sizes.first().and_then(|size| size.peers.first()) {
        let _ = writeln!(
            out,
            "\nFigures are the median of {} interleaved rounds, with the lowest and the highest in parentheses. Ratios \
             are taken within each round.",
            first.hits.len()
        );
        hits(&mut out, &results.sizes);
    }
    if results.sizes.iter().flat_map(|size| &size.peers).any(|peer| !peer.misses.is_empty()) {
        misses(&mut out, &results.sizes);
    }
    if let Some(filled) = &results.memory {
        memory(&mut out, filled);
    }
    goal_table(&mut out, &goals(results));
    out
}

fn hits(out: &mut String, sizes: &[SizeRuns]) {
    out.push_str(
        "\n## Answers from the cache\n\n\
         | names | server | CPU µs per answer | thousand answers/s | core busy | to the echo | to hivedns | lost | wrong \
         | upstream asked |\n|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for size in sizes {
        for peer in &size.peers {
            let ratio = |to| {
                cell(Some(to).filter(|&to| to != peer.peer).and_then(|to| size.hit_ratio(peer.peer, to)), 2)
            };
            let _ = writeln!(
                out,
                "{} {} | {} | {} | {} |",
                costs(size.names, peer.peer, &peer.hits),
                ratio(Peer::Echo),
                ratio(Peer::Hivedns),
                counts(&peer.hits),
                peer.leaked
            );
        }
    }
}

fn misses(out: &mut String, sizes: &[SizeRuns]) {
    out.push_str(
        "\n## Forwarded misses\n\nEvery name is new. Counted is the resolver alone, with its sockets to both sides; the \
         upstream shares the core of the load, so that the throughput says little.\n\n\
         | names | server | CPU µs per answer | thousand answers/s | core busy | to its own hit | lost | wrong |\n\
         |---:|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for size in sizes {
        for peer in size.peers.iter().filter(|peer| !peer.misses.is_empty()) {
            let cells = costs(size.names, peer.peer, &peer.misses);
            let _ = writeln!(out, "{cells} {} | {} |", cell(peer.miss_ratio(), 2), counts(&peer.misses));
        }
    }
}

/// The cells that both tables begin with.
fn costs(names: usize, peer: Peer, runs: &[Run]) -> String {
    let spread = |figure: fn(&Run) -> f64| Spread::of(runs.iter().map(figure));
    format!(
        "| {} | {} | {} | {} | {:.0} % |",
        size_name(names),
        peer.title(),
        cell(spread(Run::cpu_us), 2),
        cell(spread(Run::kqps), 0),
        spread(Run::busy).map_or(0.0, |busy| busy.median * 100.0),
    )
}

/// Lost and wrong answers of all rounds.
fn counts(runs: &[Run]) -> String {
    let sum = |count: fn(&Run) -> u64| runs.iter().map(count).sum::<u64>();
    format!("{} | {}", sum(|run| run.lost), sum(|run| run.wrong))
}

fn memory(out: &mut String, filled: &Filled) {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let _ = writeln!(
        out,
        "\n## Memory\n\nhivedns with `cache.size = \"{} MiB\"`; memory is resident memory of the whole process. The \
         cache takes all its memory at the start; without one the server has done the same work.\n\n\
         | different questions | answered | entries kept | without a cache | before | after |\n\
         |---:|---:|---:|---:|---:|---:|\n\
         | {} | {} | {} | {:.0} MiB | {:.0} MiB | {:.0} MiB |",
        filled.cache_mib,
        filled.asked,
        filled.answered,
        filled.entries,
        mib(filled.without_kib),
        mib(filled.before_kib),
        mib(filled.after_kib)
    );
}

fn goals(results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for size in &results.sizes {
        let names = size_name(size.names);
        if let Some(ratio) = size.hit_ratio(Peer::Hivedns, Peer::Echo) {
            let what = format!("{names} names: CPU per hit, hivedns to the echo");
            lines.push(goal(&what, ratio.median, Goal::AtMost(ECHO_RATIO_MAX)));
        }
        for peer in [Peer::Unbound, Peer::Dnsdist] {
            if let Some(ratio) = size.hit_ratio(peer, Peer::Hivedns) {
                let what = format!("{names} names: CPU per hit, {} to hivedns", peer.title());
                lines.push(goal(&what, ratio.median, Goal::AtLeast(PEER_RATIO_MIN)));
            }
        }
        if let Some(ratio) = size.peer(Peer::Hivedns).and_then(PeerRuns::miss_ratio) {
            let what = format!("{names} names: CPU, hivedns's forwarded miss to its hit");
            lines.push(goal(&what, ratio.median, Goal::AtMost(MISS_RATIO_MAX)));
        }
    }
    if let Some(filled) = results.memory {
        let what = format!("entries kept of {} answers", filled.asked);
        lines.push(goal(&what, filled.entries as f64, Goal::AtLeast(filled.asked as f64)));
        let grown = filled.after_kib.saturating_sub(filled.without_kib) as f64 / 1024.0;
        let what = "MiB more than without a cache";
        lines.push(goal(what, grown, Goal::AtMost(filled.cache_mib as f64)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::results::tests::result;

    fn runs(peer: Peer, hits_ns: [u64; 3], misses_ns: Option<[u64; 3]>) -> PeerRuns {
        let misses = misses_ns.map(|cpu_ns| result(peer, cpu_ns).gun).unwrap_or_default();
        PeerRuns { peer, hits: result(peer, hits_ns).gun, misses, leaked: 0 }
    }

    #[test]
    fn hits_are_held_against_the_echo_and_the_peers_and_a_miss_against_its_own_hit() {
        // The machine is slower in the last round; the ratios do not see it.
        let peers = vec![
            runs(Peer::Echo, [1_000, 1_000, 4_000], None),
            runs(Peer::Hivedns, [1_200, 1_200, 4_800], Some([4_200, 4_200, 16_800])),
            runs(Peer::Unbound, [1_800, 1_800, 7_200], Some([18_000, 18_000, 72_000])),
        ];
        let sizes = vec![SizeRuns { names: 1_000, peers }];
        let results = Results { head: vec![], missing: vec!["dnsdist"], sizes, memory: None };
        let text = table(&results);
        assert!(text.contains("hivedns to the echo | ≤ 1.25 | 1.20 | met |"), "{text}");
        assert!(text.contains("Unbound to hivedns | ≥ 1.60 | 1.50 | missed |"), "{text}");
        assert!(text.contains("miss to its hit | ≤ 4.00 | 3.50 | met |"), "{text}");
        assert!(text.contains("| Unbound | **0.02** (0.02–0.07) |"), "{text}");
        assert!(text.contains("not installed: dnsdist.") && !text.contains("Memory"), "{text}");
    }

    #[test]
    fn a_cache_that_forgets_misses_its_goal_whatever_it_takes() {
        let (cache_mib, asked) = (200, 1_000_000);
        let filled = Filled {
            cache_mib,
            asked,
            answered: asked,
            entries: 999_999,
            without_kib: 10_240,
            before_kib: 20_480,
            after_kib: 112_640,
        };
        let results = Results { head: vec![], missing: vec![], sizes: vec![], memory: Some(filled) };
        let text = table(&results);
        assert!(text.contains("answers | ≥ 1000000.00 | 999999.00 | missed |"), "{text}");
        assert!(text.contains("without a cache | ≤ 200.00 | 100.00 | met |"), "{text}");
    }
}
