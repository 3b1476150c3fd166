//! The table and the picture of a comparison.

use super::results::{Load, PeerResult, Results, Run, SizeResult};
use crate::peers::{PEERS, Peer};
use crate::stats::Spread;
use crate::svg::{self, Bar, Chart, Series};
use std::fmt::Write;

/// Below this share of its core a server was not saturated, or something else took the core.
const BUSY_MIN: f64 = 0.9;
/// The goals that the table holds the figures against.
const ECHO_RATIO_MAX: f64 = 1.0 / 0.80;
const PEER_RATIO_MAX: f64 = 0.70;
const SIZE_DRIFT_MAX: f64 = 1.08;

/// `1k`, `100k`, `1M`.
pub(super) fn size_name(names: usize) -> String {
    match names {
        1_000_000.. if names.is_multiple_of(1_000_000) => format!("{}M", names / 1_000_000),
        1_000.. if names.is_multiple_of(1_000) => format!("{}k", names / 1_000),
        _ => names.to_string(),
    }
}

pub(super) fn cell(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("–".into(), |s| {
        format!("**{:.digits$}** ({:.digits$}–{:.digits$})", s.median, s.min, s.max)
    })
}

/// The report as Markdown.
pub(super) fn table(results: &Results) -> String {
    let mut out = String::from(
        "# Authoritative servers compared\n\n\
         Written by `tools perf authoritative`; [README.md](README.md) says how it measures. Each server has one \
         worker on one core, the load sits on another, everything on the loopback.\n\n\
         ![CPU per answer, throughput, start and memory](authoritative.svg)\n\n",
    );
    head_table(&mut out, &results.head);
    let rounds = results.sizes.first().and_then(|size| size.peers.first()).map_or(0, |peer| peer.gun.len());
    let _ = writeln!(
        out,
        "\nFigures are the median of {rounds} interleaved rounds, with the lowest and the highest in parentheses. \
         Ratios are taken within each round."
    );
    load_table(&mut out, results, Load::Gun, "Load from `gun` (closed loop, every answer checked)");
    idle_note(&mut out, results);
    if results.sizes.iter().flat_map(|size| &size.peers).any(|peer| !peer.dnsperf.is_empty()) {
        load_table(
            &mut out,
            results,
            Load::Dnsperf,
            "Load from dnsperf (one thread, which is what it saturates first)",
        );
    }
    ratio_table(&mut out, results);
    start_table(&mut out, results);
    goals(&mut out, results);
    out
}

/// The machine and the versions. Writing into a string does not fail, here and below.
pub(super) fn head_table(out: &mut String, head: &[(String, String)]) {
    out.push_str("| | |\n|---|---|\n");
    for (what, which) in head {
        let _ = writeln!(out, "| {what} | {which} |");
    }
}

fn load_table(out: &mut String, results: &Results, load: Load, title: &str) {
    let _ = writeln!(
        out,
        "\n## {title}\n\n| names | server | CPU µs per answer | thousand answers/s | core busy | lost | wrong |\n\
         |---:|---|---:|---:|---:|---:|---:|"
    );
    for (size, peer) in rows(results) {
        if peer.runs(load).is_empty() {
            continue;
        }
        let sum = |count: fn(&Run) -> u64| peer.runs(load).iter().map(count).sum::<u64>();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} % | {} | {} |",
            size_name(size.names),
            peer.peer.title(),
            cell(peer.spread(load, Run::cpu_us), 2),
            cell(peer.spread(load, Run::kqps), 0),
            peer.spread(load, Run::busy).map_or(0.0, |busy| busy.median * 100.0),
            sum(|run| run.lost),
            if load == Load::Gun { sum(|run| run.wrong).to_string() } else { "–".into() },
        );
    }
}

/// A sentence where throughputs cannot be what a core can do.
fn idle_note(out: &mut String, results: &Results) {
    let idle = |(_, peer): (&SizeResult, &PeerResult)| {
        peer.spread(Load::Gun, Run::busy).is_some_and(|busy| busy.median < BUSY_MIN)
    };
    if rows(results).any(idle) {
        let _ = writeln!(
            out,
            "\nWhere the core was busy for less than {:.0} % of the time, something else ran on this machine, or the \
             load was not enough: the throughput is then too low, the CPU time per answer a little too high.",
            BUSY_MIN * 100.0
        );
    }
}

