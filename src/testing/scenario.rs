//! What is asked for: how large a cluster, what it does, what goes wrong. Reads the texts of the command line.

use super::record::RECORDS_PER_NODE_MAX;
use super::seat::Seats;
use clap::Args;
use std::time::Duration;

/// Nodes that can be simulated: a mark for each pair of them takes 25 MB at this size.
pub const NODES_MAX: usize = 10_000;
/// Changes that one run may make: each waits in the queue from the start.
pub const CHANGES_MAX: f64 = 10_000_000.0;
/// The longest run: a week.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 86_400);
/// How long the cluster settles if nothing is said.
const SETTLE_USUAL: Duration = Duration::from_secs(5);
/// When the changes at one moment are made, after the start.
pub const BURST_AT: Duration = Duration::from_secs(1);
/// Newcomers start within so long.
pub const JOIN_WITHIN: Duration = Duration::from_secs(1);
/// Records of the cluster that the workload writes to.
pub const CLUSTER_KEYS: u32 = 64;
/// Between two crashes.
pub const CRASH_EVERY: Duration = Duration::from_secs(1);
/// How long a run is if nothing asks for more.
const DURATION_USUAL: Duration = Duration::from_secs(60);
/// After the end of a cut the run goes on for so long at least.
const AFTER_CUT: Duration = Duration::from_secs(30);
/// When a cut begins if nothing is said.
const CUT_FROM: Duration = Duration::from_secs(10);

/// How the nodes are cut apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Every second node.
    Half,
    /// Every third node.
    Third,
    /// So many nodes.
    Nodes(usize),
}

/// A cut: who is apart, since when after the start, for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// One side of it.
    pub side: Side,
    /// When it begins.
    pub from: Duration,
    /// How long it lasts.
    pub length: Duration,
}

impl Partition {
    /// One side, of so many nodes.
    pub fn seats(&self, nodes: usize) -> Seats {
        Seats::of(nodes, |seat| match self.side {
            Side::Half => seat.0 % 2 == 1,
            Side::Third => seat.0 % 3 == 2,
            Side::Nodes(count) => seat.index() < count,
        })
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Nodes at the start; all know everything.
    pub nodes: usize,
    /// Records of each node at the start.
    pub records: usize,
    /// The share of packets that is lost.
    pub loss: f64,
    /// A cut.
    pub partition: Option<Partition>,
    /// Changes per second over all nodes.
    pub changes: f64,
    /// Changes at one moment, one second after the start.
    pub burst: usize,
    /// Nodes that crash, one after the other.
    pub crash: usize,
    /// Nodes that join at once.
    pub join: usize,
    /// Things of all kinds that befall nodes.
    pub chaos: usize,
    /// Records of the cluster, written while it settles.
    pub cluster: usize,
    /// How long the cluster runs before anything is asked of it.
    pub settle: Duration,
    /// How long changes are made; then there is quiet until all is well.
    pub duration: Duration,
}

/// A run as it is asked for: texts, each with the flag it came by. What is not said is usual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Asked {
    /// Nodes; at the start all know everything [default: 100].
    #[arg(long, value_name = "N")]
    pub nodes: Option<String>,
    /// Share of packets that is lost, such as 0.2 or 20% [default: 0].
    #[arg(long, value_name = "P")]
    pub loss: Option<String>,
    /// Cut the network: half, third or a number of nodes, for how long, and perhaps when, such as half:60s@10s.
    #[arg(long, value_name = "SIDE:TIME")]
    pub partition: Option<String>,
    /// What decides all chance [default: drawn].
    #[arg(long, value_name = "S")]
    pub seed: Option<String>,
    /// Records of each node [default: 10].
    #[arg(long, value_name = "R")]
    pub records: Option<String>,
    /// Records of the cluster, written at the start [default: 0].
    #[arg(long, value_name = "R")]
    pub cluster: Option<String>,
    /// Changes over all nodes [default: 10/s].
    #[arg(long, value_name = "C/s")]
    pub changes: Option<String>,
    /// Changes at one moment [default: 0].
    #[arg(long, value_name = "N")]
    pub burst: Option<String>,
    /// Nodes that lose power, one per second [default: 0].
    #[arg(long, value_name = "N")]
    pub crash: Option<String>,
    /// Nodes that join, knowing nothing [default: 0].
    #[arg(long, value_name = "N")]
    pub join: Option<String>,
    /// Everything else that may befall nodes, drawn by lot, so many times: pauses, stops, restarts with each kind
    /// of disk, drains, farewells, doubled and late packets, links that carry one way, regions [default: 0].
    #[arg(long, value_name = "N")]
    pub chaos: Option<String>,
    /// How long the cluster runs before anything is asked of it [default: 5s].
    #[arg(long, value_name = "TIME")]
    pub settle: Option<String>,
    /// How long changes are made, in virtual time [default: 60s, longer with a cut].
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
}

