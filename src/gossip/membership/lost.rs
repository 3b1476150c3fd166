//! Who is known and does not live, and since when.
//!
//! Since when is told between nodes as an age, so it is a moment on our clock that may lie before our own start.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::membership::told::Class;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
struct Loss {
    since: Moment,
    class: Class,
}

/// Invariant: `down` counts those of class down.
#[derive(Debug, Default)]
pub(super) struct Lost {
    of: BTreeMap<NodeId, Loss>,
    down: usize,
}

/// Ages are told in whole seconds: a loss that is older by no more than this is the same.
const SAME_LOSS: Duration = Duration::from_secs(1);

impl Lost {
    pub(super) fn put(&mut self, id: NodeId, class: Class, since: Moment) {
        self.remove(id);
        self.down += usize::from(class == Class::Down);
        self.of.insert(id, Loss { since, class });
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        if let Some(loss) = self.of.remove(&id) {
            self.down -= usize::from(loss.class == Class::Down);
        }
    }

    pub(super) fn since(&self, id: NodeId) -> Option<Moment> {
        self.of.get(&id).map(|loss| loss.since)
    }

    /// Somebody knows of a longer loss: that counts, or members would keep each other's memory fresh. True if it
    /// is so and makes a difference.
    pub(super) fn lengthen(&mut self, id: NodeId, since: Moment) -> bool {
        match self.of.get_mut(&id) {
            Some(loss) if loss.since.since(since) > SAME_LOSS => {
                loss.since = since;
                true
            }
            _ => false,
        }
    }

    /// How many are down.
    pub(super) fn down(&self) -> usize {
        self.down
    }

    /// One of those that are down, by its number among them.
    pub(super) fn nth_down(&self, number: usize) -> Option<NodeId> {
        self.of.iter().filter(|(_, loss)| loss.class == Class::Down).nth(number).map(|(id, _)| *id)
    }

    /// All of them, by rising id: who, how, and since when.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, Class, Moment)> {
        self.of.iter().map(|(id, loss)| (*id, loss.class, loss.since))
    }

    /// Up to so many who have been lost for longest.
    pub(super) fn longest(&self, count: usize) -> Vec<NodeId> {
        let mut all: Vec<(Moment, NodeId)> = self.of.iter().map(|(id, loss)| (loss.since, *id)).collect();
        if count < all.len() {
            all.select_nth_unstable(count);
            all.truncate(count);
        }
        all.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loss_only_grows_older_and_a_second_is_nothing() {
        let (start, id) = (Moment::START + SECOND * 100, NodeId(1));
        let mut lost = Lost::default();
        assert!(!lost.lengthen(id, start));
        lost.put(id, Class::Down, start);
        assert!(!lost.lengthen(id, start + SECOND * 9));
        assert!(!lost.lengthen(id, start.before(SECOND)));
        assert_eq!(lost.since(id), Some(start));
        assert!(lost.lengthen(id, start.before(SECOND * 2)));
        assert_eq!(lost.since(id), Some(start.before(SECOND * 2)));
    }

    #[test]
    fn those_who_are_down_are_counted_and_the_longest_lost_are_found() {
        let start = Moment::START;
        let mut lost = Lost::default();
        for id in 0..9 {
            let class = if id % 2 == 0 { Class::Down } else { Class::Left };
            lost.put(NodeId(id), class, start + SECOND * (10 - id as u32));
        }
        lost.put(NodeId(8), Class::Left, start);
        lost.remove(NodeId(0));
        lost.remove(NodeId(0));
        assert_eq!(lost.down(), 3);
        let down: Vec<_> = (0..4).map(|number| lost.nth_down(number)).collect();
        assert_eq!(down, [Some(NodeId(2)), Some(NodeId(4)), Some(NodeId(6)), None]);
        let mut longest = lost.longest(2);
        longest.sort();
        assert_eq!(longest, [NodeId(7), NodeId(8)]);
        assert_eq!(lost.longest(99).len(), 8);
    }
}
