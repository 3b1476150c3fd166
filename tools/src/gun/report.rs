//! What a run of the gun found.

use super::check::Wrong;
use crate::histogram::Histogram;
use serde::Serialize;
use std::fmt::Write;

/// The figures of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    /// Questions sent.
    pub(crate) sent: u64,
    /// Questions answered, rightly or not.
    pub(crate) answered: u64,
    /// Questions without an answer in time.
    pub(crate) lost: u64,
    /// Answers that were not right.
    pub(crate) wrong: Wrong,
    /// Due questions of an open loop that could not leave: all ids were under way, or the socket was full.
    pub(crate) held_back: u64,
    /// From the first question to the last answer.
    pub(crate) seconds: f64,
    /// Answers per second.
    pub(crate) qps: f64,
    /// The gun's own time per answer in microseconds, without the turns in which nothing moved: 1 / this is
    /// what the gun could do.
    pub(crate) own_us: f64,
    /// The longest of the gun's own turns in microseconds, while others had its core included: so much of the longest
    /// latencies may be the gun's.
    pub(crate) stall_us: f64,
    /// The mean number of answers that one receive brought.
    pub(crate) answers_per_receive: f64,
    /// Latencies in microseconds.
    pub(crate) latency_us: Latency,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// The usual percentiles of a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram) -> Latency {
        let at = |percent| histogram.percentile(percent) as f64 / 1e3;
        Latency {
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

impl Report {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and structures only")
    }

    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let Wrong { header, question, rcode, authority, truncated, answers, stray } = self.wrong;
        let latency = self.latency_us;
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "{} sent, {} answered, {} lost, {} wrong in {:.2} s: {:.0} answers/s",
            self.sent,
            self.answered,
            self.lost,
            self.wrong.total(),
            self.seconds,
            self.qps
        );
        if self.wrong.total() > 0 {
            let _ = writeln!(
                text,
                "wrong: header {header}, question {question}, rcode {rcode}, AA {authority}, TC {truncated}, \
                 answers {answers}, stray {stray}"
            );
        }
        if self.held_back > 0 {
            let _ = writeln!(text, "held back: {} (more was due than could be under way)", self.held_back);
        }
        let _ = writeln!(
            text,
            "latency µs: p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
            latency.p50, latency.p90, latency.p99, latency.p999, latency.max
        );
        let _ = writeln!(
            text,
            "gun: {:.2} µs of its own per answer, {:.1} answers per receive",
            self.own_us, self.answers_per_receive
        );
        text
    }
}
