//! How long the records of a lost owner are still served.
//!
//! While an owner is alive its lease is full, and nobody renews anything. From the moment it is lost the lease
//! counts, on each node by its own clock. What has been spent travels with the data, and the most wins: so no
//! node that comes late, or was asleep, gives an owner a full lease again. Only the owner itself does, by being
//! alive. Many owners lost at once are more likely cut off than dead: then expiry waits.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::output::{Health, Lease};
use std::collections::{BTreeMap, BTreeSet};
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

/// Somebody is lost, or restarts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Loss {
    /// Since then, on this node's clock.
    since: Moment,
    /// For so long the count has waited since then.
    waited: Duration,
    restarting: bool,
}

impl Loss {
    /// When the count would have begun if it had never waited.
    fn counts_from(&self) -> Moment {
        self.since + self.waited
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Lost(Loss),
    /// It is over by the owner's own will.
    Left,
}

/// The leases of owners that are not alive; all others' are full.
///
/// Invariant: `together` holds only owners that are lost and do not restart, each once, by when its count began.
pub struct Leases {
    lost: BTreeMap<NodeId, Count>,
    /// Who was lost of late; while expiry waits, all whose loss belongs to what made it wait.
    together: BTreeSet<(Moment, NodeId)>,
    /// From this moment on nothing that is lost counts.
    frozen_since: Option<Moment>,
    rule: FreezeRule,
}

impl Leases {
    /// All full.
    pub fn new(rule: FreezeRule) -> Leases {
        Leases { lost: BTreeMap::new(), together: BTreeSet::new(), frozen_since: None, rule }
    }

    /// What becomes of an owner's records.
    pub fn get(&self, owner: NodeId) -> Lease {
        match (self.lost.get(&owner), self.frozen_since) {
            (None, _) => Lease::Full,
            (Some(Count::Left), _) => Lease::Hidden,
            (Some(Count::Lost(loss)), Some(frozen)) if !loss.restarting => {
                Lease::Frozen { spent: frozen.since(loss.counts_from()) }
            }
            (Some(Count::Lost(loss)), _) => {
                Lease::Counting { since: loss.counts_from(), restarting: loss.restarting }
            }
        }
    }

    /// True while expiry waits.
    pub fn is_frozen(&self) -> bool {
        self.frozen_since.is_some()
    }

