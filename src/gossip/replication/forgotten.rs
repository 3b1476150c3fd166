//! Owners that were forgotten, for a while: members do not forget at one moment, and whoever still has a copy would
//! hand it back to those who have let it go.

use crate::base::time::Moment;
use crate::gossip::identity::{Generation, NodeId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So long a forgotten owner's log is refused. Members agree to some seconds on when somebody was lost.
const REFUSED_FOR: Duration = Duration::from_secs(3_600);
/// Forgotten owners remembered; beyond it the one that was forgotten first may come back, and is forgotten again.
const REFUSED_MAX: usize = 16_384;

/// Which lives of which owners are over.
///
/// Invariant: each owner in `lives` stands in `order` with the moment it has there, and nothing there is older than
/// what stands in front of `order`.
#[derive(Default)]
pub struct Forgotten {
    lives: BTreeMap<NodeId, (Generation, Moment)>,
    order: VecDeque<(Moment, NodeId)>,
}

impl Forgotten {
    /// An owner is forgotten, with this life and all before it.
    pub fn add(&mut self, now: Moment, owner: NodeId, generation: Generation) {
        self.lives.insert(owner, (generation, now));
        self.order.push_back((now, owner));
        while let Some((at, first)) = self.order.front().copied() {
            if self.order.len() <= REFUSED_MAX && now.since(at) < REFUSED_FOR {
                return;
            }
            self.order.pop_front();
            if self.lives.get(&first).is_some_and(|(_, since)| *since == at) {
                self.lives.remove(&first);
            }
        }
    }

    /// The owner itself is back.
    pub fn remove(&mut self, owner: NodeId) {
        self.lives.remove(&owner);
    }

    /// True if that life is one that was forgotten.
    pub fn refuses(&self, now: Moment, owner: NodeId, generation: Generation) -> bool {
        let life = self.lives.get(&owner);
        life.is_some_and(|(over, at)| generation <= *over && now.since(*at) < REFUSED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment::from_micros((1_000_000 + s) * 1_000_000)
    }

    #[test]
    fn a_later_life_and_the_owner_itself_are_taken() {
        let mut forgotten = Forgotten::default();
        forgotten.add(at(0), NodeId(1), Generation(3));
        assert!(forgotten.refuses(at(1), NodeId(1), Generation(3)));
        assert!(forgotten.refuses(at(1), NodeId(1), Generation(2)));
        assert!(!forgotten.refuses(at(1), NodeId(1), Generation(4)));
        assert!(!forgotten.refuses(at(1), NodeId(2), Generation(1)));
        assert!(!forgotten.refuses(at(3_600), NodeId(1), Generation(3)));
        forgotten.remove(NodeId(1));
        assert!(!forgotten.refuses(at(1), NodeId(1), Generation(3)));
    }

    #[test]
    fn no_more_than_so_many_are_remembered_and_the_oldest_goes_first() {
        let mut forgotten = Forgotten::default();
        for id in 0..2 * REFUSED_MAX as u64 {
            forgotten.add(at(0), NodeId(id), Generation(1));
        }
        assert_eq!((forgotten.lives.len(), forgotten.order.len()), (REFUSED_MAX, REFUSED_MAX));
        assert!(!forgotten.refuses(at(0), NodeId(0), Generation(1)));
        assert!(forgotten.refuses(at(0), NodeId(REFUSED_MAX as u64), Generation(1)));
        // Back and forgotten again, many times.
        for s in 0..10_000 {
            forgotten.remove(NodeId(1));
            forgotten.add(at(s), NodeId(1), Generation(1));
        }
        assert!(forgotten.order.len() <= REFUSED_MAX && forgotten.lives.len() <= REFUSED_MAX);
        assert!(forgotten.refuses(at(10_000), NodeId(1), Generation(1)));
    }
}
