//! A run on one screen: the story first, then the figures.

use super::summary::{Convergence, Line, Summary};
use std::fmt::Write;

/// Columns of the screen.
const COLUMNS: usize = 80;
/// Lines of the story that are shown; the middle of a longer one is left out.
const STORY_LINES: usize = 8;
/// Broken rules that are shown.
const BROKEN_LINES: usize = 3;

/// The screen: at most 24 lines of at most 80 columns.
pub fn screen(run: &Summary) -> String {
    let mut lines = vec![format!(
        "seed {}: {} nodes, {} records, {:.0} % loss; {}",
        run.seed,
        thousands(run.nodes),
        thousands(run.records),
        run.loss * 100.0,
        run.machine
    )];
    lines.extend(story(&run.story));
    if run.calm.is_some() || run.cut.is_some() {
        lines.push(columns("changes", ["count", "half", "99 %", "all", "worst"].map(str::to_owned)));
    }
    lines.extend(row("  while all was well", run.calm.as_ref()));
    lines.extend(row("  with a cut in the way", run.cut.as_ref()));
    let mut say = |name: &str, what: String| lines.push(format!("{name:<14}{what}"));
    say(
        "a node sends",
        format!(
            "{:.0} datagrams/s, {} B/s, {} B/s on streams{}",
            run.datagrams_per_node_s,
            thousands(run.octets_per_node_s.round() as u64),
            thousands(run.stream_octets_per_node_s.round() as u64),
            run.octets_per_useful.map_or(String::new(), |octets| format!("; {octets:.2} per useful B")),
        ),
    );
    say(
        "members",
        format!(
            "{} healthy ones declared down, {} hidden within their lease",
            run.false_downs, run.hidden_early
        ),
    );
    if run.healed_members_s.is_some() || run.healed_records_s.is_some() {
        let [members, records] = [run.healed_members_s, run.healed_records_s].map(after);
        say("after the cut", format!("all members {members}, all changes {records}"));
    }
    if !run.deaths.is_empty() {
        let (first, everywhere) = (
            worst(run.deaths.iter().map(|death| death.suspected_s)),
            worst(run.deaths.iter().map(|death| death.everywhere_s)),
        );
        let count = run.deaths.len();
        say("deaths", format!("{count}: first missed {first}, down everywhere {everywhere} (worst)"));
    }
    if !run.joins_s.is_empty() {
        let complete = worst(run.joins_s.iter().copied());
        say("newcomers", format!("{}: everything {complete} (worst)", run.joins_s.len()));
    }
    let mut cost = format!("{:.0} s, {} events", run.virtual_s, thousands(run.events));
    if run.machine_ms_per_s > 0.0 {
        let _ = write!(
            cost,
            "; {:.0} s of ours, {} MiB, {:.2} % CPU a node",
            run.real_s,
            run.peak_kib >> 10,
            run.machine_ms_per_s / run.nodes.max(1) as f64 / 10.0
        );
    }
    say("the run", cost);
    lines.push(match (run.broken.is_empty(), run.settled_s) {
        (true, Some(settled)) => {
            format!("well: every rule is kept, after {settled:.0} s of quiet; trace {}", run.trace)
        }
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
    let show = |line: &Line| format!("{:>9.3} s  {}", line.at_s, line.what);
    if lines.len() <= STORY_LINES {
        return lines.iter().map(show).collect();
    }
    let half = STORY_LINES / 2;
    let mut shown: Vec<String> = lines[..half].iter().map(show).collect();
    shown.push(format!("{:>11}  ... {} more", "", lines.len() - 2 * half + 1));
    shown.extend(lines[lines.len() - half + 1..].iter().map(show));
    shown
}

fn row(name: &str, spread: Option<&Convergence>) -> Option<String> {
    spread.map(|spread| {
        let [half, most, all] = [spread.half, spread.most, spread.all].map(|times| ms(times.median_ms));
        columns(name, [thousands(spread.changes), half, most, all, ms(spread.all.worst_ms)])
    })
}

fn columns(name: &str, [count, half, most, all, worst]: [String; 5]) -> String {
    format!("{name:<24}{count:>12}{half:>11}{most:>11}{all:>11}{worst:>11}")
}

/// Never, if one of them never was.
fn worst(mut values: impl Iterator<Item = Option<f64>>) -> String {
    after(values.try_fold(0.0, |worst: f64, value| Some(worst.max(value?))))
}

fn after(seconds: Option<f64>) -> String {
    seconds.map_or("never".to_owned(), |seconds| format!("after {seconds:.2} s"))
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
            calm: Some(spread),
            cut: Some(spread),
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
        assert!(screen.contains("everything after 2.50 s") && screen.contains("... 193 more"), "{screen}");
    }

    #[test]
    fn numbers_have_their_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
