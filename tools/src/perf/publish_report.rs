//! The table of `tools perf publish`.

use super::member::Changes;
use crate::stats::Spread;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The CPU per query may be so many times that of the quiet server.
const CPU_RATIO_MAX: f64 = 1.15;
/// So many seconds may a million records take to be applied and published.
const APPLIED_S_MAX: f64 = 5.0;
/// The share of the changes asked for that has to be made: the member paces itself by a clock.
const CHANGES_SHARE_MIN: f64 = 0.97;

/// What some seconds of load showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase {
    /// Answers per second.
    pub(super) qps: f64,
    /// The worker's CPU time per answer.
    pub(super) cpu_us: f64,
    /// The worker was ready and had no core.
    pub(super) waited_ms: f64,
    /// Questions that were not answered, or could not be sent when they were due.
    pub(super) lost: u64,
    /// Answers that were not right.
    pub(super) wrong: u64,
    /// Half of the answers came within.
    pub(super) p50_us: f64,
    /// 99 of 100 answers came within.
    pub(super) p99_us: f64,
    /// The last answer came within.
    pub(super) longest_ms: f64,
    /// The longest that the load itself stood still.
    pub(super) stall_ms: f64,
    /// No batch of the worker took longer.
    pub(super) longest_batch_ms: f64,
    /// The changes that came meanwhile.
    pub(super) changes: Option<Changes>,
    /// Readings of how long a publication took.
    pub(super) publish_ms: Vec<f64>,
}

/// One round.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    pub(super) quiet_half: Phase,
    pub(super) busy_half: Phase,
    pub(super) quiet_full: Phase,
    pub(super) busy_full: Phase,
}

/// Everything that is told.
pub(super) struct Results {
    pub(super) head: Vec<(String, String)>,
    pub(super) names: u32,
    /// Changes per second that were asked for.
    pub(super) changes: f64,
    /// How long the catalog alone took for all records.
    pub(super) applied_s: f64,
    /// From exec to the first right answer, with all records read from disk.
    pub(super) start_ms: f64,
    /// The server's memory before and after the rounds.
    pub(super) resident_kib: (u64, u64),
    /// Answers per second at saturation, without changes.
    pub(super) capacity: f64,
    pub(super) rounds: Vec<Round>,
}

impl Round {
    /// For people who wait.
    pub(super) fn line(&self) -> String {
        let phases = [&self.quiet_half, &self.busy_half, &self.quiet_full, &self.busy_full];
        let cpu: Vec<String> = phases.iter().map(|phase| format!("{:.3}", phase.cpu_us)).collect();
        let lost: u64 = phases.iter().map(|phase| phase.lost + phase.wrong).sum();
        format!(
            "CPU µs per answer {} (half, half and changes, full, full and changes), {lost} lost or wrong",
            cpu.join(", ")
        )
    }
}

/// The upper bound in milliseconds of the highest bucket of a cumulative histogram that has grown. The names of buckets
/// end with their bound in seconds.
pub(super) fn highest_grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> f64 {
    let bound = |name: &str| -> Option<f64> {
        let text = name.split("le=\"").nth(1)?.split('"').next()?;
        text.parse().ok()
    };
    let grown = |name: &String| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
    let mut buckets: Vec<(f64, f64)> =
        after.keys().filter_map(|name| Some((bound(name)?, grown(name)))).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    // Cumulative: the first bucket with everything bounds all.
    buckets.iter().find(|(_, count)| *count >= all).map_or(0.0, |(bound, _)| bound * 1e3)
}

