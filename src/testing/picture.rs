//! A run as a picture: how large a share of nodes had a change after how long, over a logarithmic axis of time.
//!
//! Plain shapes and text, no scripts and no style sheet, so that it looks alike everywhere.

use super::summary::Summary;
use std::fmt::Write;

const FONT: &str = "Inter, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif";
const INK: &str = "#1f2933";
const FAINT_INK: &str = "#616e7c";
const RULE: &str = "#e4e7eb";
const LINE: &str = "#f0a202";
const MARK: &str = "#3d7fc1";
/// Pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 62.0;
/// Shares that a rule is drawn at.
const SHARES: [f64; 6] = [0.0, 0.25, 0.5, 0.75, 0.99, 1.0];

/// The picture as SVG.
pub fn picture(run: &Summary) -> String {
    let mut out = String::new();
    // Writing into a string does not fail, here and below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"{FONT}\" role=\"img\">"
    );
    let title = format!("How changes reach {} nodes", run.nodes);
    let changes: u64 = [run.calm, run.cut].into_iter().flatten().map(|spread| spread.changes).sum();
    let subtitle = format!(
        "share of (change, node) pairs that arrived within that time; {changes} changes, {:.0} % loss, seed {}",
        run.loss * 100.0,
        run.seed
    );
    let _ = writeln!(out, "<title>{}</title>", escaped(&title));
    let _ = writeln!(out, "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"10\" fill=\"#ffffff\"/>");
    text(&mut out, (28.0, 36.0), "start", 20.0, INK, "600", &title);
    text(&mut out, (28.0, 58.0), "start", 12.5, FAINT_INK, "400", &subtitle);
    let last = run.curve.last().map_or(1_000.0, |(ms, _)| *ms);
    let decades = last.max(10.0).log10().ceil();
    let x = |ms: f64| LEFT + ms.max(1.0).log10() / decades * (WIDTH - LEFT - RIGHT);
    let y = |share: f64| HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
    for share in SHARES {
        let at = y(share);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"{RULE}\"/>",
            WIDTH - RIGHT
        );
        // 99 % and 100 % lie too close for two labels.
        if share != 0.99 {
            let label = format!("{:.0} %", share * 100.0);
            text(&mut out, (LEFT - 8.0, at + 4.0), "end", 11.0, FAINT_INK, "400", &label);
        }
    }
    for decade in 0..=decades as i32 {
        let ms = 10f64.powi(decade);
        let at = x(ms);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"{RULE}\"/>",
            HEIGHT - BOTTOM
        );
        let label = if ms < 1e3 { format!("{ms:.0} ms") } else { format!("{:.0} s", ms / 1e3) };
        text(&mut out, (at, HEIGHT - BOTTOM + 20.0), "middle", 11.0, FAINT_INK, "400", &label);
    }
    let mut path = format!("M{:.1} {:.1}", x(1.0), y(0.0));
    for (ms, share) in &run.curve {
        let _ = write!(path, "L{:.1} {:.1}", x(*ms), y(*share));
    }
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{LINE}\" stroke-width=\"2.5\" stroke-linejoin=\"round\"/>"
    );
    for (share, name) in [(0.5, "half"), (0.99, "99 %")] {
        if let Some((ms, _)) = run.curve.iter().find(|(_, reached)| *reached >= share) {
            let (at, level) = (x(*ms), y(share));
            let _ = writeln!(out, "<circle cx=\"{at:.1}\" cy=\"{level:.1}\" r=\"4\" fill=\"{MARK}\"/>");
            let label = format!("{name}: {ms:.0} ms");
            text(&mut out, (at + 9.0, level + 16.0), "start", 12.0, INK, "400", &label);
        }
    }
    let median = run.calm.map_or(String::new(), |spread| {
        format!(" · median of changes to the last node: {:.0} ms", spread.all.median_ms)
    });
    let foot = format!("{} · trace {}{median}", run.machine, run.trace);
    text(&mut out, (28.0, HEIGHT - 16.0), "start", 11.0, FAINT_INK, "400", &foot);
    out.push_str("</svg>\n");
    out
}

fn text(
    out: &mut String,
    (x, y): (f64, f64),
    anchor: &str,
    size: f64,
    colour: &str,
    weight: &str,
    what: &str,
) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" font-weight=\"{weight}\" \
         fill=\"{colour}\">{}</text>",
        escaped(what)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_closed_markup_without_impossible_numbers() {
        let curve = vec![(1.0, 0.1), (10.0, 0.6), (100.0, 1.0)];
        let run = Summary { nodes: 5, curve, machine: "a<b".into(), ..Summary::default() };
        for run in [run, Summary::default()] {
            let svg = picture(&run);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("a<b"));
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        }
    }
}