impl Asked {
    /// The run, or every fault of the texts. `seed` is taken if none is asked for.
    pub fn read(&self, seed: u64) -> Result<Scenario, Vec<String>> {
        let mut faults = Vec::new();
        let mut number = |flag: &str,
                          text: &Option<String>,
                          usual: usize,
                          range: std::ops::RangeInclusive<usize>| {
            let Some(text) = text else { return usual };
            match text.parse() {
                Ok(number) if range.contains(&number) => number,
                _ => {
                    let (low, high) = (range.start(), range.end());
                    faults.push(format!("--{flag}: expected a number from {low} to {high}, found {text:?}"));
                    usual
                }
            }
        };
        let nodes = number("nodes", &self.nodes, 100, 2..=NODES_MAX);
        let records = number("records", &self.records, 10, 0..=RECORDS_PER_NODE_MAX / 2);
        let burst = number("burst", &self.burst, 0, 0..=100_000);
        let crash = number("crash", &self.crash, 0, 0..=nodes - 2);
        let join = number("join", &self.join, 0, 0..=NODES_MAX);
        let chaos = number("chaos", &self.chaos, 0, 0..=100_000);
        let cluster = number("cluster", &self.cluster, 0, 0..=CLUSTER_KEYS as usize);
        let mut fault = |flag: &str, text: &str, expected: &str| {
            faults.push(format!("--{flag}: expected {expected}, found {text:?}"));
        };
        let seed = match self.seed.as_deref().map(|text| (text, text.parse())) {
            Some((_, Ok(seed))) => seed,
            Some((text, Err(_))) => {
                fault("seed", text, "a whole number");
                seed
            }
            None => seed,
        };
        let loss = self.loss.as_deref().map_or(0.0, |text| {
            share(text).unwrap_or_else(|| {
                fault("loss", text, "a share such as 0.2 or 20%, below 1");
                0.0
            })
        });
        let changes = self.changes.as_deref().map_or(10.0, |text| {
            rate(text).unwrap_or_else(|| {
                fault("changes", text, "changes per second such as 10/s");
                0.0
            })
        });
        let partition = self.partition.as_deref().and_then(|text| {
            let read = read_partition(text).filter(|cut| match cut.side {
                Side::Half => true,
                Side::Third => nodes >= 3,
                Side::Nodes(count) => (1..nodes).contains(&count),
            });
            if read.is_none() {
                fault(
                    "partition",
                    text,
                    "half, third or a number of nodes, then a duration and perhaps when it begins, such as half:60s \
                     or 3:10s@20s",
                );
            }
            read
        });
        let needed = partition.map_or(Duration::ZERO, |cut| cut.from + cut.length + AFTER_CUT);
        let duration = self.duration.as_deref().map_or(DURATION_USUAL.max(needed), |text| {
            span(text).unwrap_or_else(|| {
                fault("duration", text, "a duration of at most 7d, such as 250ms, 60s, 5m or 1h");
                DURATION_USUAL
            })
        });
        let settle = self.settle.as_deref().map_or(SETTLE_USUAL, |text| {
            span(text).unwrap_or_else(|| {
                fault("settle", text, "a duration of at most 7d, such as 250ms, 60s, 5m or 1h");
                SETTLE_USUAL
            })
        });
        // What is planned for after the end of the run would not be seen, and its figures would be of nothing.
        for (flag, ends) in [
            ("burst", (burst > 0).then_some(BURST_AT)),
            ("crash", (crash > 0).then(|| duration / 10 + CRASH_EVERY * crash as u32)),
            ("join", (join > 0).then(|| join_at(duration) + JOIN_WITHIN)),
            ("partition", partition.map(|cut| cut.from + cut.length)),
        ] {
            if let Some(ends) = ends.filter(|ends| *ends >= duration) {
                let (ends, duration) = (ends.as_secs_f64(), duration.as_secs_f64());
                faults.push(format!(
                    "--{flag}: ends {ends:.1} s after the start, the run after {duration:.1} s"
                ));
            }
        }
        if changes * duration.as_secs_f64() > CHANGES_MAX {
            faults.push(format!("--changes: more than {CHANGES_MAX} changes in one run"));
        }
        if nodes + join > NODES_MAX {
            faults.push(format!("--join: more than {NODES_MAX} nodes in all"));
        }
        match faults.is_empty() {
            true => Ok(Scenario {
                seed,
                nodes,
                records,
                cluster,
                loss,
                partition,
                changes,
                burst,
                crash,
                join,
                chaos,
                settle,
                duration,
            }),
            false => Err(faults),
        }
    }
}