fn rows(results: &Results) -> impl Iterator<Item = (&SizeResult, &PeerResult)> {
    results.sizes.iter().flat_map(|size| size.peers.iter().map(move |peer| (size, peer)))
}

fn ratio_table(out: &mut String, results: &Results) {
    let _ = writeln!(
        out,
        "\n## CPU per answer, as ratios\n\n| names | load | server | to the echo | hivedns to it |\n|---:|---|---|---:|---:|"
    );
    for (size, peer) in rows(results) {
        for (load, name) in [(Load::Gun, "gun"), (Load::Dnsperf, "dnsperf")] {
            let to_echo = size.cpu_ratio(load, peer.peer, Peer::Echo);
            let from_hivedns = size.cpu_ratio(load, Peer::Hivedns, peer.peer);
            if peer.peer != Peer::Echo && (to_echo.is_some() || from_hivedns.is_some()) {
                let own = peer.peer == Peer::Hivedns;
                let _ = writeln!(
                    out,
                    "| {} | {name} | {} | {} | {} |",
                    size_name(size.names),
                    peer.peer.title(),
                    cell(to_echo, 2),
                    if own { "–".into() } else { cell(from_hivedns, 2) }
                );
            }
        }
    }
}

fn start_table(out: &mut String, results: &Results) {
    let _ = writeln!(
        out,
        "\n## Start and memory\n\nFrom exec to the first right answer, once per size. Memory is resident memory; where \
         a server forks, pages that its processes share count once, and the peak is that of its largest process.\n\n\
         | names | server | first right answer | after loading | after all runs | peak |\n|---:|---|---:|---:|---:|---:|"
    );
    for (size, peer) in rows(results) {
        let Some(first) = peer.first_answer_ms else { continue };
        let mib = |kib: u64| kib as f64 / 1024.0;
        let _ = writeln!(
            out,
            "| {} | {} | {:.2} s | {:.0} MiB | {:.0} MiB | {:.0} MiB |",
            size_name(size.names),
            peer.peer.title(),
            first / 1e3,
            mib(peer.loaded_kib),
            mib(peer.resident_kib),
            mib(peer.peak_kib)
        );
    }
}

/// The goals that these figures can be held against; nothing where hivedns was not measured.
fn goals(out: &mut String, results: &Results) {
    let mut lines = Vec::new();
    let mut goal = |what: String, is: f64, at_most: f64| lines.push(goal(&what, is, Goal::AtMost(at_most)));
    for size in results.sizes.iter().filter(|size| size.names == 100_000) {
        for (peer, at_most) in
            [(Peer::Echo, ECHO_RATIO_MAX), (Peer::Knot, PEER_RATIO_MAX), (Peer::Nsd, PEER_RATIO_MAX)]
        {
            if let Some(ratio) = size.cpu_ratio(Load::Gun, Peer::Hivedns, peer) {
                goal(
                    format!("100k names: CPU per answer, hivedns to {}", peer.title()),
                    ratio.median,
                    at_most,
                );
            }
        }
    }
    let to_echo = |names| {
        let size = results.sizes.iter().find(|size| size.names == names)?;
        Some(size.cpu_ratio(Load::Gun, Peer::Hivedns, Peer::Echo)?.median)
    };
    if let (Some(small), Some(large)) = (to_echo(1_000), to_echo(1_000_000)) {
        goal("hivedns to echo, at 1M names over at 1k names".into(), large / small, SIZE_DRIFT_MAX);
    }
    let million = results.sizes.iter().find(|size| size.names == 1_000_000);
    if let Some(hivedns) = million.and_then(|size| size.peer(Peer::Hivedns)) {
        goal(
            "1M names: seconds to the first right answer".into(),
            hivedns.first_answer_ms.unwrap_or(0.0) / 1e3,
            1.5,
        );
        goal("1M names: MiB after loading".into(), hivedns.loaded_kib as f64 / 1024.0, 120.0);
        goal("1M names: MiB at the peak".into(), hivedns.peak_kib as f64 / 1024.0, 250.0);
    }
    goal_table(out, &lines);
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// The line of a goal, with what became of it.
pub(super) fn goal(what: &str, is: f64, goal: Goal) -> String {
    let (sign, bound, met) = match goal {
        Goal::AtMost(bound) => ('≤', bound, is <= bound),
        Goal::AtLeast(bound) => ('≥', bound, is >= bound),
    };
    format!("| {what} | {sign} {bound:.2} | {is:.2} | {} |", if met { "met" } else { "missed" })
}

/// All goals; nothing if there are none.
pub(super) fn goal_table(out: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(out, "\n## Goals\n\n| | goal | is | |\n|---|---:|---:|---|\n{}", lines.join("\n"));
    }
}