    /// A member is so, since that moment if it is lost. True if its lease changed.
    pub fn member(&mut self, now: Moment, owner: NodeId, health: Health, since: Moment) -> bool {
        let before = self.lost.get(&owner).copied();
        let counted = self.uncount(owner);
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
                let loss = match before {
                    Some(Count::Lost(known)) => Loss { since: known.since.min(since), restarting, ..known },
                    Some(Count::Left) | None => Loss { since, waited: Duration::ZERO, restarting },
                };
                self.lost.insert(owner, Count::Lost(loss));
                // Of an old loss somebody only tells us late.
                let fresh = !matches!(before, Some(Count::Lost(_))) && now.since(since) <= TOGETHER;
                if (counted || fresh) && !restarting {
                    self.together.insert((loss.counts_from(), owner));
                }
            }
        }
        self.lost.get(&owner).copied() != before
    }

    /// An owner is forgotten.
    pub fn forget(&mut self, owner: NodeId) {
        self.uncount(owner);
        self.lost.remove(&owner);
    }

    /// True if it was among those lost together.
    fn uncount(&mut self, owner: NodeId) -> bool {
        match self.lost.get(&owner) {
            Some(Count::Lost(loss)) => self.together.remove(&(loss.counts_from(), owner)),
            Some(Count::Left) | None => false,
        }
    }

    /// Whether expiry waits, given how many owners live, this node included; true if that changed. All counting
    /// leases change with it.
    ///
    /// The share is that of owners that lived before the loss: those that still do, and those lost together. Whoever
    /// died hours ago, and is only remembered, is neither.
    pub fn settle(&mut self, now: Moment, living: usize) -> bool {
        if self.frozen_since.is_none() {
            while self.together.first().is_some_and(|(lost, _)| now.since(*lost) > TOGETHER) {
                self.together.pop_first();
            }
        }
        let together = self.together.len();
        let owners = living + together;
        let least = ((owners as f64 * self.rule.share).ceil() as usize).max(FREEZE_OWNERS_MIN);
        match self.frozen_since {
            None if together >= least => {
                self.frozen_since = Some(now);
                true
            }
            None => false,
            Some(since) => {
                let over = now.since(since) >= self.rule.max;
                if together >= least && !over {
                    return false;
                }
                self.go_on(now, since);
                if over {
                    // The same losses must not make it wait again.
                    self.together.clear();
                }
                true
            }
        }
    }

    /// What has waited since `frozen` counts again, from where it stood.
    fn go_on(&mut self, now: Moment, frozen: Moment) {
        self.frozen_since = None;
        let together = std::mem::take(&mut self.together);
        let together: BTreeSet<NodeId> = together.into_iter().map(|(_, owner)| owner).collect();
        for (owner, count) in &mut self.lost {
            if let Count::Lost(loss) = count
                && !loss.restarting
            {
                loss.waited += now.since(frozen.max(loss.counts_from()));
                // Those still lost have not counted for long: if others follow them soon, it is one loss.
                if together.contains(owner) {
                    self.together.insert((loss.counts_from(), *owner));
                }
            }
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

    fn lose(leases: &mut Leases, owners: std::ops::Range<u64>, now: Moment) {
        for owner in owners {
            leases.member(now, NodeId(owner), Health::Down, now);
        }
    }

    #[test]
    fn a_mass_loss_holds_expiry_until_enough_are_back() {
        let mut leases = Leases::new(RULE);
        for owner in 0..4 {
            leases.member(at(owner), NodeId(owner), Health::Down, at(owner));
        }
        assert!(leases.settle(at(4), 6));
        assert!(leases.is_frozen());
        assert_eq!(leases.get(NodeId(1)), Lease::Frozen { spent: Duration::from_secs(3) });
        assert!(!leases.settle(at(1000), 6));
        leases.member(at(1001), NodeId(0), Health::Alive, at(1001));
        assert!(leases.settle(at(1001), 7));
        assert_eq!(leases.get(NodeId(1)), Lease::Counting { since: at(998), restarting: false });
    }

    #[test]
    fn whoever_is_lost_while_expiry_waits_waits_too() {
        // Thirty nodes are cut in two. Eleven losses make it wait; the last ones are noticed later.
        let mut leases = Leases::new(RULE);
        for owner in 0..15 {
            leases.member(at(owner), NodeId(owner), Health::Down, at(owner));
            leases.settle(at(owner), 29 - owner as usize);
        }
        for owner in 0..15 {
            let spent = Duration::from_secs(10u64.saturating_sub(owner));
            assert_eq!(leases.get(NodeId(owner)), Lease::Frozen { spent }, "{owner}");
        }
        // Four come back: eleven of thirty are still lost.
        for owner in 0..4u64 {
            leases.member(at(100), NodeId(owner), Health::Alive, at(100));
            assert!(!leases.settle(at(100), 16 + owner as usize));
        }
        assert!(leases.is_frozen());
        // An operator says that two of them are gone for good.
        for owner in [4, 5] {
            leases.member(at(200), NodeId(owner), Health::Left, at(200));
            leases.settle(at(200), 19);
        }
        assert!(!leases.is_frozen());
        assert_eq!(leases.get(NodeId(5)), Lease::Hidden);
        assert_eq!(leases.get(NodeId(9)), Lease::Counting { since: at(199), restarting: false });
        assert_eq!(leases.get(NodeId(14)), Lease::Counting { since: at(200), restarting: false });
    }

    #[test]
    fn a_link_that_comes_and_goes_does_not_let_those_beyond_it_expire() {
        let mut leases = Leases::new(RULE);
        lose(&mut leases, 0..15, at(0));
        assert!(leases.settle(at(0), 15));
        for owner in 0..6 {
            leases.member(at(60), NodeId(owner), Health::Alive, at(60));
        }
        assert!(leases.settle(at(60), 21) && !leases.is_frozen());
        lose(&mut leases, 0..6, at(70));
        assert!(leases.settle(at(70), 15) && leases.is_frozen());
        assert_eq!(leases.get(NodeId(9)), Lease::Frozen { spent: Duration::from_secs(10) });
    }

    #[test]
    fn what_waited_is_not_counted_again_when_the_loss_is_told_again() {
        let mut leases = Leases::new(RULE);
        lose(&mut leases, 0..4, at(0));
        leases.settle(at(0), 6);
        leases.member(at(500), NodeId(0), Health::Alive, at(500));
        leases.settle(at(500), 7);
        assert!(leases.member(at(501), NodeId(1), Health::Down, at(0).before(Duration::from_secs(2))));
        assert_eq!(leases.get(NodeId(1)), Lease::Counting { since: at(498), restarting: false });
    }

    #[test]
    fn who_joins_a_cluster_that_remembers_dead_ones_sees_no_mass_loss() {
        let mut leases = Leases::new(RULE);
        for owner in 0..5 {
            leases.member(at(9_000), NodeId(owner), Health::Down, at(owner));
            assert!(!leases.settle(at(9_000), 2));
        }
        // A mass loss it does notice, and the end of that does not depend on those.
        lose(&mut leases, 10..13, at(9_010));
        assert!(leases.settle(at(9_010), 5) && leases.is_frozen());
        assert_eq!(leases.get(NodeId(0)), Lease::Frozen { spent: Duration::from_secs(9_010) });
        leases.member(at(9_020), NodeId(10), Health::Alive, at(9_020));
        assert!(leases.settle(at(9_020), 6) && !leases.is_frozen());
    }

    #[test]
    fn one_node_that_flaps_is_no_mass_loss() {
        let mut leases = Leases::new(RULE);
        for s in 0..10 {
            leases.member(at(2 * s), NodeId(1), Health::Down, at(2 * s));
            assert!(!leases.settle(at(2 * s), 3));
            leases.member(at(2 * s + 1), NodeId(1), Health::Alive, at(2 * s + 1));
            assert!(!leases.settle(at(2 * s + 1), 4));
        }
    }

    #[test]
    fn expiry_does_not_wait_for_ever_and_few_losses_are_no_mass_loss() {
        let mut leases = Leases::new(RULE);
        lose(&mut leases, 0..2, at(0));
        assert!(!leases.settle(at(0), 1));
        lose(&mut leases, 2..3, at(0));
        assert!(leases.settle(at(0), 1));
        assert_eq!(leases.next(), at(3600));
        assert!(leases.settle(at(3600), 1));
        assert!(!leases.is_frozen());
        assert!(!leases.settle(at(3601), 1));
        // Slowly one after the other is no mass loss either.
        let mut leases = Leases::new(RULE);
        for owner in 0..10 {
            lose(&mut leases, owner..owner + 1, at(owner * 40));
            assert!(!leases.settle(at(owner * 40), 10));
        }
    }
}
