//! How long the records of a lost owner are still served.
//!
//! While an owner is alive its lease is full, and nobody renews anything. From the moment it is lost the lease
//! counts, on each node by its own clock. What has been spent travels with the data, and the most wins: so no
//! node that comes late, or was asleep, gives an owner a full lease again. Only the owner itself does, by being
//! alive. Many owners lost at once are more likely cut off than dead: then expiry waits.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::output::{Health, Lease};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Losses within this time are one event.
const TOGETHER: Duration = Duration::from_secs(30);
/// Fewer losses than this are never a mass loss.
const FREEZE_OWNERS_MIN: usize = 3;

/// When expiry waits.
#[derive(Debug, Clone, Copy)]
pub struct FreezeRule {
    /// This share of all owners, lost together; above 1: never.
    pub share: f64,
    /// At most so long.
    pub max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    /// Since then, on this node's clock.
    Running { since: Moment, restarting: bool },
    /// It waits, so much having been spent.
    Waiting { spent: Duration },
    /// It is over by the owner's own will.
    Left,
}

/// The leases of owners that are not alive; all others' are full.
pub struct Leases {
    lost: BTreeMap<NodeId, Count>,
    /// When which owners were lost, of late.
    recent: VecDeque<Moment>,
    frozen_since: Option<Moment>,
    rule: FreezeRule,
}

impl Leases {
    /// All full.
    pub fn new(rule: FreezeRule) -> Leases {
        Leases { lost: BTreeMap::new(), recent: VecDeque::new(), frozen_since: None, rule }
    }

    /// What becomes of an owner's records.
    pub fn get(&self, owner: NodeId) -> Lease {
        match self.lost.get(&owner) {
            None => Lease::Full,
            Some(Count::Running { since, restarting }) => {
                Lease::Counting { since: *since, restarting: *restarting }
            }
            Some(Count::Waiting { spent }) => Lease::Frozen { spent: *spent },
            Some(Count::Left) => Lease::Hidden,
        }
    }

    /// True while expiry waits.
    pub fn is_frozen(&self) -> bool {
        self.frozen_since.is_some()
    }

    /// A member is so, since that moment if it is lost. True if its lease changed.
    pub fn member(&mut self, now: Moment, owner: NodeId, health: Health, since: Moment) -> bool {
        let before = self.lost.get(&owner).copied();
        match health {
            Health::Alive | Health::Suspect => {
                self.lost.remove(&owner);
            }
            Health::Left => {
                self.lost.insert(owner, Count::Left);
            }
            Health::Restarting | Health::Down => {
                let restarting = health == Health::Restarting;
                // What has been spent stays spent, whatever else is learnt: the most wins.
                let count = match before {
                    Some(Count::Running { since: known, .. }) => {
                        Count::Running { since: known.min(since), restarting }
                    }
                    Some(Count::Waiting { spent }) => Count::Waiting { spent: spent.max(now.since(since)) },
                    Some(Count::Left) | None => Count::Running { since, restarting },
                };
                if before.is_none() && !restarting {
                    self.recent.push_back(now);
                }
                self.lost.insert(owner, count);
            }
        }
        self.lost.get(&owner).copied() != before
    }

    /// An owner is forgotten.
    pub fn forget(&mut self, owner: NodeId) {
        self.lost.remove(&owner);
    }

    /// Whether expiry waits, given how many owners there are; true if that changed. All counting leases change
    /// with it.
    pub fn settle(&mut self, now: Moment, owners: usize) -> bool {
        while self.recent.front().is_some_and(|lost| now.since(*lost) > TOGETHER) {
            self.recent.pop_front();
        }
        let least = ((owners as f64 * self.rule.share).ceil() as usize).max(FREEZE_OWNERS_MIN);
        match self.frozen_since {
            None if self.recent.len() >= least => {
                self.frozen_since = Some(now);
                for count in self.lost.values_mut() {
                    if let Count::Running { since, restarting: false } = count {
                        *count = Count::Waiting { spent: now.since(*since) };
                    }
                }
                true
            }
            Some(since) => {
                let lost = self.lost.values().filter(|count| matches!(count, Count::Waiting { .. })).count();
                if lost >= least && now.since(since) < self.rule.max {
                    return false;
                }
                self.frozen_since = None;
                self.recent.clear();
                for count in self.lost.values_mut() {
                    if let Count::Waiting { spent } = count {
                        *count = Count::Running { since: now.before(*spent), restarting: false };
                    }
                }
                true
            }
            None => false,
        }
    }