/// The report as a picture.
pub(super) fn picture(results: &Results) -> String {
    let measured: Vec<Peer> = PEERS
        .into_iter()
        .filter(|&peer| results.sizes.iter().any(|size| size.peer(peer).is_some()))
        .collect();
    let series: Vec<Series> =
        measured.iter().map(|&peer| Series { name: peer.title().into(), colour: colour(peer) }).collect();
    let chart = |title: &str, subtitle: &str, bar: &dyn Fn(&PeerResult) -> Option<Bar>| Chart {
        title: title.into(),
        subtitle: subtitle.into(),
        groups: results
            .sizes
            .iter()
            .map(|size| {
                let bars = measured.iter().map(|&peer| size.peer(peer).and_then(bar)).collect();
                (format!("{} names", size_name(size.names)), bars)
            })
            .collect(),
    };
    let spread = |spread: Option<Spread>| spread.map(|s| Bar { value: s.median, range: (s.min, s.max) });
    let charts = [
        chart("CPU per answered query, µs", "less is better; the echo is the kernel's share", &|peer| {
            spread(peer.spread(Load::Gun, Run::cpu_us))
        }),
        chart("Throughput at saturation, thousand answers/s", "more is better; one core", &|peer| {
            spread(peer.spread(Load::Gun, Run::kqps))
        }),
        chart("From exec to the first right answer, s", "less is better", &|peer| {
            let seconds = peer.first_answer_ms? / 1e3;
            Some(Bar { value: seconds, range: (seconds, seconds) })
        }),
        chart(
            "Resident memory after loading, MiB",
            "less is better; the whisker reaches to the peak",
            &|peer| {
                peer.first_answer_ms?;
                let (loaded, peak) = (peer.loaded_kib as f64 / 1024.0, peer.peak_kib as f64 / 1024.0);
                Some(Bar { value: loaded, range: (loaded, peak.max(loaded)) })
            },
        ),
    ];
    let of = |what: &str| {
        let pair = results.head.iter().find(|(name, _)| name == what);
        pair.map_or("", |(_, which)| which.as_str())
    };
    let subtitle = "one worker on one core, loopback, uniform random questions; bar: median, whisker: lowest and highest round";
    let foot = format!("{} · Linux {} · {} · commit {}", of("CPU"), of("Kernel"), of("Date"), of("Commit"));
    svg::sheet("Authoritative DNS servers compared", subtitle, &foot, &series, &charts)
}

fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Echo => "#b8c1cc",
        Peer::Hivedns => "#f0a202",
        Peer::Knot => "#3d7fc1",
        Peer::Nsd => "#5aa469",
        Peer::Unbound => "#8f6bb3",
        Peer::Dnsdist => "#c1553d",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_short_names() {
        assert_eq!([1_000, 100_000, 1_000_000, 1_500].map(size_name), ["1k", "100k", "1M", "1500"]);
    }

    #[test]
    fn a_report_without_hivedns_has_no_goals() {
        let run = Run {
            round: 0,
            answered: 10,
            lost: 0,
            wrong: 0,
            seconds: 1.0,
            cpu_ns: 20_000,
            cpu_ticks: 0,
            p50_us: 1.0,
            p99_us: 2.0,
        };
        let peer = |peer, first_answer_ms| PeerResult {
            peer,
            first_answer_ms,
            loaded_kib: 2048,
            resident_kib: 2048,
            peak_kib: 4096,
            gun: vec![run],
            dnsperf: vec![],
        };
        let peers = vec![peer(Peer::Echo, None), peer(Peer::Knot, Some(1500.0))];
        let results = Results { head: vec![], sizes: vec![SizeResult { names: 100_000, peers }] };
        let text = table(&results);
        assert!(text.contains("| 100k | Knot DNS | **2.00** (2.00–2.00) |"), "{text}");
        assert!(text.contains("1.50 s") && !text.contains("Goals") && !text.contains("dnsperf |"));
        assert_eq!(picture(&results).matches("<path").count(), 1, "only memory has a range");
    }
}
