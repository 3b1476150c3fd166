//! What is known of one upstream: how far it is, whether it lives, and what it cannot do.
//!
//! ```text
//!          a question waited in vain            probes, too, and several questions
//!  trusted ─────────────────────────► suspected ─────────────────────────────────► dead
//!     ▲                                 │                                            │
//!     └────────── any answer ───────────┴────────────────────────────────────────────┘
//! ```
//!
//! Suspected and dead upstreams are probed apart. One that is slow with some names answers its probes and is never dead.

use crate::base::metrics::Counter;
use crate::base::time::Moment;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long is waited for an upstream of which nothing is known, before another is asked too: most of the world answers
/// within it, and nobody notices it.
pub const HEDGE_DELAY_START: Duration = Duration::from_millis(150);
/// At least so long: below it lies the jitter of schedulers, and every second question would go to two.
const HEDGE_DELAY_MIN: Duration = Duration::from_millis(25);
/// At most so long: three upstreams in turn get their chance before a question fails.
const HEDGE_DELAY_MAX: Duration = Duration::from_millis(800);
/// The largest round trip that counts: no answer comes later.
const RTT_MAX: Duration = Duration::from_secs(3);
/// The worst rank: from there one that failed is tried again after some hundred questions.
const RANK_MAX: u32 = 5_000_000;
/// Questions, and probes, in a row that a dead one left unanswered: two may be lost.
const SILENT_MAX: u8 = 3;
/// From the first question that waited in vain to the probe.
const SUSPICION: Duration = Duration::from_millis(300);
/// Between two probes, on average: one a second is nothing to a server that lives, and it is back within two.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How much of the interval is by lot, so that many askers do not probe at one moment.
const PROBE_SPREAD_MS: u16 = 500;
/// For how long what an upstream cannot do is remembered: it is upgraded some day.
const MEMORY: Duration = Duration::from_secs(900);
/// Replies in a row in another case until an upstream is asked over streams.
const OTHER_CASE_MAX: u8 = 3;

/// What is counted of one upstream, by one worker.
pub struct UpstreamCounters {
    /// The upstream.
    pub address: SocketAddr,
    /// Queries sent, probes among them.
    pub requests: Counter,
    /// Replies that matched a query.
    pub answers: Counter,
    /// Queries that were never answered.
    pub timeouts: Counter,
    /// Of the answers those that said nothing to the question, and streams that failed.
    pub failures: Counter,
    /// Replies that did not repeat the case of the question.
    pub other_cases: Counter,
    /// The smoothed round trip in microseconds; 0 before the first.
    pub srtt_us: Counter,
    /// 1 while it is dead.
    pub dead: Counter,
    /// Times it became dead.
    pub deaths: Counter,
}

/// A smoothed round trip and its variation in microseconds (RFC 6298 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RoundTrip {
    smoothed: u32,
    variation: u32,
}

impl RoundTrip {
    fn first(rtt: u32) -> RoundTrip {
        RoundTrip { smoothed: rtt, variation: rtt / 2 }
    }

    fn next(self, rtt: u32) -> RoundTrip {
        RoundTrip {
            smoothed: self.smoothed - self.smoothed / 8 + rtt / 8,
            variation: self.variation - self.variation / 4 + self.smoothed.abs_diff(rtt) / 4,
        }
    }
}

pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    pub(super) counters: Arc<UpstreamCounters>,
    /// Since when it is in no group any more, and nobody asks it.
    retired: Option<Moment>,
    round_trip: Option<RoundTrip>,
    /// Microseconds; the least is asked first. The round trip, worse after failures, and better with time while others
    /// are asked, so that it is tried again.
    rank: u32,
    pub(super) is_dead: bool,
    /// Questions and probes that waited in vain since it was last heard.
    silent: u8,
    pub(super) last_tried: Moment,
    last_heard: Moment,
    /// When it is probed next; never while it is trusted.
    pub(super) probe_at: Moment,
    is_probed: bool,
    /// Until then it gets no EDNS.
    plain_until: Moment,
    other_cases: u8,
    /// Until then it is asked over streams.
    streams_until: Moment,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr) -> Upstream {
        let counters = Arc::new(UpstreamCounters {
            address,
            requests: Counter::default(),
            answers: Counter::default(),
            timeouts: Counter::default(),
            failures: Counter::default(),
            other_cases: Counter::default(),
            srtt_us: Counter::default(),
            dead: Counter::default(),
            deaths: Counter::default(),
        });
        Upstream {
            address,
            counters,
            retired: None,
            round_trip: None,
            rank: micros(HEDGE_DELAY_START),
            is_dead: false,
            silent: 0,
            last_tried: Moment::START,
            last_heard: Moment::START,
            probe_at: Moment::NEVER,
            is_probed: false,
            plain_until: Moment::START,
            other_cases: 0,
            streams_until: Moment::START,
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.is_some()
    }

    /// True if it is retired for so long that no question knows it.
    pub(super) fn is_forgotten(&self, now: Moment, longest: Duration) -> bool {
        self.retired.is_some_and(|since| since + longest < now)
    }

    /// It is in some group from now on, or in none.
    pub(super) fn set_in_use(&mut self, now: Moment, in_use: bool) {
        if in_use {
            // Nobody asks a dead one for whom there are others: only a probe finds that it lives.
            if self.retired.take().is_some() && self.is_dead {
                self.probe_at = now;
            }
        } else {
            self.retired.get_or_insert(now);
            self.probe_at = Moment::NEVER;
        }
    }

    /// The least is asked first.
    pub(super) fn rank(&self) -> u32 {
        self.rank
    }

    fn usual_rank(&self) -> u32 {
        self.round_trip.map_or(micros(HEDGE_DELAY_START), |trip| trip.smoothed)
    }

    /// How long its answers usually take at most.
    pub(super) fn usual_delay(&self) -> Duration {
        let Some(RoundTrip { smoothed, variation }) = self.round_trip else { return HEDGE_DELAY_START };
        let micros = u64::from(smoothed) + 4 * u64::from(variation);
        Duration::from_micros(micros).clamp(HEDGE_DELAY_MIN, HEDGE_DELAY_MAX)
    }

    pub(super) fn takes_edns(&self, now: Moment) -> bool {
        self.plain_until <= now
    }

    pub(super) fn wants_streams(&self, now: Moment) -> bool {
        self.streams_until > now
    }

    /// A query goes to it. One that was asked only because it had been long enough shows its true rank again: one
    /// question tries it, not all until that is answered.
    pub(super) fn sent(&mut self, now: Moment) {
        self.last_tried = now;
        self.rank = self.rank.max(self.usual_rank());
        self.counters.requests.add(1);
    }

    /// A question was put to another first.
    pub(super) fn passed_over(&mut self) {
        self.rank = self.rank.saturating_sub(self.rank / 64 + 1);
    }

    /// A reply came; `rtt` if it tells how far it is.
    pub(super) fn heard(&mut self, now: Moment, rtt: Option<Duration>) {
        self.counters.answers.add(1);
        self.counters.dead.set(0);
        (self.is_dead, self.silent, self.is_probed) = (false, 0, false);
        (self.probe_at, self.last_heard) = (Moment::NEVER, now);
        if let Some(rtt) = rtt {
            let rtt = micros(rtt.min(RTT_MAX));
            let trip = self.round_trip.map_or(RoundTrip::first(rtt), |trip| trip.next(rtt));
            self.round_trip = Some(trip);
            self.rank = trip.smoothed;
            self.counters.srtt_us.set(u64::from(trip.smoothed.max(1)));
        }
    }

    /// A question waited in vain for as long as its answers usually take.
    pub(super) fn missed(&mut self, now: Moment) {
        self.worsen();
        self.silent = self.silent.saturating_add(1);
        if self.probe_at == Moment::NEVER && !self.is_retired() {
            self.probe_at = now + SUSPICION;
        }
    }

    /// Ranks it behind those that do better.
    pub(super) fn worsen(&mut self) {
        self.rank =
            self.rank.max(self.usual_rank()).saturating_mul(2).clamp(micros(HEDGE_DELAY_MIN), RANK_MAX);
    }

    /// A query to it was never answered.
    pub(super) fn timed_out(&mut self, now: Moment, sent: Moment) {
        self.counters.timeouts.add(1);
        if self.last_heard < sent && self.silent == 0 {
            self.missed(now);
        }
    }

    /// True if it is to be probed now; `lot` is below [`Upstream::PROBE_LOTS`].
    pub(super) fn probes(&mut self, now: Moment, lot: u16) -> bool {
        if self.probe_at > now {
            return false;
        }
        if self.is_probed {
            self.silent = self.silent.saturating_add(1);
            if self.silent >= SILENT_MAX && !self.is_dead {
                self.is_dead = true;
                self.counters.dead.set(1);
                self.counters.deaths.add(1);
            }
        }
        self.is_probed = true;
        let least = PROBE_INTERVAL - Duration::from_millis(u64::from(PROBE_SPREAD_MS / 2));
        self.probe_at = now + least + Duration::from_millis(u64::from(lot));
        true
    }

    /// One more than the largest lot that spreads probes.
    pub(super) const PROBE_LOTS: u16 = PROBE_SPREAD_MS;

    /// It answers without EDNS, and not with it (RFC 6891 §7).
    pub(super) fn knows_no_edns(&mut self, now: Moment) {
        self.plain_until = now + MEMORY;
    }

    /// It did not repeat the case of a question, or somebody guesses well: streams are safe from both (RFC 5452 §9.2).
    pub(super) fn said_in_other_case(&mut self, now: Moment) {
        self.counters.other_cases.add(1);
        self.other_cases = self.other_cases.saturating_add(1);
        if self.other_cases >= OTHER_CASE_MAX {
            self.other_cases = 0;
            self.streams_until = now + MEMORY;
        }
    }

    /// It repeated the case of a question.
    pub(super) fn said_in_same_case(&mut self) {
        self.other_cases = 0;
    }
}

/// As microseconds: all spans here are of seconds.
fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> Upstream {
        Upstream::new("192.0.2.1:53".parse().unwrap())
    }

    #[test]
    fn the_delay_follows_the_round_trip_and_its_variation() {
        let (mut upstream, ms) = (upstream(), Duration::from_millis);
        assert_eq!(upstream.usual_delay(), HEDGE_DELAY_START);
        upstream.heard(Moment::START, Some(ms(100)));
        assert_eq!((upstream.rank(), upstream.usual_delay()), (100_000, ms(300)));
        for _ in 0..50 {
            upstream.heard(Moment::START, Some(ms(20)));
        }
        assert!(upstream.rank() < 21_000 && upstream.usual_delay() <= ms(30), "{:?}", upstream.usual_delay());
        upstream.heard(Moment::START, Some(Duration::MAX));
        assert_eq!(upstream.usual_delay(), HEDGE_DELAY_MAX);
    }

    #[test]
    fn one_that_is_passed_over_is_tried_again_once() {
        let mut upstream = upstream();
        upstream.heard(Moment::START, Some(Duration::from_millis(500)));
        let mut passed = 0;
        while upstream.rank() > 5_000 {
            upstream.passed_over();
            passed += 1;
        }
        assert!((200..400).contains(&passed), "{passed}");
        upstream.sent(Moment::START);
        assert_eq!(upstream.rank(), 500_000);
    }
}
