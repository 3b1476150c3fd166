//! Bar charts as SVG: grouped bars with whiskers, several charts on one sheet, one legend.
//!
//! Plain shapes and text, no scripts and no style sheet, so that it looks alike in a browser, on a code host and
//! through a converter.

use std::fmt::Write;

/// The typeface, and colours of everything that is not data.
const FONT: &str = "Inter, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif";
const INK: &str = "#1f2933";
const FAINT_INK: &str = "#616e7c";
const RULE: &str = "#e4e7eb";
const WHISKER: &str = "#323f4b";
/// Sizes in pixels.
const MARGIN: f64 = 28.0;
const HEAD: f64 = 92.0;
const FOOT: f64 = 34.0;
const CHART_WIDTH: f64 = 520.0;
const CHART_HEIGHT: f64 = 300.0;
const GAP: f64 = 32.0;
/// About how many lines a value axis has.
const TICKS: f64 = 5.0;

/// A line of the legend.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// What it is called.
    pub(crate) name: String,
    /// Its fill.
    pub(crate) colour: &'static str,
}

/// A bar's height and the range that its whisker spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// The height.
    pub(crate) value: f64,
    /// The whisker's ends; equal ends draw none.
    pub(crate) range: (f64, f64),
}

/// A chart: for each group one bar per series, or none.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What is shown, with its unit.
    pub(crate) title: String,
    /// How to read it.
    pub(crate) subtitle: String,
    /// The groups and their bars, in the order of the series.
    pub(crate) groups: Vec<(String, Vec<Option<Bar>>)>,
}

/// The whole sheet: charts in rows of two.
pub(crate) fn sheet(title: &str, subtitle: &str, foot: &str, series: &[Series], charts: &[Chart]) -> String {
    let rows = charts.len().div_ceil(2) as f64;
    let width = 2.0 * MARGIN + 2.0 * CHART_WIDTH + GAP;
    let height = HEAD + rows * (CHART_HEIGHT + GAP) + FOOT;
    let mut out = String::new();
    // Writing into a string does not fail, here and below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\" role=\"img\">"
    );
    let _ = writeln!(out, "<title>{}</title>", escaped(title));
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"#ffffff\"/>");
    text(&mut out, (MARGIN, 38.0), "start", 20.0, INK, "600", title);
    text(&mut out, (MARGIN, 60.0), "start", 12.5, FAINT_INK, "400", subtitle);
    legend(&mut out, width - MARGIN, 38.0, series);
    for (index, chart) in charts.iter().enumerate() {
        let x = MARGIN + (index % 2) as f64 * (CHART_WIDTH + GAP);
        let y = HEAD + (index / 2) as f64 * (CHART_HEIGHT + GAP);
        draw(&mut out, (x, y), series, chart);
    }
    text(&mut out, (MARGIN, height - 18.0), "start", 11.0, FAINT_INK, "400", foot);
    out.push_str("</svg>\n");
    out
}

/// The legend, set from the right edge to the left.
fn legend(out: &mut String, right: f64, y: f64, series: &[Series]) {
    let mut x = right;
    for entry in series.iter().rev() {
        x -= 7.2 * entry.name.chars().count() as f64;
        text(out, (x, y), "start", 13.0, INK, "400", &entry.name);
        x -= 20.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"13\" height=\"13\" rx=\"2.5\" fill=\"{}\"/>",
            y - 11.0,
            entry.colour
        );
        x -= 18.0;
    }
}

