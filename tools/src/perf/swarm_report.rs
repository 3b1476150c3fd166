//! The table of `tools perf swarm`.

use super::report::{Goal, cell, goal, goal_table, head_table};
use super::swarm_changes::{Change, What};
use super::swarm_cut;
use super::swarm_speed::{Run, WAYS, Way};
use super::swarm_update::{Restart, Servers, Told};
use super::swarm_watch::Who;
use crate::stats::Spread;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A new task is told on every node within so many milliseconds after it started.
const STARTED_MS_MAX: f64 = 300.0;
/// One that stops or was killed is told nowhere any more after so many.
const GONE_MS_MAX: f64 = 150.0;
/// So many times the engine's queries a second, and this share of its CPU for each.
const QPS_RATIO_MIN: f64 = 5.0;
const CPU_RATIO_MAX: f64 = 0.2;
/// With one server look-ups may fail for so many milliseconds, while that server's node restarts it.
const FAILING_MS_MAX: f64 = 2_000.0;
/// Failures of look-ups are told together where they fall into one such span, in ms.
const SPAN_MS: u128 = 100;

/// Everything that is told.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) head: Vec<(String, String)>,
    pub(super) changes: Vec<Change>,
    pub(super) speed: Vec<Run>,
    pub(super) cut: Option<swarm_cut::Told>,
    pub(super) updates: Vec<Told>,
}

impl Results {
    fn ms(&self, what: What, who: Who) -> Option<Spread> {
        let own = self.changes.iter().filter(|change| change.what == what && change.who == who);
        Spread::of(own.map(|change| change.ms))
    }

    fn of(&self, way: Way, figure: fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.speed.iter().filter(|run| run.way == way).map(figure))
    }

    /// One way's figure over the engine's, within each round.
    fn ratio(&self, way: Way, figure: fn(&Run) -> f64) -> Option<Spread> {
        let of = |way| self.speed.iter().filter(move |run| run.way == way);
        Spread::of(of(way).filter_map(|run| {
            let engine = of(Way::Engine).find(|engine| engine.round == run.round)?;
            Some(figure(run) / figure(engine))
        }))
    }
}

/// The report as Markdown.
pub(super) fn table(results: &Results) -> String {
    let mut out = String::from(
        "# In a swarm, beside the engine's own resolver\n\n\
         Written by `tools perf swarm`; [README.md](README.md) says how it measures. Three engines on one machine, each in \
         network, mounts and host name of its own, with the image and the stack as they are shipped.\n\n",
    );
    head_table(&mut out, &results.head);
    // Writing into a string does not fail, here and below.
    let _ = writeln!(out, "\nFigures are medians, with the lowest and the highest in parentheses.");
    changes(&mut out, results);
    speed(&mut out, results);
    cut(&mut out, results);
    updates(&mut out, results);
    goals(&mut out, results);
    out
}

fn changes(out: &mut String, results: &Results) {
    if results.changes.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## Changes, seen by the last of three nodes\n\n| ms after | hivedns | 127.0.0.11 | tasks |\n|---|---:|---:|---:|"
    );
    for (what, title) in [
        (What::Started, "the start of a new task until it is told"),
        (What::Stopped, "the stop signal of a task until it is told no more"),
        (What::Killed, "the end of a killed task until it is told no more"),
    ] {
        let (own, engine) = (results.ms(what, Who::Hivedns), results.ms(what, Who::Engine));
        let count = results.changes.iter().filter(|change| change.what == what).count() / 2;
        let _ = writeln!(out, "| {title} | {} | {} | {count} |", cell(own, 0), cell(engine, 0));
    }
}

fn speed(out: &mut String, results: &Results) {
    if results.speed.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## From inside a container\n\n| way | queries/s | CPU µs per answer | queries/s to 127.0.0.11 | CPU to 127.0.0.11 | lost | wrong |\n\
         |---|---:|---:|---:|---:|---:|---:|"
    );
    for way in WAYS {
        let sum = |count: fn(&Run) -> u64| -> u64 {
            results.speed.iter().filter(|run| run.way == way).map(count).sum()
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            way.title(),
            cell(results.of(way, |run| run.qps), 0),
            cell(results.of(way, |run| run.cpu_us), 2),
            cell(results.ratio(way, |run| run.qps), 2),
            cell(results.ratio(way, |run| run.cpu_us), 3),
            sum(|run| run.lost),
            sum(|run| run.wrong),
        );
    }
    let _ = writeln!(
        out,
        "\nCPU is that of hivedns' process, of `dockerd` for 127.0.0.11, of hivedns and the engine with its proxy for the \
         published port. Who asks shares the cores with who answers."
    );
}

fn cut(out: &mut String, results: &Results) {
    let Some(told) = &results.cut else { return };
    let _ = writeln!(
        out,
        "\n## A node cut off for {} s\n\nThree tasks, one on each node, asked for on every node all the while; all of them \
         live on until the node is back.\n\n\
         | | answers | NXDOMAIN | without a task that lives | all told again, ms after the healing |\n|---|---:|---:|---:|---:|",
        told.time.as_secs()
    );
    for side in &told.sides {
        let title = match side.who {
            Who::Hivedns => "hivedns, the service",
            Who::HivednsOneNode => "hivedns, the cut node's task alone",
            Who::Engine => "127.0.0.11, the service",
        };
        let back = side.back_ms.map_or("–".into(), |ms| format!("{ms:.0}"));
        let _ =
            writeln!(out, "| {title} | {} | {} | {} | {back} |", side.replies, side.nxdomain, side.lacking);
    }
}

