//! What strangers said before they proved to be alive: kept for a moment, so that a first contact loses nothing.
//! Only what was sealed with a key of the cluster gets here, but it may be a recording.

use super::challenge::CHALLENGE_TIME;
use crate::base::time::Moment;
use crate::gossip::output::DATAGRAM_OCTETS_MAX;
use std::collections::VecDeque;

/// Datagrams that wait at once, of all strangers: 345 kB at most. A stranger's are here for one round trip.
pub const WAITING_MAX: usize = 256;
/// Datagrams of one stranger that wait: a probe, and what follows it within a round trip.
pub const WAITING_PER_STRANGER_MAX: usize = 4;

/// Datagrams of strangers, the oldest first; no two of one boot and one number.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    boot: u64,
    number: u64,
    since: Moment,
    plain: Box<[u8]>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps what a stranger said. Its own oldest, then the oldest of all, makes room.
    pub(super) fn keep(&mut self, now: Moment, boot: u64, number: u64, plain: &[u8]) {
        self.expire(now);
        let same = |kept: &Kept| kept.boot == boot && kept.number == number;
        if plain.len() > DATAGRAM_OCTETS_MAX || self.0.iter().any(same) {
            return;
        }
        if self.numbers(boot).count() >= WAITING_PER_STRANGER_MAX {
            let oldest = self.numbers(boot).min().unwrap_or(number);
            if oldest >= number {
                return;
            }
            self.0.retain(|kept| kept.boot != boot || kept.number != oldest);
        }
        if self.0.len() >= WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Kept { boot, number, since: now, plain: plain.into() });
    }

    /// The numbers of what waits of this boot.
    pub(super) fn numbers(&self, boot: u64) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().filter(move |kept| kept.boot == boot).map(|kept| kept.number)
    }

    /// Hands out what this boot said under `floor` or a higher number, in the order in which it was said, and
    /// forgets all that it said.
    pub(super) fn take(&mut self, now: Moment, boot: u64, floor: u64) -> Vec<Box<[u8]>> {
        self.expire(now);
        let (mut said, others): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|kept| kept.boot == boot);
        self.0.extend(others);
        said.sort_by_key(|kept| kept.number);
        said.into_iter().filter(|kept| kept.number >= floor).map(|kept| kept.plain).collect()
    }

    fn expire(&mut self, now: Moment) {
        while self.0.front().is_some_and(|kept| now.since(kept.since) >= CHALLENGE_TIME) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1);

    fn said(waiting: &mut Waiting, boot: u64, floor: u64) -> Vec<u8> {
        waiting.take(NOW, boot, floor).iter().map(|plain| plain[0]).collect()
    }

    #[test]
    fn the_newest_of_each_stranger_wait_in_their_order() {
        let mut waiting = Waiting::default();
        for number in [3, 5, 4, 5, 6, 2, 7] {
            waiting.keep(NOW, 1, number, &[number as u8]);
        }
        waiting.keep(NOW, 2, 9, &[9]);
        assert_eq!(said(&mut waiting, 1, 5), [5, 6, 7]);
        assert_eq!(said(&mut waiting, 1, 0), [0; 0]);
        assert_eq!(said(&mut waiting, 2, 0), [9]);
    }

    #[test]
    fn a_flood_of_strangers_leaves_a_bounded_number() {
        let mut waiting = Waiting::default();
        for boot in 0..10_000 {
            waiting.keep(NOW, boot, 1, &[0; DATAGRAM_OCTETS_MAX]);
        }
        waiting.keep(NOW, 10_000, 1, &[0; DATAGRAM_OCTETS_MAX + 1]);
        assert_eq!(waiting.len(), WAITING_MAX);
        assert_eq!(said(&mut waiting, 9_999, 0), [0]);
    }

    #[test]
    fn what_nobody_vouches_for_is_forgotten() {
        let mut waiting = Waiting::default();
        waiting.keep(NOW, 1, 1, &[1]);
        assert!(waiting.take(NOW + CHALLENGE_TIME, 1, 0).is_empty());
    }
}
