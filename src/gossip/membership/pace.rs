//! How fast rumours are repeated: a bucket of octets, filled at an even rate.
//!
//! Where much happens at once, each repetition delays what is new; and comparing tables brings what repetitions
//! miss. So the first copies of a rumour are free, and later ones wait for their share.

use crate::base::time::Moment;
use crate::gossip::membership::settings::{REPEAT_OCTETS_BURST, REPEAT_OCTETS_PER_S};

/// Octets times a million that may be sent, as of a moment.
#[derive(Debug)]
pub(super) struct Pace {
    millionths: u64,
    filled: Moment,
}

const MILLION: u64 = 1_000_000;

impl Pace {
    /// A full bucket.
    pub(super) fn new(now: Moment) -> Pace {
        Pace { millionths: REPEAT_OCTETS_BURST * MILLION, filled: now }
    }

    /// Octets that may be sent now.
    pub(super) fn octets(&mut self, now: Moment) -> usize {
        let micros = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        let more = micros.saturating_mul(REPEAT_OCTETS_PER_S);
        self.millionths = self.millionths.saturating_add(more).min(REPEAT_OCTETS_BURST * MILLION);
        self.filled = self.filled.max(now);
        usize::try_from(self.millionths / MILLION).unwrap_or(usize::MAX)
    }

    /// So many were sent.
    pub(super) fn spend(&mut self, octets: usize) {
        self.millionths = self.millionths.saturating_sub((octets as u64).saturating_mul(MILLION));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn after_a_burst_octets_come_at_an_even_rate_however_often_one_looks() {
        let mut now = Moment::START;
        let mut pace = Pace::new(now);
        assert_eq!(pace.octets(now) as u64, REPEAT_OCTETS_BURST);
        pace.spend(usize::MAX);
        assert_eq!(pace.octets(now), 0);
        for _ in 0..100_000 {
            now += Duration::from_micros(10);
            pace.octets(now);
        }
        assert_eq!(pace.octets(now) as u64, REPEAT_OCTETS_PER_S);
        now += Duration::from_secs(3_600);
        assert_eq!(pace.octets(now) as u64, REPEAT_OCTETS_BURST);
    }
}