/// From the beginning of the first look-up that failed to that of the last. When each was given up depends on why it failed:
/// at once where the network refused it, 3 s later for silence.
fn failing_ms(told: &Told) -> f64 {
    let began = || told.report.failures.iter().map(|failure| failure.began);
    match (began().min(), began().max()) {
        (Some(first), Some(last)) => (last - first).as_secs_f64() * 1e3,
        (None, _) | (_, None) => 0.0,
    }
}

fn updates(out: &mut String, results: &Results) {
    if results.updates.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## A rolling update of hivedns under look-ups\n\nA stub resolver with `timeout:1 attempts:3` asks the published \
         ports of nodes.\n\n\
         | asked | look-ups/s | look-ups | failed | failing for, ms | longest answered, ms | without any answer for, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|"
    );
    for told in &results.updates {
        let report = &told.report;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} | {:.0} | {:.0} |",
            told.servers.title(),
            told.rate,
            report.asked,
            report.failures.len(),
            failing_ms(told),
            report.longest.as_secs_f64() * 1e3,
            report.gap.as_secs_f64() * 1e3,
        );
    }
    let _ = writeln!(
        out,
        "\nHow the asker's own node restarts hivedns, by its engine, in ms after the stop signal:\n\n\
         | asked | ended | the next one started | found ready |\n|---|---:|---:|---:|"
    );
    for Told { servers, restart, .. } in &results.updates {
        let (title, Restart { ended, started, healthy }) = (servers.title(), restart);
        let _ = writeln!(out, "| {title} | {ended:.0} | {started:.0} | {healthy:.0} |");
    }
    for told in &results.updates {
        let mut spans: BTreeMap<(u128, &str), usize> = BTreeMap::new();
        for failure in &told.report.failures {
            *spans.entry((failure.began.as_millis() / SPAN_MS, &failure.why)).or_default() += 1;
        }
        if !spans.is_empty() {
            let _ = writeln!(
                out,
                "\nFailed of those who ask {}: begun at s, why, how many:\n",
                told.servers.title()
            );
        }
        for ((span, why), count) in spans {
            let at = (span * SPAN_MS) as f64 / 1e3;
            let _ = writeln!(out, "- {at:.1}: {why}: {count}");
        }
    }
}

fn goals(out: &mut String, results: &Results) {
    let mut lines = Vec::new();
    for (what, title, bound) in [
        (What::Started, "a new task told on every node, ms after its start", STARTED_MS_MAX),
        (What::Stopped, "a stopping task told nowhere, ms after its signal", GONE_MS_MAX),
        (What::Killed, "a killed task told nowhere, ms after its end", GONE_MS_MAX),
    ] {
        if let Some(ms) = results.ms(what, Who::Hivedns) {
            lines.push(goal(title, ms.median, Goal::AtMost(bound)));
            lines.push(goal(&format!("{title}, the slowest"), ms.max, Goal::AtMost(bound)));
        }
    }
    if let Some(ratio) = results.ratio(Way::Overlay, |run| run.qps) {
        lines.push(goal("queries/s in the overlay / 127.0.0.11", ratio.median, Goal::AtLeast(QPS_RATIO_MIN)));
    }
    if let Some(ratio) = results.ratio(Way::Overlay, |run| run.cpu_us) {
        lines.push(goal("CPU per answer / 127.0.0.11", ratio.median, Goal::AtMost(CPU_RATIO_MAX)));
    }
    for side in results.cut.iter().flat_map(|told| &told.sides).filter(|side| side.who != Who::Engine) {
        let title = if side.who == Who::Hivedns { "of the service" } else { "of the cut node's task" };
        let nxdomain = side.nxdomain as f64;
        lines.push(goal(&format!("NXDOMAIN {title} during the cut"), nxdomain, Goal::AtMost(0.0)));
    }
    for told in &results.updates {
        let failed = told.report.failures.len() as f64;
        match told.servers {
            Servers::Engine => {}
            Servers::One => lines.push(goal(
                "one server: look-ups fail for so many ms",
                failing_ms(told),
                Goal::AtMost(FAILING_MS_MAX),
            )),
            Servers::Two => lines.push(goal("two servers: failed look-ups", failed, Goal::AtMost(0.0))),
        }
    }
    goal_table(out, &lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_met_its_goal() {
        let change = |what, who, ms| Change { what, who, ms };
        let run = |way, qps, cpu_us| Run { way, round: 0, qps, cpu_us, lost: 0, wrong: 0 };
        let results = Results {
            changes: vec![
                change(What::Started, Who::Hivedns, 120.0),
                change(What::Started, Who::Engine, 700.0),
                change(What::Killed, Who::Hivedns, 151.0),
                change(What::Killed, Who::Engine, 150.0),
            ],
            speed: vec![run(Way::Overlay, 60_000.0, 5.0), run(Way::Engine, 10_000.0, 20.0)],
            ..Results::default()
        };
        let table = table(&results);
        for line in [
            "until it is told | **120** (120–120) | **700** (700–700) | 1 |",
            "ms after its start | ≤ 300.00 | 120.00 | met |",
            "ms after its end | ≤ 150.00 | 151.00 | missed |",
            "in the overlay / 127.0.0.11 | ≥ 5.00 | 6.00 | met |",
            "CPU per answer / 127.0.0.11 | ≤ 0.20 | 0.25 | missed |",
        ] {
            assert!(table.contains(line), "{line}\n{table}");
        }
    }
}
