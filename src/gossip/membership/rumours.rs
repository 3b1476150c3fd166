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

/// Invariant: `sent` and `queue` hold the same keys.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    sent: BTreeMap<Key, (u8, u64)>,
    /// By how often sent, then by age.
    queue: BTreeSet<(u8, u64, Key)>,
    added: u64,
}

/// Rumours that may be tried for what is left of a datagram before it counts as full.
const MISFITS_MAX: usize = 4;

impl Rumours {
    /// Begins a rumour, or begins it anew: it became news again. Where there is no room, the one that was sent
    /// most is dropped; what it said stays in the table.
    pub(super) fn add(&mut self, key: Key) {
        self.remove(key);
        if self.queue.len() >= RUMOURS_MAX
            && let Some((_, _, most)) = self.queue.pop_last()
        {
            self.sent.remove(&most);
        }
        self.insert(key, 0);
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some((sent, number)) = self.sent.remove(&key) {
            self.queue.remove(&(sent, number, key));
        }
    }

    /// Ends all that was said of a suspicion.
    pub(super) fn remove_suspicion(&mut self, id: NodeId) {
        let range = Key::Suspect(id, NodeId(0))..=Key::Suspect(id, NodeId(u64::MAX));
        let keys: Vec<Key> = self.sent.range(range).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How often the least sent was sent.
    pub(super) fn least_sent(&self) -> Option<u8> {
        self.queue.first().map(|(sent, _, _)| *sent)
    }

    /// Writes rumours until `room` octets are full, least sent first. They count as sent `copies` times; who has
    /// been sent `limit` times is dropped, as is one that `write` has nothing to say about.
    pub(super) fn fill(
        &mut self,
        room: usize,
        copies: u8,
        limit: u8,
        octets: &mut Vec<u8>,
        mut write: impl FnMut(Key, &mut Vec<u8>) -> bool,
    ) {
        let start = octets.len();
        let mut misfits = 0;
        let mut done = Vec::new();
        for (sent, _, key) in &self.queue {
            let before = octets.len();
            if !write(*key, octets) {
                octets.truncate(before);
                done.push((*key, u8::MAX));
            } else if octets.len() - start > room {
                octets.truncate(before);
                misfits += 1;
            } else {
                done.push((*key, sent.saturating_add(copies)));
            }
            if misfits == MISFITS_MAX {
                break;
            }
        }
        for (key, sent) in done {
            self.remove(key);
            if sent < limit {
                self.insert(key, sent);
            }
        }
    }

    fn insert(&mut self, key: Key, sent: u8) {
        self.added += 1;
        self.sent.insert(key, (sent, self.added));
        self.queue.insert((sent, self.added, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64) -> Key {
        Key::Told(NodeId(id))
    }

    /// Four octets for each rumour.
    fn fill(rumours: &mut Rumours, room: usize, limit: u8) -> Vec<u8> {
        let mut octets = Vec::new();
        rumours.fill(room, 1, limit, &mut octets, |key, octets| {
            let (Key::Told(id) | Key::Suspect(id, _)) = key;
            octets.extend([id.0 as u8; 4]);
            id.0 != 99
        });
        octets.chunks(4).map(|chunk| chunk[0]).collect()
    }

    #[test]
    fn the_least_sent_goes_first_and_each_is_sent_so_often() {
        let mut rumours = Rumours::default();
        (1..=3).for_each(|id| rumours.add(key(id)));
        assert_eq!(fill(&mut rumours, 8, 2), [1, 2]);
        rumours.add(key(4));
        assert_eq!(fill(&mut rumours, 11, 2), [3, 4]);
        assert_eq!(fill(&mut rumours, 100, 2), [1, 2, 3, 4]);
        assert_eq!(rumours.least_sent(), None);
    }

    #[test]
    fn news_of_the_same_begins_anew() {
        let mut rumours = Rumours::default();
        rumours.add(key(1));
        assert_eq!(fill(&mut rumours, 100, 2), [1]);
        rumours.add(key(1));
        assert_eq!(rumours.least_sent(), Some(0));
        assert_eq!(rumours.queue.len(), 1);
    }

    #[test]
    fn what_has_nothing_to_say_is_dropped() {
        let mut rumours = Rumours::default();
        rumours.add(key(99));
        assert!(fill(&mut rumours, 100, 9).is_empty());
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
        assert_eq!(fill(&mut rumours, 100, 9), [6, 5]);
    }

    #[test]
    fn beyond_the_bound_the_most_sent_is_dropped() {
        let mut rumours = Rumours::default();
        rumours.add(key(1));
        fill(&mut rumours, 100, 9);
        (2..=RUMOURS_MAX as u64 + 1).for_each(|id| rumours.add(key(id)));
        assert_eq!(rumours.queue.len(), RUMOURS_MAX);
        assert_eq!(rumours.sent.len(), RUMOURS_MAX);
        assert!(!rumours.sent.contains_key(&key(1)));
    }
}
