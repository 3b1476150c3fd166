//! What is known of a server, by its address: how fast it is, whether it answers, and how it wants to be asked.

use crate::base::time::Moment;
use crate::resolve::iterate::bounds::{
    LATE_UNKNOWN, MANNER_SPAN, REST_MAX, REST_MIN, SILENCES_MAX, WAIT_MAX, WAIT_MIN, WAIT_UNKNOWN,
};
use crate::resolve::iterate::store::Weight;
use std::net::IpAddr;
use std::time::Duration;

/// What met silence, or what took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// A query for a shortened name: some servers drop those for all names but the ones that they were told of.
    Short,
    /// A query for all that is wanted.
    Whole,
    /// The network said that nobody is there.
    Hard,
}

/// One server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Server {
    /// The smoothed round trip and its deviation (RFC 6298 §2), once there was one.
    trip: Option<(Duration, Duration)>,
    /// Queries in a row that met silence.
    silences: u8,
    /// When the last silence was noticed: what was sent before it tells nothing new.
    silent_at: Moment,
    /// It is not asked before.
    rests_until: Moment,
    /// It gets no EDNS until then.
    plain_until: Moment,
    /// It gets lower-cased names until then.
    lower_until: Moment,
}

impl Weight for Server {
    fn octets(&self) -> usize {
        size_of::<Server>()
    }
}

impl Weight for IpAddr {
    fn octets(&self) -> usize {
        size_of::<IpAddr>()
    }
}

impl Server {
    /// True if it may be asked now.
    pub(super) fn is_up(&self, now: Moment) -> bool {
        now >= self.rests_until
    }

    /// True if the last query met silence.
    pub(super) fn is_doubtful(&self) -> bool {
        self.silences > 0
    }

    /// The round trip to expect, if there was one.
    pub(super) fn trip(&self) -> Option<Duration> {
        self.trip.map(|(smoothed, _)| smoothed)
    }

    /// For how long to wait for its answer (RFC 6298 §2.3, §5.5).
    pub(super) fn wait(&self) -> Duration {
        let wait = self.trip.map_or(WAIT_UNKNOWN, |(smoothed, deviation)| smoothed + deviation * 4);
        (wait.max(WAIT_MIN) * (1 << self.silences.min(SILENCES_MAX))).min(WAIT_MAX)
    }

    /// After which time its answer is late, so that another server is worth a packet: no longer than
    /// [`Server::wait`], which grows with each silence.
    pub(super) fn usual(&self) -> Duration {
        let usual = self.trip.map_or(LATE_UNKNOWN, |(smoothed, deviation)| smoothed + deviation * 4);
        usual.max(WAIT_MIN).min(self.wait())
    }

    pub(super) fn takes_edns(&self, now: Moment) -> bool {
        now >= self.plain_until
    }

    pub(super) fn repeats_case(&self, now: Moment) -> bool {
        now >= self.lower_until
    }

    /// A query leaves. Of a server that was silent for long only one is out at a time.
    pub(super) fn asked(&mut self, now: Moment) {
        if self.silences >= SILENCES_MAX {
            self.rests_until = now + self.wait();
        }
    }

    /// It answered, whatever.
    pub(super) fn answered(&mut self, trip: Duration) {
        let (smoothed, deviation) = self.trip.map_or((trip, trip / 2), |(smoothed, deviation)| {
            let difference = smoothed.abs_diff(trip);
            ((smoothed * 7 + trip) / 8, (deviation * 3 + difference) / 4)
        });
        self.trip = Some((smoothed, deviation));
        self.silences = 0;
        self.rests_until = Moment::START;
    }

    /// A query sent at `sent` met silence.
    pub(super) fn was_silent(&mut self, now: Moment, sent: Moment, silence: Silence) {
        if sent < self.silent_at {
            return;
        }
        self.silent_at = now;
        self.silences = match silence {
            // Alone it does not have the server left alone.
            Silence::Short => self.silences.max((self.silences + 1).min(SILENCES_MAX - 1)),
            Silence::Whole => self.silences.saturating_add(1),
            Silence::Hard => self.silences.max(SILENCES_MAX - 1).saturating_add(1),
        };
        if let Some(more) = self.silences.checked_sub(SILENCES_MAX) {
            self.rests_until = now + (REST_MIN * (1 << more.min(8))).min(REST_MAX);
        }
    }

    pub(super) fn knows_no_edns(&mut self, now: Moment) {
        self.plain_until = now + MANNER_SPAN;
    }

    pub(super) fn lowers_case(&mut self, now: Moment) {
        self.lower_until = now + MANNER_SPAN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1_000)
    }

    #[test]
    fn a_silent_server_is_waited_for_longer_and_then_left_alone_for_longer_and_longer() {
        let mut server = Server::default();
        let mut now = at(1_000);
        let mut seen = Vec::new();
        for _ in 0..6 {
            assert!(server.is_up(now));
            server.asked(now);
            let wait = server.wait();
            now += wait;
            server.was_silent(now, now.before(wait), Silence::Whole);
            let rest = server.rests_until - now;
            seen.push((wait.as_millis(), rest.as_secs()));
            now += rest;
        }
        assert_eq!(seen, [(500, 0), (1_000, 0), (1_500, 5), (1_500, 10), (1_500, 20), (1_500, 30)]);
        // It is late long before it is given up.
        assert_eq!(server.usual().as_millis(), 200);
        server.answered(Duration::from_millis(40));
        assert_eq!((server.is_up(now), server.wait().as_millis()), (true, 120));
        assert_eq!(server.usual().as_millis(), 120);
    }

    #[test]
    fn many_queries_that_meet_the_same_silence_count_once() {
        let mut server = Server::default();
        for _ in 0..50 {
            server.was_silent(at(600), at(100), Silence::Whole);
        }
        // All but those that were sent after silence was known.
        assert_eq!(server.silences, 1);
        server.was_silent(at(1_200), at(700), Silence::Whole);
        assert_eq!(server.silences, 2);
    }

    #[test]
    fn silence_to_shortened_names_alone_does_not_have_a_server_left_alone() {
        let mut server = Server::default();
        for second in 1..10 {
            server.was_silent(at(second * 1_000), at(second * 1_000 - 500), Silence::Short);
            assert!(server.is_up(at(second * 1_000)));
        }
        server.was_silent(at(10_000), at(9_500), Silence::Whole);
        assert!(!server.is_up(at(10_000)) && server.is_up(at(15_000)));
        // Nor does it bring one back that is.
        server.was_silent(at(16_000), at(15_500), Silence::Short);
        assert!(!server.is_up(at(16_000)));
    }

    #[test]
    fn of_a_server_that_was_silent_one_query_at_a_time_is_out() {
        let mut server = Server::default();
        server.was_silent(at(1), at(1), Silence::Hard);
        assert!(!server.is_up(at(5_000)) && server.is_up(at(5_001)));
        server.asked(at(5_001));
        assert!(!server.is_up(at(5_002)));
    }
}