/// When newcomers start in a run of that length, after its start.
pub fn join_at(duration: Duration) -> Duration {
    duration / 5
}

/// `0.2` or `20%`.
fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..1.0).contains(&share).then_some(share)
}

/// `10/s` or `10`.
fn rate(text: &str) -> Option<f64> {
    let rate = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok()?;
    (rate.is_finite() && rate >= 0.0).then_some(rate)
}

/// `250ms`, `60s`, `5m`, `1h`, `1d`.
fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let span = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(ms)?);
    (span <= DURATION_MAX).then_some(span)
}

fn read_partition(text: &str) -> Option<Partition> {
    let (side, times) = text.split_once(':')?;
    let (length, from) = match times.split_once('@') {
        Some((length, from)) => (span(length)?, span(from)?),
        None => (span(times)?, CUT_FROM),
    };
    let side = match side {
        "half" => Side::Half,
        "third" => Side::Third,
        count => Side::Nodes(count.parse().ok()?),
    };
    Some(Partition { side, from, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn asked(flags: &[(&str, &str)]) -> Result<Scenario, Vec<String>> {
        let words = flags.iter().flat_map(|(flag, text)| [format!("--{flag}"), (*text).to_owned()]);
        let command = Asked::augment_args(clap::Command::new("simulate").no_binary_name(true));
        let matches = command.get_matches_from(words);
        Asked::from_arg_matches(&matches).expect("texts are not read yet").read(9)
    }

    #[test]
    fn a_run_is_read_from_its_texts() {
        let usual = asked(&[]).unwrap();
        assert_eq!((usual.seed, usual.nodes, usual.loss, usual.partition), (9, 100, 0.0, None));
        let run = asked(&[
            ("seed", "7"),
            ("nodes", "1000"),
            ("loss", "20%"),
            ("partition", "half:60s"),
            ("changes", "560/s"),
        ]);
        let run = run.unwrap();
        assert_eq!((run.seed, run.nodes, run.loss, run.changes), (7, 1_000, 0.2, 560.0));
        // Long enough to see the cut heal.
        assert_eq!(run.duration, Duration::from_secs(100));
        let cut = asked(&[("partition", "3:1500ms@2m")]).unwrap().partition.unwrap();
        assert_eq!((cut.side, cut.from), (Side::Nodes(3), Duration::from_secs(120)));
        assert_eq!((cut.length, cut.seats(10).count()), (Duration::from_millis(1_500), 3));
    }

    #[test]
    fn every_fault_is_told_with_its_flag_and_what_was_expected() {
        let faults =
            asked(&[("nodes", "1"), ("loss", "1.5"), ("partition", "quarter:60s"), ("duration", "60")]);
        let faults = faults.unwrap_err();
        let flags: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(flags, ["--nodes", "--loss", "--partition", "--duration"]);
        assert_eq!(faults[0], "--nodes: expected a number from 2 to 10000, found \"1\"");
        for (flag, text) in [
            ("seed", "x"),
            ("settle", "5"),
            ("chaos", "many"),
            ("cluster", "65"),
            ("changes", "nan"),
            ("partition", "100:60s"),
            ("partition", "half:60"),
            ("partition", "half"),
            ("duration", "8d"),
            ("duration", "99999999999999999999s"),
            ("crash", "99"),
        ] {
            assert!(asked(&[(flag, text)]).is_err(), "{flag} {text}");
        }
    }

    #[test]
    fn what_would_end_after_the_run_is_refused() {
        for (flag, text, duration) in [
            ("burst", "1", "1s"),
            ("crash", "5", "5s"),
            ("join", "1", "1250ms"),
            ("partition", "half:20s@10s", "30s"),
        ] {
            let faults = asked(&[(flag, text), ("duration", duration)]).unwrap_err();
            assert!(faults[0].starts_with(&format!("--{flag}: ends ")), "{faults:?}");
            assert!(asked(&[(flag, text), ("duration", "31s")]).is_ok(), "{flag}");
        }
    }
}
