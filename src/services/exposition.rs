//! The text in which Prometheus reads metrics: exposition format 0.0.4. It knows the form, not the metrics.
//!
//! ```text
//! # HELP name what it is
//! # TYPE name counter
//! name{label="value"} 1
//! ```
//!
//! Libraries for it want to own the counters; ours live on the workers' own cache lines. So this is the writer
//! alone.

use std::fmt::{Display, Write};

/// The media type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations by size.
    Histogram,
}

/// Takes the samples of one metric.
pub(super) struct Samples<'t> {
    text: &'t mut String,
    name: &'static str,
}

impl<'t> Samples<'t> {
    /// Begins a metric. `help` is one line without backslashes.
    pub(super) fn begin(
        text: &'t mut String,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Samples<'t> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Samples { text, name }
    }

    /// Puts a value; the labels tell it from the others of this metric.
    pub(super) fn put(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// Puts a histogram: the observations up to each of `bounds`, then those above; not cumulative.
    pub(super) fn put_histogram(&mut self, bounds: &[f64], counts: &[u64], sum: impl Display) {
        let mut up_to_here = 0;
        let infinite = "+Inf".to_owned();
        for (bound, count) in bounds.iter().map(f64::to_string).chain([infinite]).zip(counts) {
            up_to_here += count;
            self.line("_bucket", &[("le", &bound)], up_to_here);
        }
        self.line("_sum", &[], sum);
        self.line("_count", &[], up_to_here);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.text.push(if number == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            value.chars().for_each(|c| push_escaped(self.text, c));
            self.text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        write(self.text, format_args!("{end} {value}\n"));
    }
}

fn push_escaped(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '"' => text.push_str("\\\""),
        '\n' => text.push_str("\\n"),
        c => text.push(c),
    }
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, put: impl FnOnce(&mut Samples<'_>)) -> String {
        let mut text = String::new();
        put(&mut Samples::begin(&mut text, "m", kind, "What it is."));
        text
    }

    #[test]
    fn a_metric_is_its_head_and_its_samples() {
        let text = written(Kind::Counter, |samples| {
            samples.put(&[], 1);
            samples.put(&[("a", "b"), ("c", "")], 0.00025);
        });
        assert_eq!(text, "# HELP m What it is.\n# TYPE m counter\nm 1\nm{a=\"b\",c=\"\"} 0.00025\n");
    }

    #[test]
    fn a_label_may_hold_anything() {
        let text = written(Kind::Gauge, |samples| samples.put(&[("zone", "a\\032b\"c\nd.")], 1));
        assert!(text.ends_with("\nm{zone=\"a\\\\032b\\\"c\\nd.\"} 1\n"), "{text}");
    }

    #[test]
    fn a_histogram_is_cumulative_and_its_count_is_its_last_bucket() {
        let text = written(Kind::Histogram, |samples| samples.put_histogram(&[0.5, 1.0], &[2, 0, 1], 3.25));
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "m_bucket{le=\"0.5\"} 2",
                "m_bucket{le=\"1\"} 2",
                "m_bucket{le=\"+Inf\"} 3",
                "m_sum 3.25",
                "m_count 3"
            ]
        );
    }
}