    /// When [`Leases::settle`] may have something to do.
    pub fn next(&self) -> Moment {
        self.frozen_since.map_or(Moment::NEVER, |since| since + self.rule.max)
    }

    /// The owners whose leases are not full.
    pub fn lost(&self) -> impl Iterator<Item = NodeId> {
        self.lost.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: FreezeRule = FreezeRule { share: 0.34, max: Duration::from_secs(3600) };

    fn at(s: u64) -> Moment {
        Moment::from_micros((1_000_000 + s) * 1_000_000)
    }

    #[test]
    fn only_being_alive_makes_a_lease_full_again() {
        let owner = NodeId(1);
        let mut leases = Leases::new(RULE);
        assert_eq!(leases.get(owner), Lease::Full);
        assert!(leases.member(at(10), owner, Health::Down, at(10)));
        assert!(!leases.member(at(20), owner, Health::Down, at(20)));
        assert_eq!(leases.get(owner), Lease::Counting { since: at(10), restarting: false });
        assert!(leases.member(at(20), owner, Health::Down, at(5)));
        assert_eq!(leases.get(owner), Lease::Counting { since: at(5), restarting: false });
        assert!(leases.member(at(30), owner, Health::Alive, at(30)));
        assert_eq!(leases.get(owner), Lease::Full);
    }

    #[test]
    fn a_restart_that_does_not_come_back_counts_from_its_announcement() {
        let owner = NodeId(1);
        let mut leases = Leases::new(RULE);
        leases.member(at(0), owner, Health::Restarting, at(0));
        leases.member(at(9), owner, Health::Down, at(9));
        assert_eq!(leases.get(owner), Lease::Counting { since: at(0), restarting: false });
        leases.member(at(9), owner, Health::Left, at(9));
        assert_eq!(leases.get(owner), Lease::Hidden);
    }

    #[test]
    fn a_mass_loss_holds_expiry_until_enough_are_back() {
        let mut leases = Leases::new(RULE);
        for owner in 0..4 {
            leases.member(at(owner), NodeId(owner), Health::Down, at(owner));
        }
        assert!(leases.settle(at(4), 10));
        assert!(leases.is_frozen());
        assert_eq!(leases.get(NodeId(1)), Lease::Frozen { spent: Duration::from_secs(3) });
        assert!(!leases.settle(at(1000), 10));
        leases.member(at(1001), NodeId(0), Health::Alive, at(1001));
        assert!(leases.settle(at(1001), 10));
        assert_eq!(leases.get(NodeId(1)), Lease::Counting { since: at(998), restarting: false });
    }

    #[test]
    fn expiry_does_not_wait_for_ever_and_few_losses_are_no_mass_loss() {
        let mut leases = Leases::new(RULE);
        for owner in 0..2 {
            leases.member(at(0), NodeId(owner), Health::Down, at(0));
        }
        assert!(!leases.settle(at(0), 2));
        leases.member(at(0), NodeId(2), Health::Down, at(0));
        assert!(leases.settle(at(0), 3));
        assert_eq!(leases.next(), at(3600));
        assert!(leases.settle(at(3600), 3));
        assert!(!leases.is_frozen());
        // Slowly one after the other is no mass loss either.
        let mut leases = Leases::new(RULE);
        for owner in 0..10 {
            leases.member(at(owner * 40), NodeId(owner), Health::Down, at(owner * 40));
            assert!(!leases.settle(at(owner * 40), 10));
        }
    }
}