/// One chart with its upper left corner at the place given.
fn draw(out: &mut String, (x, y): (f64, f64), series: &[Series], chart: &Chart) {
    let (left, top) = (x + 46.0, y + 58.0);
    let (width, height) = (CHART_WIDTH - 46.0, CHART_HEIGHT - 58.0 - 28.0);
    text(out, (x, y + 14.0), "start", 14.5, INK, "600", &chart.title);
    text(out, (x, y + 32.0), "start", 11.5, FAINT_INK, "400", &chart.subtitle);
    let bars = chart.groups.iter().flat_map(|(_, bars)| bars.iter().flatten());
    let highest = bars.map(|bar| bar.range.1.max(bar.value)).fold(0.0, f64::max);
    let step = tick_step(highest);
    let scale = (highest * 1.08 / step).ceil().max(1.0) * step;
    let level = |value: f64| top + height - value / scale * height;
    let mut tick = 0.0;
    while tick <= scale * 1.0001 {
        let at = level(tick);
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"{RULE}\"/>",
            left + width
        );
        text(out, (left - 8.0, at + 4.0), "end", 11.0, FAINT_INK, "400", &short(tick));
        tick += step;
    }
    let group_width = width / chart.groups.len().max(1) as f64;
    for (index, (name, bars)) in chart.groups.iter().enumerate() {
        let group_left = left + index as f64 * group_width;
        let shown: Vec<(usize, Bar)> =
            bars.iter().enumerate().filter_map(|(k, bar)| bar.map(|bar| (k, bar))).collect();
        let slot = (group_width * 0.84 / shown.len().max(1) as f64).min(46.0);
        let first = group_left + (group_width - slot * shown.len() as f64) / 2.0;
        for (place, &(k, bar)) in shown.iter().enumerate() {
            let bar_left = first + place as f64 * slot;
            draw_bar(out, (bar_left, slot), series[k].colour, bar, &level);
        }
        text(out, (group_left + group_width / 2.0, top + height + 20.0), "middle", 12.0, INK, "400", name);
    }
    let base = top + height;
    let _ = writeln!(
        out,
        "<line x1=\"{left:.1}\" y1=\"{base:.1}\" x2=\"{:.1}\" y2=\"{base:.1}\" stroke=\"{FAINT_INK}\"/>",
        left + width
    );
}

/// One bar, its whisker and its value.
fn draw_bar(out: &mut String, (left, slot): (f64, f64), colour: &str, bar: Bar, level: &impl Fn(f64) -> f64) {
    let (x, width) = (left + slot * 0.08, slot * 0.84);
    let (top, base) = (level(bar.value), level(0.0));
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{colour}\"/>",
        (base - top).max(0.5)
    );
    let middle = x + width / 2.0;
    let (low, high) = (level(bar.range.0), level(bar.range.1));
    if low - high > 1.0 {
        let cap = (width * 0.2).min(5.0);
        let _ = writeln!(
            out,
            "<path d=\"M{middle:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h{:.1}M{:.1} {high:.1}h{:.1}\" \
             stroke=\"{WHISKER}\" stroke-width=\"1.2\" fill=\"none\"/>",
            middle - cap,
            2.0 * cap,
            middle - cap,
            2.0 * cap
        );
    }
    text(out, (middle, high.min(top) - 5.0), "middle", 10.5, INK, "400", &value_label(bar.value));
}

/// The distance of axis lines: 1, 2, 2.5 or 5 times a power of ten.
fn tick_step(highest: f64) -> f64 {
    let rough = (highest / TICKS).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// Three digits that count, as far as they stand for something.
fn value_label(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// The same without zeros at the end, for the axis.
fn short(value: f64) -> String {
    let text = value_label(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
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
    fn axis_lines_stand_at_round_values() {
        for (highest, step) in [(5.0, 1.0), (7.3, 2.0), (12.0, 2.5), (400.0, 100.0), (0.9, 0.2)] {
            assert!((tick_step(highest) - step).abs() < step * 1e-9, "{highest}: {}", tick_step(highest));
        }
        assert!(tick_step(0.0) > 0.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(["0", "2.5", "3.12", "31.2", "312"], [0.0, 2.5, 3.1234, 31.234, 312.34].map(short)[..]);
    }

    #[test]
    fn a_sheet_is_closed_markup_with_escaped_text() {
        let series = [Series { name: "a<b".into(), colour: "#000" }];
        let bar = Bar { value: 3.0, range: (2.0, 4.0) };
        let chart = Chart {
            title: "t & u".into(),
            subtitle: String::new(),
            groups: vec![("g".into(), vec![Some(bar)]), ("none".into(), vec![None])],
        };
        let svg = sheet("title", "", "", &series, &[chart]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a&lt;b") && svg.contains("t &amp; u") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
