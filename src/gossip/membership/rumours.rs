//! What is still to be passed on: keys of news, each with how often it was sent; the least sent goes first.
//!
//! A rumour has no content of its own. It is written from the table when it is sent, so that it is always the
//! newest and takes little room.

use crate::gossip::identity::NodeId;
use crate::gossip::membership::settings::RUMOURS_MAX;
use std::collections::{BTreeMap, BTreeSet};

/// What a rumour is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// What is told of that node.
    Told(NodeId),
    /// That the first was found silent by the second.
    Suspect(NodeId, NodeId),
}

/// How often a rumour was sent, in the upper octet, and below that a number that rises with each change: the least
/// sent, and of these the one that waits for longest, comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

impl Rank {
    const NUMBER_BITS: u32 = 56;

    fn new(sent: u8, number: u64) -> Rank {
        Rank(u64::from(sent) << Rank::NUMBER_BITS | number & ((1 << Rank::NUMBER_BITS) - 1))
    }

    fn sent(self) -> u8 {
        (self.0 >> Rank::NUMBER_BITS) as u8
    }
}

/// Invariant: `ranks` and `queue` hold the same keys under the same ranks.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    ranks: BTreeMap<Key, Rank>,
    queue: BTreeSet<(Rank, Key)>,
    changes: u64,
}

/// What may be written into one datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Octets that are left in it.
    pub(super) room: usize,
    /// To how many members it goes.
    pub(super) copies: u8,
    /// Rumours that were sent so often are repetitions.
    pub(super) repeated_from: u8,
    /// Octets that repetitions may take of the room.
    pub(super) repeated_octets: usize,
    /// A rumour that was sent so often is over.
    pub(super) limit: u8,
}

/// Rumours that may be tried for what is left of a datagram before it counts as full.
const MISFITS_MAX: usize = 4;
/// Octets of the shortest rumour, a suspicion in its first life: kind, length, two ids, an incarnation.
const RUMOUR_OCTETS_MIN: usize = 2 + 8 + 2 + 8;

impl Rumours {
    /// Begins a rumour, or begins it anew: it became news again. Where there is no room, the one that was sent
    /// most is dropped; what it said stays in the table.
    pub(super) fn add(&mut self, key: Key) {
        self.remove(key);
        if self.queue.len() >= RUMOURS_MAX
            && let Some((_, most)) = self.queue.pop_last()
        {
            self.ranks.remove(&most);
        }
        self.insert(key, 0);
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(rank) = self.ranks.remove(&key) {
            self.queue.remove(&(rank, key));
        }
    }

