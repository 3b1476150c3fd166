//! When the records of lost owners are over: from then on what these said of their tasks counts for nothing.
//!
//! A record is served for the lease or its TTL, whichever is longer. So there are two moments: at the first all is over
//! whose TTL is within the lease, as nearly everything's is; at the second all the rest.

use crate::base::time::Moment;
use crate::catalog::lease::OwnerId;
use crate::gossip::output::Lease;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Owners that are lost, and when up to which TTL their records are over.
pub(super) struct Gone {
    lease: Duration,
    due: BTreeSet<Due>,
    /// What `due` has of each owner.
    of: BTreeMap<OwnerId, Vec<Due>>,
}

/// When what an owner says is over, up to that TTL in seconds.
type Due = (Moment, OwnerId, u32);

impl Gone {
    /// Nobody is lost. `lease` is what is configured.
    pub(super) fn new(lease: Duration) -> Gone {
        Gone { lease, due: BTreeSet::new(), of: BTreeMap::new() }
    }

    /// The lease of an owner is so from here on. `longest` is the longest TTL of what it says, in seconds.
    pub(super) fn hear(&mut self, owner: OwnerId, lease: Lease, longest: u32) {
        self.forget(owner);
        let whole = self.lease.max(Duration::from_secs(longest.into()));
        let within = u32::try_from(self.lease.as_secs()).unwrap_or(u32::MAX);
        for (span, ttl_max) in [(self.lease, within), (whole, u32::MAX)] {
            let over = match lease {
                Lease::Full => continue,
                Lease::Counting { since, .. } => since + span,
                Lease::Frozen { spent } if spent < span => continue,
                Lease::Frozen { .. } | Lease::Hidden => Moment::START,
            };
            self.due.insert((over, owner, ttl_max));
            self.of.entry(owner).or_default().push((over, owner, ttl_max));
        }
    }

    /// Nothing is known of an owner any more.
    pub(super) fn forget(&mut self, owner: OwnerId) {
        for due in self.of.remove(&owner).into_iter().flatten() {
            self.due.remove(&due);
        }
    }

    /// When something is over next.
    pub(super) fn next(&self) -> Moment {
        self.due.first().map_or(Moment::NEVER, |(over, ..)| *over)
    }

    /// What is over by now, in order: owners, and up to which TTL in seconds.
    pub(super) fn take(&mut self, now: Moment) -> Vec<(OwnerId, u32)> {
        let mut over = Vec::new();
        while self.next() <= now
            && let Some((_, owner, ttl_max)) = self.due.pop_first()
        {
            over.push((owner, ttl_max));
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(1_000_000 + seconds)
    }

    fn lost(since: u64) -> Lease {
        Lease::Counting { since: at(since), restarting: false }
    }

    #[test]
    fn what_a_lost_owner_said_is_over_with_its_lease_or_its_longer_ttl() {
        let (mut gone, owner) = (Gone::new(LEASE), OwnerId(7));
        gone.hear(owner, lost(0), 300);
        assert_eq!((gone.next(), gone.take(at(59))), (at(60), vec![]));
        assert_eq!((gone.take(at(60)), gone.next()), (vec![(owner, 60)], at(300)));
        assert_eq!((gone.take(at(300)), gone.next()), (vec![(owner, u32::MAX)], Moment::NEVER));
        // All at once, and in the order in which the last one holds.
        gone.hear(owner, lost(0), 5);
        assert_eq!(gone.take(at(60)), [(owner, 60), (owner, u32::MAX)]);
    }

    #[test]
    fn who_is_back_or_waits_is_not_over_and_who_left_is_at_once() {
        let (mut gone, owner) = (Gone::new(LEASE), OwnerId(7));
        gone.hear(owner, lost(0), 5);
        gone.hear(owner, Lease::Full, 5);
        assert_eq!(gone.next(), Moment::NEVER);
        gone.hear(owner, Lease::Frozen { spent: Duration::from_secs(59) }, 5);
        assert_eq!(gone.next(), Moment::NEVER);
        gone.hear(owner, Lease::Frozen { spent: LEASE }, 5);
        assert_eq!(gone.take(at(0)).last(), Some(&(owner, u32::MAX)));
        gone.hear(owner, Lease::Hidden, 5);
        assert_eq!(gone.take(at(0)).last(), Some(&(owner, u32::MAX)));
        gone.hear(owner, lost(0), 5);
        gone.forget(owner);
        assert_eq!(gone.next(), Moment::NEVER);
    }
}
