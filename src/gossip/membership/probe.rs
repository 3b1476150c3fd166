//! A question to a member that is under way, one asked for somebody else, and how long an answer takes.

use crate::base::time::Moment;
use crate::gossip::identity::{Incarnation, NodeId};
use crate::gossip::membership::frame::Sequence;
use crate::gossip::membership::settings::Settings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a member is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is its turn.
    Turn,
    /// Somebody found it silent, and the lot fell on us to see for ourselves.
    Opinion,
    /// Its suspicion is over: the last check before it is declared down.
    Last,
}

/// What has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// One ping.
    Ping,
    /// Two pings and the helpers.
    Helpers,
    /// All ways at once, but one ping only.
    AllOnce,
    /// All there is.
    All,
}

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) target: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) address: SocketAddr,
    pub(super) sequence: Sequence,
    pub(super) purpose: Purpose,
    pub(super) tried: Tried,
    pub(super) started: Moment,
    /// When the next way is tried, or all is over.
    pub(super) due: Moment,
    pub(super) helpers: Vec<NodeId>,
    pub(super) nacks: Vec<NodeId>,
}

/// A ping for somebody else.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) asker_address: SocketAddr,
    pub(super) asker_sequence: Sequence,
    pub(super) target: NodeId,
    /// When the asker is told that there was no answer so far.
    pub(super) nack_at: Moment,
}

/// How long a ping takes to be answered, over all members: the estimator of RFC 6298, section 2.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<(Duration, Duration)>,
}

impl RoundTrip {
    pub(super) fn measured(&mut self, took: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (took, took / 2),
            Some((mean, variation)) => (mean * 7 / 8 + took / 8, variation * 3 / 4 + mean.abs_diff(took) / 4),
        });
    }

    /// How long to wait for an ack.
    pub(super) fn ack_wait(&self, settings: &Settings) -> Duration {
        let (min, max) = (settings.ack_wait_min, settings.ack_wait_max);
        self.smoothed.map_or(max, |(mean, variation)| (mean + variation * 4).clamp(min, max))
    }
}

/// How long pings of each member took lately: of those that were measured, which in a large cluster takes hours.
#[derive(Debug, Default)]
pub(super) struct Trips(BTreeMap<NodeId, Duration>);

impl Trips {
    /// RFC 6298, section 2: SRTT.
    pub(super) fn measured(&mut self, id: NodeId, took: Duration) {
        self.0.entry(id).and_modify(|mean| *mean = *mean * 7 / 8 + took / 8).or_insert(took);
    }

    pub(super) fn get(&self, id: NodeId) -> Option<Duration> {
        self.0.get(&id).copied()
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        self.0.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_awaited_as_long_as_acks_have_taken_within_bounds() {
        let (settings, mut trip) = (Settings::default(), RoundTrip::default());
        assert_eq!(trip.ack_wait(&settings), settings.ack_wait_max);
        (0..50).for_each(|_| trip.measured(Duration::from_millis(1)));
        assert_eq!(trip.ack_wait(&settings), settings.ack_wait_min);
        (0..50).for_each(|_| trip.measured(Duration::from_millis(150)));
        let wait = trip.ack_wait(&settings);
        assert!(wait > Duration::from_millis(149) && wait < Duration::from_millis(200), "{wait:?}");
        (0..50).for_each(|_| trip.measured(Duration::from_secs(3)));
        assert_eq!(trip.ack_wait(&settings), settings.ack_wait_max);
    }
}