    /// Ends all that was said of a suspicion.
    pub(super) fn remove_suspicion(&mut self, id: NodeId) {
        let range = Key::Suspect(id, NodeId(0))..=Key::Suspect(id, NodeId(u64::MAX));
        let keys: Vec<Key> = self.ranks.range(range).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How often the least sent was sent.
    pub(super) fn least_sent(&self) -> Option<u8> {
        self.queue.first().map(|(rank, _)| rank.sent())
    }

    /// Writes rumours until there is no room, least sent first, and says how many octets were repetitions. One that
    /// `write` has nothing to say about is dropped.
    pub(super) fn fill(
        &mut self,
        allowed: Allowance,
        octets: &mut Vec<u8>,
        mut write: impl FnMut(Key, &mut Vec<u8>) -> bool,
    ) -> usize {
        let start = octets.len();
        let (mut room, mut repeated) = (allowed.room, None);
        let mut misfits = 0;
        let mut done = Vec::new();
        for (rank, key) in &self.queue {
            let before = octets.len();
            if repeated.is_none() && rank.sent() >= allowed.repeated_from {
                // All that follow were sent as often.
                repeated = Some(before);
                room = room.min(before - start + allowed.repeated_octets);
            }
            if misfits == MISFITS_MAX || before - start + RUMOUR_OCTETS_MIN > room {
                break;
            }
            if !write(*key, octets) {
                octets.truncate(before);
                done.push((*key, u8::MAX));
            } else if octets.len() - start > room {
                octets.truncate(before);
                misfits += 1;
            } else {
                done.push((*key, rank.sent().saturating_add(allowed.copies)));
            }
        }
        for (key, sent) in done {
            self.remove(key);
            if sent < allowed.limit {
                self.insert(key, sent);
            }
        }
        repeated.map_or(0, |from| octets.len() - from)
    }

    fn insert(&mut self, key: Key, sent: u8) {
        self.changes += 1;
        let rank = Rank::new(sent, self.changes);
        self.ranks.insert(key, rank);
        self.queue.insert((rank, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64) -> Key {
        Key::Told(NodeId(id))
    }

    fn allowed(room: usize, limit: u8) -> Allowance {
        Allowance { room, copies: 1, repeated_from: u8::MAX, repeated_octets: 0, limit }
    }

    /// Twenty octets for each rumour, as many as the shortest has.
    fn fill(rumours: &mut Rumours, allowed: Allowance) -> Vec<u8> {
        let mut octets = Vec::new();
        rumours.fill(allowed, &mut octets, |key, octets| {
            let (Key::Told(id) | Key::Suspect(id, _)) = key;
            octets.extend([id.0 as u8; RUMOUR_OCTETS_MIN]);
            id.0 != 99
        });
        octets.chunks(RUMOUR_OCTETS_MIN).map(|chunk| chunk[0]).collect()
    }

    #[test]
    fn the_least_sent_goes_first_and_each_is_sent_so_often() {
        let mut rumours = Rumours::default();
        (1..=3).for_each(|id| rumours.add(key(id)));
        assert_eq!(fill(&mut rumours, allowed(40, 2)), [1, 2]);
        rumours.add(key(4));
        assert_eq!(fill(&mut rumours, allowed(59, 2)), [3, 4]);
        assert_eq!(fill(&mut rumours, allowed(100, 2)), [1, 2, 3, 4]);
        assert_eq!(rumours.least_sent(), None);
    }

    #[test]
    fn news_of_the_same_begins_anew() {
        let mut rumours = Rumours::default();
        rumours.add(key(1));
        assert_eq!(fill(&mut rumours, allowed(100, 2)), [1]);
        rumours.add(key(1));
        assert_eq!(rumours.least_sent(), Some(0));
        assert_eq!(rumours.queue.len(), 1);
    }

    #[test]
    fn what_has_nothing_to_say_is_dropped() {
        let mut rumours = Rumours::default();
        rumours.add(key(99));
        assert!(fill(&mut rumours, allowed(100, 9)).is_empty());
        assert_eq!(rumours.least_sent(), None);
    }

    #[test]
    fn a_refuted_suspicion_is_no_longer_told() {
        let mut rumours = Rumours::default();
        for by in [0, 7, u64::MAX] {
            rumours.add(Key::Suspect(NodeId(5), NodeId(by)));
        }
        rumours.add(Key::Suspect(NodeId(6), NodeId(7)));
        rumours.add(key(5));
        rumours.remove_suspicion(NodeId(5));
        assert_eq!(fill(&mut rumours, allowed(100, 9)), [6, 5]);
    }

    #[test]
    fn beyond_the_bound_the_most_sent_is_dropped() {
        let mut rumours = Rumours::default();
        rumours.add(key(1));
        fill(&mut rumours, allowed(100, 9));
        (2..=RUMOURS_MAX as u64 + 1).for_each(|id| rumours.add(key(id)));
        assert_eq!(rumours.queue.len(), RUMOURS_MAX);
        assert_eq!(rumours.ranks.len(), RUMOURS_MAX);
        assert!(!rumours.ranks.contains_key(&key(1)));
    }

    #[test]
    fn repetitions_take_their_share_and_first_copies_all_there_is() {
        let mut rumours = Rumours::default();
        (1..=3).for_each(|id| rumours.add(key(id)));
        let paced = Allowance { repeated_from: 1, repeated_octets: 39, ..allowed(60, 9) };
        assert_eq!(fill(&mut rumours, paced), [1, 2, 3]);
        assert_eq!(fill(&mut rumours, paced), [1]);
        rumours.add(key(4));
        assert_eq!(fill(&mut rumours, paced), [4, 2]);
        assert!(fill(&mut rumours, Allowance { repeated_octets: 0, ..paced }).is_empty());
    }

    #[test]
    fn octets_of_repetitions_are_told() {
        let mut rumours = Rumours::default();
        let write = |_: Key, octets: &mut Vec<u8>| {
            octets.extend([0; 30]);
            true
        };
        let paced = Allowance { repeated_from: 1, repeated_octets: 99, ..allowed(200, 9) };
        rumours.add(key(1));
        assert_eq!(rumours.fill(paced, &mut vec![0; 5], write), 0);
        rumours.add(key(2));
        assert_eq!(rumours.fill(paced, &mut vec![0; 5], write), 30);
    }
}