/// Writes the table into a directory.
pub(super) fn write(results: &Results, directory: &Path) -> Result<(), String> {
    let path = directory.join("publish.md");
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table(results)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn table(results: &Results) -> String {
    let Results { names, changes, .. } = results;
    let mut out = format!(
        "# Publishing under load\n\n\
         Written by `tools perf publish`; [README.md](README.md) says how it measures. The shipped server has {names} \
         cluster-wide records from its state directory. Its worker has one core; the control thread, a member that \
         writes {changes:.0} scattered changes/s over gossip, and the load share the other.\n\n| | |\n|---|---|\n"
    );
    // Writing into a string does not fail, here and below.
    for (what, which) in &results.head {
        let _ = writeln!(out, "| {what} | {which} |");
    }
    let _ = writeln!(
        out,
        "\nMedian of {} rounds, with the lowest and the highest in parentheses.\n\n\
         | load | changes | worker's CPU µs per answer | thousand answers/s | p50 µs | p99 µs | longest answer ms | \
         longest pause of the load itself ms | no batch took longer than ms | worker waited for its core ms | lost | \
         wrong |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        results.rounds.len()
    );
    type Pick = fn(&Round) -> &Phase;
    let phases: [(&str, &str, Pick); 4] = [
        ("half of the capacity", "none", |round| &round.quiet_half),
        ("half of the capacity", "yes", |round| &round.busy_half),
        ("saturated", "none", |round| &round.quiet_full),
        ("saturated", "yes", |round| &round.busy_full),
    ];
    for (load, changing, pick) in phases {
        let cell = |value: fn(&Phase) -> f64| cell(results.rounds.iter().map(|round| value(pick(round))));
        let sum =
            |value: fn(&Phase) -> u64| -> u64 { results.rounds.iter().map(|round| value(pick(round))).sum() };
        let _ = writeln!(
            out,
            "| {load} | {changing} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(|phase| phase.cpu_us),
            cell(|phase| phase.qps / 1e3),
            cell(|phase| phase.p50_us),
            cell(|phase| phase.p99_us),
            cell(|phase| phase.longest_ms),
            cell(|phase| phase.stall_ms),
            cell(|phase| phase.longest_batch_ms),
            cell(|phase| phase.waited_ms),
            sum(|phase| phase.lost),
            sum(|phase| phase.wrong),
        );
    }
    let _ = writeln!(out, "\n| | | goal | |\n|---|---:|---|---|");
    for (what, value, goal, is_met) in goals(results) {
        let _ = writeln!(out, "| {what} | {value} | {goal} | {} |", is_met.map_or("", word));
    }
    out
}

fn word(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

/// A figure, its goal, and whether that is met.
type Goal = (&'static str, String, String, Option<bool>);

fn goals(results: &Results) -> Vec<Goal> {
    let rounds = &results.rounds;
    let half = ratio(rounds.iter().map(|round| (&round.busy_half, &round.quiet_half)));
    let full = ratio(rounds.iter().map(|round| (&round.busy_full, &round.quiet_full)));
    let busy: Vec<&Phase> = rounds.iter().flat_map(|round| [&round.busy_half, &round.busy_full]).collect();
    let lost: u64 = busy.iter().map(|phase| phase.lost + phase.wrong).sum::<u64>()
        + rounds.iter().map(|round| round.quiet_half.lost + round.quiet_half.wrong).sum::<u64>();
    let changes: Vec<&Changes> = busy.iter().filter_map(|phase| phase.changes.as_ref()).collect();
    let rate = Spread::of(changes.iter().map(|made| made.written as f64 / made.seconds.max(1e-9)));
    let served: Vec<f64> = changes.iter().flat_map(|made| made.served_ms.iter().copied()).collect();
    let settled = changes.iter().map(|made| made.settled_ms);
    let published = busy.iter().flat_map(|phase| phase.publish_ms.iter().copied());
    let within = |spread: Option<Spread>| spread.map(|spread| spread.median <= CPU_RATIO_MAX);
    let (first, last) = results.resident_kib;
    vec![
        (
            "CPU per answer with changes / without, at half of the capacity",
            tell(half),
            format!("at most {CPU_RATIO_MAX}"),
            within(half),
        ),
        // Without a goal: the load, which shares its core with the changes, saturates nobody then.
        ("the same, saturated", tell(full), "".into(), None),
        ("questions lost or wrongly answered", lost.to_string(), "0".into(), Some(lost == 0)),
        (
            "changes made per second",
            tell(rate),
            format!("{:.0}", results.changes),
            rate.map(|rate| rate.median >= CHANGES_SHARE_MIN * results.changes),
        ),
        (
            "ms from a change to its answer, while others come",
            tell(Spread::of(served.iter().copied())),
            "".into(),
            None,
        ),
        ("ms from the last change of a phase to its answer", tell(Spread::of(settled)), "".into(), None),
        ("ms that a publication took", tell(Spread::of(published)), "".into(), None),
        (
            "s to apply and publish all records, by the catalog alone",
            format!("{:.2}", results.applied_s),
            format!("at most {APPLIED_S_MAX}"),
            Some(results.applied_s <= APPLIED_S_MAX),
        ),
        (
            "s from the start to the first right answer, all records read from disk",
            format!("{:.2}", results.start_ms / 1e3),
            "".into(),
            None,
        ),
        ("MiB of the server before the rounds", (first >> 10).to_string(), "".into(), None),
        (
            "MiB after them / before",
            format!("{:.2}", last as f64 / first.max(1) as f64),
            "at most 1.25".into(),
            Some(last * 4 <= first * 5),
        ),
    ]
}

fn ratio<'p>(pairs: impl Iterator<Item = (&'p Phase, &'p Phase)>) -> Option<Spread> {
    Spread::of(pairs.map(|(busy, quiet)| busy.cpu_us / quiet.cpu_us.max(1e-9)))
}

fn cell(values: impl Iterator<Item = f64>) -> String {
    tell(Spread::of(values))
}

fn tell(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { median, min, max }) => {
            format!("**{}** ({}–{})", short(median), short(min), short(max))
        }
        None => "–".into(),
    }
}

