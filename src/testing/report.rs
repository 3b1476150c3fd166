//! A run on one screen: the story first, then the figures.

use super::summary::{Convergence, Line, Summary};
use std::fmt::Write;

/// Columns of the screen.
const COLUMNS: usize = 100;
/// Lines of the story that are shown; the middle of a longer one is left out.
const STORY_LINES: usize = 10;
/// Broken rules that are shown.
const BROKEN_LINES: usize = 3;

/// The screen: at most 24 lines of at most 100 columns.
pub fn screen(run: &Summary) -> String {
    let mut lines = vec![format!(
        "seed {}: {} nodes ({}), {} records, {:.0} % loss; {:.0} s, {} events, trace {}",
        run.seed,
        run.nodes,
        run.machine,
        run.records,
        run.loss * 100.0,
        run.virtual_s,
        thousands(run.events),
        run.trace
    )];
    lines.extend(story(&run.story));
    lines.push(format!(
        "{:<26}{:>9}{:>12}{:>12}{:>12}{:>12}",
        "changes", "count", "half", "99 %", "all", "worst"
    ));
    lines.extend(row("while all was well", &run.calm));
    lines.extend(row("with a cut in the way", &run.cut));
    lines.push(format!(
        "{:<26}{:.1} datagrams/s, {} B/s, {} B/s on streams{}",
        "a node sends",
        run.datagrams_per_node_s,
        thousands(run.octets_per_node_s.round() as u64),
        thousands(run.stream_octets_per_node_s.round() as u64),
        run.octets_per_useful.map_or(String::new(), |octets| format!("; {octets:.2} B per useful B")),
    ));
    let mut members = format!("{} healthy nodes declared down", run.false_downs);
    if let (Some(members_s), Some(records_s)) = (run.healed_members_s, run.healed_records_s) {
        let _ = write!(members, "; after the cut: members {members_s:.1} s, records {records_s:.1} s");
    }
    lines.push(format!("{:<26}{members}", "members"));
    if !run.deaths.is_empty() {
        let (first, everywhere) = (
            worst(run.deaths.iter().map(|death| death.suspected_s)),
            worst(run.deaths.iter().map(|death| death.everywhere_s)),
        );
        lines.push(format!(
            "{:<26}{}: first missed {first}, down everywhere {everywhere} (worst)",
            "deaths",
            run.deaths.len()
        ));
    }
    if !run.joins_s.is_empty() {
        let complete = worst(run.joins_s.iter().copied());
        lines.push(format!("{:<26}{}: everything after {complete} (worst)", "newcomers", run.joins_s.len()));
    }
    if run.machine_ms_per_s > 0.0 {
        lines.push(format!(
            "{:<26}{:.3} ms of CPU per second and node; {:.1} s in all, {} MiB at most",
            "machines",
            run.machine_ms_per_s / run.nodes.max(1) as f64,
            run.real_s,
            run.peak_kib >> 10
        ));
    }
    lines.push(match (run.broken.is_empty(), run.settled_s) {
        (true, Some(settled)) => format!("well: every rule is kept, after {settled:.0} s of quiet"),
        _ => format!("BROKEN: {} rules; run again with --seed {}", run.broken.len().max(1), run.seed),
    });
    for broken in run.broken.iter().take(BROKEN_LINES) {
        lines.push(format!("  at {:.3} s: {}: {}", broken.at_s, broken.rule, broken.what));
    }
    let mut out = String::new();
    for line in lines {
        let _ = writeln!(out, "{}", cut(&line));
    }
    out
}

fn story(lines: &[Line]) -> Vec<String> {
    let show = |line: &Line| format!("{:>10.3} s  {}", line.at_s, line.what);
    if lines.len() <= STORY_LINES {
        return lines.iter().map(show).collect();
    }
    let half = STORY_LINES / 2;
    let mut shown: Vec<String> = lines[..half].iter().map(show).collect();
    shown.push(format!("{:>12}  ... {} more", "", lines.len() - 2 * half + 1));
    shown.extend(lines[lines.len() - half + 1..].iter().map(show));
    shown
}

fn row(name: &str, spread: &Convergence) -> Option<String> {
    (spread.changes > 0).then(|| {
        format!(
            "{:<26}{:>9}{:>12}{:>12}{:>12}{:>12}",
            format!("  {name}"),
            thousands(spread.changes),
            ms(spread.half.median_ms),
            ms(spread.most.median_ms),
            ms(spread.all.median_ms),
            ms(spread.all.worst_ms)
        )
    })
}

/// Never, if one of them never was.
fn worst(mut values: impl Iterator<Item = Option<f64>>) -> String {
    let worst = values.try_fold(0.0, |worst: f64, value| Some(worst.max(value?)));
    worst.map_or("never".to_owned(), |seconds| format!("{seconds:.2} s"))
}

fn ms(ms: f64) -> String {
    if ms < 10_000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1e3) }
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn cut(line: &str) -> String {
    if line.chars().count() <= COLUMNS {
        return line.to_owned();
    }
    line.chars().take(COLUMNS - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::summary::{Broken, Death};
    use super::*;

    #[test]
    fn a_run_fits_one_screen_however_much_happened() {
        let line = |number: usize| Line { at_s: number as f64, what: "x".repeat(number) };
        let spread = Convergence { changes: 1_234_567, ..Convergence::default() };
        let run = Summary {
            machine: "flood".into(),
            trace: "0123456789abcdef".into(),
            calm: spread,
            cut: spread,
            healed_members_s: Some(1.0),
            healed_records_s: Some(2.0),
            octets_per_useful: Some(1.5),
            machine_ms_per_s: 5.0,
            deaths: vec![Death { node: "node-1".into(), suspected_s: None, everywhere_s: Some(3.0) }],
            joins_s: vec![Some(1.0), Some(2.5)],
            story: (0..200).map(line).collect(),
            broken: vec![Broken { at_s: 1.0, rule: "r".into(), what: "w".repeat(300) }; 9],
            ..Summary::default()
        };
        let screen = screen(&run);
        assert!(screen.lines().count() <= 24, "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= COLUMNS), "{screen}");
        assert!(screen.contains("1,234,567") && screen.contains("first missed never"));
        assert!(screen.contains("everything after 2.50 s") && screen.contains("... 191 more"), "{screen}");
    }

    #[test]
    fn numbers_have_their_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