/// A number with as many digits as say something.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [f64; 3]) -> BTreeMap<String, f64> {
        let name = |bound: &str| format!("d_bucket{{le=\"{bound}\"}}");
        ["0.00025", "0.0005", "+Inf"].into_iter().map(name).zip(counts).collect()
    }

    #[test]
    fn the_longest_batch_is_bounded_by_the_first_bucket_with_all_that_is_new() {
        let quiet = histogram([5.0, 7.0, 7.0]);
        assert_eq!(highest_grown(&quiet, &histogram([9.0, 11.0, 11.0])), 0.25);
        assert_eq!(highest_grown(&quiet, &histogram([9.0, 12.0, 12.0])), 0.5);
        assert_eq!(highest_grown(&quiet, &histogram([9.0, 12.0, 13.0])), f64::INFINITY);
    }

    #[test]
    fn the_table_says_what_met_its_goal() {
        let phase = |cpu_us| Phase { cpu_us, ..Phase::default() };
        let changes = Changes { written: 100, seconds: 0.01, settled_ms: 3.0, served_ms: vec![4.0] };
        let busy = |cpu_us| Phase { changes: Some(changes.clone()), ..phase(cpu_us) };
        let round = Round {
            quiet_half: phase(2.0),
            busy_half: busy(2.2),
            quiet_full: phase(1.0),
            busy_full: busy(1.3),
        };
        let results = Results {
            head: Vec::new(),
            names: 1_000,
            changes: 10_000.0,
            applied_s: 2.0,
            start_ms: 100.0,
            resident_kib: (1_000, 1_300),
            capacity: 1.0,
            rounds: vec![round],
        };
        let table = table(&results);
        for line in [
            "at half of the capacity | **1.10** (1.10–1.10) | at most 1.15 | met |",
            "the same, saturated | **1.30** (1.30–1.30) |  |  |",
            "changes made per second | **10000** (10000–10000) | 10000 | met |",
            "MiB after them / before | 1.30 | at most 1.25 | missed |",
        ] {
            assert!(table.contains(line), "{line}\n{table}");
        }
    }
}
